//! Shallow checkouts and their boundaries.
//!
//! A fetch with a depth of 1 makes every fetched commit a shallow boundary, even in the
//! middle of complete history. Such a boundary is removed again. Invariant: fetching the
//! ledger never costs a checkout its history.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;

use crate::deployment::{CommitId, ObjectId};

use super::error::GitError;
use super::objects::ObjectStore;
use super::repository::Repository;

impl Repository {
    /// Whether the repository is shallow, as in a CI checkout.
    #[must_use]
    pub fn is_shallow(&self) -> bool {
        self.shallow_file().exists()
    }

    /// The shallow boundaries in the history of these commits; none in a complete clone.
    ///
    /// # Errors
    ///
    /// Fails where one of the commits is missing, or where git fails.
    pub fn history_ends(&self, commits: &[CommitId]) -> Result<Vec<CommitId>, GitError> {
        if !self.is_shallow() {
            return Ok(Vec::new());
        }
        let ends = self.shallow_commits();
        let mut roots = self.git().roots(commits)?;
        roots.retain(|root| ends.contains(&root.0));
        Ok(roots)
    }

    /// The shallow commits, whose parents are missing; none in a complete clone.
    #[must_use]
    pub fn shallow_commits(&self) -> BTreeSet<ObjectId> {
        let file = fs::read_to_string(self.shallow_file()).unwrap_or_default();
        file.lines().filter_map(|line| line.trim().parse().ok()).collect()
    }

    /// Removes shallow boundaries that a fetch has added in history that was complete before.
    ///
    /// # Errors
    ///
    /// Fails where git's `shallow` file is locked or cannot be replaced.
    pub fn restore_history(&self, before: &BTreeSet<ObjectId>) -> io::Result<()> {
        let after = self.shallow_commits();
        let Ok(objects) = self.objects() else { return Ok(()) };
        let goes_on = |commit: &ObjectId| !before.contains(commit) && has_parents(&objects, commit);
        if !after.iter().any(goes_on) {
            return Ok(());
        }
        // Git's own locking protocol: the process that creates the lock file may replace the file.
        let lock = self.shallow_file().with_extension("lock");
        let mut file = fs::OpenOptions::new().write(true).create_new(true).open(&lock)?;
        let written = self
            .shallow_commits()
            .iter()
            .filter(|commit| !goes_on(commit))
            .try_for_each(|commit| writeln!(file, "{commit}"))
            .and_then(|()| fs::rename(&lock, self.shallow_file()));
        if written.is_err() {
            // The first error is returned, not that of the clean-up.
            let _ = fs::remove_file(&lock);
        }
        written
    }

    fn shallow_file(&self) -> PathBuf {
        self.common_dir().join("shallow")
    }
}

/// Whether a commit has parents and all of them are here.
fn has_parents(objects: &ObjectStore, commit: &ObjectId) -> bool {
    objects
        .parents(commit)
        .is_ok_and(|parents| !parents.is_empty() && parents.iter().all(|parent| objects.contains(parent)))
}
