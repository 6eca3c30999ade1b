//! The comment that reviewers read on a pull or merge request: where the change is, what a promotion would change, who
//! approved.
//!
//! The same text, with more room, is the summary of a step.

mod build;
mod render;
#[cfg(test)]
mod tests;
mod view;

use std::collections::BTreeMap;

use jiff::Timestamp;

pub use render::{CommentError, CommentTemplate, Limit, Rendered};
pub use view::{
    ApprovalView, CommentView, CommitView, ComponentView, ConfigurationView, LinkView, List,
    PromotionPreviewView, RolloutView, TargetView,
};

use crate::deployment::TargetName;
use crate::deployment::diff::DiffView;
use crate::deployment::promotion_status::{PromotionEdge, PromotionView};
use crate::deployment::rollout_report::{Approval, RolloutReport};

/// Everything that the comment of one deployment tells.
#[derive(Debug, Clone, Copy)]
pub struct CommentInput<'a> {
    /// The targets and how they stand to each other.
    pub standing: &'a PromotionView,
    /// How much of the change runs on each target; a target that is missing has none of it.
    pub presence: &'a BTreeMap<TargetName, Presence>,
    /// What this run did, or would do.
    pub rollout: Option<&'a RolloutReport>,
    /// The promotions that can come next.
    pub promotions: &'a [PromotionPreview<'a>],
    /// Who agreed to what, oldest first.
    pub approvals: &'a [(TargetName, Approval)],
    /// The runs that this is about, newest first.
    pub runs: &'a [RunLink],
    /// What a commit's id is appended to for its address: `https://github.com/acme/shop/commit/`.
    pub commit_address: Option<&'a str>,
    pub now: Timestamp,
}

/// How much of a change runs on a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Presence {
    /// All of it.
    Deployed,
    /// It reached some of the components that it touches.
    Partly {
        components: usize,
        of: usize,
    },
    /// It was tried, and failed.
    Failed,
    Absent,
}

/// What a promotion would do.
#[derive(Debug, Clone, Copy)]
pub struct PromotionPreview<'a> {
    pub edge: &'a PromotionEdge,
    /// From what runs on the target to what would run there.
    pub diff: Option<&'a DiffView>,
    /// What a dry run counted.
    pub plan: Option<&'a RolloutReport>,
    /// The digest of exactly what would be rolled out, which an approval is bound to.
    pub digest: Option<&'a str>,
}

/// A run of the CI, by a name and its address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunLink {
    pub name: String,
    pub address: String,
}
