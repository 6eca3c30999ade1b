//! Whose a repository is. Git runs what a repository's configuration says, and does so for its
//! owner; other users it refuses, unless `safe.directory` names the repository.
//!
//! The program tells git which repository is meant, and then git does not look. So it is asked,
//! where another user owns what the program has found.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::repository::{Repository, RepositoryError};

/// What git says of a repository that another user owns, before its place in quotes.
const DUBIOUS: &str = "detected dubious ownership in repository at '";

impl Repository {
    /// Insists that git would use the repository of its own accord, or that it was said to be
    /// trusted ([`Self::trusting`]).
    ///
    /// # Errors
    ///
    /// [`RepositoryError::NotOwned`] otherwise.
    pub fn check_owner(&self) -> Result<(), RepositoryError> {
        if self.git().trusts_owner() || self.is_all_owned() {
            return Ok(());
        }
        let output = self.git().verb_that_discovers("rev-parse").arg("--git-dir").output()?;
        if output.status.success() || !output.stderr.contains(DUBIOUS) {
            return Ok(());
        }
        let found = || self.work_tree().unwrap_or_else(|| self.git_dir()).to_owned();
        Err(RepositoryError::NotOwned(refused(&output.stderr).unwrap_or_else(found)))
    }

    /// Whether everything that git would look at is the user's.
    fn is_all_owned(&self) -> bool {
        let user = rustix::process::geteuid().as_raw();
        let is_owned = |path: &Path| path.symlink_metadata().is_ok_and(|found| found.uid() == user);
        let in_work_tree = self.work_tree().map(|folder| (folder.to_owned(), folder.join(".git")));
        let in_work_tree = in_work_tree.is_none_or(|(folder, link)| is_owned(&folder) && is_owned(&link));
        in_work_tree && is_owned(self.git_dir()) && is_owned(self.common_dir())
    }
}

/// The repository that git refuses because of its owner.
fn refused(stderr: &str) -> Option<PathBuf> {
    let (_, rest) = stderr.split_once(DUBIOUS)?;
    rest.lines().next()?.rsplit_once('\'').map(|(path, _)| PathBuf::from(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn git_names_the_repository_that_it_refuses() {
        let stderr = "fatal: detected dubious ownership in repository at '/a/it's'\nTo add an exception";
        assert_eq!(refused(stderr), Some(PathBuf::from("/a/it's")));
        assert_eq!(refused("fatal: not a git repository"), None);
    }
}
