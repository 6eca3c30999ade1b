//! `atmos deployment promotion-status`: the promotions that are possible now.

use std::collections::BTreeMap;
use std::process::ExitCode;

use crate::context::Context;
use crate::deployment::DeploymentName;
use crate::error::CommandError;
use crate::ledger::Scope;
use crate::project::ledger::refuse_unheard;
use crate::project::standing::standing;
use crate::project::subjects::Subjects;
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
    let subjects = Subjects::read(context, &project, Some(&args.deployment))?;
    let ledger = context.ledger(&repository, &project.config)?;
    let scope = Scope::Deployment(args.deployment.clone());
    let state = context.snapshot_with_rules(&ledger, &scope)?.into_deployment(&args.deployment);
    subjects.has_file_or_state(&state)?;
    refuse_unheard(&ledger, &scope, &state)?;
    let status = if subjects.lacks(&args.deployment) {
        PromotionStatus::removed(&state, context.now())
    } else {
        let deployment = subjects.one(&args.deployment);
        let view = standing(context, &repository, &project, &ledger, &deployment, &state, BTreeMap::new())?;
        PromotionStatus::from(&view)
    };
    context.print(&status, render::promotion_status::text)?;
    context.say_warnings(&ledger);
    Ok(ExitCode::SUCCESS)
}
