//! History and working trees, through the executable: it honours shallow boundaries, grafts and partial clones, fetches
//! what a partial clone lacks, and uses the commit graph.

use std::path::Path;

use crate::deployment::CommitId;

use super::process::{Git, GitError};

/// How one commit relates to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ancestry {
    Same,
    /// The first is reachable from the second.
    Ancestor,
    /// The second is reachable from the first.
    Descendant,
    /// Neither, as far as the history here goes.
    Unrelated,
}

impl Git {
    /// Whether `ancestor` is reachable from `descendant`; `false` where one of them is not here.
    pub fn is_ancestor(&self, ancestor: &CommitId, descendant: &CommitId) -> Result<bool, GitError> {
        let output = self
            .verb("merge-base")
            .args(["--is-ancestor", ancestor.as_str(), descendant.as_str()])
            .output()?;
        Ok(output.status.success())
    }

    /// How `first` relates to `second`.
    pub fn ancestry(&self, first: &CommitId, second: &CommitId) -> Result<Ancestry, GitError> {
        if first == second {
            Ok(Ancestry::Same)
        } else if self.is_ancestor(first, second)? {
            Ok(Ancestry::Ancestor)
        } else if self.is_ancestor(second, first)? {
            Ok(Ancestry::Descendant)
        } else {
            Ok(Ancestry::Unrelated)
        }
    }

    /// Writes all files of a commit into an existing empty folder, with the filters that git is configured with.
    /// `index` is a file that does not exist yet, for git's bookkeeping; the caller removes it.
    pub fn materialise(&self, commit: &CommitId, folder: &Path, index: &Path) -> Result<(), GitError> {
        let git = self.with_work_tree(folder);
        git.verb("read-tree").arg(commit.as_str()).env("GIT_INDEX_FILE", index).run()?;
        git.verb("checkout-index").args(["--all", "--force"]).env("GIT_INDEX_FILE", index).run()?;
        Ok(())
    }
}
