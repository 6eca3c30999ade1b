//! `atmos deployment build`: images of a commit, what they are made of, and the record of both.

mod act;
mod first;
mod prepare;
mod publish;
mod report;
mod without_images;

use std::num::NonZeroUsize;
use std::process::ExitCode;

use crate::cli::args::{KeyValue, context_override};
use crate::cli::context::Context;
use crate::cli::deployment::rollout::cancellation;
use crate::cli::error::CommandError;
use crate::deployment::names::ComponentReference;
use crate::deployment::{DeploymentName, TargetName};

pub(in crate::cli::deployment) use first::{Wanted, build_first};
pub(in crate::cli::deployment) use prepare::{commit_of, engine, environment};

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  atmos deployment build payment-service --target dev
  atmos deployment build payment-service --target dev --component api
  atmos deployment build payment-service --target dev --context cpu=512
  atmos deployment build payment-service --target dev --plan")]
pub struct Args {
    /// The deployment
    deployment: DeploymentName,
    /// The target whose context is built with; the deployment's default target where it has one
    #[arg(long, value_name = "TARGET")]
    target: Option<TargetName>,
    /// Only this component; may be given several times
    #[arg(long, value_name = "COMPONENT")]
    component: Vec<ComponentReference>,
    /// Build this commit instead of the one that is checked out
    #[arg(long, value_name = "COMMIT")]
    pub(super) git_sha: Option<String>,
    /// Override a value of the context; what the component does not know becomes an argument of the build
    #[arg(long, value_name = "KEY=VALUE", value_parser = context_override)]
    context: Vec<KeyValue>,
    /// The tag of the images, instead of vars.image.tag
    #[arg(long, value_name = "TAG")]
    tag: Option<String>,
    /// Show how the images would be built, and build nothing
    #[arg(long, visible_alias = "dry-run")]
    pub(super) plan: bool,
    /// Leave the images where they are built; nothing is recorded
    #[arg(long)]
    skip_push: bool,
    /// How many images are built at the same time; by default one a core
    #[arg(long, value_name = "NUMBER")]
    parallelism: Option<NonZeroUsize>,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<ExitCode, CommandError> {
    let repository = context.repository()?;
    let project = context.project(&repository)?;
    let prepared = prepare::prepare(args, context, &repository, &project)?;
    let cancellation = cancellation(context);
    let acted = if prepared.jobs.is_empty() {
        without_images::act(args, context, &prepared)
    } else {
        act::act(args, context, &prepared, &cancellation)
    };
    context.say_warnings(&prepared.ledger);
    report::finish(args, context, &prepared, &acted?, cancellation.is_cancelled())
}
