//! `atmos deployment lock`: freezes a target, or locks some of its components.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::process::ExitCode;
use std::time::Duration;

use crate::cli::args::{not_blank, positive_duration};
use crate::context::Context;
use crate::deployment::judgement::Judgement;
use crate::deployment::lock::{HeldLock, Lock, LockScope};
use crate::deployment::names::ComponentReference;
use crate::deployment::{DeploymentName, TargetName};
use crate::error::{Code, CommandError};
use crate::ledger::{AcquireError, Acquired, Ledger, LockRequest, Scope, judge_now};
use crate::project::known::{known_component, known_target};
use crate::project::ledger::reachable;
use crate::project::left_at_work::{described, explained};
use crate::render;
use crate::render::document::error::Hint;
use crate::render::document::locks::{LockItem, LockResult};

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  atmos deployment lock payment-service --target prod --reason \"Black Friday\"
  atmos deployment lock payment-service --target prod --expires 2h
  atmos deployment lock payment-service --target prod --component api")]
pub struct Args {
    /// The deployment
    deployment: DeploymentName,
    /// The target
    #[arg(long, value_name = "TARGET")]
    target: TargetName,
    /// Lock this component alone and not the whole target (repeatable)
    #[arg(long, value_name = "COMPONENT")]
    component: Vec<ComponentReference>,
    /// Why, for those who find the lock
    #[arg(long, value_name = "TEXT", value_parser = not_blank)]
    reason: Option<String>,
    /// Unlock by itself after this time: 30m, 2h, 1d. Without it, the lock stays until it is removed
    #[arg(long, value_name = "DURATION", value_parser = positive_duration)]
    expires: Option<Duration>,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<ExitCode, CommandError> {
    let repository = context.repository()?;
    let project = context.project(&repository)?;
    let deployment = project.deployment(context, &args.deployment)?;
    known_target(&deployment, &args.target)?;
    let mut scopes = Vec::new();
    for reference in &args.component {
        let scope = LockScope::Component(known_component(&deployment, reference)?.name.clone());
        if !scopes.contains(&scope) {
            scopes.push(scope);
        }
    }
    if scopes.is_empty() {
        scopes.push(LockScope::Target);
    }
    let ledger = context.ledger(&repository, &project.config)?;
    reachable(context, &ledger, "locks")?;
    let request = LockRequest {
        deployment: args.deployment.clone(),
        target: args.target.clone(),
        scopes,
        lock: Lock {
            holder: context.actor(&repository),
            // Not the id of a rollout: no run may take this lock for its own.
            run_id: format!("lock:{}", uuid::Uuid::now_v7()),
            run_url: None,
            reason: args.reason.clone(),
            acquired_at: context.now(),
            expires_at: None,
            lease: None,
            host: None,
            process: None,
            process_started: None,
            user: None,
            session: None,
            intends: BTreeMap::new(),
            follows: BTreeMap::new(),
        },
        lease: args.expires,
        wait: Duration::ZERO,
        replaces: None,
        ends_orphans: true,
    };
    let document = take(context, &ledger, &request)?;
    context.print(&document, render::locks::result)?;
    context.say_warnings(&ledger);
    Ok(ExitCode::SUCCESS)
}

/// Acquires the locks, and finds rollouts that run on the frozen target nevertheless.
fn take(context: &Context, ledger: &Ledger<'_>, request: &LockRequest) -> Result<LockResult, CommandError> {
    let scope = Scope::Targets(request.deployment.clone(), vec![request.target.clone()]);
    ledger.refresh_states_or_fail(&scope)?;
    let snapshot = ledger.read(&scope)?;
    let acquired = ledger.acquire(request, &snapshot, &mut |_| Ok(Vec::new()), &mut |_, asked| {
        for asked in &asked {
            let line = described(asked, &context.clock());
            context.warn(&format!("{line}; they were asked to end, and are waited for"));
        }
        ControlFlow::Continue(())
    });
    let acquired = match acquired {
        Ok(acquired) => acquired,
        Err(AcquireError::Held(held)) => return Err(held_by_others(context, request, &held)),
        Err(AcquireError::Ledger(error)) => return Err(error.into()),
    };
    let Acquired { object, lock, taken_over } = acquired;
    for held in &taken_over {
        context.warn(&format!("an abandoned lock of {} was replaced", held.lock.holder));
    }
    ledger.record_interrupted(&request.deployment, &request.target, &taken_over)?;
    let item = |held: &HeldLock| LockItem::new(&request.deployment, &request.target, held, context.now());
    let taken = request.scopes.iter().map(|scope| HeldLock {
        scope: scope.clone(),
        object: object.clone(),
        lock: lock.clone(),
    });
    let locks = taken.map(|held| item(&held)).collect();
    // A rollout that started at the same time either sees the freeze and gives way, or is found
    // here.
    ledger.refresh_states_or_fail(&scope)?;
    let target = ledger.read(&scope)?.into_deployment(&request.deployment).targets.remove(&request.target);
    let still_running = target
        .iter()
        .flat_map(|target| &target.locks)
        .filter(|held| request.scopes.contains(&LockScope::Target) && held.object != object)
        .filter(|held| judge_now(&held.lock, context.now()) != Judgement::Free)
        .map(item)
        .collect();
    Ok(LockResult { locks, still_running })
}

fn held_by_others(context: &Context, request: &LockRequest, held: &[HeldLock]) -> CommandError {
    let LockRequest { deployment, target, .. } = request;
    let mut hints = Vec::new();
    let lines: Vec<_> = held
        .iter()
        .map(|HeldLock { scope, lock, .. }| {
            let (what, flag) = match scope {
                LockScope::Component(component) => {
                    (component.to_string(), format!(" --component {component}"))
                }
                LockScope::Target => ("the whole target".to_owned(), String::new()),
            };
            hints.push(Hint::command(
                format!("To unlock {what}"),
                format!("atmos deployment unlock {deployment} --target {target}{flag}"),
            ));
            let since = context.clock().relative_and_exact(lock.acquired_at);
            let reason = lock.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
            let run = lock.run_url.as_ref().unwrap_or(&lock.run_id);
            format!("{what}: by {} since {since}, run {run}{reason}", lock.holder)
        })
        .collect();
    let holder = held.first().map_or("somebody", |held| held.lock.holder.as_str());
    let message = format!("{deployment}/{target} is already locked by {holder}");
    let error = CommandError::new(Code::Locked, message).details(lines);
    let (error, is_at_work) = explained(error, held, &context.clock());
    if is_at_work { error } else { hints.into_iter().fold(error, CommandError::hint) }
}
