//! Working trees and history, through the executable: it honours shallow boundaries and grafts, applies filters, fetches
//! what a partial clone lacks, and uses the commit graph.

use std::path::Path;

use crate::deployment::CommitId;

use super::process::{Git, GitError};

impl Git {
    /// Writes all files of a commit into an existing empty folder, with the filters that git is configured with.
    /// `index` is a file that does not exist yet, for git's bookkeeping; the caller removes it.
    pub fn materialise(&self, commit: &CommitId, folder: &Path, index: &Path) -> Result<(), GitError> {
        let git = self.with_work_tree(folder);
        git.verb("read-tree").arg(commit.as_str()).env("GIT_INDEX_FILE", index).run()?;
        git.verb("checkout-index").args(["--all", "--force"]).env("GIT_INDEX_FILE", index).run()?;
        Ok(())
    }
}
