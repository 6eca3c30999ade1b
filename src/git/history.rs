//! Working trees and history through git's executable, which honours shallow boundaries and grafts,
//! applies filters, fetches lazily in a partial clone, and uses the commit graph.

use std::path::Path;

use crate::deployment::CommitId;
use crate::deployment::diff::{FileDifference, SideName};

use super::error::GitError;
use super::file_changes;
use super::process::Git;

/// The divergence of two histories.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Divergence {
    /// The number of commits of the first that the second lacks.
    pub ahead: usize,
    /// The number of commits of the second that the first lacks.
    pub behind: usize,
    /// The newest of these commits, newest first, with the side that has them.
    pub newest: Vec<(CommitId, SideName)>,
}

impl Git {
    /// Counts the ancestors of `wanted` that are no ancestors of `present`, themselves included.
    ///
    /// # Errors
    ///
    /// Fails where one of the commits is missing, or where git fails.
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

    /// The commits that only one of two has, in a single walk, with the
    /// newest `limit` of them by name.
    ///
    /// # Errors
    ///
    /// Fails where one of the commits is missing, or where git fails.
    pub fn divergence(&self, from: &CommitId, to: &CommitId, limit: usize) -> Result<Divergence, GitError> {
        let range = format!("{from}...{to}");
        let output = self.verb("rev-list").args(["--left-right", &range, "--"]).run()?;
        parse_divergence(&output, limit)
    }

    /// The root commits of these histories. In a shallow checkout, some are shallow boundaries.
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

    /// The commits that are no ancestors of the others.
    ///
    /// # Errors
    ///
    /// Fails where one of the commits is missing, or where git fails.
    pub fn independent(&self, commits: &[CommitId]) -> Result<Vec<CommitId>, GitError> {
        let output =
            self.verb("merge-base").arg("--independent").args(commits.iter().map(CommitId::as_str)).run()?;
        parse_ids(&output)
    }

    /// The changes of files between two commits, with detected
    /// renames; with hunks if `code` is set.
    ///
    /// # Errors
    ///
    /// Fails where one of the commits is missing, where git fails, or where its output cannot be
    /// parsed.
    pub fn file_changes(
        &self,
        from: &CommitId,
        to: &CommitId,
        code: bool,
    ) -> Result<Vec<FileDifference>, GitError> {
        // `diff`, because unlike `diff-tree` it reads unchanged files from the
        // checkout, which is several times faster. The options undo configuration that
        // would change the output's format.
        let mut invocation = self
            .verb("diff")
            .args(["-z", "--raw", "--numstat", "--find-renames", "--submodule=short", "--no-relative"])
            .args(["--no-color", "--no-ext-diff", "--no-textconv"]);
        if code {
            invocation = invocation.arg("--patch");
        }
        let output = invocation.args([from.as_str(), to.as_str(), "--"]).run()?;
        file_changes::parse(&output).ok_or_else(|| GitError::Unexpected {
            verb: "diff".to_owned(),
            detail: String::from_utf8_lossy(&output).chars().take(80).collect(),
        })
    }

    /// The paths of the files that differ between two commits; of a renamed file, both.
    ///
    /// # Errors
    ///
    /// Fails where one of the commits is missing, or where git fails.
    pub fn changed_paths(&self, from: &CommitId, to: &CommitId) -> Result<Vec<String>, GitError> {
        let output = self
            .verb("diff")
            .args(["-z", "--name-only", "--no-renames", "--no-relative", "--no-color", "--no-ext-diff"])
            .args([from.as_str(), to.as_str(), "--"])
            .run()?;
        let paths = output.split(|byte| *byte == 0).filter(|path| !path.is_empty());
        Ok(paths.map(|path| String::from_utf8_lossy(path).into_owned()).collect())
    }

    /// Checks a commit out into an existing empty folder, with submodules and configured filters.
    /// `index` is the path of a temporary index file, which the caller removes.
    ///
    /// # Errors
    ///
    /// Fails where git cannot check the files out; [`GitError::SubmoduleMissing`] for a
    /// submodule whose commit is not here.
    pub fn materialise(&self, commit: &CommitId, folder: &Path, index: &Path) -> Result<(), GitError> {
        let git = self.with_work_tree(folder);
        // The index is used once: a split index or a file system monitor would only cost time.
        let git = git.with_setting("core.splitIndex=false").with_setting("core.fsmonitor=false");
        let read = git.verb("read-tree").env("GIT_INDEX_FILE", index);
        // All files, also those that a sparse checkout leaves out.
        let whole = read.args(["--reset", "-u", "--no-sparse-checkout", "--no-recurse-submodules"]);
        whole.arg(commit.as_str()).run()?;
        self.fill_submodules(folder, index)
    }
}

/// One id a line.
fn parse_ids(output: &[u8]) -> Result<Vec<CommitId>, GitError> {
    let text = String::from_utf8_lossy(output);
    text.lines().map(|line| line.trim().parse().map_err(|_| unexpected(line))).collect()
}

fn unexpected(text: &str) -> GitError {
    GitError::Unexpected { verb: "rev-list".to_owned(), detail: text.chars().take(80).collect() }
}

/// Reads `<id` and `>id`, one a line, newest first.
fn parse_divergence(output: &[u8], limit: usize) -> Result<Divergence, GitError> {
    let mut divergence = Divergence::default();
    for line in output.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let only_in = match line.first() {
            Some(b'<') => SideName::From,
            Some(b'>') => SideName::To,
            _ => return Err(unexpected(&String::from_utf8_lossy(line))),
        };
        match only_in {
            SideName::From => divergence.ahead += 1,
            SideName::To => divergence.behind += 1,
        }
        if divergence.newest.len() < limit {
            let id = String::from_utf8_lossy(&line[1..]);
            divergence.newest.push((id.parse().map_err(|_| unexpected(&id))?, only_in));
        }
    }
    Ok(divergence)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::testing::Fixture;
    use super::*;

    #[test]
    fn all_of_a_commit_is_written_and_nothing_else_touched() {
        let fixture = Fixture::new(&[]);
        let root = fixture.folder.path();
        for file in ["shown/a", "hidden/b"] {
            fs::create_dir_all(root.join(file).parent().unwrap()).unwrap();
            fs::write(root.join(file), file).unwrap();
        }
        fixture.git(&["add", "shown", "hidden"], "");
        fixture.git(&["commit", "--quiet", "--message", "x"], "");
        fixture.git(&["sparse-checkout", "set", "shown"], "");
        fixture.git(&["config", "core.splitIndex", "true"], "");
        let look = || {
            let entries = fs::read_dir(fixture.git_dir()).unwrap();
            let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
            names.sort();
            (names, fixture.git(&["ls-files", "-t"], ""))
        };
        let before = look();
        let commit = fixture.git(&["rev-parse", "HEAD"], "").trim().parse().unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        let folder = elsewhere.path().join("checkout");
        fs::create_dir(&folder).unwrap();
        let git = fixture.repository();
        git.git().materialise(&commit, &folder, &elsewhere.path().join("index")).unwrap();
        assert_eq!(fs::read_to_string(folder.join("shown/a")).unwrap(), "shown/a");
        assert_eq!(fs::read_to_string(folder.join("hidden/b")).unwrap(), "hidden/b");
        assert_eq!(look(), before);
        assert!(!root.join("hidden").exists());
    }

    #[test]
    fn every_commit_is_counted_and_the_newest_are_named() {
        let [one, two, three] = ["1", "2", "3"].map(|digit| digit.repeat(40));
        let output = format!(">{one}\n<{two}\n>{three}\n");
        let divergence = parse_divergence(output.as_bytes(), 2).unwrap();
        assert_eq!((divergence.ahead, divergence.behind), (1, 2));
        let newest = vec![(one.parse().unwrap(), SideName::To), (two.parse().unwrap(), SideName::From)];
        assert_eq!(divergence.newest, newest);
    }

    #[test]
    fn nothing_between_two_and_output_that_is_something_else() {
        assert_eq!(parse_divergence(b"", 2).unwrap(), Divergence::default());
        assert!(parse_divergence(b">nothing\n", 2).is_err());
        assert!(parse_divergence(b"commit 1\n", 2).is_err());
    }
}
