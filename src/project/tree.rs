//! The files that components consist of: a commit's, or those of the checkout.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::boundary::Boundary;
use crate::error::{Code, CommandError};
use crate::git::objects::EntryKind;
use crate::git::{CommitTree, Place};

/// A tree of files. Paths are relative to its root, without `..`.
pub trait Tree {
    /// The kind of file at a path.
    fn place(&self, path: &str) -> Result<Place, CommandError>;

    /// The names in a folder; empty if it does not exist.
    fn names(&self, folder: &str) -> Result<Vec<String>, CommandError>;

    /// The text of a file; `None` if it does not exist, or is not text.
    fn text(&self, path: &str) -> Result<Option<String>, CommandError>;
}

impl Tree for CommitTree {
    fn place(&self, path: &str) -> Result<Place, CommandError> {
        Ok(Self::place(self, path)?)
    }

    fn names(&self, folder: &str) -> Result<Vec<String>, CommandError> {
        let entries: Vec<(String, EntryKind)> = self.list_directory(folder)?.unwrap_or_default();
        Ok(entries.into_iter().map(|(name, _)| name).collect())
    }

    fn text(&self, path: &str) -> Result<Option<String>, CommandError> {
        Ok(self.read_file(path)?.and_then(|content| String::from_utf8(content).ok()))
    }
}

/// The files of a checkout, supplemented by those of its commit that a sparse checkout excludes.
pub struct WorkTree {
    root: PathBuf,
    boundary: Boundary,
    commit: Option<CommitTree>,
}

impl WorkTree {
    /// The checkout at `root`; `commit` provides the files that a sparse checkout excludes.
    pub fn new(root: &Path, commit: Option<CommitTree>) -> Self {
        Self { root: root.to_owned(), boundary: Boundary::new(root), commit }
    }
}

impl Tree for WorkTree {
    fn place(&self, path: &str) -> Result<Place, CommandError> {
        // A path that cannot be resolved is unknown.
        let Ok(found) = self.boundary.resolve(&self.root.join(path)) else { return Ok(Place::Elsewhere) };
        let Some(found) = found else {
            return match &self.commit {
                Some(commit) => Ok(commit.place(path)?),
                None => Ok(Place::Nothing),
            };
        };
        let metadata = found.metadata().map_err(|error| files(path, &error))?;
        if !metadata.is_dir() {
            return Ok(Place::File { executable: metadata.permissions().mode() & 0o111 != 0 });
        }
        // Git keeps no empty folders: it is a submodule that is not checked out.
        let is_empty = found.read_dir().is_ok_and(|mut entries| entries.next().is_none());
        Ok(if is_empty { Place::Elsewhere } else { Place::Folder })
    }

    fn names(&self, folder: &str) -> Result<Vec<String>, CommandError> {
        let mut names = match &self.commit {
            Some(commit) => Tree::names(commit, folder)?,
            None => Vec::new(),
        };
        if let Ok(Some(found)) = self.boundary.resolve(&self.root.join(folder)) {
            let entries = found.read_dir().into_iter().flatten().filter_map(Result::ok);
            names.extend(entries.map(|entry| entry.file_name().to_string_lossy().into_owned()));
        }
        names.sort();
        names.dedup();
        Ok(names)
    }

    fn text(&self, path: &str) -> Result<Option<String>, CommandError> {
        match self.boundary.resolve(&self.root.join(path)) {
            Ok(Some(found)) => Ok(std::fs::read_to_string(found).ok()),
            _ => match &self.commit {
                Some(commit) => commit.text(path),
                None => Ok(None),
            },
        }
    }
}

fn files(path: &str, error: &std::io::Error) -> CommandError {
    CommandError::new(Code::Files, format!("cannot read {path}: {error}"))
}
