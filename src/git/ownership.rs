//! The ownership of a repository. Git runs commands of a repository's configuration only for its
//! owner; other users are refused, unless `safe.directory` names the repository.
//!
//! Git skips this check where it is told the repository explicitly, as this program does. So git is
//! asked to discover it where another user owns any of its folders.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::repository::{Repository, RepositoryError};

/// Git's message for a repository of another user, up to the quoted path.
const DUBIOUS: &str = "detected dubious ownership in repository at '";

impl Repository {
    /// Checks that git itself would use the repository, or that it was declared trusted
    /// ([`Self::trusting`]).
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

    /// Whether the user owns every path that git would check.
    fn is_all_owned(&self) -> bool {
        let user = rustix::process::geteuid().as_raw();
        let is_owned = |path: &Path| path.symlink_metadata().is_ok_and(|found| found.uid() == user);
        let in_work_tree = self.work_tree().map(|folder| (folder.to_owned(), folder.join(".git")));
        let in_work_tree = in_work_tree.is_none_or(|(folder, link)| is_owned(&folder) && is_owned(&link));
        in_work_tree && is_owned(self.git_dir()) && is_owned(self.common_dir())
    }
}

/// The repository that git refuses because of its owner, from git's message.
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
