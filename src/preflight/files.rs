//! The files of a module, in a commit or a checkout.

use std::path::PathBuf;

use crate::component::is_module_file;
use crate::config::join_path;
use crate::error::CommandError;
use crate::git::Place;
use crate::project::Tree;

/// The texts of a module's files.
#[derive(Debug, Default)]
pub struct ModuleFiles {
    /// The readable files, with their paths.
    pub files: Vec<(PathBuf, String)>,
    /// Whether these are all files: links and submodules are not followed.
    pub is_whole: bool,
}

impl ModuleFiles {
    /// The files, if all of them are known.
    pub(super) fn known(self) -> Option<Vec<(PathBuf, String)>> {
        self.is_whole.then_some(self.files)
    }
}

/// Reads the files of the module in a folder.
///
/// # Errors
///
/// If the tree cannot be read.
pub fn module_files(tree: &dyn Tree, folder: &str) -> Result<ModuleFiles, CommandError> {
    if leads_out(folder) || tree.place(folder)? != Place::Folder {
        return Ok(ModuleFiles::default());
    }
    let mut files = Vec::new();
    let mut is_whole = true;
    for name in tree.names(folder)?.into_iter().filter(|name| is_module_file(name)) {
        let path = join_path([folder, name.as_str()]);
        match file_text(tree, &path)? {
            Some(text) => files.push((PathBuf::from(path), text)),
            None => is_whole = false,
        }
    }
    Ok(ModuleFiles { files, is_whole })
}

/// The text of a file; `None` if it is not a file, or not text.
pub(super) fn file_text(tree: &dyn Tree, path: &str) -> Result<Option<String>, CommandError> {
    if matches!(tree.place(path)?, Place::File { .. }) { tree.text(path) } else { Ok(None) }
}

/// Whether a path leads out of the commit, so that its content is unknown.
pub(super) fn leads_out(path: &str) -> bool {
    path.starts_with('/') || path == ".." || path.starts_with("../")
}
