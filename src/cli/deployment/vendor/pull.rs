//! `atmos deployment vendor pull`: fetches the sources of a deployment's components.

use std::process::ExitCode;

use crate::context::Context;
use crate::deployment::names::ComponentReference;
use crate::deployment::{DeploymentName, TargetName};
use crate::error::CommandError;
use crate::project::vendored::{Fetch, Locking, Wanted, vendored_sources};
use crate::render;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  atmos deployment vendor pull payment-service
  atmos deployment vendor pull payment-service --target prod
  atmos deployment vendor pull payment-service --component vpc --update")]
pub struct Args {
    /// The deployment
    deployment: DeploymentName,
    /// Only for this target
    #[arg(long, value_name = "TARGET")]
    target: Option<TargetName>,
    /// Only for this component (repeatable)
    #[arg(long, value_name = "COMPONENT")]
    component: Vec<ComponentReference>,
    /// Also ask the sources for versions that the cache knows: a tag may have moved
    #[arg(long)]
    update: bool,
    /// Write the lock file, .vendor-lock.yaml beside the deployment files; one that exists is kept current without this
    #[arg(long)]
    lock: bool,
    /// Refuse versions that the lock file does not have
    #[arg(long, conflicts_with_all = ["update", "lock"])]
    locked: bool,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<ExitCode, CommandError> {
    let repository = context.repository()?;
    let project = context.project(&repository)?;
    let fetch = if args.update { Fetch::Update } else { Fetch::Missing };
    if args.update && context.global().offline {
        return Err(CommandError::usage("--update asks the sources, which --offline forbids"));
    }
    let lock = match (args.lock, args.locked) {
        (_, true) => Locking::Required,
        (true, _) => Locking::Written,
        _ => Locking::Obeyed,
    };
    let wanted = Wanted { target: args.target.as_ref(), components: &args.component, fetch, lock };
    let status = vendored_sources(context, &repository, &project, &args.deployment, wanted)?;
    context.print(&status, render::vendor::status)?;
    Ok(ExitCode::SUCCESS)
}
