//! The events and the report of a rollout.

use std::time::Duration;

use jiff::Timestamp;

use super::approval::ApprovalOf;
use super::commit::CommitId;
use super::definition::{ApprovalMethod, Values};
use super::health::Health;
use super::names::{ComponentKind, ComponentName, DeploymentName, TargetName};
use super::record::RecordId;

/// The kind of a rollout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RolloutKind {
    /// A deployment of a commit.
    Deploy,
    /// A deployment of the running commits of another target.
    Promotion { from: TargetName },
    /// A renewed deployment of a replaced commit.
    Rollback { to: CommitId },
}

/// A planned rollout, before it starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedRollout {
    pub deployment: DeploymentName,
    pub target: TargetName,
    pub kind: RolloutKind,
    /// A dry run: nothing is applied or recorded.
    pub dry_run: bool,
    /// The approval method, where the target requires an approval.
    pub approval: Option<ApprovalMethod>,
    /// The digest of exactly this rollout: see [`digest`](super::digest).
    pub digest: String,
    /// A partial promotion: some components of the source stay behind.
    pub partial: bool,
    /// In a dry run: temporary refusals of the rollout, such as a freeze.
    pub would_be_refused: Vec<WouldBeRefused>,
    /// In deployment order.
    pub components: Vec<PlannedComponent>,
}

/// The plan of one component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedComponent {
    pub component: ComponentName,
    pub kind: ComponentKind,
    /// The running commit; absent where nothing runs.
    pub previous_commit: Option<CommitId>,
    pub commit: CommitId,
    /// Whether that is older than the running commit.
    pub goes_back: bool,
    /// The time of the commit's deployment to the source target.
    pub deployed_at: Option<Timestamp>,
    /// The components of this rollout that it waits for.
    pub waits_for: Vec<ComponentName>,
    /// The terraform state that it changes, if its stacks say.
    pub state: Option<PlannedState>,
}

/// The terraform state of a planned component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedState {
    pub workspace: String,
    pub stack: String,
    /// The backend, and the key of the state in it.
    pub location: Option<String>,
}

/// The approval of a rollout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approval {
    pub method: ApprovalMethod,
    pub approved_by: String,
    pub approved_at: Timestamp,
    pub reason: Option<String>,
    /// Whether the approver saw the plan that runs.
    pub of: Option<ApprovalOf>,
}

/// The report of a rollout that has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RolloutReport {
    pub deployment: DeploymentName,
    pub target: TargetName,
    pub kind: RolloutKind,
    pub dry_run: bool,
    pub result: RolloutResult,
    pub approval: Option<Approval>,
    /// The digest of exactly this rollout, executed or planned: see [`digest`](super::digest).
    pub digest: String,
    /// A partial promotion: some components of the source stay behind.
    pub partial: bool,
    /// In a dry run: temporary refusals of the rollout, such as a freeze.
    pub would_be_refused: Vec<WouldBeRefused>,
    /// In deployment order.
    pub components: Vec<ComponentReport>,
    pub duration: Duration,
    /// The number of pending records, which could not be published.
    pub unpublished: usize,
    /// The error that prevented their publication, or that ended the rollout early.
    pub ledger_error: Option<String>,
}

/// Something that is in the way of a planned rollout for now.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
pub struct WouldBeRefused {
    /// The code of the error that a rollout would end with: `frozen`, `hold`, `backwards`.
    pub code: String,
    pub message: String,
}

/// How a rollout ended.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum RolloutResult {
    Success,
    Failed,
    /// A policy refused it before anything was applied.
    Refused,
    Cancelled,
}

/// The report of one component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComponentReport {
    pub component: ComponentName,
    pub kind: ComponentKind,
    /// The commit that ran before; absent where nothing ran.
    pub previous_commit: Option<CommitId>,
    pub commit: CommitId,
    /// The commit that is left, if this goes back to an older one.
    pub rollback_of: Option<String>,
    pub status: ComponentResult,
    /// Absent where nothing was recorded: in a dry run, or for a component that was never started.
    pub record: Option<RecordId>,
    pub duration: Duration,
    /// The changes of the plan, for kinds that report them.
    pub changes: Option<Changes>,
    /// The result of its health check, if it has one.
    pub health: Option<Health>,
    /// The reason that it failed or was skipped, in one line.
    pub error: Option<String>,
    /// The error output of its tool: a few lines, secrets masked.
    pub reason: Vec<String>,
    /// Whether it was not run, because this run has deployed it already.
    pub already_deployed: bool,
    /// The keys of the context that are overridden for it.
    pub overridden: Vec<String>,
    /// A notice about a component that did not fail.
    pub notice: Option<String>,
    /// Its outputs, without those that are or may be sensitive.
    pub outputs: Values,
    /// The end of its log, where it failed; secrets masked.
    pub log: Vec<String>,
}

/// How one component's part of a rollout ended.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum ComponentResult {
    Success,
    Failed,
    Cancelled,
    /// Never started, because something that it depends on failed.
    Skipped,
    /// A dry run: what would be done.
    Planned,
}

impl ComponentResult {
    /// The result as written in documents.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Skipped => "skipped",
            Self::Planned => "planned",
        }
    }
}

/// The resources that a plan adds, changes and destroys.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    Default,
    serde::Serialize,
    serde::Deserialize,
    schemars::JsonSchema,
)]
pub struct Changes {
    pub add: u64,
    pub change: u64,
    pub destroy: u64,
}

impl Changes {
    /// Whether the plan has no changes.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.add == 0 && self.change == 0 && self.destroy == 0
    }
}

/// The events of a rollout, in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RolloutEvent {
    /// The plan is decided and permitted.
    Planned(PlannedRollout),
    /// An approval was requested and is pending.
    ApprovalRequested {
        method: ApprovalMethod,
    },
    /// The rollout was approved.
    Approved(Approval),
    /// The rollout waits for a lock that another run holds.
    LockWaiting {
        holder: String,
        run_id: String,
        since: Timestamp,
    },
    /// Orphaned processes of a killed run were told to terminate; the rollout waits for them.
    LeftAtWork {
        run_id: String,
        processes: Vec<u32>,
        since: Option<Timestamp>,
    },
    /// The rollout holds its locks.
    LockAcquired,
    ComponentStarted {
        component: ComponentName,
        kind: ComponentKind,
    },
    /// A line printed by a component's tool.
    ComponentOutput {
        component: ComponentName,
        line: String,
        /// Whether it was printed to stderr.
        is_error: bool,
    },
    ComponentFinished(ComponentReport),
    /// Records have reached the remote.
    Published {
        records: usize,
    },
    /// Records stay pending, because they could not be published.
    PublicationDeferred {
        records: usize,
        reason: String,
        /// Whether the cause is in this checkout, rather than the remote.
        here: bool,
    },
    /// The last event.
    Finished(RolloutReport),
}
