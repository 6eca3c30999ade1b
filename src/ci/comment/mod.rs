//! The comment that reviewers read on a pull or merge request: the targets that have the change,
//! the changes of a promotion, the approvals.
//!
//! The same text, with more room, is the summary of a step.

mod build;
mod render;
#[cfg(test)]
mod tests;
mod view;
mod words;

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;

pub use render::{CommentError, CommentTemplate, Limit, Rendered};
pub use view::{
    ApprovalView, CommentView, CommitView, ComponentView, ConfigurationView, DependencyView, FailureView,
    HintView, LinkView, List, NextView, PromotionPreviewView, RolloutView, StaleView, TargetView,
    UnfinishedView,
};
pub use words::of_components;

use crate::deployment::diff::DiffView;
use crate::deployment::promotion_status::{PromotionEdge, PromotionView};
use crate::deployment::rollout_report::RolloutReport;
use crate::deployment::{CommitId, ComponentName, RecordStatus, TargetName};

/// The data that the comment of one deployment is built from.
#[derive(Debug, Clone, Copy)]
pub struct CommentInput<'a> {
    /// The targets and their relation to each other.
    pub standing: &'a PromotionView,
    /// The share of the change that runs on each target; a target that is missing has none of it.
    /// Absent where the commits of the change are not known; there is no fallback then.
    pub presence: Option<&'a BTreeMap<TargetName, Presence>>,
    /// The newest attempts that did not succeed, of components without a later success.
    pub unfinished: &'a [Unfinished],
    /// The deployment file cannot be used, so that only data of the ledger is shown.
    pub of_ledger_alone: bool,
    /// Set where the known state may be stale against the ledger's remote: then nothing of it is
    /// called current.
    pub stale: Option<&'a Stale>,
    /// The rollout that this run did, or would do.
    pub rollout: Option<RolloutOfRun<'a>>,
    /// That nothing is left to roll out on a target, in words.
    pub complete: Option<&'a str>,
    /// The failure that kept this run from a rollout.
    pub failure: Option<&'a FailureView>,
    /// The promotions that can come next.
    pub promotions: &'a [PromotionPreview<'a>],
    /// The approvals of the commits that run on the targets.
    pub approvals: &'a [Approved],
    /// This run.
    pub run: Option<&'a RunLink>,
    /// The addresses of the runs that deployed the targets' current state.
    pub runs: &'a BTreeMap<TargetName, String>,
    /// The address prefix that a commit's id is appended to:
    /// `https://github.com/acme/shop/commit/`.
    pub commit_address: Option<&'a str>,
    pub now: Timestamp,
}

/// A rollout of this run, done or planned.
#[derive(Debug, Clone, Copy)]
pub struct RolloutOfRun<'a> {
    pub report: &'a RolloutReport,
    /// The diff from the target's state before to its state now, or to the planned one.
    pub diff: Option<&'a DiffView>,
    /// The dependencies of its components that change.
    pub dependencies: &'a [DependencyChange],
    /// The components that it was limited to; empty where it was of all.
    pub only: &'a [String],
}

/// The age of stale data, where the ledger's remote has not just confirmed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stale {
    pub remote: String,
    pub why: NotTold,
    /// The time of the remote's last answer; absent where this checkout has never had one.
    pub as_of: Option<Timestamp>,
}

/// The reason why a remote's state is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotTold {
    NotAsked,
    NoAnswer,
    /// This checkout could not take over the remote's state.
    NotTakenOver,
}

impl fmt::Display for Stale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let remote = &self.remote;
        match self.why {
            NotTold::NotAsked => write!(f, "{remote} was not asked: "),
            NotTold::NoAnswer => write!(f, "{remote} did not answer: "),
            NotTold::NotTakenOver => write!(f, "this checkout could not take over what {remote} has: "),
        }?;
        match self.as_of {
            Some(at) => write!(f, "as of {}", words::time(at)),
            None => write!(f, "what runs where is not known here"),
        }
    }
}

/// A component's newest attempt that did not succeed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfinished {
    pub target: TargetName,
    pub component: ComponentName,
    pub status: RecordStatus,
    pub commit: CommitId,
    pub at: Timestamp,
    /// The address of its run.
    pub run: Option<String>,
    /// The error that the record names.
    pub error: Option<String>,
}

/// A dependency of a component that comes, goes or changes its version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DependencyChange {
    pub component: String,
    pub name: String,
    /// Its versions before: none where it is new.
    pub from: Vec<String>,
    /// Its versions after: none where it is gone.
    pub to: Vec<String>,
}

/// An approval of the running commits of a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approved {
    pub target: TargetName,
    pub by: String,
    pub at: Option<Timestamp>,
}

/// The share of a change that runs on a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Presence {
    /// The whole change.
    Deployed,
    /// Some of the components have it.
    Partly {
        components: usize,
        of: usize,
    },
    /// Its rollout failed.
    Failed,
    /// Its rollout was cancelled.
    Cancelled,
    Absent,
    /// The history that decides is not in this checkout.
    Unknown,
}

/// The effect of a promotion that can come next.
#[derive(Debug, Clone, Copy)]
pub struct PromotionPreview<'a> {
    pub edge: &'a PromotionEdge,
    /// The diff from the running commit to the one after the promotion.
    pub diff: Option<&'a DiffView>,
    /// The dependencies of its components that would change.
    pub dependencies: &'a [DependencyChange],
}

/// A run of the CI, by a name and its address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunLink {
    pub name: String,
    pub address: Option<String>,
}
