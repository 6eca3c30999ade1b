//! `atmos deployment promotion-status`: what can be promoted now.

use std::collections::BTreeMap;
use std::process::ExitCode;

use crate::cli::context::Context;
use crate::cli::error::CommandError;
use crate::cli::standing::standing;
use crate::deployment::DeploymentName;
use crate::ledger::Scope;
use crate::render;
use crate::render::document::promotion::PromotionStatus;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  atmos deployment promotion-status payment-service")]
pub struct Args {
    /// The deployment
    deployment: DeploymentName,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<ExitCode, CommandError> {
    let repository = context.repository()?;
    let project = context.project(&repository)?;
    let deployment = project.deployment(context, &args.deployment)?;
    let ledger = context.ledger(&repository, &project.config)?;
    let scope = Scope::Deployment(args.deployment.clone());
    let state = context.snapshot_with_rules(&ledger, &scope)?.into_deployment(&args.deployment);
    let view = standing(context, &repository, &project, &ledger, &deployment, &state, BTreeMap::new())?;
    context.print(&PromotionStatus::from(&view), render::promotion_status::text)?;
    context.say_warnings(&ledger);
    Ok(ExitCode::SUCCESS)
}
