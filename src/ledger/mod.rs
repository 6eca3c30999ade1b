//! The ledger: deployments as refs, annotated tags and notes, on any Git remote.
//!
//! `refs/atmos/…` is the local ledger, for plain git commands to read;
//! `refs/atmos-remotes/<remote>/…` is the mirror of the remote's refs as last seen, like
//! `refs/remotes`, and gives pushes their leases.
//!
//! Invariant: refs that exist only here are never pruned, and are never decided on where there is a
//! remote: they may be of another remote, or made by hand.

mod ancestry;
mod approvals;
mod backoff;
mod batch;
mod build_records;
mod canonical;
mod chains;
pub mod codec;
mod commits;
mod delivery;
mod ending;
mod failpoint;
mod following;
mod heard;
mod history;
mod hold;
mod holder;
mod holds;
mod interrupted;
mod kept;
mod line;
mod locks;
mod namespaces;
mod notes;
mod observations;
mod orphans;
mod own_history;
mod pending;
mod process_stat;
#[cfg(test)]
mod protocol;
mod publication;
mod record_tags;
mod records;
mod recovery;
mod refs;
mod rules;
mod run_logs;
mod session;
mod snapshot;
mod step;
mod strays;
mod sync;
#[cfg(test)]
mod testing;
mod warnings;
mod yaml;

use std::cell::{Cell, RefCell};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::deployment::record::LedgerRecord;
use crate::deployment::ref_names::{LATEST_PREFIX, LOCK_PREFIX, STATE_PREFIX};
use crate::deployment::{
    CommitId, ComponentName, DeploymentName, NoteNamespace, ObjectId, Record, RecordId, TargetName,
};
use crate::git::objects::ObjectError;
use crate::git::rejection::Rejection;
use crate::git::repository::{Repository, RepositoryError};
use crate::git::signing::NewTag;
use crate::git::symbolic::SymbolicRefs;
use crate::git::{GitError, ObjectStore};

use sync::ToldTags;
use warnings::{Cause, Warnings};

pub use codec::BuildImage;
pub use delivery::{Delivery, Renewal};
pub use ending::LeftAtWork;
pub use failpoint::failpoint;
pub use history::{History, HistoryQuery, Limit};
pub use holder::{Holder, left_at_work};
pub use holds::LiftedHold;
pub use kept::Kept;
pub use locks::{AcquireError, Acquired, LockRequest, Waiting, judge_now, lock_session};
pub use observations::Observed;
pub use orphans::{Orphan, SESSION_VARIABLE};
pub use own_history::Ownership;
pub use pending::{LONGEST_RUN_ID, PendingRun, Published, run_id_fits};
pub use publication::{Merge, NoteEdit, Publication};
pub use rules::RulesCommit;
pub use run_logs::RunLog;
pub use session::Session;
pub use snapshot::Snapshot;
pub use sync::Freshness;

/// An error of the ledger.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    #[error(transparent)]
    Git(#[from] GitError),
    #[error(transparent)]
    Repository(#[from] RepositoryError),
    #[error(transparent)]
    Objects(#[from] ObjectError),
    /// A refusal: the remote did not accept a push, and a retry would not help.
    #[error("{remote} refused {name}: {reason}")]
    Refused { remote: String, name: String, reason: Rejection },
    /// Record tags here differ from those on the remote: this is the history of another ledger.
    #[error("{tag} is another object here than on {remote}{}", and_more(*.more))]
    OtherHistory { remote: String, tag: String, more: usize },
    /// A conflict: other writers won every race for the same refs until the retry timeout.
    #[error("{0} kept changing while it was being written")]
    Contended(String),
    /// A conflict: another run recorded the same component in the meantime.
    #[error("another run has moved {component} on {target}")]
    Moved { target: TargetName, component: ComponentName, by: Option<Arc<LedgerRecord>> },
    /// The lock was removed by a user, or taken over after its lease had ended.
    #[error("the lock on {0} is not held any more")]
    LockLost(String),
    /// The lock could not be renewed before its lease ended, so that other runs may take it over.
    #[error("the lock on {target} could not be renewed for {} seconds", lease.as_secs())]
    NotRenewed { target: TargetName, lease: Duration },
    /// A pending record is on a commit that neither this repository nor the remote has.
    #[error("the record {tag} cannot be published: commit {commit} is neither here nor on the remote")]
    CommitMissing { tag: String, commit: CommitId },
    /// `tag.gpgSign` is set, and git cannot sign.
    #[error("records are to be signed (tag.gpgSign), and cannot be: {0}")]
    NotSigned(#[source] GitError),
    #[error("the note has {} MB; notes of more than 50 MB belong into other storage", .0 / 1_000_000)]
    NoteTooLarge(usize),
    /// The existing note cannot be merged with the new entries. Notes are never overwritten.
    #[error("the {namespace} note of commit {} cannot be added to: {reason}", commit.short())]
    NoteUnreadable { namespace: NoteNamespace, commit: CommitId, reason: String },
}

impl LedgerError {
    /// Whether the cause is in this checkout, and not on the remote.
    #[must_use]
    pub fn is_of_this_checkout(&self) -> bool {
        match self {
            Self::Git(error) => error.is_of_this_checkout(),
            Self::Refused { remote, .. } => remote == step::HERE,
            Self::Repository(_) | Self::Objects(_) => true,
            _ => false,
        }
    }
}

fn and_more(more: usize) -> String {
    if more == 0 { String::new() } else { format!(" (and {more} more)") }
}

/// The part of the ledger that a command reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// Every deployment.
    All,
    /// Every target of one deployment.
    Deployment(DeploymentName),
    /// Some targets of one deployment.
    Targets(DeploymentName, Vec<TargetName>),
}

impl Scope {
    /// The deployment, where it is a single one.
    const fn deployment(&self) -> Option<&DeploymentName> {
        match self {
            Self::All => None,
            Self::Deployment(deployment) | Self::Targets(deployment, _) => Some(deployment),
        }
    }

    /// Whether a state, a newest record or a lock is part of it.
    fn has(&self, name: &str) -> bool {
        let namespaces = [STATE_PREFIX, LATEST_PREFIX, LOCK_PREFIX];
        let path = namespaces.iter().find_map(|namespace| name.strip_prefix(namespace));
        path.is_some_and(|path| self.prefixes().iter().any(|prefix| path.starts_with(prefix.as_str())))
    }

    /// The path prefixes below one of the ledger's namespaces, each empty or ending in `/`.
    fn prefixes(&self) -> Vec<String> {
        match self {
            Self::All => vec![String::new()],
            Self::Deployment(deployment) => vec![format!("{deployment}/")],
            Self::Targets(deployment, targets) => {
                targets.iter().map(|target| format!("{deployment}/{target}/")).collect()
            }
        }
    }
}

/// The remote, the identity and the limits of a ledger.
#[derive(Debug, Clone)]
pub struct LedgerOptions {
    /// The remote that holds the ledger; `None` keeps the ledger in this repository.
    pub remote: Option<String>,
    /// The remote that holds the code, and with it the rules that bind; that of the ledger where
    /// absent.
    pub code_remote: Option<String>,
    /// The default branch of the code's remote, where the caller knows it better than the remote's
    /// `HEAD`.
    pub default_branch: Option<String>,
    /// Never use the network.
    pub offline: bool,
    /// Name and mail of the tagger and of the author of notes.
    pub writer: (String, String),
    /// The timeout of a single exchange with the remote when writing.
    pub write_limit: Duration,
    /// The maximum number of refs that one push may change, where the host limits that.
    pub max_refs_per_push: Option<NonZeroUsize>,
    /// The clock, which tests replace.
    pub now: fn() -> Timestamp,
}

/// The ledger of one repository.
#[derive(Debug)]
pub struct Ledger<'r> {
    repository: &'r Repository,
    objects: ObjectStore,
    options: LedgerOptions,
    /// Warnings, for the caller to print.
    warnings: RefCell<Warnings>,
    /// Whether this process has fetched the remote's states and newest records.
    answered: Cell<bool>,
    /// Whether decisions depend on reads: then the history must be fetched as well.
    binding: Cell<bool>,
    /// The remote's tags of a history that is about to be read.
    tags_told: RefCell<Option<ToldTags>>,
    /// The ledger's refs that are symbolic on the remote, with their targets.
    symbolic_there: RefCell<SymbolicRefs>,
    /// Whether the remote was found not to support atomic pushes.
    pushes_apart: Cell<bool>,
    /// Whether a push that releases locks may have deleted some of them before it failed.
    lets_go: Cell<bool>,
    /// The progress of finding the branch whose rules bind.
    rules: Cell<rules::Progress>,
    /// The retry timeout of a step whose refs are locked.
    persistence: Duration,
}

impl<'r> Ledger<'r> {
    /// Opens the ledger of a repository.
    ///
    /// # Errors
    ///
    /// Fails where the repository's object database cannot be opened.
    pub fn open(repository: &'r Repository, options: LedgerOptions) -> Result<Self, LedgerError> {
        let objects = repository.objects()?;
        Ok(Self {
            objects,
            repository,
            options,
            warnings: RefCell::default(),
            answered: Cell::default(),
            binding: Cell::default(),
            tags_told: RefCell::default(),
            symbolic_there: RefCell::default(),
            pushes_apart: Cell::default(),
            lets_go: Cell::default(),
            rules: Cell::default(),
            persistence: step::PERSISTENCE,
        })
    }

    /// The remote to talk to; `None` without a remote or with `--offline`.
    fn reachable_remote(&self) -> Option<&str> {
        self.options.remote.as_deref().filter(|_| !self.options.offline)
    }

    /// The remote's name, also with `--offline`.
    #[must_use]
    pub fn remote(&self) -> Option<&str> {
        self.options.remote.as_deref()
    }

    /// Takes the warnings since the last call.
    pub fn take_warnings(&self) -> Vec<String> {
        self.warnings.take().into_lines()
    }

    fn warn(&self, warning: String) {
        self.warnings.borrow_mut().add(warning);
    }

    /// Adds a warning that thousands of refs may cause; those of a cause are summarised.
    fn warn_of(&self, cause: Cause, warning: String) {
        self.warnings.borrow_mut().add_of(cause, warning);
    }

    /// The current time, read anew: a command may have waited for a lock for a long time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        (self.options.now)()
    }

    /// The tagger or committer line for an object that is written now.
    fn signature(&self) -> String {
        let clean = |text: &str| text.replace(['<', '>', '\n', '\0'], "");
        let (name, mail) = &self.options.writer;
        format!("{} <{}> {} +0000", clean(name), clean(mail), self.now().as_second())
    }

    /// Writes a record's tag object, as the `sequence`th of its second. No ref is made.
    fn write_record(&self, record: Record, sequence: u32) -> Result<LedgerRecord, LedgerError> {
        let id = RecordId {
            deployment: record.deployment.clone(),
            target: record.target.clone(),
            component: record.component.clone(),
            timestamp: record.timestamp,
            sequence,
        };
        let message = codec::encode_record(&record);
        let object = self.write_tag(&record.commit, &id.tag_name(), &message)?;
        Ok(LedgerRecord { id, object, record: Box::new(record) })
    }

    /// Writes the tag object of a record that stays. No ref is made.
    ///
    /// It is signed where `tag.gpgSign` is set. A signature that fails now is a warning, because a
    /// rollout that has happened must be recorded: [`Self::check_signing`] found it working before.
    fn write_tag(&self, commit: &CommitId, name: &str, message: &str) -> Result<ObjectId, LedgerError> {
        if self.repository.signs_tags() {
            match self.write_signed_tag(commit, name, message) {
                Ok(object) => return Ok(object),
                Err(error) => self.warn(format!("the record {name} is not signed: {error}")),
            }
        }
        Ok(self.objects.write_tag(&commit.0, "commit", name, &self.signature(), message)?)
    }

    fn write_signed_tag(&self, commit: &CommitId, name: &str, message: &str) -> Result<ObjectId, GitError> {
        let (writer, mail) = &self.options.writer;
        let tag =
            NewTag { commit: &commit.0, name, message, tagger: (writer, mail), time: self.now().as_second() };
        self.repository.write_signed_tag(tag, self.options.write_limit)
    }

    /// Checks, before anything is applied, that records can be signed where `tag.gpgSign` is set.
    ///
    /// # Errors
    ///
    /// [`LedgerError::NotSigned`] where git cannot sign: no key, no signing program, or a timeout.
    pub fn check_signing(&self, commit: &CommitId) -> Result<(), LedgerError> {
        if !self.repository.signs_tags() {
            return Ok(());
        }
        let attempt = self.write_signed_tag(commit, "atmos/signature", "Can records be signed?\n");
        attempt.map(drop).map_err(LedgerError::NotSigned)
    }
}
