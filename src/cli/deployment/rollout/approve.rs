//! Getting an approval. Every method that cannot be carried out here fails closed.

use std::collections::BTreeMap;

use super::Args;
use super::carry_out::Undertaking;
use crate::cli::error::{CommandError, exit};
use crate::cli::platform::{self, Platform};
use crate::deployment::approval::{Approval, digest};
use crate::deployment::definition::ApprovalMethod;
use crate::deployment::rollout_plan::RolloutPlan;
use crate::deployment::rollout_report::RolloutKind;
use crate::provider::{PlatformApproval, ProviderSettings};
use crate::render::document::error::Hint;

/// Asks whoever has to agree; `None` where nobody has to.
pub(super) fn obtain(
    run: &Undertaking<'_, '_>,
    plan: &RolloutPlan,
) -> Result<Option<Approval>, CommandError> {
    let Some(method) = plan.approval else {
        if run.args.approve.is_some() {
            run.context.warn(&format!("{} needs no approval; --approve is not recorded", plan.target));
        }
        return Ok(None);
    };
    match method {
        ApprovalMethod::Manual => manual(run, plan).map(Some),
        ApprovalMethod::Ci => of_this_run(run, plan).map(Some),
        ApprovalMethod::Pro => {
            let error = approval_needed(plan, "by Atmos Pro, which cannot be asked from here");
            Err(error.hint(at_a_terminal(plan)))
        }
    }
}

/// Refuses a plan that is not the one that `--digest` names.
pub(super) fn insist_on_digest(args: &Args, plan: &RolloutPlan) -> Result<(), CommandError> {
    let Some(expected) = &args.digest else { return Ok(()) };
    let found = digest_of(plan);
    if expected.as_str() == found {
        return Ok(());
    }
    let components = plan
        .components
        .iter()
        .map(|component| format!("  {} {}", component.component, component.commit.short()));
    let message = format!("What would be rolled out to {} is not what was planned", plan.target);
    let details = [format!("Planned was  {}", expected.as_str()), format!("Now it is    {found}:")];
    Err(CommandError::new(exit::REFUSED, "digest", message)
        .details(details.into_iter().chain(components))
        .hint(Hint::command(
            "Look at the new plan, and approve that",
            format!("{} --plan", command_line(plan)),
        )))
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
fn manual(run: &Undertaking<'_, '_>, plan: &RolloutPlan) -> Result<Approval, CommandError> {
    let question = format!("  Approve deployment of {} to {}? [y/N]: ", plan.deployment, plan.target);
    let approved = match &run.args.approve {
        Some(_) => true,
        None => match run.context.streams().ask(&question) {
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
        approved_by: run.prepared.run.actor.clone(),
        approved_at: run.context.now(),
        reason: run.args.approve.clone().filter(|reason| !reason.is_empty()),
        ..unsigned(plan, ApprovalMethod::Manual, run)
    })
}

/// Whoever let this run go on to the target's environment has agreed. What they have seen of it is the plan: `--digest`
/// makes sure that it is that.
fn of_this_run(run: &Undertaking<'_, '_>, plan: &RolloutPlan) -> Result<Approval, CommandError> {
    let settings = platform::settings(run.context, run.token.clone());
    let settings =
        settings.map_err(|error| approval_needed(plan, "by the CI platform").details([error.to_string()]))?;
    if matches!(settings, ProviderSettings::None) {
        let error = approval_needed(plan, "by the CI platform, which cannot be asked from here");
        return Err(error
            .hint(Hint::note(
                "Run it in a job on GitHub Actions or GitLab CI, behind the environment's approval",
            ))
            .hint(at_a_terminal(plan)));
    }
    let environment =
        platform::environment(&run.prepared.project.config.ci, &run.prepared.policy, &plan.target)?;
    let platform = Platform::new(settings)?;
    let approvals = platform.approvals(&environment.name).map_err(|error| {
        approval_needed(plan, "and the platform does not tell who approved this run")
            .details([error.to_string()])
    })?;
    if approvals.is_empty() {
        let how = format!("and nobody has approved this run for the environment {}", environment.name);
        let setting = platform.approval_setting(&environment.name);
        return Err(setting
            .into_iter()
            .fold(approval_needed(plan, &how), |error, setting| error.hint(Hint::note(setting))));
    }
    if run.args.digest.is_none() {
        run.context
            .warn("the approval is of this run, not of a plan: --digest binds it to what was looked at");
    }
    let joined = |of: fn(&PlatformApproval) -> Option<&str>| {
        let mut texts: Vec<_> = approvals.iter().filter_map(of).collect();
        texts.dedup();
        texts.join(", ")
    };
    Ok(Approval {
        approved_by: joined(|approval| Some(approval.approved_by.as_str())),
        approved_at: approvals
            .iter()
            .filter_map(|approval| approval.approved_at)
            .max()
            .unwrap_or(run.context.now()),
        reason: Some(joined(|approval| approval.comment.as_deref())).filter(|reason| !reason.is_empty()),
        ..unsigned(plan, ApprovalMethod::Ci, run)
    })
}

/// An approval of a plan that nobody has given yet.
fn unsigned(plan: &RolloutPlan, method: ApprovalMethod, run: &Undertaking<'_, '_>) -> Approval {
    Approval {
        approved_by: String::new(),
        approved_at: run.context.now(),
        method: method.as_str().to_owned(),
        deployment: plan.deployment.clone(),
        target: plan.target.clone(),
        promoted_from: match &plan.kind {
            RolloutKind::Promotion { from } => Some(from.clone()),
            RolloutKind::Deploy | RolloutKind::Rollback { .. } => None,
        },
        reason: None,
        digest: digest_of(plan),
    }
}

fn at_a_terminal(plan: &RolloutPlan) -> Hint {
    Hint::note(format!(
        "For approvals at a terminal, set approval_method: manual on {} in deployments/{}.yaml",
        plan.target, plan.deployment
    ))
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
