//! Refusals in the words of the specification, each with the way out.

use crate::cli::error::{CommandError, exit};
use crate::deployment::DeploymentName;
use crate::deployment::rollout_plan::Refusal;
use crate::ledger::AcquireError;
use crate::render::Clock;
use crate::render::document::error::{Error, Hint};

/// The error for a refusal of a rollout of this deployment.
pub(super) fn refused(deployment: &DeploymentName, refusal: &Refusal, clock: &Clock) -> CommandError {
    let rollout = |rest: String| format!("atmos deployment rollout {deployment} {rest}");
    let status = |target| {
        Hint::command("To see what runs", format!("atmos deployment status {deployment} --target {target}"))
    };
    let listed = |reasons: &[(crate::deployment::ComponentName, String)]| -> Vec<String> {
        reasons.iter().map(|(component, reason)| format!("{component}: {reason}")).collect()
    };
    match refusal {
        Refusal::Path(path) => Error::promotion_path(deployment, path, exit::REFUSED).into(),
        Refusal::NotPromoted { target, sources, components } => {
            let names: Vec<_> = components.iter().map(AsRef::as_ref).collect();
            let error = CommandError::new(
                exit::REFUSED,
                "not_promoted",
                format!("Cannot roll out directly to {target}: this commit has not run there before"),
            )
            .details([format!("Components: {}", names.join(", "))]);
            let error = sources.iter().fold(error, |error, source| {
                error.hint(Hint::command(
                    format!("To promote what runs on {source}"),
                    rollout(format!("--target {target} --promote-from {source}")),
                ))
            });
            error.hint(Hint::command(
                "Or skip promotion validation (not recommended)",
                rollout(format!("--target {target} --skip-promotion-check")),
            ))
        }
        Refusal::Frozen { target, lock } => {
            let reason = lock.lock.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
            let until = lock
                .lock
                .expires_at
                .map(|expiry| format!(", until {}", clock.exact(expiry)))
                .unwrap_or_default();
            CommandError::new(
                exit::REFUSED,
                "frozen",
                format!("{target} is frozen by {}{reason}", lock.lock.holder),
            )
            .details([format!("Since {}{until}", clock.relative_and_exact(lock.lock.acquired_at))])
            .hint(Hint::command(
                "To lift the freeze",
                format!("atmos deployment unlock {deployment} --target {target}"),
            ))
        }
        Refusal::NothingToPromote { from, reasons } => CommandError::new(
            exit::REFUSED,
            "nothing_to_promote",
            format!("There is nothing to promote from {from}"),
        )
        .details(listed(reasons))
        .hint(Hint::command("To deploy to it first", rollout(format!("--target {from}")))),
        Refusal::NotPromotable { from, component, reason } => CommandError::new(
            exit::REFUSED,
            "not_promotable",
            format!("Cannot promote {component} from {from}: {reason}"),
        )
        .hint(status(from)),
        Refusal::Mixed { from, commits } => CommandError::new(
            exit::REFUSED,
            "mixed_commits",
            format!("The components on {from} sit at {} different commits", commits.len()),
        )
        .details(commits.iter().map(|(commit, components)| {
            let names: Vec<_> = components.iter().map(AsRef::as_ref).collect();
            format!("{}: {}", commit.short(), names.join(", "))
        }))
        .hint(Hint::note("Leave out --require-uniform to promote each component at its own commit")),
        Refusal::OnHold { target, components } => {
            let names: Vec<_> = components.iter().map(AsRef::as_ref).collect();
            CommandError::new(
                exit::REFUSED,
                "hold",
                format!("{target} was rolled back; the next promotion to it is made by a person"),
            )
            .details([format!("Components: {}", names.join(", "))])
            .hint(Hint::note(
                "Start the promotion by hand: workflow_dispatch, a manual job, or from a terminal",
            ))
        }
    }
}

/// The error for locks that others hold.
pub(super) fn not_acquired(
    deployment: &DeploymentName,
    target: &crate::deployment::TargetName,
    error: AcquireError,
    clock: &Clock,
) -> CommandError {
    use crate::deployment::lock::LockScope;
    let held = match error {
        AcquireError::Ledger(error) => return error.into(),
        AcquireError::Held(held) => held,
    };
    let Some(first) = held.first() else {
        return CommandError::new(exit::LOCKED, "locked", "somebody holds a lock");
    };
    let name = |scope: &LockScope| match scope {
        LockScope::Component(component) => component.to_string(),
        LockScope::Target => target.to_string(),
    };
    let component = match &first.scope {
        LockScope::Component(component) => format!(" --component {component}"),
        LockScope::Target => String::new(),
    };
    let names: Vec<_> = held.iter().map(|held| name(&held.scope)).collect();
    CommandError::new(
        exit::LOCKED,
        "locked",
        format!("{} on {target} is locked by {}", names.join(", "), first.lock.holder),
    )
    .details(held.iter().map(|held| {
        let reason = held.lock.reason.as_ref().map(|reason| format!(", {reason}")).unwrap_or_default();
        let url = held.lock.run_url.as_ref().map(|url| format!(", {url}")).unwrap_or_default();
        format!(
            "{}: run {}, {}{reason}{url}",
            name(&held.scope),
            held.lock.run_id,
            clock.relative_and_exact(held.lock.acquired_at)
        )
    }))
    .hint(Hint::note("Wait for it with --lock-timeout 10m"))
    .hint(Hint::command(
        "If nothing runs there any more",
        format!("atmos deployment unlock {deployment} --target {target}{component} --force"),
    ))
}
