//! `atmos deployment status`: what runs where, since when and why.

use std::collections::BTreeSet;
use std::process::ExitCode;

use crate::cli::context::{Context, known_target};
use crate::cli::error::CommandError;
use crate::config::load_all;
use crate::deployment::{DeploymentName, TargetName};
use crate::ledger::Scope;
use crate::render;
use crate::render::document::status::{DeploymentEntry, DeploymentStatus};

/// Show what runs where, since when and why
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  atmos deployment status payment-service --target prod
  atmos deployment status payment-service
  atmos deployment status")]
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
    let declared = match &args.deployment {
        Some(name) => vec![project.deployment(context, name)?],
        None => Vec::new(),
    };
    if let (Some(deployment), Some(target)) = (declared.first(), &args.target) {
        known_target(deployment, target)?;
    }
    let scope = match (&args.deployment, &args.target) {
        (Some(deployment), Some(target)) => Scope::Targets(deployment.clone(), vec![target.clone()]),
        (Some(deployment), None) => Scope::Deployment(deployment.clone()),
        (None, _) => Scope::All,
    };
    let ledger = context.ledger(&repository, &project.config)?;
    let snapshot = context.snapshot(&ledger, &scope)?;
    let now = context.now();
    let deployments = if let Some(name) = &args.deployment {
        vec![DeploymentEntry::new(declared.first(), &snapshot.deployment(name), now)]
    } else {
        let declared = load_all(&*project.source, &project.config)?.deployments;
        let names: BTreeSet<_> = declared.keys().chain(snapshot.deployments.keys()).collect();
        names
            .into_iter()
            .map(|name| {
                let declared = declared.get(name).and_then(|loaded| loaded.as_ref().ok());
                let declared = declared.map(|loaded| &loaded.deployment);
                DeploymentEntry::new(declared, &snapshot.deployment(name), now)
            })
            .collect()
    };
    context.print(&DeploymentStatus { deployments }, render::status::text)?;
    context.say_warnings(&ledger);
    Ok(ExitCode::SUCCESS)
}
