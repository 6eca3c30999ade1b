//! The state of the checkout.

use crate::deployment::CommitId;

use super::process::Running;
use super::repository::{Repository, RepositoryError, parse_id};

/// The commit and branch that are checked out, and whether files differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkout {
    pub commit: CommitId,
    /// `None` when detached.
    pub branch: Option<String>,
    /// Whether tracked files differ from the commit. A bare repository has none.
    pub dirty: bool,
}

/// A running `git status`.
#[derive(Debug)]
#[must_use]
pub struct CheckoutLook<'r> {
    repository: &'r Repository,
    /// Absent in a bare repository.
    status: Option<Running>,
}

impl CheckoutLook<'_> {
    /// Waits for `git status` and returns the checkout.
    ///
    /// # Errors
    ///
    /// Fails where git fails or prints an unexpected status, and where `HEAD` leads to no commit.
    pub fn finish(self) -> Result<Checkout, RepositoryError> {
        let Some(status) = self.status else {
            let (commit, branch) = (self.repository.head()?, self.repository.branch());
            return Ok(Checkout { commit, branch, dirty: false });
        };
        parse_status(&String::from_utf8_lossy(&status.finish_well()?))
    }
}

impl Repository {
    /// Starts a `git status` for commit, branch and dirty files; the
    /// caller can do other work meanwhile.
    ///
    /// # Errors
    ///
    /// Fails where git cannot be started.
    pub fn look_at_checkout(&self) -> Result<CheckoutLook<'_>, RepositoryError> {
        let status = self.work_tree().map(|_| {
            self.git()
                .verb("status")
                .args(["--porcelain=v2", "--branch", "--no-ahead-behind", "-z"])
                .args(["--untracked-files=no", "--ignore-submodules=dirty"])
                .start()
        });
        Ok(CheckoutLook { repository: self, status: status.transpose()? })
    }
}

/// Parses `git status --porcelain=v2 --branch -z`: headers that start with `#`, then
/// an entry for each changed file.
fn parse_status(output: &str) -> Result<Checkout, RepositoryError> {
    let header = |name: &str| {
        let mut lines = output.split('\0').map_while(|line| line.strip_prefix("# "));
        lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))
    };
    let commit = match header("branch.oid") {
        Some("(initial)") => return Err(RepositoryError::Unborn),
        id => CommitId(parse_id("status", id.unwrap_or_default())?),
    };
    let branch = header("branch.head").filter(|branch| *branch != "(detached)").map(str::to_owned);
    let dirty = output.split('\0').any(|line| !line.is_empty() && !line.starts_with("# "));
    Ok(Checkout { commit, branch, dirty })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_commit_branch_and_what_differs() {
        let id = "a".repeat(40);
        let clean = format!("# branch.oid {id}\0# branch.head main\0# branch.upstream origin/main\0");
        let checkout = parse_status(&clean).unwrap();
        assert_eq!((checkout.commit.as_str(), checkout.branch.as_deref()), (id.as_str(), Some("main")));
        assert!(!checkout.dirty);
        let entry = format!("1 .M N... 100644 100644 100644 {id} {id} # a file");
        let detached = format!("# branch.oid {id}\0# branch.head (detached)\0{entry}\0");
        let checkout = parse_status(&detached).unwrap();
        assert!(checkout.dirty && checkout.branch.is_none());
        let unborn = parse_status("# branch.oid (initial)\0# branch.head main\0");
        assert!(matches!(unborn, Err(RepositoryError::Unborn)), "{unborn:?}");
        assert!(parse_status("").is_err());
    }
}
