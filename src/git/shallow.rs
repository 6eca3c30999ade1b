//! Shallow checkouts: where their history ends.
//!
//! A fetch of one commit's depth makes every commit that it brings an end of history, also one in
//! the middle of what was there already. Such an end is taken back, so that asking the ledger
//! never costs a checkout its history.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;

use crate::deployment::{CommitId, ObjectId};

use super::error::GitError;
use super::objects::ObjectStore;
use super::repository::Repository;

impl Repository {
    /// Whether history ends early here, as in a CI checkout.
    #[must_use]
    pub fn is_shallow(&self) -> bool {
        self.shallow_file().exists()
    }

    /// Where the history that leads to these commits ends early; nowhere in
    /// a checkout that is not shallow.
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

    /// The commits whose parents are not here; none in a complete clone.
    #[must_use]
    pub fn shallow_commits(&self) -> BTreeSet<ObjectId> {
        let file = fs::read_to_string(self.shallow_file()).unwrap_or_default();
        file.lines().filter_map(|line| line.trim().parse().ok()).collect()
    }

    /// Takes back ends of history that a fetch has made where history went on before.
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
        // The protocol of git's own lock files: who creates it may replace the file.
        let lock = self.shallow_file().with_extension("lock");
        let mut file = fs::OpenOptions::new().write(true).create_new(true).open(&lock)?;
        let written = self
            .shallow_commits()
            .iter()
            .filter(|commit| !goes_on(commit))
            .try_for_each(|commit| writeln!(file, "{commit}"))
            .and_then(|()| fs::rename(&lock, self.shallow_file()));
        if written.is_err() {
            // The error that is returned says more than one of the clean-up.
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
