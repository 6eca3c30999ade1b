//! `atmos deployment ci`: what the action and the template run. The job's inputs become one verb, and what comes of it is
//! reported where people and later jobs look.

mod credentials;
mod inputs;
mod log;
mod notices;
mod outcome;
mod outputs;
mod request;
mod summary;
mod trust;
mod usage;
mod words;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use self::inputs::{Inputs, is_input};
use self::log::Log;
use self::notices::Notices;
use self::outcome::{Outcome, Seen};
use self::request::Request;
use super::rollout::{self, Surroundings};
use super::{DeploymentArgs, Verb};
use crate::ci::{Job, System};
use crate::cli::args::GlobalArgs;
use crate::cli::context::{Context, Inner};
use crate::cli::error::CommandError;
use crate::deployment::rollout_report::RolloutEvent;
use crate::provider::Token;
use crate::render::stream::Copied;
use crate::rollout::EventSink;

/// Do what the inputs of a CI job ask for, and report on it
///
/// The inputs are read from the environment: on GitHub Actions as the runner of a container action sets them
/// (`INPUT_PROMOTE-FROM`), elsewhere as `ATMOS_INPUT_PROMOTE_FROM`. See docs/ci.md.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  ATMOS_INPUT_COMMAND=status atmos deployment ci
  ATMOS_INPUT_COMMAND=rollout ATMOS_INPUT_DEPLOYMENT=payment-service ATMOS_INPUT_TARGET=dev atmos deployment ci")]
pub struct Args {}

pub(super) fn run(outer: &Context) -> Result<ExitCode, CommandError> {
    let job = outer.job();
    let system = job.as_ref().map(|job| job.system);
    let (inner, outcome) = match Undertaking::prepare(outer, job) {
        Ok(undertaking) => undertaking.carry_out(),
        Err(error) => (None, Outcome::without_a_verb(error)),
    };
    let context = inner.as_ref().unwrap_or(outer);
    let mut notices = Notices::default();
    let summary_file = summary::write(context, system, &outcome, &mut notices);
    outputs::write(context, system, &outputs::of(&outcome, summary_file.as_deref()), &mut notices);
    notices.say(context, system);
    outcome.result.or_else(|error| Ok(error.report(context.streams(), context.global().document_format())))
}

/// A job that knows what it is asked for.
struct Undertaking {
    context: Context,
    job: Option<Job>,
    verb: String,
    arguments: DeploymentArgs,
    token: Option<Token>,
    copied: Copied,
}

impl Undertaking {
    /// Reads the inputs, and makes the verb's own context of the job's.
    fn prepare(outer: &Context, job: Option<Job>) -> Result<Self, CommandError> {
        let system = job.as_ref().map(|job| job.system);
        let inputs = Inputs::read(outer.environment(), system == Some(System::GitHubActions))?;
        let Request { verb, global, arguments } = Request::new(&inputs)?;
        let token = inputs.get("token").map(Token::new).transpose();
        let token = token.map_err(|error| CommandError::usage(format!("input `token`: {error}")))?;
        let copied = Copied::default();
        let context = outer.inner(Inner {
            directory: directory(outer, &inputs, &global)?,
            global: global.below(outer.global()),
            environment: outer.environment().iter().filter(|(name, _)| !is_input(name)).cloned().collect(),
            git_environment: git_environment(outer, &inputs, system),
            copied: Arc::clone(&copied),
        });
        Ok(Self { context, job, verb, arguments, token, copied })
    }

    /// Runs the verb.
    fn carry_out(self) -> (Option<Context>, Outcome) {
        let seen = Arc::new(Mutex::new(Seen::default()));
        let result = self.run(&seen);
        let locked = |text: &Mutex<String>| text.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let outcome = Outcome {
            verb: Some(self.verb),
            result,
            stdout: locked(&self.copied),
            document: self.context.last_document(),
            rollout: seen.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        };
        (Some(self.context), outcome)
    }

    fn run(&self, seen: &Arc<Mutex<Seen>>) -> Result<ExitCode, CommandError> {
        let rollout = match &self.arguments.verb {
            Verb::Rollout(args) => Some(args),
            _ => None,
        };
        if let Some(job) = &self.job {
            trust::check(&self.context, job, &self.verb, rollout.and_then(rollout::Args::revision))?;
        }
        match rollout {
            Some(args) => {
                let surroundings = Surroundings {
                    events: self.events(seen),
                    cancellation: rollout::cancellation(&self.context),
                    token: self.token.clone(),
                };
                rollout::run_within(args, &self.context, surroundings)
            }
            None => super::run_verb(&self.arguments.verb, &self.context),
        }
    }

    /// What hears of a rollout: the log, and whoever reports on it.
    fn events(&self, seen: &Arc<Mutex<Seen>>) -> EventSink {
        let log = Log::new(&self.context, self.job.as_ref().map(|job| job.system));
        let seen = Arc::clone(seen);
        Arc::new(move |event: RolloutEvent| {
            log.show(&event);
            seen.lock().unwrap_or_else(PoisonError::into_inner).take(event);
        })
    }
}

/// Where the verb runs, seen from where the job's command does.
fn directory(outer: &Context, inputs: &Inputs, global: &GlobalArgs) -> Result<PathBuf, CommandError> {
    let mut directory = PathBuf::from(inputs.get("working-directory").unwrap_or_default());
    if !outer.directory().join(&directory).is_dir() {
        let message = format!("input `working-directory`: {} is not a directory", directory.display());
        return Err(CommandError::usage(message));
    }
    // One that the environment names is where the job's own command runs already.
    directory.extend(global.chdir.as_ref().filter(|chdir| outer.global().chdir.as_ref() != Some(chdir)));
    Ok(directory)
}

/// What git sees besides: the token of the input, else the platform's own.
fn git_environment(outer: &Context, inputs: &Inputs, system: Option<System>) -> Vec<(OsString, OsString)> {
    let variables: &[&str] = match system {
        Some(System::GitHubActions) => &["ATMOS_GITHUB_TOKEN", "GITHUB_TOKEN", "GH_TOKEN"],
        Some(System::GitLabCi) => &["ATMOS_GITLAB_TOKEN", "GITLAB_TOKEN"],
        None => &[],
    };
    let of_environment = || variables.iter().find_map(|name| outer.variable(name));
    match (system, inputs.get("token").or_else(of_environment)) {
        (Some(system), Some(token)) => {
            credentials::git_environment(system, token, |name| outer.variable(name))
        }
        _ => Vec::new(),
    }
}
