//! `atmos deployment approvals`: lists approvals, and whether they still count.

use std::process::ExitCode;

use crate::context::Context;
use crate::deployment::approval::Approvals;
use crate::deployment::{DeploymentName, TargetName};
use crate::error::CommandError;
use crate::ledger::{Freshness, Scope};
use crate::project::known::known_target;
use crate::render;
use crate::render::document::approval::{ApprovalItem, ApprovalList};

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  atmos deployment approvals payment-service
  atmos deployment approvals payment-service --target prod")]
pub struct Args {
    /// The deployment
    deployment: DeploymentName,
    /// Only this target
    #[arg(long, value_name = "TARGET")]
    target: Option<TargetName>,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<ExitCode, CommandError> {
    let repository = context.repository()?;
    let project = context.project(&repository)?;
    let deployment = project.deployment(context, &args.deployment)?;
    if let Some(target) = &args.target {
        known_target(&deployment, target)?;
    }
    let ledger = context.ledger(&repository, &project.config)?;
    let scope = Scope::Deployment(args.deployment.clone());
    // The age of the notes is printed only where that of the ledger is not: usually they are equal.
    let read = ledger.refresh(&scope);
    let state = context.snapshot_of(&ledger, &scope, &read)?.into_deployment(&args.deployment);
    let (lines, freshness) = ledger.all_approval_lines(&args.deployment)?;
    if read == Freshness::Current {
        context.say_freshness(&ledger, &freshness);
    }
    let mut items = Vec::new();
    let only = args.target.as_ref();
    for target in deployment.targets.keys().filter(|target| only.is_none_or(|only| only == *target)) {
        let approvals = Approvals::of_target(lines.iter().map(String::as_str), &args.deployment, target);
        for (id, approval) in approvals.newest_first() {
            let standing = approvals.standing(id, approval, state.targets.get(target), context.now());
            items.push(ApprovalItem::new(id, approval, &standing));
        }
    }
    items.sort_by_key(|item| std::cmp::Reverse(item.approved_at));
    let list = ApprovalList { deployment: args.deployment.clone(), approvals: items };
    context.print(&list, render::approval::list)?;
    context.say_warnings(&ledger);
    Ok(ExitCode::SUCCESS)
}
