//! The events of a running rollout: JSON documents, one per line.

use std::time::Duration;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::{Document, DocumentError, Envelope};
use crate::deployment::definition::ApprovalMethod;
use crate::deployment::health::Health;
use crate::deployment::rollout_report::{
    self, Changes, ComponentReport, ComponentResult, PlannedComponent, RolloutResult,
};
use crate::deployment::{CommitId, ComponentKind, ComponentName, DeploymentName, TargetName};

/// One thing that happened in a rollout. Which of the keys are there depends on `event`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, JsonSchema)]
pub struct RolloutEvent {
    pub event: EventName,
    /// Since the command began.
    pub elapsed_seconds: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deployment: Option<DeploymentName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<TargetName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dry_run: Option<bool>,
    /// What is going to be rolled out, in the order of the dependencies.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub components: Vec<EventComponent>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub component: Option<ComponentName>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<ComponentKind>,
    /// What a component's tool printed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<String>,
    /// Whether it came on stderr.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_error: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<ComponentResult>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_seconds: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changes: Option<Changes>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health: Option<Health>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notice: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approval_method: Option<ApprovalMethod>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approved_by: Option<String>,
    /// Who holds the lock that is waited for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub holder: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// The processes that a killed run has left at work.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub processes: Vec<u32>,
    /// How many records: that have arrived, or are kept here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub records: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<RolloutResult>,
}

impl Document for RolloutEvent {
    const KIND: &'static str = "RolloutEvent";
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EventName {
    #[default]
    Planned,
    ApprovalRequested,
    Approved,
    LockWaiting,
    LeftAtWork,
    LockAcquired,
    ComponentStarted,
    ComponentOutput,
    ComponentFinished,
    Published,
    PublicationDeferred,
    Finished,
}

/// A component that is going to be rolled out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct EventComponent {
    pub component: ComponentName,
    #[serde(rename = "type")]
    pub kind: ComponentKind,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous_commit: Option<CommitId>,
    pub commit: CommitId,
    /// The components that it waits for.
    pub waits_for: Vec<ComponentName>,
    /// The terraform workspace, if its stacks say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workspace: Option<String>,
    /// The stack that it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stack: Option<String>,
    /// The backend, and the key of the terraform state in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
}

impl From<&PlannedComponent> for EventComponent {
    fn from(planned: &PlannedComponent) -> Self {
        Self {
            component: planned.component.clone(),
            kind: planned.kind,
            previous_commit: planned.previous_commit.clone(),
            commit: planned.commit.clone(),
            waits_for: planned.waits_for.clone(),
            workspace: planned.state.as_ref().map(|state| state.workspace.clone()),
            stack: planned.state.as_ref().map(|state| state.stack.clone()),
            state: planned.state.as_ref().and_then(|state| state.location.clone()),
        }
    }
}

impl RolloutEvent {
    /// An event, with the time since the start of the rollout.
    #[must_use]
    pub fn new(event: &rollout_report::RolloutEvent, elapsed: Duration) -> Self {
        use rollout_report::RolloutEvent as Happened;
        let of = |event| Self { event, elapsed_seconds: elapsed.as_secs_f64(), ..Self::default() };
        match event {
            Happened::Planned(plan) => Self {
                deployment: Some(plan.deployment.clone()),
                target: Some(plan.target.clone()),
                dry_run: Some(plan.dry_run),
                components: plan.components.iter().map(EventComponent::from).collect(),
                ..of(EventName::Planned)
            },
            Happened::ApprovalRequested { method, .. } => {
                Self { approval_method: Some(*method), ..of(EventName::ApprovalRequested) }
            }
            Happened::Approved(approval) => Self {
                approval_method: Some(approval.method),
                approved_by: Some(approval.approved_by.clone()),
                ..of(EventName::Approved)
            },
            Happened::LockWaiting { holder, run_id, since } => Self {
                holder: Some(holder.clone()),
                run_id: Some(run_id.clone()),
                since: Some(*since),
                ..of(EventName::LockWaiting)
            },
            Happened::LeftAtWork { run_id, processes, since } => Self {
                run_id: Some(run_id.clone()),
                processes: processes.clone(),
                since: *since,
                ..of(EventName::LeftAtWork)
            },
            Happened::LockAcquired => of(EventName::LockAcquired),
            Happened::ComponentStarted { component, kind } => Self {
                component: Some(component.clone()),
                kind: Some(*kind),
                ..of(EventName::ComponentStarted)
            },
            Happened::ComponentOutput { component, line, is_error } => Self {
                component: Some(component.clone()),
                line: Some(line.clone()),
                is_error: Some(*is_error),
                ..of(EventName::ComponentOutput)
            },
            Happened::ComponentFinished(report) => Self::finished(report, of(EventName::ComponentFinished)),
            Happened::Published { records } => Self { records: Some(*records), ..of(EventName::Published) },
            Happened::PublicationDeferred { records, reason, .. } => Self {
                records: Some(*records),
                error: Some(reason.clone()),
                ..of(EventName::PublicationDeferred)
            },
            Happened::Finished(report) => Self {
                result: Some(report.result),
                records: Some(report.unpublished).filter(|unpublished| *unpublished > 0),
                error: report.ledger_error.clone(),
                duration_seconds: Some(report.duration.as_secs_f64()),
                ..of(EventName::Finished)
            },
        }
    }

    fn finished(report: &ComponentReport, base: Self) -> Self {
        Self {
            component: Some(report.component.clone()),
            kind: Some(report.kind),
            status: Some(report.status),
            duration_seconds: Some(report.duration.as_secs_f64()),
            changes: report.changes,
            health: report.health.clone(),
            error: report.error.clone(),
            notice: report.notice.clone(),
            ..base
        }
    }

    /// The event as a line of JSON.
    pub fn line(&self) -> Result<String, DocumentError> {
        let mut line = serde_json::to_string(&Envelope::new(self))?;
        line.push('\n');
        Ok(line)
    }
}
