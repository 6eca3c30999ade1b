//! `atmos deployment approve`: approves a rollout ahead of it, or revokes such an approval.

use std::process::ExitCode;

use crate::cli::args::{context_override, not_blank};
use crate::context::Context;
use crate::deployment::approval::{Approvals, Revocation, Standing};
use crate::deployment::names::ComponentReference;
use crate::deployment::record::in_whole_seconds;
use crate::deployment::{DeploymentName, TargetName};
use crate::error::{Code, CommandError};
use crate::ledger::Scope;
use crate::project::known::known_target;
use crate::project::ledger::reachable;
use crate::render;
use crate::render::document::approval::{ApprovalItem, ApprovalResult};
use crate::render::document::error::Hint;
use crate::rollout::{self, Options};
use crate::text::KeyValue;

#[derive(Debug, clap::Args)]
#[expect(clippy::option_option, reason = "revoking comes with an id, without one, or not at all")]
#[command(after_help = "Examples:
  atmos deployment approve payment-service --target prod --promote-from staging --reason 'CHG-42'
  atmos deployment approve payment-service --target prod --promote-from staging --digest v1:sha256:… --reason 'CHG-42'
  atmos deployment approve payment-service --target prod --revoke --reason 'found a bug'")]
pub struct Args {
    /// The deployment
    deployment: DeploymentName,
    /// The target
    #[arg(long, value_name = "TARGET")]
    target: TargetName,
    /// Approve the rollout of this commit instead of the one that is checked out
    #[arg(long, value_name = "COMMIT", conflicts_with = "promote_from", value_parser = not_blank)]
    pub(super) git_sha: Option<String>,
    /// Approve the promotion of what runs on this target
    #[arg(long, value_name = "TARGET", value_parser = not_blank)]
    promote_from: Option<String>,
    /// Only this component; may be given several times
    #[arg(long, value_name = "COMPONENT")]
    component: Vec<ComponentReference>,
    /// Approve it with this override of the target's context
    #[arg(long, value_name = "KEY=VALUE", value_parser = context_override)]
    context: Vec<KeyValue>,
    /// Approve a rollout that the promotion path does not allow, with the same flag
    #[arg(long)]
    skip_promotion_check: bool,
    /// Approve a promotion although part of what runs on the source stays behind
    #[arg(long, requires = "promote_from")]
    allow_partial: bool,
    /// Approve a promotion of states that no record speaks of, with the same flag
    #[arg(long, requires = "promote_from")]
    trust_state: bool,
    /// Approve nothing but the plan that has this digest
    #[arg(long, value_name = "DIGEST", value_parser = super::rollout::plan_digest)]
    digest: Option<String>,
    /// Why. Without it, a terminal shows the plan and asks; with it, nothing is shown, and the
    /// approval counts as given unseen unless --digest names the plan
    #[arg(long, value_name = "TEXT", value_parser = not_blank)]
    reason: Option<String>,
    /// Take approvals of the target back: the one whose id starts so, or all that still count
    #[arg(
        long,
        value_name = "ID",
        value_parser = not_blank,
        conflicts_with_all = ["git_sha", "promote_from", "component", "context", "digest", "skip_promotion_check", "allow_partial", "trust_state"]
    )]
    revoke: Option<Option<String>>,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<ExitCode, CommandError> {
    if let Some(id) = &args.revoke {
        return revoke(args, id.as_deref(), context);
    }
    let mut plan = Options::plan_of(args.deployment.clone());
    plan.target = Some(args.target.clone());
    plan.git_sha.clone_from(&args.git_sha);
    plan.promote_from.clone_from(&args.promote_from);
    plan.component.clone_from(&args.component);
    plan.context.clone_from(&args.context);
    plan.skip_promotion_check = args.skip_promotion_check;
    plan.allow_partial = args.allow_partial;
    plan.trust_state = args.trust_state;
    plan.digest.clone_from(&args.digest);
    plan.approve.clone_from(&args.reason);
    plan.is_approval = true;
    let approved = rollout::approve_ahead(&plan, context)?;
    if approved.is_none() {
        context.streams().note(&format!("{} → {} needs no approval\n", args.deployment, args.target));
    }
    let approved = approved.map(|approval| {
        let names = approval.components.iter().map(|covered| covered.component.clone());
        let standing = Standing::Valid { left: names.collect(), used: Vec::new() };
        ApprovalItem::new(&approval.id(), &approval, &standing)
    });
    print(args, context, approved, Vec::new())
}

/// Revokes approvals that have not been used.
fn revoke(args: &Args, wanted: Option<&str>, context: &Context) -> Result<ExitCode, CommandError> {
    let repository = context.repository()?;
    let project = context.project(&repository)?;
    let deployment = project.deployment(context, &args.deployment)?;
    known_target(&deployment, &args.target)?;
    let ledger = context.ledger(&repository, &project.config)?;
    reachable(context, &ledger, "approvals")?;
    let scope = Scope::Targets(args.deployment.clone(), vec![args.target.clone()]);
    ledger.refresh_or_fail(&scope)?;
    let state = ledger.read(&scope)?.into_deployment(&args.deployment);
    let (lines, _) = ledger.all_approval_lines(&args.deployment)?;
    let approvals = Approvals::of_target(lines.iter().map(String::as_str), &args.deployment, &args.target);
    let digits = |id: &str| id.strip_prefix("sha256:").unwrap_or(id).to_owned();
    let named = |id: &str| wanted.is_none_or(|wanted| digits(id).starts_with(&digits(wanted)));
    let counts = |standing: &Standing| matches!(standing, Standing::Valid { .. });
    let all: Vec<_> = approvals
        .newest_first()
        .into_iter()
        .map(|(id, approval)| {
            let state = state.targets.get(&args.target);
            (id, approval, approvals.standing(id, approval, state, context.now()))
        })
        .collect();
    let chosen: Vec<_> = all.iter().filter(|(id, _, standing)| named(id) && counts(standing)).collect();
    if chosen.is_empty() {
        let message = match wanted {
            None => format!("{} → {} has no approval that still counts", args.deployment, args.target),
            Some(id) => {
                format!("{} → {} has no approval {id} that still counts", args.deployment, args.target)
            }
        };
        let command = format!("atmos deployment approvals {} --target {}", args.deployment, args.target);
        let gone = wanted.into_iter().flat_map(|_| &all).filter(|(id, ..)| named(id));
        let gone = gone.map(|(id, _, standing)| {
            let id: String = digits(id).chars().take(12).collect();
            match standing {
                Standing::Revoked { by, .. } => format!("{id} has been revoked already, by {by}"),
                standing => format!("{id} is there, and does not count: {standing}"),
            }
        });
        return Err(CommandError::new(Code::NoApproval, message)
            .details(gone)
            .hint(Hint::command("To see the approvals", command)));
    }
    let by = context.actor(&repository);
    let revocation = |id: &str| Revocation {
        revokes: id.to_owned(),
        revoked_by: by.clone(),
        revoked_at: in_whole_seconds(context.now()),
        deployment: args.deployment.clone(),
        target: args.target.clone(),
        reason: args.reason.clone(),
    };
    let revocations: Vec<_> = chosen.iter().map(|(id, approval, _)| (*approval, revocation(id))).collect();
    ledger.note_revocations(&args.deployment, &revocations)?;
    let standing = Standing::Revoked { by: by.clone(), at: context.now(), reason: args.reason.clone() };
    let items = chosen.iter().map(|(id, approval, _)| ApprovalItem::new(id, approval, &standing)).collect();
    let code = print(args, context, None, items)?;
    context.say_warnings(&ledger);
    Ok(code)
}

fn print(
    args: &Args,
    context: &Context,
    approved: Option<ApprovalItem>,
    revoked: Vec<ApprovalItem>,
) -> Result<ExitCode, CommandError> {
    let document = ApprovalResult {
        deployment: args.deployment.clone(),
        target: args.target.clone(),
        approved,
        revoked,
    };
    context.print(&document, render::approval::result)?;
    Ok(ExitCode::SUCCESS)
}
