//! `atmos deployment matrix`: a rollout as jobs of the CI.

use std::collections::BTreeSet;
use std::process::ExitCode;

use clap::ValueEnum;

use crate::ci::matrix::{self, FanOut, MatrixError, Template};
use crate::compare::{Changes, Place};
use crate::config::load_deployment;
use crate::context::Context;
use crate::deployment::fan_out::{Job, jobs};
use crate::deployment::names::ComponentReference;
use crate::deployment::stack_order::in_stack_order;
use crate::deployment::{ComponentName, Deployment, DeploymentName, TargetName};
use crate::error::{Code, CommandError};
use crate::ledger::Scope;
use crate::project::commit_source::CommitSource;
use crate::project::known::{chosen_target, known_component};
use crate::project::revision::resolve_commit;
use crate::project::stacks::{CommitFiles, ImportedStacks};
use crate::render::document::error::Hint;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  atmos deployment matrix payment-service --target dev --changed
  atmos deployment matrix payment-service --target dev --for gitlab > pipeline.yml
  atmos deployment matrix payment-service --target dev --wave 0")]
pub struct Args {
    /// The deployment
    deployment: DeploymentName,
    /// The target to roll out to; default: the deployment's default target
    #[arg(long, value_name = "TARGET")]
    target: Option<TargetName>,
    /// Only what has changed on this target since each component's own deployed commit
    #[arg(long)]
    changed: bool,
    /// The CI that reads it; default: GitLab in its jobs, else GitHub
    #[arg(long = "for", value_name = "CI", value_enum)]
    reader: Option<Reader>,
    /// The commit that will be rolled out; default: the checked-out one
    #[arg(long, value_name = "COMMIT")]
    git_sha: Option<String>,
    /// Only this component (repeatable)
    #[arg(long, value_name = "COMPONENT")]
    component: Vec<ComponentReference>,
    /// Only the jobs of this wave
    #[arg(long, value_name = "NUMBER")]
    wave: Option<usize>,
    /// Where the child pipeline finds the GitLab template: a file of the repository, or an address
    #[arg(long, value_name = "FILE|URL", default_value = "gitlab-ci-template.yml")]
    template: String,
}

/// A CI.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Reader {
    #[value(name = "github")]
    GitHub,
    #[value(name = "gitlab")]
    GitLab,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<ExitCode, CommandError> {
    let repository = context.repository()?;
    let project = context.project(&repository)?;
    let ledger = context.ledger(&repository, &project.config)?;
    let commit = match &args.git_sha {
        Some(text) => resolve_commit(context, &repository, &ledger, text)?,
        None => repository.head()?,
    };
    // A rollout is of a commit, so the deployment is read from there.
    let source = CommitSource::new(&repository, commit.clone())?;
    let deployment = load_deployment(&source, &project.config, &args.deployment)?.deployment;
    let target = chosen_target(&deployment, args.target.as_ref())?;
    let stacks = ImportedStacks::new(CommitFiles::new(&repository, commit.clone())?, &project.config);
    let deployment = in_stack_order(deployment, &target, &stacks);
    let mut chosen = chosen(args, &deployment)?;
    if args.changed {
        let scope = Scope::Targets(args.deployment.clone(), vec![target.clone()]);
        let state = context.snapshot(&ledger, &scope)?.into_deployment(&args.deployment);
        let place = Place {
            repository: &repository,
            config: &project.config,
            ledger: &ledger,
            deployment: &args.deployment,
            target: &target,
        };
        let mut changes = Changes::new(place, &commit, &deployment)?;
        for component in &deployment.components {
            let name = &component.name;
            if !chosen.contains(name) {
                continue;
            }
            let reason = changes.reason(name, state.component(&target, name))?;
            let said = reason.as_ref().map_or_else(|| "unchanged".to_owned(), ToString::to_string);
            context.streams().note(&format!("{name}: {said}\n"));
            if reason.is_none() {
                chosen.remove(name);
            }
        }
    }
    let jobs = jobs(&deployment, &chosen).map_err(|cycle| {
        let path: Vec<_> = cycle.0.iter().map(ComponentName::as_str).collect();
        CommandError::usage(format!("components need each other: {}", path.join(" → ")))
    })?;
    let jobs: Vec<_> = jobs.into_iter().filter(|job| args.wave.is_none_or(|wave| job.wave == wave)).collect();
    context.streams().data(&text(args, context, &target, &jobs)?)?;
    context.say_warnings(&ledger);
    Ok(ExitCode::SUCCESS)
}

fn chosen(args: &Args, deployment: &Deployment) -> Result<BTreeSet<ComponentName>, CommandError> {
    if args.component.is_empty() {
        return Ok(deployment.components.iter().map(|component| component.name.clone()).collect());
    }
    let named = args.component.iter();
    named.map(|reference| known_component(deployment, reference).map(|found| found.name.clone())).collect()
}

fn text(args: &Args, context: &Context, target: &TargetName, jobs: &[Job]) -> Result<String, CommandError> {
    let fan_out = FanOut { deployment: &args.deployment, target, jobs };
    let reader = args.reader.unwrap_or_else(|| match context.variable("GITLAB_CI") {
        Some(_) => Reader::GitLab,
        None => Reader::GitHub,
    });
    let text = match reader {
        Reader::GitHub => matrix::github(&fan_out),
        Reader::GitLab => matrix::gitlab(&fan_out, &Template::parse(&args.template)),
    };
    text.map_err(|error| match error {
        MatrixError::TooManyJobs { .. } => {
            CommandError::new(Code::TooManyJobs, error.to_string()).hint(Hint::command(
                "Split it: a matrix for each wave, or for some of the components with --component",
                format!("atmos deployment matrix {} --target {target} --wave 0", args.deployment),
            ))
        }
        MatrixError::TooManyNeeds { .. } => {
            CommandError::new(Code::TooManyNeeds, error.to_string()).hint(Hint::note(
                "Split it: roll out some of what it needs first, in a pipeline of its own with --component",
            ))
        }
        MatrixError::Json(_) | MatrixError::Yaml(_) => CommandError::internal(error.to_string()),
    })
}
