//! Converts the inputs of a job to a command.

use std::sync::Arc;

use super::command::CiCommand;
use super::inputs::Inputs;
use super::request::Request;
use super::{fan_in, switches, verb_environment};
use crate::ci::{Job, System};
use crate::cli::deployment::Verb;
use crate::context::flags::GlobalArgs;
use crate::context::{Context, Inner};
use crate::error::CommandError;
use crate::provider::Token;
use crate::render::stream::Copied;
use crate::report::{Subject, Switches};

impl CiCommand {
    /// Parses the inputs, and derives the verb's context from the job's.
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
}

/// The subject of the reports: a rollout, or one target where `status` has reports enabled.
fn subject(verb: &Verb, switches: Switches, global: &GlobalArgs) -> Result<Option<Subject>, CommandError> {
    match verb {
        Verb::Rollout(args) => Ok(Some(args.subject())),
        Verb::Status(args) => fan_in::subject(args, switches, global),
        _ => Ok(None),
    }
}
