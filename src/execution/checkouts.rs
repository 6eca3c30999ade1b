//! Checkouts of the deployed commits: one per commit, never the working tree.

use std::collections::BTreeMap;
use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use crate::deployment::CommitId;
use crate::git::{GitError, Repository};

/// A checkout that could not be made.
#[derive(Debug, thiserror::Error)]
pub enum CheckoutError {
    #[error("cannot check out commit {}: {source}", commit.short())]
    Git { commit: CommitId, source: GitError },
    #[error("cannot write to {}: {source}", path.display())]
    Files { path: PathBuf, source: std::io::Error },
}

/// The checkouts of one rollout. Removed on drop, unless they are kept.
#[derive(Debug, Default)]
pub struct Checkouts {
    folders: BTreeMap<CommitId, PathBuf>,
    keep: bool,
}

impl Checkouts {
    /// Checks out every commit below `root`, in folders whose names start with `name`.
    ///
    /// # Errors
    ///
    /// Fails where a folder cannot be written, or where git cannot check a commit out.
    pub fn create<'c>(
        repository: &Repository,
        root: &Path,
        name: &str,
        commits: impl IntoIterator<Item = &'c CommitId>,
    ) -> Result<Self, CheckoutError> {
        let mut checkouts = Self::default();
        for commit in commits {
            if checkouts.folders.contains_key(commit) {
                continue;
            }
            let id = uuid::Uuid::now_v7().simple().to_string();
            let place = format!("{name}-{}-{id}", commit.short());
            let folder = root.join(&place);
            let files = |source| CheckoutError::Files { path: folder.clone(), source };
            fs::create_dir_all(&folder).map_err(files)?;
            ignore(root).map_err(files)?;
            checkouts.folders.insert(commit.clone(), folder.clone());
            let index = root.join(format!("{place}.index"));
            let result = repository.git().materialise(commit, &folder, &index);
            // Git's index of a checkout that is never changed, and its lock file where git was
            // killed.
            let lock = root.join(format!("{place}.index.lock"));
            for left in [index, lock] {
                let _ = fs::remove_file(left);
            }
            result.map_err(|source| CheckoutError::Git { commit: commit.clone(), source })?;
        }
        Ok(checkouts)
    }

    /// The folder of a commit's checkout.
    #[must_use]
    pub fn folder(&self, commit: &CommitId) -> Option<&Path> {
        self.folders.get(commit).map(PathBuf::as_path)
    }

    /// The folder of each commit's checkout.
    pub(super) fn paths(&self) -> BTreeMap<CommitId, PathBuf> {
        self.folders.clone()
    }

    /// Keeps the checkouts for debugging and returns their folders.
    pub(super) fn keep(mut self) -> Vec<PathBuf> {
        self.keep = true;
        self.folders.values().cloned().collect()
    }
}

impl Drop for Checkouts {
    fn drop(&mut self) {
        if self.keep {
            return;
        }
        for folder in self.folders.values() {
            if let Err(error) = fs::remove_dir_all(folder) {
                tracing::debug!(folder = %folder.display(), %error, "cannot remove a checkout");
            }
        }
        if let Some(root) = self.folders.values().next().and_then(|folder| folder.parent()) {
            remove_if_unused(root);
        }
    }
}

/// Removes the folder of the checkouts, and `.atmos` with it, where nothing else is in them.
fn remove_if_unused(root: &Path) {
    let Some(parent) = root.parent().filter(|_| fs::remove_dir(root).is_ok()) else { return };
    let only_ours = fs::read_dir(parent)
        .is_ok_and(|entries| entries.flatten().all(|entry| entry.file_name() == IGNORE_FILE));
    if only_ours {
        // The next run creates the folder again.
        let _ = fs::remove_file(parent.join(IGNORE_FILE));
        let _ = fs::remove_dir(parent);
    }
}

const IGNORE_FILE: &str = ".gitignore";

/// Keeps the folder out of `git status` with a `.gitignore` of its own.
fn ignore(root: &Path) -> std::io::Result<()> {
    let Some(parent) = root.parent() else { return Ok(()) };
    let file = parent.join(IGNORE_FILE);
    // A symbolic link exists already, whatever it points to.
    match fs::File::create_new(file) {
        Ok(mut file) => file.write_all(b"*\n"),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}
