//! The files of a commit, for stacks.

use std::io;
use std::sync::{Mutex, PoisonError};

use crate::cli::error::CommandError;
use crate::deployment::CommitId;
use crate::git::objects::{EntryKind, ObjectError};
use crate::git::{ObjectStore, Repository};
use crate::stacks::StackFiles;

/// The files in the tree of a commit.
pub struct CommitFiles {
    objects: Mutex<ObjectStore>,
    commit: CommitId,
}

impl CommitFiles {
    pub fn new(repository: &Repository, commit: CommitId) -> Result<Self, CommandError> {
        Ok(Self { objects: Mutex::new(repository.objects()?), commit })
    }
}

impl StackFiles for CommitFiles {
    fn read(&self, path: &str) -> io::Result<Option<String>> {
        let objects = self.objects.lock().unwrap_or_else(PoisonError::into_inner);
        let content = match objects.read_file(&self.commit, path) {
            Err(ObjectError::NotAFile { .. }) => None,
            content => content.map_err(io::Error::other)?,
        };
        let text = content.map(String::from_utf8).transpose();
        text.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.utf8_error()))
    }

    fn list(&self, directory: &str) -> io::Result<Vec<String>> {
        let objects = self.objects.lock().unwrap_or_else(PoisonError::into_inner);
        let mut files = Vec::new();
        let mut directories = vec![directory.to_owned()];
        while let Some(directory) = directories.pop() {
            let entries = objects.list_directory(&self.commit, &directory).map_err(io::Error::other)?;
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
