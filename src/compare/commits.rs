//! The commits between two others.

use crate::deployment::CommitId;
use crate::deployment::diff::CommitSummary;
use crate::error::CommandError;
use crate::git::history::Divergence;
use crate::git::{Git, GitError, Repository};

/// The most commits that are listed; the others are counted.
const COMMITS_LISTED: usize = 50;

/// How many commits each of two has that the other lacks, and the newest of them.
///
/// # Errors
///
/// Where git cannot walk to them.
pub fn divergence(git: &Git, from: &CommitId, to: &CommitId) -> Result<Divergence, GitError> {
    if from == to { Ok(Divergence::default()) } else { git.divergence(from, to, COMMITS_LISTED) }
}

/// The subjects of the newest commits.
///
/// # Errors
///
/// A commit that cannot be read.
pub fn summaries(
    repository: &Repository,
    divergence: &Divergence,
) -> Result<Vec<CommitSummary>, CommandError> {
    let objects = repository.objects()?;
    let newest = divergence.newest.iter();
    newest
        .map(|(commit, only_in)| {
            let summary = objects.commit_summary(commit)?;
            Ok(CommitSummary { commit: commit.clone(), summary, only_in: *only_in })
        })
        .collect()
}
