//! `atmos deployment vendor status`: the sources of a deployment's components.

use std::process::ExitCode;

use crate::context::Context;
use crate::deployment::{DeploymentName, TargetName};
use crate::error::CommandError;
use crate::project::vendored::{Fetch, Locking, Wanted, vendored_sources};
use crate::render;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  atmos deployment vendor status payment-service
  atmos deployment vendor status payment-service --target prod")]
pub struct Args {
    /// The deployment
    deployment: DeploymentName,
    /// Only on this target
    #[arg(long, value_name = "TARGET")]
    target: Option<TargetName>,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<ExitCode, CommandError> {
    let repository = context.repository()?;
    let project = context.project(&repository)?;
    let wanted =
        Wanted { target: args.target.as_ref(), components: &[], fetch: Fetch::Never, lock: Locking::Obeyed };
    let status = vendored_sources(context, &repository, &project, &args.deployment, wanted)?;
    context.print(&status, render::vendor::status)?;
    Ok(ExitCode::SUCCESS)
}
