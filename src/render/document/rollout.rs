//! `rollout`: the result.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::error::Hint;
use super::{Document, is_false, is_zero};
use crate::deployment::approval::ApprovalOf;
use crate::deployment::definition::{ApprovalMethod, Values};
use crate::deployment::health::Health;
use crate::deployment::ref_names;
use crate::deployment::rollout_report::{
    self, Changes, ComponentReport, ComponentResult, RolloutKind, RolloutReport,
};
use crate::deployment::{CommitId, ComponentKind, ComponentName, DeploymentName, TargetName};

/// What a rollout did.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct RolloutResult {
    pub deployment: DeploymentName,
    pub target: TargetName,
    pub result: rollout_report::RolloutResult,
    /// Nothing was applied or recorded.
    pub dry_run: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub promoted_from: Option<TargetName>,
    /// The commit that was rolled back to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rolled_back_to: Option<CommitId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approval: Option<Approval>,
    /// Of exactly what was, or would be, rolled out: what approvals are bound to, and `--digest` insists on.
    pub digest: String,
    /// Part of what runs on the source stays behind.
    #[serde(skip_serializing_if = "is_false")]
    pub partial: bool,
    /// Of a dry run: what would refuse the rollout now, such as a freeze.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub would_be_refused: Vec<rollout_report::WouldBeRefused>,
    pub components: Vec<RolloutComponent>,
    pub duration_seconds: f64,
    /// Records that have not reached the remote yet.
    #[serde(skip_serializing_if = "is_zero")]
    pub unpublished: usize,
    /// Why they have not, or why the rollout was ended before its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ledger_error: Option<String>,
    /// What comes next: promoting it, or trying again what failed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub next: Vec<Hint>,
}

impl Document for RolloutResult {
    const KIND: &'static str = "RolloutResult";
}

/// Who agreed to a rollout.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Approval {
    pub method: ApprovalMethod,
    pub approved_by: String,
    pub approved_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Whether the plan that ran was seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub of: Option<ApprovalOf>,
}

/// What a rollout did to one component.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct RolloutComponent {
    pub component: ComponentName,
    #[serde(rename = "type")]
    pub kind: ComponentKind,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous_commit: Option<CommitId>,
    pub commit: CommitId,
    /// The commit that is left, where this goes back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rollback_of: Option<String>,
    pub status: ComponentResult,
    /// The record's tag.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record: Option<String>,
    /// The ref of the component's current state, where it moved.
    #[serde(rename = "ref", skip_serializing_if = "Option::is_none")]
    pub state_ref: Option<String>,
    pub duration_seconds: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changes: Option<Changes>,
    /// Whether it became healthy, where that was looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health: Option<Health>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// It was not run: this run has deployed it before.
    #[serde(skip_serializing_if = "is_false")]
    pub already_deployed: bool,
    /// The keys of the context that are overridden for it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub overridden: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notice: Option<String>,
    /// What it has put out, without what is or may be sensitive.
    #[serde(skip_serializing_if = "Values::is_empty")]
    pub outputs: Values,
}

impl From<&RolloutReport> for RolloutResult {
    fn from(report: &RolloutReport) -> Self {
        let (promoted_from, rolled_back_to) = match &report.kind {
            RolloutKind::Deploy => (None, None),
            RolloutKind::Promotion { from } => (Some(from.clone()), None),
            RolloutKind::Rollback { to } => (None, Some(to.clone())),
        };
        Self {
            deployment: report.deployment.clone(),
            target: report.target.clone(),
            result: report.result,
            dry_run: report.dry_run,
            promoted_from,
            rolled_back_to,
            approval: report.approval.as_ref().map(|approval| Approval {
                method: approval.method,
                approved_by: approval.approved_by.clone(),
                approved_at: approval.approved_at,
                reason: approval.reason.clone(),
                of: approval.of,
            }),
            digest: report.digest.clone(),
            partial: report.partial,
            would_be_refused: report.would_be_refused.clone(),
            components: report
                .components
                .iter()
                .map(|component| RolloutComponent::new(report, component))
                .collect(),
            duration_seconds: report.duration.as_secs_f64(),
            unpublished: report.unpublished,
            ledger_error: report.ledger_error.clone(),
            next: Vec::new(),
        }
    }
}

impl RolloutResult {
    /// Adds the hints for the next steps.
    #[must_use]
    pub fn followed_by(self, next: Vec<Hint>) -> Self {
        Self { next, ..self }
    }
}

impl RolloutComponent {
    fn new(report: &RolloutReport, component: &ComponentReport) -> Self {
        let moved = component.status == ComponentResult::Success && component.record.is_some();
        Self {
            component: component.component.clone(),
            kind: component.kind,
            previous_commit: component.previous_commit.clone(),
            commit: component.commit.clone(),
            rollback_of: component.rollback_of.clone(),
            status: component.status,
            record: component.record.as_ref().map(crate::deployment::RecordId::tag_name),
            state_ref: moved
                .then(|| ref_names::state_ref(&report.deployment, &report.target, &component.component)),
            duration_seconds: component.duration.as_secs_f64(),
            changes: component.changes,
            health: component.health.clone(),
            error: component.error.clone(),
            already_deployed: component.already_deployed,
            overridden: component.overridden.clone(),
            notice: component.notice.clone(),
            outputs: component.outputs.clone(),
        }
    }
}
