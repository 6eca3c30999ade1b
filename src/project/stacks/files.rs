//! The files of a commit, and of a checkout, as sources of stacks.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use crate::deployment::CommitId;
use crate::error::CommandError;
use crate::git::objects::{EntryKind, ObjectError};
use crate::git::{CommitTree, Repository};
use crate::stacks::{DirectoryFiles, StackFiles};

/// The files in the tree of a commit.
pub struct CommitFiles {
    tree: Mutex<CommitTree>,
}

impl CommitFiles {
    pub fn new(repository: &Repository, commit: CommitId) -> Result<Self, CommandError> {
        Ok(Self { tree: Mutex::new(CommitTree::new(repository, commit)?) })
    }
}

/// The files of a checkout below one of its folders, supplemented by those of its commit that a
/// sparse checkout excludes there.
pub struct CheckoutFiles {
    files: DirectoryFiles,
    commit: Option<CommitFiles>,
    left_out: BTreeSet<String>,
    /// The folder, with a trailing slash; empty for the whole checkout.
    prefix: String,
}

impl CheckoutFiles {
    /// The files below `folder`, which is relative to the checkout at `root`.
    pub fn new(repository: &Repository, root: &Path, folder: &str) -> Result<Self, CommandError> {
        let left_out = repository.left_out()?;
        let commit =
            if left_out.is_empty() { None } else { Some(CommitFiles::new(repository, repository.head()?)?) };
        let files = DirectoryFiles::new(root.join(folder)).within(root);
        let prefix = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        Ok(Self { files, commit, left_out, prefix })
    }

    /// A path relative to the checkout; `../` leads out of the folder.
    fn of_checkout(&self, path: &str) -> String {
        let mut parts: Vec<&str> = Vec::new();
        for part in self.prefix.split('/').chain(path.split('/')) {
            match part {
                "" | "." => {}
                ".." => drop(parts.pop()),
                part => parts.push(part),
            }
        }
        parts.join("/")
    }

    /// The commit, if it has a file that the checkout excludes.
    fn commit_with(&self, path: &str) -> Option<&CommitFiles> {
        self.commit.as_ref().filter(|_| self.left_out.contains(path))
    }
}

impl StackFiles for CheckoutFiles {
    fn above(&self) -> usize {
        self.prefix.matches('/').count()
    }

    fn read(&self, path: &str) -> io::Result<Option<String>> {
        let of_checkout = self.of_checkout(path);
        match self.commit_with(&of_checkout) {
            Some(commit) => commit.read(&of_checkout),
            None => self.files.read(path),
        }
    }

    fn list(&self, directory: &str) -> io::Result<Vec<String>> {
        let mut files = self.files.list(directory)?;
        let folder = |path: &str| if path.is_empty() { String::new() } else { format!("{path}/") };
        let (below, shown) = (folder(&self.of_checkout(directory)), folder(directory));
        let left_out = self.left_out.iter().filter_map(|path| path.strip_prefix(&below));
        files.extend(left_out.map(|path| format!("{shown}{path}")));
        Ok(files)
    }
}

impl StackFiles for CommitFiles {
    fn read(&self, path: &str) -> io::Result<Option<String>> {
        let tree = self.tree.lock().unwrap_or_else(PoisonError::into_inner);
        let content = match tree.read_file(path) {
            Err(ObjectError::NotAFile { .. }) => None,
            content => content.map_err(io::Error::other)?,
        };
        let text = content.map(String::from_utf8).transpose();
        text.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.utf8_error()))
    }

    fn list(&self, directory: &str) -> io::Result<Vec<String>> {
        let tree = self.tree.lock().unwrap_or_else(PoisonError::into_inner);
        let mut files = Vec::new();
        let mut directories = vec![directory.to_owned()];
        while let Some(directory) = directories.pop() {
            let entries = tree.list_directory(&directory).map_err(io::Error::other)?;
            for (name, kind) in entries.into_iter().flatten() {
                let path = if directory.is_empty() { name } else { format!("{directory}/{name}") };
                match kind {
                    EntryKind::File => files.push(path),
                    EntryKind::Directory => directories.push(path),
                }
            }
        }
        Ok(files)
    }
}
