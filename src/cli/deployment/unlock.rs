//! `atmos deployment unlock`: releases a lock.

use std::process::ExitCode;

use crate::cli::args::not_blank;
use crate::context::Context;
use crate::deployment::judgement::Judgement;
use crate::deployment::lock::{HeldLock, Lock, LockScope};
use crate::deployment::names::ComponentReference;
use crate::deployment::record::in_whole_seconds;
use crate::deployment::state::DeploymentState;
use crate::deployment::{Deployment, DeploymentName, TargetName};
use crate::error::{Code, CommandError};
use crate::git::Repository;
use crate::ledger::{Ledger, LiftedHold, Scope, judge_now};
use crate::project::known::{known_component, known_target};
use crate::project::ledger::reachable;
use crate::project::left_at_work::{described, explained, left};
use crate::render;
use crate::render::document::error::Hint;
use crate::render::document::locks::{LockItem, UnlockResult};

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  atmos deployment unlock payment-service --target prod
  atmos deployment unlock payment-service --target prod --component api
  atmos deployment unlock payment-service --target prod --component api --force
  atmos deployment unlock payment-service --target prod --hold --reason 'fixed in abc123d'")]
pub struct Args {
    /// The deployment
    deployment: DeploymentName,
    /// The target
    #[arg(long, value_name = "TARGET")]
    target: TargetName,
    /// Unlock this component and not the whole target (repeatable)
    #[arg(long, value_name = "COMPONENT")]
    component: Vec<ComponentReference>,
    /// Take the lock away from a rollout that may still be running
    #[arg(long, conflicts_with = "hold")]
    force: bool,
    /// Lift the hold after a rollback instead, so that pipelines may move the target forwards again
    #[arg(long, requires = "reason")]
    hold: bool,
    /// Why the hold is lifted
    #[arg(long, value_name = "TEXT", requires = "hold", value_parser = not_blank)]
    reason: Option<String>,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<ExitCode, CommandError> {
    let repository = context.repository()?;
    let project = context.project(&repository)?;
    let deployment = project.deployment(context, &args.deployment)?;
    let ledger = context.ledger(&repository, &project.config)?;
    reachable(context, &ledger, if args.hold { "holds" } else { "locks" })?;
    let scope = Scope::Targets(args.deployment.clone(), vec![args.target.clone()]);
    ledger.refresh_states_or_fail(&scope)?;
    let snapshot = ledger.read(&scope)?;
    let state = snapshot.deployment(&args.deployment).into_owned();
    if let (true, Some(reason)) = (args.hold, &args.reason) {
        return lift_hold(args, reason, context, &repository, &deployment, &ledger, &state);
    }
    let mut targets = state.targets;
    let held = targets.remove(&args.target).unwrap_or_default().locks;
    if held.is_empty() {
        // An undeclared target may still be locked.
        known_target(&deployment, &args.target)?;
    }
    let scopes = scopes(&deployment, &args.component, &held)?;
    let (chosen, others): (Vec<_>, Vec<_>) = held.into_iter().partition(|held| scopes.contains(&held.scope));
    if !args.force {
        refuse_running(args, context, &chosen)?;
    }
    for left in &left(&chosen) {
        context.warn(&described(left, &context.clock()));
    }
    if !chosen.is_empty() && !ledger.unlock(&args.deployment, &args.target, &chosen, &snapshot)? {
        let message = format!("the locks of {}/{} have just changed", args.deployment, args.target);
        let again = Hint::note("Look at them again, then run the command again");
        return Err(CommandError::new(Code::Contended, message).hint(again));
    }
    let item = |held: &HeldLock| LockItem::new(&args.deployment, &args.target, held, context.now());
    let document = UnlockResult {
        deployment: args.deployment.clone(),
        target: args.target.clone(),
        unlocked: chosen.iter().map(item).collect(),
        still_locked: others.iter().map(item).collect(),
        holds_lifted: Vec::new(),
    };
    if document.unlocked.is_empty() {
        context.streams().note(&format!("{} → {} is not locked\n", args.deployment, args.target));
    }
    context.print(&document, render::locks::unlocked)?;
    context.say_warnings(&ledger);
    Ok(ExitCode::SUCCESS)
}

/// Lifts the holds of the target's components that run a rollback.
fn lift_hold(
    args: &Args,
    reason: &str,
    context: &Context,
    repository: &Repository,
    deployment: &Deployment,
    ledger: &Ledger<'_>,
    state: &DeploymentState,
) -> Result<ExitCode, CommandError> {
    known_target(deployment, &args.target)?;
    let only: Vec<_> = args
        .component
        .iter()
        .map(|reference| known_component(deployment, reference).map(|component| component.name.clone()))
        .collect::<Result<_, _>>()?;
    let already = ledger.lifted_holds_now(state)?;
    let components = state.targets.get(&args.target).into_iter().flat_map(|target| &target.components);
    let lifted: Vec<_> = components
        .filter(|(name, component)| {
            component.runs_a_rollback()
                && (only.is_empty() || only.contains(name))
                && !already.contains(&(args.target.clone(), (*name).clone()))
        })
        .filter_map(|(name, component)| {
            let lifted = LiftedHold {
                target: args.target.clone(),
                component: name.clone(),
                record: component.running.as_ref()?.object.clone(),
                lifted_by: context.actor(repository),
                lifted_at: in_whole_seconds(context.now()),
                reason: reason.to_owned(),
            };
            Some((component.commit.clone()?, lifted))
        })
        .collect();
    if lifted.is_empty() {
        context.streams().note(&format!("{} → {} is not held\n", args.deployment, args.target));
    } else {
        ledger.lift_holds(&args.deployment, &lifted)?;
    }
    let document = UnlockResult {
        deployment: args.deployment.clone(),
        target: args.target.clone(),
        unlocked: Vec::new(),
        still_locked: Vec::new(),
        holds_lifted: lifted.into_iter().map(|(_, lifted)| lifted.component).collect(),
    };
    context.print(&document, render::locks::unlocked)?;
    context.say_warnings(ledger);
    Ok(ExitCode::SUCCESS)
}

/// The scopes to unlock: the named components, by default the freeze of the target.
fn scopes(
    deployment: &Deployment,
    references: &[ComponentReference],
    held: &[HeldLock],
) -> Result<Vec<LockScope>, CommandError> {
    if references.is_empty() {
        return Ok(vec![LockScope::Target]);
    }
    let locked = |reference: &ComponentReference| {
        held.iter().map(|held| &held.scope).find(
            |scope| matches!(scope, LockScope::Component(component) if component.as_str() == reference.0),
        )
    };
    references
        .iter()
        .map(|reference| match (deployment.find(reference), locked(reference)) {
            (Some(component), _) => Ok(LockScope::Component(component.name.clone())),
            (None, Some(scope)) => Ok(scope.clone()),
            (None, None) => known_component(deployment, reference)
                .map(|component| LockScope::Component(component.name.clone())),
        })
        .collect()
}

/// Refuses to release locks of rollouts that may be running: those with a process that is not known
/// to be dead. An expired lease is no proof, because two clocks may differ.
fn refuse_running(args: &Args, context: &Context, chosen: &[HeldLock]) -> Result<(), CommandError> {
    let may_run = |lock: &Lock| judge_now(lock, context.now()) != Judgement::Free;
    let running = |held: &&HeldLock| held.lock.process.is_some() && may_run(&held.lock);
    let Some(held) = chosen.iter().find(running) else { return Ok(()) };
    let what = match &held.scope {
        LockScope::Component(component) => component.to_string(),
        LockScope::Target => "the target".to_owned(),
    };
    let lock = &held.lock;
    let message = format!("{what} is locked by a rollout of {} that may still be running", lock.holder);
    let run = lock.run_url.as_ref().unwrap_or(&lock.run_id);
    let since = context.clock().relative_and_exact(lock.acquired_at);
    let mut command = format!("atmos deployment unlock {} --target {}", args.deployment, args.target);
    for component in &args.component {
        command.extend([" --component ", &component.0]);
    }
    command.push_str(" --force");
    let error = CommandError::new(Code::Locked, message).details([format!("run {run}, since {since}")]);
    let (error, _) = explained(error, chosen, &context.clock());
    Err(error.hint(Hint::command("If nothing is running any more", command)))
}
