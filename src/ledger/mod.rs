//! The ledger: deployments as refs, annotated tags and notes, on any Git remote.
//!
//! `refs/atmos/…` holds what is true here and is what plain git commands read;
//! `refs/atmos-remotes/<remote>/…` mirrors what the remote has, as `refs/remotes` does for
//! branches, and is what pushes are compared with. Nothing that exists only here is ever pruned,
//! and nothing of it counts where there is a remote: it may be of another one, or made by hand.

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
pub use publication::{NoteEdit, Publication, Unite};
pub use rules::RulesCommit;
pub use run_logs::RunLog;
pub use session::Session;
pub use snapshot::Snapshot;
pub use sync::Freshness;

/// What can go wrong with the ledger.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    #[error(transparent)]
    Git(#[from] GitError),
    #[error(transparent)]
    Repository(#[from] RepositoryError),
    #[error(transparent)]
    Objects(#[from] ObjectError),
    /// The remote did not take a push, and trying again would not help.
    #[error("{remote} refused {name}: {reason}")]
    Refused { remote: String, name: String, reason: Rejection },
    /// Record tags are other objects here than on the remote, so that what is here is not its
    /// history.
    #[error("{tag} is another object here than on {remote}{}", and_more(*.more))]
    OtherHistory { remote: String, tag: String, more: usize },
    /// Others kept changing the same refs for as long as was tried.
    #[error("{0} kept changing while it was being written")]
    Contended(String),
    /// Another run recorded the same component in the meantime.
    #[error("another run has moved {component} on {target}")]
    Moved { target: TargetName, component: ComponentName, by: Option<Arc<LedgerRecord>> },
    /// The lock was taken away, by hand or because its lease had run out.
    #[error("the lock on {0} is not held any more")]
    LockLost(String),
    /// The lock could not be renewed until its lease ended, so that others may take it over.
    #[error("the lock on {target} could not be renewed for {} seconds", lease.as_secs())]
    NotRenewed { target: TargetName, lease: Duration },
    /// A record that is kept here is on a commit that neither this repository nor the remote has.
    #[error("the record {tag} cannot be published: commit {commit} is neither here nor on the remote")]
    CommitMissing { tag: String, commit: CommitId },
    /// Records are to be signed, and cannot be.
    #[error("records are to be signed (tag.gpgSign), and cannot be: {0}")]
    NotSigned(#[source] GitError),
    #[error("the note has {} MB; notes of more than 50 MB belong into other storage", .0 / 1_000_000)]
    NoteTooLarge(usize),
    /// What is noted there already cannot be united with what is to be
    /// added, and is never overwritten.
    #[error("the {namespace} note of commit {} cannot be added to: {reason}", commit.short())]
    NoteUnreadable { namespace: NoteNamespace, commit: CommitId, reason: String },
}

impl LedgerError {
    /// Whether something is wrong with this checkout, and the remote has no part in it.
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

/// What the ledger is about: which part of it a command reads.
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
    /// The one deployment that it is about.
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

/// How the ledger is reached and who writes into it.
#[derive(Debug, Clone)]
pub struct LedgerOptions {
    /// The remote that holds the ledger; `None` keeps it here alone.
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
    /// How long a single exchange with the remote may take when writing.
    pub write_limit: Duration,
    /// How many refs one push may change, where the host limits that.
    pub max_refs_per_push: Option<NonZeroUsize>,
    /// The clock.
    pub now: fn() -> Timestamp,
}

/// The ledger of one repository.
#[derive(Debug)]
pub struct Ledger<'r> {
    repository: &'r Repository,
    objects: ObjectStore,
    options: LedgerOptions,
    /// What went wrong without being fatal, for the caller to say.
    warnings: RefCell<Warnings>,
    /// Whether the remote has told its states and newest records to this process.
    answered: Cell<bool>,
    /// Whether what is read is decided on: then the remote has to tell its history as well.
    binding: Cell<bool>,
    /// What the remote has said of the tags of a history that is to be read.
    tags_told: RefCell<Option<ToldTags>>,
    /// The ledger's refs that the remote has told to be symbolic, and where they lead.
    symbolic_there: RefCell<SymbolicRefs>,
    /// Whether the remote was found to take pushes ref by ref alone.
    pushes_apart: Cell<bool>,
    /// Whether some locks of a push that lets go of them may be gone although it has not arrived.
    lets_go: Cell<bool>,
    /// What this process has found out about the branch of the rules.
    rules: Cell<rules::Progress>,
    /// The time for which a change is tried again while its refs are busy.
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

    /// The remote that commands write to: none where there is none or
    /// the network is not to be used.
    fn reachable_remote(&self) -> Option<&str> {
        self.options.remote.as_deref().filter(|_| !self.options.offline)
    }

    /// The remote's name, used or not.
    #[must_use]
    pub fn remote(&self) -> Option<&str> {
        self.options.remote.as_deref()
    }

    /// What went wrong so far without being fatal, once.
    pub fn take_warnings(&self) -> Vec<String> {
        self.warnings.take().into_lines()
    }

    fn warn(&self, warning: String) {
        self.warnings.borrow_mut().add(warning);
    }

    /// Warns of a fault that thousands of refs may have.
    fn warn_of(&self, cause: Cause, warning: String) {
        self.warnings.borrow_mut().add_of(cause, warning);
    }

    /// The clock. A command that has waited for a lock does not decide by when it started.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        (self.options.now)()
    }

    /// The tagger or committer line of what is written now.
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
        Ok(LedgerRecord { id, object, record })
    }

    /// Writes the tag object of a record that stays. No ref is made.
    ///
    /// Git's own `tag.gpgSign` says whether it is signed. What has happened is recorded all the
    /// same where that does not work any more: [`Self::check_signing`] has found it working before.
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

    /// Finds out whether records can be signed, where they are to be,
    /// before there is anything to record.
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
