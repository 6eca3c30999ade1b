//! The command of one job: its inputs as a verb, which is run and reported.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use super::trust::RequestedVerb;
use super::{fan_in, trust};
use crate::cancellation::Cancellation;
use crate::ci::{Activity, Job};
use crate::cli::deployment::{DeploymentArgs, Verb, rollout, run_verb};
use crate::context::{Context, signals};
use crate::deployment::rollout_report::RolloutEvent;
use crate::error::CommandError;
use crate::execution::EventSink;
use crate::provider::Token;
use crate::render::stream::Copied;
use crate::report::{Ending, Log, Notices, Outcome, Reports, Seen, Subject, Switches, hand_on};
use crate::rollout::Surroundings;

/// A job with its parsed inputs.
pub(super) struct CiCommand {
    /// The job's own working directory.
    pub(super) home: PathBuf,
    pub(super) context: Arc<Context>,
    pub(super) job: Option<Arc<Job>>,
    pub(super) verb: String,
    pub(super) arguments: DeploymentArgs,
    /// The subject of the reports, if any.
    pub(super) subject: Option<Subject>,
    pub(super) switches: Switches,
    /// Whether an input explicitly enables a report.
    pub(super) wants_reports: bool,
    /// The workflow to start after a successful rollout.
    pub(super) dispatch: Option<String>,
    pub(super) token: Option<Token>,
    pub(super) copied: Copied,
}

impl CiCommand {
    /// Runs the verb and reports its outcome.
    pub(super) fn execute(&self) -> ExitCode {
        let mut notices = Notices::default();
        let (outcome, reports) = match &self.arguments.verb {
            Verb::Rollout(args) => {
                let cancellation = signals::cancellation(&self.context);
                let reports = self.reports(&mut notices);
                let outcome = self.rollout(args, cancellation, reports.as_ref());
                if let Some(reports) = &reports {
                    reports.ended(&outcome);
                }
                (outcome, reports)
            }
            verb => {
                let reports = self.reports(&mut notices);
                let mut seen = Seen::default();
                let result = self.other(verb, reports.as_deref(), &mut seen);
                (self.outcome(result, seen), reports)
            }
        };
        let code = outcome.show(&self.context);
        if let (Some(reports), Some(workflow), Ending::Success) = (&reports, &self.dispatch, outcome.ending())
        {
            reports.start_next(workflow, &outcome);
        }
        let overview = self.overview(reports.as_deref(), &outcome, &mut notices);
        if let Some(reports) = &reports {
            if let Some(overview) = overview.as_ref().filter(|_| reports.wants_a_comment()) {
                self.comment(reports, overview, &mut notices);
            }
            notices.extend(reports.close(outcome.ending()));
        }
        hand_on(&self.context, self.job.as_deref(), &self.home, &outcome, overview.as_ref(), notices);
        code
    }

    fn rollout(
        &self,
        args: &rollout::Args,
        cancellation: Cancellation,
        reports: Option<&Arc<Reports>>,
    ) -> Outcome {
        let seen = Arc::new(Mutex::new(Seen::default()));
        let surroundings =
            Surroundings { events: self.events(&seen, reports), cancellation, token: self.token.clone() };
        let trusted = self.check_trust();
        let result = trusted.and_then(|()| crate::rollout::run(&args.options(), &self.context, surroundings));
        let seen = seen.lock().unwrap_or_else(PoisonError::into_inner).clone();
        self.outcome(result, seen)
    }

    /// Runs a verb other than a rollout. With a report on a target, the exit code tells whether the
    /// target is complete.
    fn other(
        &self,
        verb: &Verb,
        reports: Option<&Reports>,
        seen: &mut Seen,
    ) -> Result<ExitCode, CommandError> {
        let trusted = self.check_trust();
        let (Verb::Status(args), Some(Subject { deployment, target: Some(target), .. })) =
            (verb, &self.subject)
        else {
            return trusted.and_then(|()| run_verb(verb, &self.context));
        };
        if let Err(error) = trusted {
            fan_in::report_failure(reports, target, &error);
            return Err(error);
        }
        fan_in::run(args, &self.context, reports, (deployment, target), seen)
    }

    fn check_trust(&self) -> Result<(), CommandError> {
        let Some(job) = &self.job else { return Ok(()) };
        let verb = &self.arguments.verb;
        // The commit's own declaration of the target decides the report.
        let reports = matches!(verb, Verb::Status(_)) && self.switches.any();
        let activity = if reports { Activity::Acts } else { verb.activity() };
        let requested = RequestedVerb { verb: &self.verb, activity, revision: verb.revision() };
        trust::check(&self.context, job, &requested)
    }

    fn outcome(&self, result: Result<ExitCode, CommandError>, rollout: Seen) -> Outcome {
        Outcome {
            verb: Some(self.verb.clone()),
            result,
            stdout: self.copied.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            document: self.context.last_document(),
            rollout,
            only: self
                .subject
                .iter()
                .flat_map(|subject| &subject.components)
                .map(ToString::to_string)
                .collect(),
        }
    }

    /// The sink of a rollout's events: the log and the reports.
    fn events(&self, seen: &Arc<Mutex<Seen>>, reports: Option<&Arc<Reports>>) -> EventSink {
        let log = Log::new(&self.context, self.job.as_ref().map(|job| job.system));
        let (seen, reports) = (Arc::clone(seen), reports.cloned());
        Arc::new(move |event: RolloutEvent| {
            log.show(&event);
            if let (Some(reports), RolloutEvent::Planned(planned)) = (&reports, &event) {
                reports.planned(planned);
            }
            seen.lock().unwrap_or_else(PoisonError::into_inner).take(event);
        })
    }
}
