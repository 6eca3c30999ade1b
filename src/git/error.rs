//! Errors of git processes, classified: caused by this checkout or by the remote, damage, remedies.

use std::path::PathBuf;
use std::time::Duration;

use crate::deployment::CommitId;
use crate::deployment::ref_names::TAGS_PREFIX;
use crate::text::quoted;

use super::damage::{Damage, damage};
use super::rejection::rejection_here;

/// An error of a git process.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    #[error("git is not installed or not on PATH")]
    Missing,
    #[error("git {verb} did not finish within {} seconds", limit.as_secs())]
    TimedOut { verb: String, limit: Duration },
    #[error("git {verb} failed: {}", first_line(stderr))]
    Failed {
        verb: String,
        code: Option<i32>,
        /// Git's stderr, with credentials removed.
        stderr: String,
    },
    #[error("git {verb} printed something unexpected: {detail}")]
    Unexpected { verb: String, detail: String },
    /// A lock file whose process is not known to be dead.
    #[error("git cannot lock what {} locks, which has been there for {} seconds", lock.display(), age.as_secs())]
    Locked { lock: PathBuf, age: Duration },
    #[error("{remote} pushes to several addresses, and a ledger has one: {}", addresses.join(", "))]
    SeveralAddresses {
        remote: String,
        /// Without credentials.
        addresses: Vec<String>,
    },
    /// A symbolic ref of a remote: a push would change the ref that it leads to.
    #[error("{name} on {remote} is symbolic: a push would change {leads_to} in its place")]
    SymbolicRef { remote: String, name: String, leads_to: String },
    #[error("the submodule {path} is not here at its commit {}", commit.short())]
    SubmoduleMissing { path: String, commit: CommitId },
    #[error("cannot run git: {0}")]
    Io(#[from] std::io::Error),
}

/// The age from which a lock file is probably stale. Git holds locks for moments.
const STALE_AGE: Duration = Duration::from_secs(10);

/// The verbs that talk to a remote.
const REMOTE_VERBS: [&str; 3] = ["fetch", "ls-remote", "push"];

/// Messages about the remote that any verb can print: a partial clone fetches lazily.
const OF_REMOTE: [&str; 2] = ["from promisor remote", "unable to access 'http"];

/// Messages of git about a local repository that cannot be written.
const UNWRITABLE: [&str; 5] = [
    "unable to create",
    "unable to write",
    "no space left on device",
    "insufficient permission for adding an object",
    "read-only file system",
];

impl GitError {
    /// Whether git was killed, by a timeout or from outside, and may have left lock files.
    pub(super) const fn was_killed(&self) -> bool {
        matches!(self, Self::TimedOut { .. } | Self::Failed { code: None, .. })
    }

    /// The damage that git reports, if any.
    #[must_use]
    pub fn damage(&self) -> Option<Damage> {
        match self {
            Self::Failed { stderr, .. } => damage(stderr),
            _ => None,
        }
    }

    /// Whether the server denies permission, for example to a read-only token.
    #[must_use]
    pub fn is_forbidden(&self) -> bool {
        let texts = ["returned error: 403", "Permission to ", "not allowed to push", "not permitted"];
        matches!(self, Self::Failed { stderr, .. } if texts.iter().any(|text| stderr.contains(text)))
    }

    /// Whether a lock file is young enough to be released soon, so that a retry makes sense.
    #[must_use]
    pub fn is_briefly_locked(&self) -> bool {
        matches!(self, Self::Locked { age, .. } if *age < STALE_AGE)
    }

    /// A remedy for the user: its condition, and the command.
    #[must_use]
    pub fn way_out(&self) -> Option<(&'static str, String)> {
        match self {
            Self::Locked { lock, .. } => {
                let command = format!("rm {}", quoted(&lock.display().to_string()));
                Some(("If no git process works in this repository", command))
            }
            Self::Failed { stderr, .. } => {
                let name = ref_in_the_way(stderr)?;
                let command = match name.strip_prefix(TAGS_PREFIX) {
                    Some(tag) => format!("git tag -d {}", quoted(tag)),
                    None => format!("git update-ref -d {}", quoted(name)),
                };
                Some(("A ref of this checkout is in the way of the ledger's; to be rid of it", command))
            }
            _ => None,
        }
    }

    /// Whether the cause is this checkout or its git, and not the remote.
    #[must_use]
    pub fn is_of_this_checkout(&self) -> bool {
        match self {
            Self::Missing
            | Self::Unexpected { .. }
            | Self::Locked { .. }
            | Self::SeveralAddresses { .. }
            | Self::SubmoduleMissing { .. }
            | Self::Io(_) => true,
            Self::TimedOut { verb, .. } => !REMOTE_VERBS.contains(&verb.as_str()),
            Self::Failed { .. } if matches!(self.damage(), Some(Damage::Objects | Damage::PackedRefs)) => {
                true
            }
            Self::SymbolicRef { .. } => false,
            Self::Failed { stderr, .. } if OF_REMOTE.iter().any(|text| stderr.contains(text)) => false,
            Self::Failed { verb, stderr, .. } => {
                let own = stderr.lines().filter(|line| !line.starts_with("remote:"));
                let own = own.collect::<Vec<_>>().join("\n");
                !REMOTE_VERBS.contains(&verb.as_str())
                    || rejection_here(&own).is_some()
                    || in_the_way(&own).is_some()
                    || is_unwritable(&own)
            }
        }
    }
}

fn is_unwritable(stderr: &str) -> bool {
    let stderr = stderr.to_lowercase();
    UNWRITABLE.iter().any(|text| stderr.contains(text))
}

/// The first `fatal:` or `error:` line of git's stderr, or else its first line.
fn first_line(stderr: &str) -> &str {
    let mut lines = stderr.lines().map(str::trim).filter(|line| !line.is_empty());
    lines
        .clone()
        .find_map(|line| line.strip_prefix("fatal: ").or_else(|| line.strip_prefix("error: ")))
        .or_else(|| lines.next())
        .unwrap_or("no message")
}

/// The lock file that git could not create because it exists, from its message.
pub(super) fn in_the_way(stderr: &str) -> Option<PathBuf> {
    let line = stderr.lines().find(|line| line.contains("File exists"))?;
    let (_, rest) = line.split_once("Unable to create '")?;
    let (path, _) = rest.rsplit_once("': File exists")?;
    Some(PathBuf::from(path)).filter(|path| path.extension().is_some_and(|kind| kind == "lock"))
}

/// The local ref whose name is in the way of another one (`a` and `a/b`), from git's message.
fn ref_in_the_way(stderr: &str) -> Option<&str> {
    let mut own = stderr.lines().filter(|line| !line.starts_with("remote:"));
    let (before, _) = own.find_map(|line| line.split_once("' exists; cannot create '"))?;
    before.rsplit_once('\'').map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(verb: &str, stderr: &str) -> GitError {
        GitError::Failed { verb: verb.to_owned(), code: Some(128), stderr: stderr.to_owned() }
    }

    #[test]
    fn an_error_of_this_checkout_is_told_from_one_of_the_remote() {
        let locked = "error: cannot lock ref 'refs/x': Unable to create '/a/.git/refs/x.lock': File exists.";
        let of_the_server =
            "remote: error: cannot lock ref 'refs/x': Unable to create '/srv/refs/x.lock': File exists.";
        let limit = Duration::from_secs(1);
        for (error, expected) in [
            (failed("update-ref", "fatal: bad object"), true),
            (failed("fetch", locked), true),
            (failed("fetch", "fatal: Unable to create '/a/.git/shallow.lock': File exists."), true),
            (failed("fetch", "fatal: unable to write loose object file: No space left on device"), true),
            (failed("fetch", "error: unable to create '/a/.git/x': Permission denied"), true),
            (failed("fetch", "fatal: unterminated line in /a/.git/packed-refs: 193aa"), true),
            (failed("push", "fatal: loose object 2f (stored in /a/.git/objects/2f/1) is corrupt"), true),
            (failed("fetch", "fatal: loose object 2f (stored in ./objects/2f/1) is corrupt"), false),
            (failed("read-tree", "fatal: could not fetch 2f from promisor remote"), false),
            (failed("push", of_the_server), false),
            (failed("push", "remote: fatal: unable to write loose object file"), false),
            (failed("fetch", "fatal: Could not read from remote repository."), false),
            (failed("fetch", "fatal: unable to access 'https://x/': Could not resolve host: x"), false),
            (failed("ls-remote", "git@x: Permission denied (publickey)."), false),
            (GitError::TimedOut { verb: "push".to_owned(), limit }, false),
            (GitError::TimedOut { verb: "gc".to_owned(), limit }, true),
            (GitError::Locked { lock: PathBuf::from("/a/.git/refs/x.lock"), age: limit }, true),
            (GitError::Missing, true),
        ] {
            assert_eq!(error.is_of_this_checkout(), expected, "{error:?}");
        }
    }

    #[test]
    fn what_is_in_the_way_here_is_told_with_what_removes_it() {
        let conflict = |name: &str| {
            format!("error: cannot lock ref '{name}/a': '{name}' exists; cannot create '{name}/a'\n")
        };
        let command = |error: GitError| error.way_out().map(|(_, command)| command);
        let tag = failed("fetch", &conflict("refs/tags/atmos"));
        assert_eq!(command(tag).as_deref(), Some("git tag -d atmos"));
        let other = failed("update-ref", &conflict("refs/atmos/deployments"));
        assert_eq!(command(other).as_deref(), Some("git update-ref -d refs/atmos/deployments"));
        let lock = GitError::Locked { lock: PathBuf::from("/a b/x.lock"), age: Duration::from_secs(1) };
        assert_eq!(command(lock).as_deref(), Some("rm '/a b/x.lock'"));
        assert_eq!(command(failed("push", &format!("remote: {}", conflict("refs/tags/atmos")))), None);
    }

    #[test]
    fn git_names_the_lock_file_that_is_in_the_way() {
        let text = "fatal: update_ref failed for ref 'refs/x': cannot lock ref 'refs/x': Unable to create \
                    '/a/it's/.git/refs/x.lock': File exists.\n\nAnother git process seems to be running";
        assert_eq!(in_the_way(text), Some(PathBuf::from("/a/it's/.git/refs/x.lock")));
        assert_eq!(in_the_way("fatal: Unable to create '/a/x.lock': Permission denied"), None);
    }
}
