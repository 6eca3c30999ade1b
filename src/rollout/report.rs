//! The output of a rollout: progress, result, exit code.

use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use super::command::RolloutCommand;
use super::decide::Decided;
use super::digest::Digests;
use super::gather::Gathered;
use crate::context::Context;
use crate::deployment::ComponentName;
use crate::deployment::approval::Approval;
use crate::deployment::count::{count, count_are};
use crate::deployment::definition::ApprovalMethod;
use crate::deployment::digest::Digest;
use crate::deployment::observation::Observation;
use crate::deployment::promotable::LeftOut;
use crate::deployment::rollout_plan::{ComponentPlan, RolloutPlan};
use crate::deployment::rollout_report::RolloutKind;
use crate::deployment::rollout_report::{
    self, ComponentReport, ComponentResult, PlannedComponent, PlannedRollout, PlannedState, RolloutEvent,
    RolloutReport, RolloutResult, WouldBeRefused,
};
use crate::error::{CommandError, exit};
use crate::execution::{EventSink, RolloutOutcome};
use crate::ledger::{LedgerError, Observed, Snapshot};
use crate::render;
use crate::render::document::Format;
use crate::render::document::error::Hint;
use crate::render::document::rollout_event;
use crate::render::live::Live;
use crate::render::rollout::Progress;

/// An event sink that prints progress to stderr; on a terminal, with a
/// live view of running components.
///
/// With JSON output, events are JSON documents, one a line.
pub(super) fn event_sink(context: &Context) -> EventSink {
    let streams = context.progress_streams();
    if context.global().format == Format::Json {
        let began = Instant::now();
        return Arc::new(move |event| {
            match rollout_event::RolloutEvent::new(&event, began.elapsed()).line() {
                Ok(line) => streams.note(&line),
                Err(error) => tracing::warn!(%error, "an event cannot be written"),
            }
        });
    }
    let terminal = streams.stderr_is_terminal();
    let form = if terminal { render::Form::Terminal } else { render::Form::Pipe };
    let live = (terminal && !context.global().quiet).then(Live::default);
    let progress = Mutex::new((Progress::new(form, context.global().verbose), live));
    let clock = context.clock();
    Arc::new(move |event: RolloutEvent| {
        let mut progress = progress.lock().unwrap_or_else(PoisonError::into_inner);
        let (progress, live) = &mut *progress;
        let lines = progress.lines(&event, &clock);
        let Some(live) = live else { return streams.note(&lines) };
        live.show(&event);
        if !lines.is_empty() {
            live.out_of_the_way(|| streams.note(&lines));
        }
    })
}

impl RolloutCommand<'_, '_> {
    /// Announces the plan, once.
    pub(super) fn announce(
        &self,
        decided: &Decided,
        gathered: &Gathered,
        snapshot: &Snapshot,
        dry_run: bool,
    ) {
        let plan = &decided.plan;
        let alone = &decided.trusted.alone;
        // A plan that was announced while waiting for locks is announced again if it has changed.
        if self.said_alone.replace(alone.clone()) != *alone
            && let Some(alone) = alone
        {
            self.context.warn(&alone.to_string());
        }
        if self.announced.replace(Some(plan.clone())).as_ref() == Some(plan) {
            return;
        }
        for LeftOut { component, reason } in &plan.left_out {
            self.context.warn(&format!("{component} is left out: {reason}"));
        }
        if plan.partial {
            self.context.warn("the promotion is partial: part of what runs on the source stays behind");
        }
        for component in plan.components.iter().filter(|planned| planned.trusts_state) {
            let (name, commit) = (&component.component, component.commit.short());
            self.context.warn(&format!(
                "no record says that {name} runs {commit} on the source; --trust-state is recorded"
            ));
        }
        if plan.promotion_check_skipped {
            self.context.warn("the promotion path does not allow this; --skip-promotion-check is recorded");
        }
        self.say_overrides(plan, gathered, snapshot);
        if dry_run {
            self.say_what_is_not_fixed(gathered);
        }
        let component = |plan: &ComponentPlan| PlannedComponent {
            component: plan.component.clone(),
            kind: plan.kind,
            previous_commit: plan.previous_commit.clone(),
            commit: plan.commit.clone(),
            goes_back: plan.goes_back(),
            deployed_at: plan.source_deployed_at,
            waits_for: decided.plan.needs.needs(&plan.component).cloned().collect(),
            state: gathered.digests.components.get(&plan.component).and_then(|inputs| {
                Some(PlannedState {
                    workspace: inputs.workspace.clone()?,
                    stack: inputs.stack.clone()?,
                    location: inputs.state.clone(),
                })
            }),
        };
        (self.events)(RolloutEvent::Planned(PlannedRollout {
            deployment: plan.deployment.clone(),
            target: plan.target.clone(),
            kind: plan.kind.clone(),
            dry_run,
            approval: plan.approval,
            digest: gathered.digests.plan.to_string(),
            partial: plan.partial,
            would_be_refused: if self.options.plan { self.would_be_refused(plan) } else { Vec::new() },
            components: plan.components.iter().map(component).collect(),
        }));
    }

    /// Overrides are never promoted: warns about components that would lose theirs.
    fn say_overrides(&self, plan: &RolloutPlan, gathered: &Gathered, snapshot: &Snapshot) {
        let state = snapshot.deployment(&plan.deployment);
        let source = match &plan.kind {
            RolloutKind::Promotion { from } => Some(from),
            RolloutKind::Deploy | RolloutKind::Rollback { .. } => None,
        };
        let sides = || source.into_iter().chain([&plan.target]);
        for (planned, at) in plan.components.iter().flat_map(|planned| sides().map(move |at| (planned, at))) {
            let running = state.component(at, &planned.component);
            let Some(running) = running.and_then(|state| state.running.as_ref()) else { continue };
            let stays = gathered.digests.components.get(&planned.component);
            let stays = |key: &str, value: &String| {
                stays.is_some_and(|digest| digest.context_overrides.get(key) == Some(value))
            };
            let gone = running.record.context_overrides.iter().filter(|(key, value)| !stays(key, value));
            let gone: Vec<_> = gone.map(|(key, value)| format!("{key}={value}")).collect();
            if !gone.is_empty() {
                let (component, gone) = (&planned.component, gone.join(", "));
                self.context.warn(&if *at == plan.target {
                    format!("{component} runs with --context {gone}, which goes away")
                } else {
                    format!("{component} runs with --context {gone} on {at}, which does not travel")
                });
            }
        }
    }

    /// Warnings about inputs that the digest of a plan cannot bind.
    fn say_what_is_not_fixed(&self, gathered: &Gathered) {
        let list = |names: &[ComponentName]| names.iter().map(AsRef::as_ref).collect::<Vec<_>>().join(", ");
        let Digests { unbuilt, without_lock_file, .. } = &gathered.digests;
        if !unbuilt.is_empty() {
            self.context.warn(&format!(
                "images are not built yet, so this plan can be neither approved nor passed as --digest: {}",
                list(unbuilt)
            ));
        }
        if !without_lock_file.is_empty() {
            self.context.streams().note(&format!(
                "  Without a lock file in the commit, the versions of providers are not part of the digest: {}\n",
                list(without_lock_file)
            ));
        }
    }

    /// Stores the health of the deployed components as notes. A failed write is a warning.
    pub(super) fn note_health(&self, plan: &RolloutPlan, outcome: &RolloutOutcome) {
        let checked_at = self.prepared.ledger.now();
        let observation = |component: &ComponentReport| {
            let (target, finding) = (plan.target.clone(), component.health.clone()?);
            let observation =
                Observation { target, component: component.component.clone(), checked_at, finding };
            Some((component.commit.clone(), observation))
        };
        // A component that failed its health check is not recorded as running.
        let ended = outcome.components.iter().filter(|report| report.status == ComponentResult::Success);
        let observed = Observed { health: ended.filter_map(observation).collect(), drift: Vec::new() };
        if let Err(error) = self.prepared.ledger.note_observations(&plan.deployment, &observed) {
            self.context.warn(&format!("the health of what was rolled out is not noted: {error}"));
        }
    }

    /// Temporary refusals of a plan.
    pub(super) fn would_be_refused(&self, plan: &RolloutPlan) -> Vec<WouldBeRefused> {
        let refused = |obstacle| {
            let refusal = self.prepared.refusal(obstacle, self.context);
            let error = refusal.shown()?;
            Some(WouldBeRefused { code: error.code.clone(), message: error.message.clone() })
        };
        plan.obstacles.iter().filter_map(refused).collect()
    }

    /// Prints the result and returns the exit code.
    pub(super) fn finish(
        &self,
        plan: &RolloutPlan,
        digest: &Digest,
        approval: Option<&Approval>,
        outcome: RolloutOutcome,
        log_is_noted: bool,
    ) -> Result<ExitCode, CommandError> {
        let succeeded = outcome.succeeded();
        let result = match (outcome.cancelled && !succeeded, succeeded) {
            (true, _) => RolloutResult::Cancelled,
            (false, true) => RolloutResult::Success,
            (false, false) => RolloutResult::Failed,
        };
        let report = RolloutReport {
            deployment: plan.deployment.clone(),
            target: plan.target.clone(),
            kind: plan.kind.clone(),
            dry_run: self.options.plan,
            result,
            approval: approval.map(shown),
            digest: digest.to_string(),
            partial: plan.partial,
            would_be_refused: if self.options.plan { self.would_be_refused(plan) } else { Vec::new() },
            components: outcome.components,
            duration: outcome.duration,
            unpublished: outcome.unpublished,
            ledger_error: outcome.failure.as_ref().map(ToString::to_string),
        };
        for folder in &outcome.kept {
            self.context.streams().note(&format!("  Kept for a look: {}\n", folder.display()));
        }
        (self.events)(RolloutEvent::Finished(report.clone()));
        // The error has the remedy for unpublished records.
        let next =
            if outcome.failure.is_none() { self.next_steps(&report, log_is_noted) } else { Vec::new() };
        let document = render::document::rollout::RolloutResult::from(&report).followed_by(next);
        self.context.print(&document, render::rollout::text)?;
        if self.context.global().format == Format::Table {
            self.context.streams().note(&render::error::hints(&document.next));
        }
        for warning in &outcome.warnings {
            self.context.warn(warning);
        }
        if self.context.global().verbose && outcome.pushes > 0 {
            let records = count(outcome.recorded, "record");
            self.context.streams().note(&format!("  Recorded: {records} (pushes: {})\n", outcome.pushes));
        }
        let code = match (result, outcome.failure) {
            (RolloutResult::Cancelled, Some(failure)) => {
                let error = self.not_published(plan, outcome.unpublished, failure);
                return Err(error.exits_with(exit::INTERRUPTED));
            }
            (RolloutResult::Cancelled, None) => exit::INTERRUPTED,
            (_, Some(failure)) => return Err(self.not_published(plan, outcome.unpublished, failure)),
            (RolloutResult::Success, None) => return Ok(ExitCode::SUCCESS),
            (RolloutResult::Failed | RolloutResult::Refused, None) => exit::FAILED,
        };
        Ok(ExitCode::from(code))
    }

    /// The error for unpublished records, or for components that were
    /// cancelled because the locks were lost.
    fn not_published(&self, plan: &RolloutPlan, kept: usize, failure: LedgerError) -> CommandError {
        if kept == 0 {
            return CommandError::from(failure).after_document();
        }
        let remote = self.prepared.ledger.remote().unwrap_or("the remote");
        let records = count_are(kept, "record");
        let message = format!("{records} not published: {failure}");
        let (kept, next) = if failure.is_of_this_checkout() {
            (
                format!(
                    "The error is one of this checkout: {records} kept under refs/atmos/pending, and may be on {remote} \
                     already."
                ),
                "When this checkout can be used again, the next command publishes what is kept, for example",
            )
        } else {
            (
                format!(
                    "What has run is recorded here alone: {records} kept in this repository under refs/atmos/pending and \
                     not on {remote} yet."
                ),
                "The next command that reaches the remote publishes what is kept, for example",
            )
        };
        CommandError::from(failure)
            .message(message)
            .details([kept])
            .hint(Hint::command(
                next,
                format!("atmos deployment status {} --target {}", plan.deployment, plan.target),
            ))
            .after_document()
    }
}

/// The approval for the report.
pub(super) fn shown(approval: &Approval) -> rollout_report::Approval {
    rollout_report::Approval {
        method: ApprovalMethod::parse(&approval.method).unwrap_or_default(),
        approved_by: approval.approved_by.clone(),
        approved_at: approval.approved_at,
        reason: approval.reason.clone(),
        of: approval.of,
    }
}
