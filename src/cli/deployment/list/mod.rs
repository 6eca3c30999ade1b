//! `atmos deployment list`: deployments, their targets, their components.

mod components;
mod deployments;
mod labels;
mod targets;

use std::process::ExitCode;

use clap::Subcommand;

use crate::context::Context;
use crate::deployment::{DeploymentName, TargetName};
use crate::error::CommandError;
use crate::text::KeyValue;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  atmos deployment list
  atmos deployment list deployments
  atmos deployment list targets payment-service
  atmos deployment list components payment-service --target prod
  atmos deployment list --label environment=prod")]
pub struct Args {
    #[command(subcommand)]
    what: Option<What>,
    /// Only what has this label, or a target that has it (repeatable: all of them)
    #[arg(long, global = true, value_name = "KEY=VALUE")]
    label: Vec<KeyValue>,
}

#[derive(Debug, Subcommand)]
enum What {
    /// List the deployments; the same as without a word
    Deployments,
    /// List the targets of a deployment
    Targets {
        /// The deployment
        deployment: DeploymentName,
    },
    /// List the components of a deployment
    Components {
        /// The deployment
        deployment: DeploymentName,
        /// What runs of them on this target
        #[arg(long, value_name = "TARGET")]
        target: Option<TargetName>,
    },
}

pub(super) fn run(args: &Args, context: &Context) -> Result<ExitCode, CommandError> {
    let repository = context.repository()?;
    let project = context.project(&repository)?;
    match &args.what {
        None | Some(What::Deployments) => deployments::list(&args.label, context, &repository, &project),
        Some(What::Targets { deployment }) => {
            targets::list(&args.label, context, &repository, &project, deployment)
        }
        Some(What::Components { deployment, target }) => {
            components::list(&args.label, context, &repository, &project, deployment, target.as_ref())
        }
    }
}
