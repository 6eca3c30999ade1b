//! What a rollout tells while it works and when it ends.

use std::time::Duration;

use jiff::Timestamp;

use super::approval::ApprovalOf;
use super::commit::CommitId;
use super::definition::{ApprovalMethod, Values};
use super::health::Health;
use super::names::{ComponentKind, ComponentName, DeploymentName, TargetName};
use super::record::RecordId;

/// What a rollout is to its target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RolloutKind {
    /// A commit is deployed.
    Deploy,
    /// What runs on another target is deployed.
    Promotion { from: TargetName },
    /// A commit is deployed again that another one had replaced.
    Rollback { to: CommitId },
}

/// A rollout before it starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedRollout {
    pub deployment: DeploymentName,
    pub target: TargetName,
    pub kind: RolloutKind,
    /// Nothing is applied or recorded.
    pub dry_run: bool,
    /// Who must agree, where the target requires an approval.
    pub approval: Option<ApprovalMethod>,
    /// Of exactly what is rolled out: see [`digest`](super::digest).
    pub digest: String,
    /// Part of what runs on the source stays behind.
    pub partial: bool,
    /// Of a dry run: what would refuse the rollout now, such as a freeze.
    pub would_be_refused: Vec<WouldBeRefused>,
    /// In the order in which they are deployed.
    pub components: Vec<PlannedComponent>,
}

/// What a rollout sets out to do with one component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedComponent {
    pub component: ComponentName,
    pub kind: ComponentKind,
    /// What runs now; absent where nothing does.
    pub previous_commit: Option<CommitId>,
    pub commit: CommitId,
    /// Whether that is older than what runs.
    pub goes_back: bool,
    /// When the commit was deployed to the target that it is promoted from.
    pub deployed_at: Option<Timestamp>,
    /// The components of this rollout that come first.
    pub waits_for: Vec<ComponentName>,
}

/// An approval that a rollout got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approval {
    pub method: ApprovalMethod,
    pub approved_by: String,
    pub approved_at: Timestamp,
    pub reason: Option<String>,
    /// Whether the plan that runs was seen.
    pub of: Option<ApprovalOf>,
}

/// A rollout when it has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RolloutReport {
    pub deployment: DeploymentName,
    pub target: TargetName,
    pub kind: RolloutKind,
    pub dry_run: bool,
    pub result: RolloutResult,
    pub approval: Option<Approval>,
    /// Of exactly what was, or would be, rolled out: see [`digest`](super::digest).
    pub digest: String,
    /// Part of what runs on the source stays behind.
    pub partial: bool,
    /// Of a dry run: what would refuse the rollout now, such as a freeze.
    pub would_be_refused: Vec<WouldBeRefused>,
    /// In the order in which they are deployed.
    pub components: Vec<ComponentReport>,
    pub duration: Duration,
    /// Records that are kept locally because they could not be published.
    pub unpublished: usize,
    /// Why they were not, or why the rollout was ended before its end.
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

/// How one component's part of a rollout ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComponentReport {
    pub component: ComponentName,
    pub kind: ComponentKind,
    /// What ran before; absent where nothing did.
    pub previous_commit: Option<CommitId>,
    pub commit: CommitId,
    /// The commit that is left, where this goes back.
    pub rollback_of: Option<String>,
    pub status: ComponentResult,
    /// Absent where nothing was recorded: a dry run, a component that was never started.
    pub record: Option<RecordId>,
    pub duration: Duration,
    /// What a plan counted, for kinds that can.
    pub changes: Option<Changes>,
    /// Whether it became healthy, where that was looked at.
    pub health: Option<Health>,
    /// Why it failed or was skipped, in one line.
    pub error: Option<String>,
    /// What its tool said of that: a few lines, secrets masked.
    pub reason: Vec<String>,
    /// It was not run: this run has deployed it before.
    pub already_deployed: bool,
    /// The keys of the context that are overridden for it.
    pub overridden: Vec<String>,
    /// Something worth knowing about a component that did not fail.
    pub notice: Option<String>,
    /// What it has put out, without what is or may be sensitive.
    pub outputs: Values,
    /// The end of what it printed, where it failed; secrets masked.
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
    /// The result as it stands in documents.
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
    /// Whether the plan would do nothing.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.add == 0 && self.change == 0 && self.destroy == 0
    }
}

/// What happens in a rollout, in the order in which it happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RolloutEvent {
    /// The plan is made and allowed.
    Planned(PlannedRollout),
    /// An approval has been asked for and is waited for.
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
    /// Processes that a killed run has left at work were asked to end, and are waited for.
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
    /// A line that a component's tool printed.
    ComponentOutput {
        component: ComponentName,
        line: String,
        /// Whether it came on stderr, where tools say what is wrong.
        is_error: bool,
    },
    ComponentFinished(ComponentReport),
    /// Records have reached the remote.
    Published {
        records: usize,
    },
    /// Records are kept locally, because they could not be published.
    PublicationDeferred {
        records: usize,
        reason: String,
        /// It is this checkout that something is wrong with, and not the remote.
        here: bool,
    },
    /// Nothing comes after this.
    Finished(RolloutReport),
}
