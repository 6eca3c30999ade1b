//! `atmos deployment sbom diff`: the changes of dependencies in a promotion.

use std::process::ExitCode;

use super::{load, subject_of_target};
use crate::context::Context;
use crate::deployment::{DeploymentName, TargetName};
use crate::error::CommandError;
use crate::render;
use crate::render::document::sbom::SbomDiff;
use crate::sbom;

/// Compare what runs on two targets: which dependencies a promotion would change
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  atmos deployment sbom diff payment-service prod staging")]
pub(super) struct Args {
    /// The deployment
    deployment: DeploymentName,
    /// What is compared
    from: TargetName,
    /// With what
    to: TargetName,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<ExitCode, CommandError> {
    let repository = context.repository()?;
    let project = context.project(&repository)?;
    let ledger = context.ledger(&repository, &project.config)?;
    let deployment = super::deployment(context, &project, &ledger, &args.deployment)?;
    let mut boms = Vec::new();
    for target in [&args.from, &args.to] {
        let subject = subject_of_target(context, &ledger, &deployment, target)?;
        boms.push(load(context, &repository, &project, &ledger, &deployment, &subject)?.bom);
    }
    let [from, to] = &boms[..] else { return Ok(ExitCode::SUCCESS) };
    let diff = SbomDiff {
        deployment: args.deployment.clone(),
        from: args.from.clone(),
        to: args.to.clone(),
        comparison: sbom::compare(from, to),
    };
    context.print(&diff, render::sbom::diff)?;
    context.say_warnings(&ledger);
    Ok(ExitCode::SUCCESS)
}
