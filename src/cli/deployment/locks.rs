//! `atmos deployment locks`: the held locks of runs, and frozen targets.

use std::process::ExitCode;

use super::status::dead_locks;
use crate::context::Context;
use crate::deployment::{DeploymentName, TargetName};
use crate::error::CommandError;
use crate::ledger::Scope;
use crate::project::ledger::never_refreshed;
use crate::project::subjects::Subjects;
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
        (Some(deployment), Some(target)) => Scope::Targets(deployment.clone(), vec![target.clone()]),
        (Some(deployment), None) => Scope::Deployment(deployment.clone()),
        (None, _) => Scope::All,
    };
    let ledger = context.ledger(&repository, &project.config)?;
    let snapshot = context.snapshot(&ledger, &scope)?;
    if let Some(name) = &args.deployment {
        // An undeclared target may still be locked.
        let state = snapshot.deployment(name);
        let is_asked = |target: &TargetName| args.target.as_ref().is_none_or(|only| only == target);
        if !state.targets.keys().any(is_asked) {
            let subjects = Subjects::read(context, &project, Some(name))?;
            subjects.known(args.target.as_ref())?;
        }
    }
    let now = context.now();
    let mut locks = Vec::new();
    for state in snapshot.deployments.values() {
        let dead = dead_locks(state, context);
        for (target, target_state) in &state.targets {
            let held = target_state.locks.iter();
            locks.extend(held.map(|held| {
                let mut item = LockItem::new(&state.deployment, target, held, now);
                item.lock.dead = dead.contains(&held.object);
                item
            }));
        }
    }
    if locks.is_empty() && ledger.never_heard_of(&scope) {
        return Err(never_refreshed(&ledger));
    }
    context.print(&LockList { locks }, render::locks::text)?;
    context.say_warnings(&ledger);
    Ok(ExitCode::SUCCESS)
}
