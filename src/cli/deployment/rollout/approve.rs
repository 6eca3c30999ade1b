//! Getting an approval. Every method that cannot be carried out here fails closed.

use std::collections::BTreeMap;

use super::Args;
use super::prepare::Prepared;
use crate::cli::context::Context;
use crate::cli::error::{CommandError, exit};
use crate::deployment::approval::{Approval, digest};
use crate::deployment::definition::ApprovalMethod;
use crate::deployment::rollout_plan::RolloutPlan;
use crate::deployment::rollout_report::RolloutKind;
use crate::render::document::error::Hint;

/// Asks whoever has to agree; `None` where nobody has to.
pub(super) fn obtain(
    args: &Args,
    context: &Context,
    prepared: &Prepared<'_>,
    plan: &RolloutPlan,
) -> Result<Option<Approval>, CommandError> {
    let Some(method) = plan.approval else {
        if args.approve.is_some() {
            context.warn(&format!("{} needs no approval; --approve is not recorded", plan.target));
        }
        return Ok(None);
    };
    match method {
        ApprovalMethod::Manual => manual(args, context, prepared, plan).map(Some),
        ApprovalMethod::Ci | ApprovalMethod::Pro => Err(not_available(plan, method)),
    }
}

/// The digest of exactly what is approved.
pub(super) fn digest_of(plan: &RolloutPlan) -> String {
    let components: BTreeMap<_, _> = plan
        .components
        .iter()
        .map(|component| (component.component.clone(), component.commit.clone()))
        .collect();
    digest(&plan.deployment, &plan.target, &components)
}

/// The person at the terminal agrees, or the command line says that somebody did.
fn manual(
    args: &Args,
    context: &Context,
    prepared: &Prepared<'_>,
    plan: &RolloutPlan,
) -> Result<Approval, CommandError> {
    let question = format!("  Approve deployment of {} to {}? [y/N]: ", plan.deployment, plan.target);
    let approved = match &args.approve {
        Some(_) => true,
        None => match context.streams().ask(&question) {
            Some(answer) => matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"),
            None => {
                return Err(approval_needed(plan, "and there is no terminal to ask at").hint(Hint::command(
                    "To approve on the command line",
                    format!("{} --approve \"why\"", command_line(plan)),
                )));
            }
        },
    };
    if !approved {
        return Err(CommandError::new(
            exit::REFUSED,
            "not_approved",
            format!("the rollout to {} was not approved", plan.target),
        ));
    }
    Ok(Approval {
        approved_by: prepared.run.actor.clone(),
        approved_at: context.now(),
        method: ApprovalMethod::Manual.as_str().to_owned(),
        deployment: plan.deployment.clone(),
        target: plan.target.clone(),
        promoted_from: match &plan.kind {
            RolloutKind::Promotion { from } => Some(from.clone()),
            RolloutKind::Deploy | RolloutKind::Rollback { .. } => None,
        },
        reason: args.approve.clone().filter(|reason| !reason.is_empty()),
        digest: digest_of(plan),
    })
}

fn not_available(plan: &RolloutPlan, method: ApprovalMethod) -> CommandError {
    let error = match method {
        ApprovalMethod::Ci => approval_needed(plan, "by the CI platform, which cannot be asked from here"),
        ApprovalMethod::Pro => approval_needed(plan, "by Atmos Pro, which cannot be asked from here"),
        ApprovalMethod::Manual => approval_needed(plan, "by a person"),
    };
    error.hint(Hint::note(format!(
        "For approvals at a terminal, set approval_method: manual on {} in deployments/{}.yaml",
        plan.target, plan.deployment
    )))
}

fn approval_needed(plan: &RolloutPlan, how: &str) -> CommandError {
    CommandError::new(
        exit::REFUSED,
        "approval_required",
        format!("The rollout to {} requires an approval, {how}", plan.target),
    )
    .details([format!("Approved would be {}", digest_of(plan))])
}

fn command_line(plan: &RolloutPlan) -> String {
    let rest = match &plan.kind {
        RolloutKind::Promotion { from } => format!(" --promote-from {from}"),
        RolloutKind::Rollback { to } => format!(" --git-sha {to}"),
        RolloutKind::Deploy => String::new(),
    };
    format!("atmos deployment rollout {} --target {}{rest}", plan.deployment, plan.target)
}
