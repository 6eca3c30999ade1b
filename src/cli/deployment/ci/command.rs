//! One job: its inputs as a verb, run and reported on.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use super::inputs::Inputs;
use super::request::Request;
use super::trust::RequestedVerb;
use super::{fan_in, switches, trust, verb_environment};
use crate::cancellation::Cancellation;
use crate::ci::{Activity, Job, System};
use crate::cli::deployment::{DeploymentArgs, Verb, rollout, run_verb};
use crate::context::flags::GlobalArgs;
use crate::context::{Context, Inner, signals};
use crate::deployment::rollout_report::RolloutEvent;
use crate::error::CommandError;
use crate::execution::EventSink;
use crate::project::platform;
use crate::provider::Token;
use crate::render::stream::Copied;
use crate::report::{
    Ending, Log, Notices, Outbox, Outcome, Overview, OverviewSource, Reports, Seen, Subject, Switches,
    hand_on,
};
use crate::rollout::Surroundings;

/// A job that knows what it is asked for.
pub(super) struct CiCommand {
    /// Where the job runs.
    home: PathBuf,
    context: Arc<Context>,
    job: Option<Arc<Job>>,
    verb: String,
    arguments: DeploymentArgs,
    /// What is reported on, where something is.
    subject: Option<Subject>,
    switches: Switches,
    /// The job asks for a report by name.
    wants_reports: bool,
    /// The workflow to start when the rollout has succeeded.
    dispatch: Option<String>,
    token: Option<Token>,
    copied: Copied,
}

impl CiCommand {
    /// Reads the inputs, and makes the verb's own context of the job's.
    pub(super) fn prepare(outer: &Context, job: Option<Job>) -> Result<Self, CommandError> {
        let system = job.as_ref().map(|job| job.system);
        let inputs = Inputs::read(outer.environment(), system == Some(System::GitHubActions))?;
        let Request { verb, global, arguments } = Request::new(&inputs)?;
        let token = inputs.get("token").map(Token::new).transpose();
        let token = token.map_err(|error| CommandError::usage(format!("input `token`: {error}")))?;
        let switches = switches::read(&inputs, &arguments.verb, &verb)?;
        let dispatch = inputs.get("dispatch").map(str::to_owned);
        if dispatch.is_some() && !matches!(arguments.verb, Verb::Rollout(_)) {
            let message =
                format!("input `dispatch` does not apply to command `{verb}`: it follows a rollout");
            return Err(CommandError::usage(message));
        }
        let copied = Copied::default();
        let context = outer.inner(Inner {
            directory: verb_environment::directory(outer, &inputs, &global)?,
            global: global.below(outer.global()),
            environment: verb_environment::environment(outer, &verb, &inputs, system),
            git_environment: verb_environment::git_environment(outer, &inputs, system),
            copied: Arc::clone(&copied),
        });
        Ok(Self {
            home: outer.directory().to_owned(),
            subject: subject(&arguments.verb, switches, context.global())?,
            context: Arc::new(context),
            job: job.map(Arc::new),
            verb,
            arguments,
            switches,
            wants_reports: switches::asked_for(&inputs)?,
            dispatch,
            token,
            copied,
        })
    }

    /// Runs the verb, and reports on it.
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

    /// Runs a verb that is no rollout. Where it is to be reported how a target stands, the job ends
    /// as that is.
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
        // What is reported of a target is decided by the commit's own declaration of it.
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

    /// The listeners to a rollout: the log, and what reports on it.
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

    /// What tells the platform, where there is one and the job wants it.
    fn reports(&self, notices: &mut Notices) -> Option<Arc<Reports>> {
        let subject = self.subject.clone()?;
        let Some(job) = &self.job else {
            if self.dispatch.is_some() {
                notices.add(
                    "input `dispatch` starts nothing outside of GitHub Actions and GitLab CI".to_owned(),
                );
            }
            if self.wants_reports {
                let nothing = "nothing is reported outside of GitHub Actions and GitLab CI: no comment, commit status or \
                               deployment record";
                notices.add(nothing.to_owned());
            }
            return None;
        };
        if !self.switches.any() && self.dispatch.is_none() {
            return None;
        }
        match platform::settings(&self.context, self.token.clone()) {
            Ok(settings) => {
                let outbox = Outbox::open(settings, job);
                Some(Arc::new(Reports::new(
                    Arc::clone(&self.context),
                    Arc::clone(job),
                    subject,
                    self.switches,
                    self.dispatch.is_some(),
                    outbox,
                )))
            }
            Err(error) => {
                notices.add(error.to_string());
                None
            }
        }
    }

    /// How the deployment stands now. Not after a cancellation: there is no time for it.
    fn overview(
        &self,
        reports: Option<&Reports>,
        outcome: &Outcome,
        notices: &mut Notices,
    ) -> Option<Overview> {
        let subject = self.subject.as_ref()?;
        if outcome.ending() == Ending::Cancelled {
            return None;
        }
        let job = reports.map(Reports::job);
        let job = job.as_ref().or(self.job.as_deref());
        let source = OverviewSource { context: &self.context, job, outcome };
        let overview = source.overview(&subject.deployment);
        if let (Err(error), Ending::Success) = (&overview, outcome.ending()) {
            let reason = error.shown().map(|error| error.message.clone()).unwrap_or_default();
            notices.add(format!(
                "the summary and the comment are short, because the deployment cannot be looked at: {reason}"
            ));
        }
        overview.ok()
    }

    fn comment(&self, reports: &Reports, overview: &Overview, notices: &mut Notices) {
        let limit = reports.comment_limit();
        match overview.comment(limit) {
            Ok((rendered, problem)) => {
                if let Some(problem) = problem {
                    notices.add(format!("the built-in template is used for the comment: {problem}"));
                }
                reports.comment(&self.context.masks().apply(rendered.markdown));
            }
            Err(error) => notices.add(format!("there is no comment: {error}")),
        }
    }
}

/// What is reported on: a rollout, or how one target stands where that is wanted.
fn subject(verb: &Verb, switches: Switches, global: &GlobalArgs) -> Result<Option<Subject>, CommandError> {
    match verb {
        Verb::Rollout(args) => Ok(Some(args.subject())),
        Verb::Status(args) => fan_in::subject(args, switches, global),
        _ => Ok(None),
    }
}
