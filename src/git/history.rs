//! Working trees and history, through the executable: it honours shallow boundaries and grafts, applies filters, fetches
//! what a partial clone lacks, and uses the commit graph.

use std::path::Path;

use crate::deployment::CommitId;
use crate::deployment::diff::{CommitSummary, FileDifference, SideName};

use super::file_changes;
use super::process::{Git, GitError};

/// How two histories have come apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Divergence {
    /// How many commits the first has that the second lacks.
    pub ahead: usize,
    /// How many commits the second has that the first lacks.
    pub behind: usize,
}

impl Git {
    /// How many commits lead to any of `wanted` and to none of `present`.
    pub fn count_missing(&self, wanted: &[CommitId], present: &[CommitId]) -> Result<usize, GitError> {
        let output = self
            .verb("rev-list")
            .arg("--count")
            .args(wanted.iter().map(CommitId::as_str))
            .args(present.iter().map(|commit| format!("^{commit}")))
            .arg("--")
            .run()?;
        let text = String::from_utf8_lossy(&output);
        text.trim().parse().map_err(|_| unexpected(&text))
    }

    /// How many commits each of two has that the other lacks.
    pub fn divergence(&self, from: &CommitId, to: &CommitId) -> Result<Divergence, GitError> {
        let arguments = ["--left-right", "--count", &between(from, to), "--"];
        let output = self.verb("rev-list").args(arguments).run()?;
        let text = String::from_utf8_lossy(&output);
        let mut numbers = text.split_whitespace().map(str::parse);
        match (numbers.next(), numbers.next()) {
            (Some(Ok(ahead)), Some(Ok(behind))) => Ok(Divergence { ahead, behind }),
            _ => Err(unexpected(&text)),
        }
    }

    /// The newest `limit` commits that only one of two has, newest first.
    pub fn commits_between(
        &self,
        from: &CommitId,
        to: &CommitId,
        limit: usize,
    ) -> Result<Vec<CommitSummary>, GitError> {
        let output = self
            .verb("rev-list")
            .args(["--left-right", "--no-commit-header", "--format=tformat:%m%H%x00%s%x00"])
            .args([&format!("--max-count={limit}"), "--encoding=UTF-8", &between(from, to), "--"])
            .run()?;
        parse_summaries(&output)
    }

    /// The commits without parents that lead to any of these. In a shallow checkout, history ends early at some.
    pub(super) fn roots(&self, commits: &[CommitId]) -> Result<Vec<CommitId>, GitError> {
        if commits.is_empty() {
            return Ok(Vec::new());
        }
        let output = self
            .verb("rev-list")
            .arg("--max-parents=0")
            .args(commits.iter().map(CommitId::as_str))
            .arg("--")
            .run()?;
        parse_ids(&output)
    }

    /// Those of several commits that lead to none of the others.
    pub fn independent(&self, commits: &[CommitId]) -> Result<Vec<CommitId>, GitError> {
        let output =
            self.verb("merge-base").arg("--independent").args(commits.iter().map(CommitId::as_str)).run()?;
        parse_ids(&output)
    }

    /// What happened to each file between two commits, with renames found; with the hunks where `code` is wanted.
    pub fn file_changes(
        &self,
        from: &CommitId,
        to: &CommitId,
        code: bool,
    ) -> Result<Vec<FileDifference>, GitError> {
        let mut invocation =
            self.verb("diff-tree").args(["-r", "-z", "--raw", "--numstat", "--find-renames"]);
        if code {
            invocation = invocation.args(["--patch", "--no-color", "--no-ext-diff", "--no-textconv"]);
        }
        let output = invocation.args([from.as_str(), to.as_str(), "--"]).run()?;
        file_changes::parse(&output).ok_or_else(|| GitError::Unexpected {
            verb: "diff-tree".to_owned(),
            detail: String::from_utf8_lossy(&output).chars().take(80).collect(),
        })
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

/// The commits that only one of two has, in git's words.
fn between(from: &CommitId, to: &CommitId) -> String {
    format!("{from}...{to}")
}

/// One id a line.
fn parse_ids(output: &[u8]) -> Result<Vec<CommitId>, GitError> {
    let text = String::from_utf8_lossy(output);
    text.lines().map(|line| line.trim().parse().map_err(|_| unexpected(line))).collect()
}

fn unexpected(text: &str) -> GitError {
    GitError::Unexpected { verb: "rev-list".to_owned(), detail: text.chars().take(80).collect() }
}

/// Reads `<mark><id> NUL <subject> NUL LF`, once for each commit.
fn parse_summaries(output: &[u8]) -> Result<Vec<CommitSummary>, GitError> {
    let text = String::from_utf8_lossy(output);
    let mut fields = text.split('\0');
    let mut summaries = Vec::new();
    while let (Some(head), Some(subject)) = (fields.next(), fields.next()) {
        let head = head.trim_start_matches('\n');
        let only_in = if head.starts_with('<') { SideName::From } else { SideName::To };
        let commit = head.trim_start_matches(['<', '>']).parse().map_err(|_| unexpected(head))?;
        summaries.push(CommitSummary { commit, summary: subject.to_owned(), only_in });
    }
    Ok(summaries)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summaries_know_their_side_and_may_hold_anything() {
        let (one, two) = ("1".repeat(40), "2".repeat(40));
        let output = format!(">{one}\0fix: <{two} \u{1b}[31m\0\n<{two}\0\0\n");
        let summaries = parse_summaries(output.as_bytes()).unwrap();
        let seen: Vec<_> = summaries
            .iter()
            .map(|summary| (summary.commit.as_str(), summary.summary.as_str(), summary.only_in))
            .collect();
        let subject = format!("fix: <{two} \u{1b}[31m");
        assert_eq!(
            seen,
            [(one.as_str(), subject.as_str(), SideName::To), (two.as_str(), "", SideName::From)]
        );
        assert!(parse_summaries(b"").unwrap().is_empty());
        assert!(parse_summaries(b">nothing\0x\0\n").is_err());
    }
}
