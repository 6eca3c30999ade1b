//! The commits between two others.

use crate::deployment::CommitId;
use crate::deployment::diff::{CommitSummary, FileDifference};
use crate::error::CommandError;
use crate::git::history::Divergence;
use crate::git::{Git, GitError, Repository};

/// The most commits that are listed; the others are counted.
const COMMITS_LISTED: usize = 50;

/// What is said of the files that differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WithFiles {
    No,
    Names,
    /// With the lines that differ.
    Lines,
}

/// What git says of two commits: each question is a walk of its own, and they are asked at once.
///
/// # Errors
///
/// Where git cannot compare them.
pub fn compare_commits(
    git: &Git,
    (from, to): (&CommitId, &CommitId),
    with: WithFiles,
) -> Result<(Divergence, Option<Vec<FileDifference>>), GitError> {
    let with_files = with != WithFiles::No;
    if from == to {
        return Ok((Divergence::default(), with_files.then(Vec::new)));
    }
    std::thread::scope(|scope| {
        let files = with_files.then(|| scope.spawn(|| git.file_changes(from, to, with == WithFiles::Lines)));
        let divergence = divergence(git, from, to)?;
        let files = files.map(|files| files.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        Ok((divergence, files.transpose()?))
    })
}

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
