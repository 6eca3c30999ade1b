//! Sources of manifests: a directory, a commit, or a test.

use std::io;
use std::path::{Path, PathBuf};

use crate::boundary::Boundary;

/// A tree of files, by paths relative to the repository's root with `/` between their parts.
pub trait StackFiles: Sync {
    /// The text of a file; `None` if it does not exist.
    fn read(&self, path: &str) -> io::Result<Option<String>>;

    /// Every file below a directory, recursively and in any order; none if it does not exist. Git's
    /// own directory is excluded.
    fn list(&self, directory: &str) -> io::Result<Vec<String>>;

    /// The number of folders above the root of all paths whose files belong to the tree as well:
    /// they are named by `../`.
    fn above(&self) -> usize {
        0
    }
}

/// The files below a directory on disk.
#[derive(Debug, Clone)]
pub struct DirectoryFiles {
    root: PathBuf,
    boundary: Boundary,
}

impl DirectoryFiles {
    /// The files below `root`, to which all paths are relative.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        let root = root.into();
        Self { boundary: Boundary::new(&root), root }
    }

    /// The same files; symbolic links may lead anywhere below `folder`.
    #[must_use]
    pub fn within(self, folder: &Path) -> Self {
        Self { boundary: Boundary::new(folder), ..self }
    }

    fn list_into(&self, directory: &Path, files: &mut Vec<String>) -> io::Result<()> {
        for entry in directory.read_dir()? {
            let entry = entry?;
            let path = entry.path();
            // Symbolic links to files are followed, links to directories are not: they may form
            // cycles.
            if entry.file_type()?.is_dir() {
                if entry.file_name() == ".git" {
                    continue;
                }
                self.list_into(&path, files)?;
            } else if let Some(name) = path.strip_prefix(&self.root).ok().and_then(Path::to_str) {
                files.push(name.replace(std::path::MAIN_SEPARATOR, "/"));
            }
        }
        Ok(())
    }
}

impl StackFiles for DirectoryFiles {
    fn read(&self, path: &str) -> io::Result<Option<String>> {
        self.boundary.read_to_string(&self.root.join(path))
    }

    fn list(&self, directory: &str) -> io::Result<Vec<String>> {
        let directory = self.root.join(directory);
        let mut files = Vec::new();
        if self.boundary.resolve(&directory)?.is_some() {
            self.list_into(&directory, &mut files)?;
        }
        Ok(files)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_directory_is_read_and_listed_by_relative_paths() {
        let directory = tempfile::tempdir().unwrap();
        for path in ["stacks/a/b", "stacks/.git"] {
            fs::create_dir_all(directory.path().join(path)).unwrap();
        }
        for path in ["stacks/x.yaml", "stacks/a/b/y.yaml", "stacks/.git/config", "other.yaml"] {
            fs::write(directory.path().join(path), path).unwrap();
        }
        let files = DirectoryFiles::new(directory.path());
        let mut listed = files.list("stacks").unwrap();
        listed.sort();
        assert_eq!(listed, ["stacks/a/b/y.yaml", "stacks/x.yaml"]);
        assert_eq!(files.read("stacks/x.yaml").unwrap().as_deref(), Some("stacks/x.yaml"));
        assert_eq!(files.read("stacks/nope.yaml").unwrap(), None);
        assert_eq!(files.read("stacks/a").unwrap(), None);
        assert!(files.list("nope").unwrap().is_empty());
    }
}
