//! Configuration read from a commit.

use crate::config::{Source, SourceError};
use crate::deployment::CommitId;
use crate::error::CommandError;
use crate::git::objects::EntryKind;
use crate::git::{CommitTree, Repository};

/// The configuration in the tree of a commit.
pub struct CommitSource(CommitTree);

impl CommitSource {
    pub fn new(repository: &Repository, commit: CommitId) -> Result<Self, CommandError> {
        Ok(Self(CommitTree::new(repository, commit)?))
    }
}

impl Source for CommitSource {
    fn read(&self, path: &str, limit: u64) -> Result<Option<Vec<u8>>, SourceError> {
        let content = self
            .0
            .read_file(path)
            .map_err(|error| SourceError::Other { path: path.to_owned(), source: Box::new(error) })?;
        match content {
            Some(content) if content.len() as u64 > limit => {
                Err(SourceError::TooLarge { path: path.to_owned(), limit })
            }
            content => Ok(content),
        }
    }

    fn list(&self, directory: &str) -> Result<Vec<String>, SourceError> {
        let entries = self
            .0
            .list_directory(directory)
            .map_err(|error| SourceError::Other { path: directory.to_owned(), source: Box::new(error) })?;
        let files = entries.into_iter().flatten().filter(|(_, kind)| *kind == EntryKind::File);
        Ok(files.map(|(name, _)| name).collect())
    }
}
