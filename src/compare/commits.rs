//! The commits between two others.

use crate::deployment::CommitId;
use crate::deployment::diff::{CommitSummary, FileDifference};
use crate::error::CommandError;
use crate::git::history::Divergence;
use crate::git::{Git, GitError, Repository};

/// The maximum number of listed commits; the rest is only counted.
const COMMITS_LISTED: usize = 50;

/// The detail in which differing files are reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WithFiles {
    No,
    Names,
    /// With the lines that differ.
    Lines,
}

/// Compares two commits with git: files and histories in parallel, each in a process of its own.
///
/// # Errors
///
/// Fails where git cannot compare them.
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

/// Counts the commits that only one of two has, and lists the newest of them.
///
/// # Errors
///
/// Fails where git cannot walk to them.
pub fn divergence(git: &Git, from: &CommitId, to: &CommitId) -> Result<Divergence, GitError> {
    if from == to { Ok(Divergence::default()) } else { git.divergence(from, to, COMMITS_LISTED) }
}

/// Reads the subjects of the newest commits.
///
/// # Errors
///
/// Fails where a commit cannot be read.
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
