//! A remote with some history and checkouts of it, for the tests of this folder.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::Write;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use jiff::Timestamp;

use crate::deployment::fixtures::{component_name, record, target_name};
use crate::deployment::lease::LEASE;
use crate::deployment::lock::{HeldLock, Lock, LockScope};
use crate::deployment::record::LedgerRecord;
use crate::deployment::{CommitId, Record, RecordStatus};
use crate::git::Repository;

use super::locks::{Acquired, LockRequest, lock_session};
use super::session::Session;
use super::snapshot::Snapshot;
use super::{Ledger, LedgerOptions, LeftAtWork, Scope};

/// The number of commits on `main`.
const LENGTH: usize = 1250;

/// A remote: `main` is a long line of commits, `side` leaves it 50 commits before its end, and
/// `orphan` has nothing to do with either.
pub(super) struct Workspace {
    folder: tempfile::TempDir,
    commits: BTreeMap<String, CommitId>,
}

/// A repository of a workspace.
pub(super) struct Checkout {
    pub(super) path: PathBuf,
}

impl Workspace {
    pub(super) fn new() -> Self {
        let workspace = Self { folder: tempfile::tempdir().unwrap(), commits: BTreeMap::new() };
        let remote = workspace.folder.path().join("remote.git");
        git(workspace.folder.path(), &["init", "--quiet", "--bare", "-b", "main", "remote.git"], "");
        git(&remote, &["config", "uploadpack.allowFilter", "true"], "");
        git(&remote, &["fast-import", "--quiet"], &history());
        let mut commits: BTreeMap<_, _> = [("absent".to_owned(), "e".repeat(40).parse().unwrap())].into();
        for name in ["main", "side", "orphan"] {
            let list = git(&remote, &["rev-list", name], "");
            let ids = list.lines().enumerate();
            commits.extend(ids.map(|(age, id)| (format!("{name}~{age}"), id.parse().unwrap())));
        }
        Self { commits, ..workspace }
    }

    /// A commit by its name: `main~3`.
    pub(super) fn commit(&self, name: &str) -> CommitId {
        self.commits[name].clone()
    }

    /// The bare repository that checkouts are cloned from.
    pub(super) fn remote(&self) -> Checkout {
        Checkout { path: self.folder.path().join("remote.git") }
    }

    /// An empty bare repository.
    pub(super) fn empty(&self, name: &str) -> Checkout {
        git(self.folder.path(), &["init", "--quiet", "--bare", "-b", "main", name], "");
        Checkout { path: self.folder.path().join(name) }
    }

    /// A new clone, by git's options for one.
    pub(super) fn clone(&self, options: &str) -> Checkout {
        let path = tempfile::Builder::new().tempdir_in(self.folder.path()).unwrap().keep();
        let url = self.remote().url();
        let options = options.split_whitespace();
        let arguments = ["clone", "--quiet", "--no-checkout"].into_iter().chain(options);
        let arguments: Vec<_> = arguments.chain([url.as_str(), path.to_str().unwrap()]).collect();
        git(self.folder.path(), &arguments, "");
        Checkout { path }
    }
}

impl Checkout {
    pub(super) fn url(&self) -> String {
        format!("file://{}", self.path.display())
    }

    pub(super) fn git(&self, arguments: &[&str]) -> String {
        git(&self.path, arguments, "").trim().to_owned()
    }

    /// Commits to a branch of a bare repository or a clone, and returns the commit.
    pub(super) fn commit_to(&self, branch: &str) -> CommitId {
        let reference = format!("refs/heads/{branch}");
        let tree = self.git(&["mktree"]);
        let parent = try_git(&self.path, &["rev-parse", "--verify", "--quiet", &reference], "");
        let parent = String::from_utf8(parent.stdout).unwrap().trim().to_owned();
        let mut arguments = vec!["commit-tree", &tree, "-m", branch];
        if !parent.is_empty() {
            arguments.extend(["-p", &parent]);
        }
        let commit = self.git(&arguments);
        self.git(&["update-ref", &reference, &commit]);
        commit.parse().unwrap()
    }

    pub(super) fn repository(&self) -> Repository {
        Repository::discover(&self.path, environment()).unwrap()
    }

    /// The repository for a process that finds no git on its path.
    pub(super) fn repository_without_git(&self) -> Repository {
        let others = environment().into_iter().filter(|(name, _)| name != "PATH");
        let nowhere = (OsString::from("PATH"), OsString::from("/nowhere"));
        Repository::discover(&self.path, others.chain([nowhere])).unwrap()
    }
}

/// The ledger of a repository on `origin`, with other options where the test sets them.
pub(super) fn open(repository: &Repository, set: impl FnOnce(&mut LedgerOptions)) -> Ledger<'_> {
    let mut options = LedgerOptions {
        remote: Some("origin".to_owned()),
        code_remote: None,
        default_branch: None,
        offline: false,
        writer: ("Ada".to_owned(), "ada@example.com".to_owned()),
        write_limit: Duration::from_mins(2),
        max_refs_per_push: None,
        now: Timestamp::now,
    };
    set(&mut options);
    Ledger::open(repository, options).unwrap()
}

/// The target whose component [`begin`] locks.
pub(super) fn scope() -> Scope {
    Scope::Targets("payment-service".parse().unwrap(), vec![target_name("dev")])
}

/// Locks components for a run whose lock does not name its machine.
pub(super) fn lock(ledger: &Ledger<'_>, components: &[&str]) -> (LockRequest, Snapshot, Acquired) {
    let request = LockRequest {
        deployment: "payment-service".parse().unwrap(),
        target: target_name("dev"),
        scopes: components.iter().map(|name| LockScope::Component(component_name(name))).collect(),
        lock: Lock {
            holder: "ada@example.com".to_owned(),
            session: Some(lock_session()),
            run_id: "github:1/1".to_owned(),
            ..Lock::unreadable()
        },
        lease: Some(LEASE),
        wait: Duration::ZERO,
        replaces: None,
        ends_orphans: false,
    };
    ledger.refresh_states_or_fail(&scope()).unwrap();
    let snapshot = ledger.read(&scope()).unwrap();
    let no_wait = &mut |_: &[HeldLock], _: Vec<LeftAtWork>| ControlFlow::Break(());
    let acquired = ledger.acquire(&request, &snapshot, &mut |_| Ok(Vec::new()), no_wait).unwrap();
    (request, snapshot, acquired)
}

/// A run that has locked `api`.
pub(super) fn begin<'l, 'r>(ledger: &'l Ledger<'r>) -> Session<'l, 'r> {
    let (request, snapshot, acquired) = lock(ledger, &["api"]);
    let mut session = Session::new(ledger, request, acquired);
    session.begin_from(&snapshot);
    session
}

/// Writes a success of `api` at a commit; nothing leads to it yet.
pub(super) fn success(session: &mut Session<'_, '_>, commit: CommitId) -> LedgerRecord {
    let record = record("dev", "api", "c0ffee1", RecordStatus::Success, "2025-01-22T12:00:00Z").record;
    session.write(Record { commit, ..*record }).unwrap()
}

/// The history of the remote, as `git fast-import` reads it.
fn history() -> String {
    let mut text = String::new();
    let mut time = 1_700_000_000;
    let mut commit = |branch: &str, from: &str, content: &str| {
        time += 60;
        write!(
            text,
            "commit refs/heads/{branch}\ncommitter Ada <ada@example.com> {time} +0000\ndata 1\nx\n\
             {from}M 644 inline file\ndata {}\n{content}\n",
            content.len()
        )
        .unwrap();
    };
    for number in 0..LENGTH {
        commit("main", "", &number.to_string());
        if number == LENGTH - 51 {
            commit("side", "from refs/heads/main\n", "side");
        }
    }
    for number in 0..3 {
        commit("side", "", &format!("side {number}"));
        commit("orphan", "", &format!("orphan {number}"));
    }
    text
}

fn git(folder: &Path, arguments: &[&str], input: &str) -> String {
    let output = try_git(folder, arguments, input);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {stderr}");
    String::from_utf8(output.stdout).unwrap()
}

fn try_git(folder: &Path, arguments: &[&str], input: &str) -> Output {
    let mut file = tempfile::tempfile().unwrap();
    std::io::Write::write_all(&mut file, input.as_bytes()).unwrap();
    std::io::Seek::rewind(&mut file).unwrap();
    let mut command = Command::new("git");
    command.args(arguments).current_dir(folder).env_clear().envs(environment());
    command.stdin(file).output().unwrap()
}

/// The environment of every git process of a test.
fn environment() -> Vec<(OsString, OsString)> {
    let own = std::env::vars_os().filter(|(name, _)| !name.to_string_lossy().starts_with("GIT_"));
    let set = [
        ("GIT_CONFIG_GLOBAL", "/dev/null"),
        ("GIT_CONFIG_NOSYSTEM", "1"),
        ("GIT_AUTHOR_NAME", "Ada"),
        ("GIT_AUTHOR_EMAIL", "ada@example.com"),
        ("GIT_COMMITTER_NAME", "Ada"),
        ("GIT_COMMITTER_EMAIL", "ada@example.com"),
    ];
    own.chain(set.map(|(name, value)| (name.into(), value.into()))).collect()
}
