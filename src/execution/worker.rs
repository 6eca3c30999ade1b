//! The worker: runs one component and hands its record to the publisher.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Instant;

use tokio::sync::oneshot;

use crate::cancellation::Cancellation;
use crate::component::{self, ComponentResult as Done, Masks, Mode, Notice, Stream};
use crate::deployment::health::HealthStatus;
use crate::deployment::record::{Record, RecordDetails, RecordStatus};
use crate::deployment::rollout_plan::ComponentPlan;
use crate::deployment::rollout_report::{ComponentReport, ComponentResult, RolloutEvent, RolloutKind};
use crate::deployment::{CommitId, ComponentName};
use crate::ledger::failpoint;
use crate::scheduler::{Execution, Executor, Slot};
use crate::text::error_chain;

use super::gate::Passage;
use super::job::{Job, OwnOutputs};
use super::log_tail::LogTail;
use super::publisher::Message;
use super::run_error::RunError;
use super::shared::Shared;
use super::{EventSink, Rollout, StartError, Unrecorded, outputs, report as report_of};

/// The output of a component while it runs.
#[derive(Debug, Default)]
struct Heard {
    tail: LogTail,
    /// Masks for secrets.
    masks: Masks,
    /// Masks for its input values.
    values: Masks,
}

/// The report of a component that has ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) report: ComponentReport,
}

/// The executor of one rollout's components.
pub(super) struct Worker {
    shared: Arc<Shared>,
    unrecorded: Unrecorded,
}

impl Worker {
    /// # Errors
    ///
    /// [`StartError::Scratch`].
    pub(super) fn new(
        rollout: Rollout,
        checkouts: BTreeMap<CommitId, PathBuf>,
        records: Option<mpsc::Sender<Message>>,
        passage: Passage,
        events: EventSink,
        unrecorded: Unrecorded,
    ) -> Result<Self, StartError> {
        let shared = Arc::new(Shared::new(rollout, checkouts, records, passage, events)?);
        Ok(Self { shared, unrecorded })
    }
}

impl Executor<Ended, Ended> for Worker {
    fn execute(
        &self,
        component: ComponentName,
        slot: Slot,
        cancellation: Cancellation,
    ) -> impl Future<Output = Execution<Ended, Ended>> + Send {
        let (shared, unrecorded) = (Arc::clone(&self.shared), Arc::clone(&self.unrecorded));
        async move { shared.execute(component, slot, cancellation, &unrecorded).await }
    }
}

impl Shared {
    async fn execute(
        &self,
        component: ComponentName,
        slot: Slot,
        cancellation: Cancellation,
        unrecorded: &Unrecorded,
    ) -> Execution<Ended, Ended> {
        let Some(plan) = self.planned(&component) else {
            // Unreachable: the graph consists of the plan's components.
            return Execution::Cancelled;
        };
        if let Err(reason) = self.passage.pass(&cancellation).await {
            let error = Some(reason);
            let report = ComponentReport { error, ..report_of(plan, ComponentResult::Skipped) };
            (self.events)(RolloutEvent::ComponentFinished(report.clone()));
            return Execution::Failed(Ended { report });
        }
        (self.events)(RolloutEvent::ComponentStarted { component: component.clone(), kind: plan.kind });
        let began = Instant::now();
        let heard = Arc::new(Mutex::new(Heard::default()));
        let result = self.run(plan, &cancellation, &heard).await;
        let heard = std::mem::take(&mut *heard.lock().unwrap_or_else(PoisonError::into_inner));
        if result.is_ok() {
            slot.free();
        }
        failpoint("applied");
        let mut report = self.report(plan, &result, &heard);
        report.duration = began.elapsed();
        (self.events)(RolloutEvent::ComponentFinished(report.clone()));
        let kept = self.hand_over(plan, &report, &result, &heard.values).await;
        if let Ok(done) = result {
            let mut outputs = self.outputs.lock().unwrap_or_else(PoisonError::into_inner);
            outputs.insert(component.clone(), done.outputs);
        }
        match report.status {
            ComponentResult::Success if !kept => {
                // The component has succeeded without a durable record. Reported as failed to the
                // scheduler, so that its dependents do not start.
                unrecorded.lock().unwrap_or_else(PoisonError::into_inner).insert(component);
                Execution::Failed(Ended { report })
            }
            ComponentResult::Success | ComponentResult::Planned => Execution::Succeeded(Ended { report }),
            _ => Execution::Failed(Ended { report }),
        }
    }

    async fn run(
        &self,
        plan: &ComponentPlan,
        cancellation: &Cancellation,
        heard: &Arc<Mutex<Heard>>,
    ) -> Result<Done, RunError> {
        let (events, listener) = (Arc::clone(&self.events), Arc::clone(heard));
        let component = plan.component.clone();
        let log = move |stream: Stream, line: &str| {
            listener.lock().unwrap_or_else(PoisonError::into_inner).tail.push(line);
            let (component, line) = (component.clone(), line.to_owned());
            let is_error = stream == Stream::Stderr;
            events(RolloutEvent::ComponentOutput { component, line, is_error });
        };
        let job = Job::new(self, plan, &log, cancellation)?;
        let prepared = match job.prepare().await {
            Ok(prepared) => prepared,
            Err(error) => {
                let not_yet = error.lacks_outputs_of().filter(|component| self.is_planned(component));
                let notice = match not_yet {
                    _ if self.rollout.mode != Mode::Plan => return Err(error),
                    Some(component) => Notice::NotPlannedBefore { component: component.clone() },
                    None if error.lacks_surroundings() => {
                        Notice::NotPlannedHere { reason: error_chain(&error) }
                    }
                    None => return Err(error),
                };
                let notices = vec![notice];
                return Ok(Done { notices, ..Done::default() });
            }
        };
        {
            let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
            heard.values = prepared.values();
            heard.masks = prepared.masks().clone();
        }
        // Rendered first: a mistake in the health check should fail before anything is applied.
        let mut check = match job.health_check(OwnOutputs::NotYet).await {
            Err(error)
                if self.rollout.mode == Mode::Plan
                    && (error.lacks_outputs_of().is_some() || error.lacks_surroundings()) =>
            {
                None
            }
            check => check?,
        };
        let run = job.component_run(&prepared);
        let mut done = component::run(run).await.map_err(RunError::Component)?;
        if self.rollout.mode == Mode::Plan {
            return Ok(done);
        }
        if check.is_none() {
            check = job.health_check(OwnOutputs::Are(&done.outputs)).await?;
        }
        if let Some(check) = check {
            let health = component::wait_until_healthy(run, &check).await.map_err(RunError::Health)?;
            if check.required && health.status != HealthStatus::Healthy {
                return Err(RunError::Unhealthy { health, waited: check.timeout });
            }
            done.health = Some(health);
        }
        Ok(done)
    }

    fn report(
        &self,
        plan: &ComponentPlan,
        result: &Result<Done, RunError>,
        heard: &Heard,
    ) -> ComponentReport {
        let status = match (result, self.rollout.mode) {
            (Ok(_), Mode::Plan) => ComponentResult::Planned,
            (Ok(_), Mode::Apply) => ComponentResult::Success,
            (Err(RunError::Component(error) | RunError::Health(error)), _) if error.is_cancelled() => {
                ComponentResult::Cancelled
            }
            (Err(_), _) => ComponentResult::Failed,
        };
        let done = result.as_ref().ok();
        let notices: Vec<_> = done.iter().flat_map(|done| &done.notices).map(ToString::to_string).collect();
        ComponentReport {
            component: plan.component.clone(),
            kind: plan.kind,
            previous_commit: plan.previous_commit.clone(),
            commit: plan.commit.clone(),
            rollback_of: plan.rollback_of.clone().filter(|_| plan.goes_back()),
            status,
            record: None,
            duration: std::time::Duration::ZERO,
            changes: done.and_then(|done| done.changes),
            health: match result {
                Ok(done) => done.health.clone(),
                Err(RunError::Unhealthy { health, .. }) => Some(health.clone()),
                Err(_) => None,
            },
            error: result.as_ref().err().map(|error| error_chain(error)),
            reason: result.as_ref().err().map(RunError::reason).unwrap_or_default(),
            already_deployed: false,
            overridden: self
                .rollout
                .overrides
                .get(&plan.component)
                .map(|overrides| overrides.iter().map(|(key, _)| key.to_owned()).collect())
                .unwrap_or_default(),
            notice: (!notices.is_empty()).then(|| notices.join("; ")),
            outputs: done
                .map(|done| outputs::shown(&done.outputs, plan.kind, &self.rollout.redacted, &heard.masks))
                .unwrap_or_default(),
            log: if status == ComponentResult::Failed { heard.tail.lines() } else { Vec::new() },
        }
    }

    /// Sends the record to the publisher. If dependents wait for the component, waits until the
    /// record is durable; `false` if it could not be made durable.
    async fn hand_over(
        &self,
        plan: &ComponentPlan,
        report: &ComponentReport,
        result: &Result<Done, RunError>,
        values: &Masks,
    ) -> bool {
        let Some(records) = &self.records else { return true };
        let status = match report.status {
            ComponentResult::Success => RecordStatus::Success,
            ComponentResult::Cancelled => RecordStatus::Cancelled,
            _ => RecordStatus::Failed,
        };
        let record = self.record(plan, status, report, result, values);
        let awaited = status == RecordStatus::Success && self.awaited.contains(&plan.component);
        let (sender, receiver) = oneshot::channel();
        let message = Message::Ended { record: Box::new(record), kept: awaited.then_some(sender) };
        if records.lock().unwrap_or_else(PoisonError::into_inner).send(message).is_err() {
            return false;
        }
        if awaited { receiver.await.unwrap_or(false) } else { true }
    }

    fn record(
        &self,
        plan: &ComponentPlan,
        status: RecordStatus,
        report: &ComponentReport,
        result: &Result<Done, RunError>,
        values: &Masks,
    ) -> Record {
        let done = result.as_ref().ok();
        let rollout = &self.rollout;
        let promoted_from = match &rollout.plan.kind {
            RolloutKind::Promotion { from } => Some(from.clone()),
            RolloutKind::Deploy | RolloutKind::Rollback { .. } => None,
        };
        let given = rollout.recorded.get(&plan.component).cloned().unwrap_or_default();
        let mut metadata = rollout.metadata.clone();
        if plan.trusts_state {
            metadata.insert("source_state".to_owned(), "trusted".to_owned());
        }
        let mut details = RecordDetails {
            error: result.as_ref().err().filter(|_| rollout.keeps_errors).map(|error| error.recorded(values)),
            duration_seconds: Some(report.duration.as_secs()),
            run_url: rollout.provenance.run_url.clone(),
            digest: given.digest,
            rules: rollout.provenance.rules.clone(),
            reason: rollout.provenance.reason.clone(),
            workspace: given.workspace,
            stack: given.stack,
            ..RecordDetails::default()
        };
        if let Some((id, approval)) = &rollout.provenance.approval
            && approval.components.iter().any(|covered| covered.component == plan.component)
        {
            metadata.insert("approver".to_owned(), approval.approved_by.clone());
            metadata.insert("approval_timestamp".to_owned(), approval.approved_at.to_string());
            details.approvals = vec![id.clone()];
            details.approvals_of = approval.of.map(|of| of.as_str().to_owned());
            details.reason = details.reason.or_else(|| approval.reason.clone());
        }
        Record {
            deployment: rollout.plan.deployment.clone(),
            target: rollout.plan.target.clone(),
            component: plan.component.clone(),
            component_type: Some(plan.kind),
            deployed_by: Some(rollout.deployed_by.clone()),
            build_id: rollout.build_ids.get(&plan.component).or(plan.build_id.as_ref()).cloned(),
            commit: plan.commit.clone(),
            // The session sets the time, the number and the predecessor when it writes the record.
            timestamp: jiff::Timestamp::UNIX_EPOCH,
            status,
            promoted_from,
            promoted_at: None,
            rollback_of: plan.rollback_of.clone(),
            previous: None,
            run_id: Some(rollout.run_id.clone()),
            artifacts: done.map(|done| done.artifacts.clone()).unwrap_or_default(),
            sources: given.sources,
            context_overrides: given.context_overrides,
            metadata,
            details,
            unknown: serde_json::Map::new(),
        }
    }
}
