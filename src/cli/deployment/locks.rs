//! `atmos deployment locks`: who is working on what, and what is frozen.

use std::process::ExitCode;

use crate::cli::context::Context;
use crate::cli::error::CommandError;
use crate::cli::known::known_target;
use crate::deployment::{DeploymentName, TargetName};
use crate::ledger::Scope;
use crate::render;
use crate::render::document::locks::{LockItem, LockList};

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  atmos deployment locks
  atmos deployment locks payment-service
  atmos deployment locks payment-service --target prod")]
pub struct Args {
    /// The deployment; all of them where none is named
    deployment: Option<DeploymentName>,
    /// Only this target
    #[arg(long, value_name = "TARGET", requires = "deployment")]
    target: Option<TargetName>,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<ExitCode, CommandError> {
    let repository = context.repository()?;
    let project = context.project(&repository)?;
    let scope = match (&args.deployment, &args.target) {
        (Some(deployment), Some(target)) => {
            known_target(&project.deployment(context, deployment)?, target)?;
            Scope::Targets(deployment.clone(), vec![target.clone()])
        }
        (Some(deployment), None) => {
            project.deployment(context, deployment)?;
            Scope::Deployment(deployment.clone())
        }
        (None, _) => Scope::All,
    };
    let ledger = context.ledger(&repository, &project.config)?;
    let snapshot = context.snapshot(&ledger, &scope)?;
    let now = context.now();
    let mut locks = Vec::new();
    for state in snapshot.deployments.values() {
        for (target, target_state) in &state.targets {
            let held = target_state.locks.iter();
            locks.extend(held.map(|held| LockItem::new(&state.deployment, target, held, now)));
        }
    }
    context.print(&LockList { locks }, render::locks::text)?;
    context.say_warnings(&ledger);
    Ok(ExitCode::SUCCESS)
}
