//! Errors of refusals, in the words of the specification, each with a remedy.

use std::collections::BTreeSet;

use super::command_line::CommandLine;
use crate::deployment::judgement::{Judgement, patience};
use crate::deployment::lock::HeldLock;
use crate::deployment::promotable::{LeftOut, LeftOutReason};
use crate::deployment::promotion::PathRefusal;
use crate::deployment::rollout_plan::{NotPromotedReason, Refusal};
use crate::deployment::rules::RulesConflict;
use crate::deployment::{ComponentName, Deployment, DeploymentName, PromotionRule, TargetName};
use crate::error::{Code, CommandError};
use crate::ledger::{AcquireError, judge_now};
use crate::project::left_at_work::explained;
use crate::render::Clock;
use crate::render::document::error::{Error, Hint};

/// The error of a refusal, with hints based on this command line. On the targets in
/// `empty`, none of its components runs.
#[expect(clippy::too_many_lines, reason = "one arm for each refusal, each of them plain")]
pub(super) fn refused(
    refusal: &Refusal,
    checkout: &Deployment,
    empty: &BTreeSet<TargetName>,
    typed: &CommandLine,
    clock: &Clock,
) -> CommandError {
    let refused = |code: Code, message: String| CommandError::new(code, message);
    let name = &checkout.name;
    let with = |change: &dyn Fn(&mut CommandLine)| {
        let mut line = typed.clone();
        change(&mut line);
        line.to_string()
    };
    let trusting = || {
        let line = with(&|line| {
            line.flag("trust-state");
        });
        Hint::command("Where what it runs is known to be right, to promote it all the same", line)
    };
    let to_promote = if typed.is_approval() { "To approve the promotion of" } else { "To promote" };
    match refusal {
        Refusal::Rules(conflict) => of_rules(conflict),
        Refusal::Path(path) => off_the_path(path, typed),
        Refusal::NotPromoted { target, sources, components, why } => {
            let reason = match why {
                NotPromotedReason::New => "this commit has not run there before",
                NotPromotedReason::Left => "this commit has run there, and going to it now is no rollback",
                NotPromotedReason::Overridden => "with --context, a commit that has run there is another one",
            };
            let error = refused(Code::NotPromoted, format!("Cannot roll out directly to {target}: {reason}"))
                .details([format!("Components: {}", listed(components))]);
            if *why == NotPromotedReason::Overridden {
                let command = with(&|line| {
                    line.without("context");
                });
                let text = "With --context it is no rollback to what ran there; to roll back as it was";
                return error.hint(Hint::command(text, command));
            }
            let error = sources.iter().fold(error, |error, source| {
                if empty.contains(source) {
                    return error.hint(on_its_way(checkout, source, typed));
                }
                let command = with(&|line| {
                    line.without("git-sha").without("context").set("target", target.as_str());
                    line.set("promote-from", source.as_str());
                });
                error.hint(Hint::command(format!("{to_promote} what runs on {source}"), command))
            });
            let skip = with(&|line| {
                line.flag("skip-promotion-check");
            });
            error.hint(Hint::command("Or skip promotion validation (not recommended)", skip))
        }
        Refusal::Frozen { target, lock } => {
            let reason = lock.lock.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
            let until = lock
                .lock
                .expires_at
                .map(|expiry| format!(", until {}", clock.exact(expiry)))
                .unwrap_or_default();
            refused(Code::Frozen, format!("{target} is frozen by {}{reason}", lock.lock.holder))
                .details([format!("Since {}{until}", clock.relative_and_exact(lock.lock.acquired_at))])
                .hint(Hint::command(
                    "To lift the freeze",
                    format!("atmos deployment unlock {name} --target {target}"),
                ))
        }
        Refusal::NothingToPromote { from, left_out } => {
            let error = refused(Code::NothingToPromote, format!("There is nothing to promote from {from}"))
                .details(reasons(left_out));
            let error = error.hint(deploy_first(checkout, from, typed));
            if has_unrecorded(left_out) { error.hint(trusting()) } else { error }
        }
        Refusal::NotPromotable { from, left_out, together } => {
            let LeftOut { component, reason } = &**left_out;
            let error =
                refused(Code::NotPromotable, format!("Cannot promote {component} from {from}: {reason}"));
            match reason {
                LeftOutReason::Needs { .. } if !together.is_empty() => {
                    let all = with(&|line| {
                        line.without("component");
                        for component in together {
                            line.add("component", component.as_str());
                        }
                    });
                    let what = listed(together);
                    error.hint(Hint::command(format!("{to_promote} what it needs as well: {what}"), all))
                }
                LeftOutReason::Undeclared { .. } => error.hint(deploy_first(checkout, from, typed)),
                LeftOutReason::Unrecorded { .. } => error.hint(status_of(name, from)).hint(trusting()),
                LeftOutReason::Needs { .. }
                | LeftOutReason::NotDeployed { .. }
                | LeftOutReason::Unlisted { .. }
                | LeftOutReason::Removed { .. }
                | LeftOutReason::Unsuccessful { .. } => error.hint(status_of(name, from)),
            }
        }
        Refusal::Partial { from, left_out } => {
            let rest = with(&|line| {
                line.flag("allow-partial");
            });
            let error = refused(Code::Partial, format!("The promotion from {from} would be partial"))
                .details(reasons(left_out))
                .hint(status_of(name, from));
            let error = if has_unrecorded(left_out) { error.hint(trusting()) } else { error };
            error.hint(Hint::command(format!("{to_promote} the rest all the same"), rest))
        }
        Refusal::Mixed { from, commits } => {
            let each = with(&|line| {
                line.without("require-uniform");
            });
            refused(
                Code::MixedCommits,
                format!("The components on {from} sit at {} different commits", commits.len()),
            )
            .details(
                commits
                    .iter()
                    .map(|(commit, components)| format!("{}: {}", commit.short(), listed(components))),
            )
            .hint(Hint::command("To promote each component at its own commit", each))
        }
        Refusal::OnHold { target, components } => refused(
            Code::Hold,
            format!("{target} was rolled back; the next step forwards is started by a person"),
        )
        .details([format!("Components: {}", listed(components))])
        .hint(Hint::note("Start it by hand: workflow_dispatch, a manual job, or from a terminal"))
        .hint(Hint::command(
            "Or lift the hold, for pipelines as well",
            format!("atmos deployment unlock {name} --target {target} --hold --reason 'why'"),
        )),
        Refusal::Backwards { target, components } => {
            let back = with(&|line| {
                line.roll_out().flag("allow-rollback");
            });
            refused(Code::Backwards, format!("{target} runs newer commits than this run would deploy"))
                .details(components.iter().map(|step| {
                    let (running, commit) = (step.running.short(), step.commit.short());
                    format!("{}: {running} runs, and {commit} is an ancestor of it", step.component)
                }))
                .hint(Hint::note(
                    "No person asked for this run to go back. To roll back in a job: the inputs git-sha, or \
                     allow-rollback: true",
                ))
                .hint(Hint::command("To go back all the same", back))
        }
    }
}

/// Whether components stay behind because they have no record.
fn has_unrecorded(left_out: &[LeftOut]) -> bool {
    left_out.iter().any(|left_out| matches!(left_out.reason, LeftOutReason::Unrecorded { .. }))
}

/// The hint for reaching a target by promotion.
fn deploy_first(checkout: &Deployment, from: &TargetName, typed: &CommandLine) -> Hint {
    let rule = checkout.targets.get(from).and_then(|target| target.promotion.as_ref());
    if rule.is_some_and(PromotionRule::is_guarded) {
        let command = format!("atmos deployment promotion-status {}", checkout.name);
        return Hint::command("To see what can be promoted", command);
    }
    let mut line = typed.clone();
    for option in OF_A_PROMOTION.into_iter().chain(["promote-from", "skip-promotion-check"]) {
        line.without(option);
    }
    line.roll_out().set("target", from.as_str());
    Hint::command("To deploy to it first", line.to_string())
}

/// The hint for deploying a commit to a target from which it can be promoted.
fn on_its_way(checkout: &Deployment, from: &TargetName, typed: &CommandLine) -> Hint {
    let rule = checkout.targets.get(from).and_then(|target| target.promotion.as_ref());
    if rule.is_some_and(PromotionRule::is_guarded) {
        let command = format!("atmos deployment promotion-status {}", checkout.name);
        return Hint::command(
            format!("Nothing of it runs on {from} yet. To see what can be promoted"),
            command,
        );
    }
    let mut line = typed.clone();
    line.roll_out().set("target", from.as_str());
    let text = format!("Nothing of it runs on {from} yet. To deploy it there first");
    Hint::command(text, line.to_string())
}

fn listed(components: &[ComponentName]) -> String {
    components.iter().map(AsRef::as_ref).collect::<Vec<_>>().join(", ")
}

fn reasons(left_out: &[LeftOut]) -> Vec<String> {
    left_out.iter().map(|LeftOut { component, reason }| format!("{component}: {reason}")).collect()
}

fn status_of(deployment: &DeploymentName, target: &TargetName) -> Hint {
    Hint::command("To see what runs", format!("atmos deployment status {deployment} --target {target}"))
}

/// The error for contradicting rules of the default branch and the checkout.
fn of_rules(conflict: &RulesConflict) -> CommandError {
    let (message, hint) = match conflict {
        RulesConflict::Sources { target, .. } => (
            format!("The rules for {target} contradict each other: {conflict}"),
            "A rollout obeys both: check out what the default branch says, or merge this first",
        ),
        RulesConflict::Undeclared { target } => (
            format!("The rules for {target} are not known to the default branch"),
            "Merge the target into the default branch first: until then it can have no rules",
        ),
    };
    CommandError::new(Code::Rules, message).hint(Hint::note(hint))
}

/// The wording for promotions or for other rollouts.
const OF_A_PROMOTION: [&str; 6] =
    ["context", "metadata", "reason", "require-uniform", "allow-partial", "trust-state"];

/// The error for a promotion off the path, in the words of the specification.
fn off_the_path(path: &PathRefusal, typed: &CommandLine) -> CommandError {
    let promote = |from: &str, to: &str| {
        let mut line = typed.clone();
        for option in OF_A_PROMOTION {
            line.without(option);
        }
        if to != path.to.as_str() {
            line.roll_out();
        }
        line.without("promote-from").set("target", to).set("promote-from", from);
        line.to_string()
    };
    let mut skip = typed.clone();
    skip.without("promote-from").without("require-uniform").without("allow-partial").without("trust-state");
    skip.flag("skip-promotion-check");
    let code = (Code::PromotionPath.as_str(), Code::PromotionPath.exit_code());
    Error::promotion_path(path, &promote, skip.to_string(), code).into()
}

/// The error for locks that other runs hold.
pub(super) fn not_acquired(
    deployment: &DeploymentName,
    target: &TargetName,
    error: AcquireError,
    clock: &Clock,
) -> CommandError {
    use crate::deployment::lock::LockScope;
    let held = match error {
        AcquireError::Ledger(error) => return error.into(),
        AcquireError::Held(held) => held,
    };
    let Some(first) = held.first() else {
        return CommandError::new(Code::Locked, "another run holds a lock");
    };
    let name = |scope: &LockScope| match scope {
        LockScope::Component(component) => component.to_string(),
        LockScope::Target => target.to_string(),
    };
    let components = held.iter().filter_map(|held| match &held.scope {
        LockScope::Component(component) => Some(format!(" --component {component}")),
        LockScope::Target => None,
    });
    let components = components.collect::<String>();
    let names: Vec<_> = held.iter().map(|held| name(&held.scope)).collect();
    let error = CommandError::new(
        Code::Locked,
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
    .hint(Hint::note(patience_hint(&held, clock)));
    match explained(error, &held, clock) {
        (error, true) => error,
        (error, false) => error.hint(Hint::command(
            "If nothing runs there any more",
            format!("atmos deployment unlock {deployment} --target {target}{components} --force"),
        )),
    }
}

/// The hint for waiting: for a running rollout, or for the takeover of an abandoned lock.
fn patience_hint(held: &[HeldLock], clock: &Clock) -> String {
    let now = clock.now();
    let looks_abandoned = |held: &&HeldLock| judge_now(&held.lock, now) == Judgement::LooksAbandoned;
    let Some(found) = held.iter().find(looks_abandoned) else {
        return "Wait for it with --lock-timeout 10m".to_owned();
    };
    let ended =
        found.lock.expires_at.map(|end| format!(" ended at {}", clock.exact(end))).unwrap_or_default();
    let wait = patience(&found.lock, now).unwrap_or_default();
    // Rounded up to a minute, to leave time for polling.
    let minutes = wait.as_secs() / 60 + 1;
    format!(
        "Its lease{ended}, so that it looks abandoned; a clock that is wrong looks the same. A rollout that has seen \
         for long enough that nothing renews it takes it over: wait with --lock-timeout {minutes}m"
    )
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::deployment::lock::{Lock, LockScope};
    use crate::ledger::{Holder, SESSION_VARIABLE};

    #[test]
    fn what_a_killed_run_left_at_work_is_named_with_what_ends_it() {
        let session = format!("test-{}", std::process::id());
        // Components run in process groups of their own; orphans have no living run as an ancestor.
        let left = std::os::unix::process::CommandExt::process_group(&mut Command::new("sh"), 0)
            .args(["-c", "sleep 60 > /dev/null 2>&1 & echo $!"])
            .env(SESSION_VARIABLE, &session)
            .output()
            .unwrap();
        let id = String::from_utf8(left.stdout).unwrap().trim().to_owned();
        let Holder { host, process, started, .. } = Holder::current();
        let lock = Lock {
            host,
            process: Some(process),
            process_started: started.map(|ticks| ticks + 1),
            session: Some(session),
            ..Lock::unreadable()
        };
        let object = "0".repeat(40).parse().unwrap();
        let held = vec![HeldLock { scope: LockScope::Target, object, lock }];
        let refused = || {
            let error = AcquireError::Held(held.clone());
            let clock = Clock::utc("2025-01-22T12:00:00Z".parse().unwrap());
            let error = not_acquired(&"api".parse().unwrap(), &"dev".parse().unwrap(), error, &clock);
            crate::render::error::text(error.shown().unwrap())
        };
        let text = refused();
        assert!(Command::new("kill").args(["-KILL", &id]).status().unwrap().success());
        let is_gone = || !std::path::Path::new(&format!("/proc/{id}/environ")).exists();
        let ends = |process: &str| {
            let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
            stat.is_empty() || stat.contains(") Z ")
        };
        while !is_gone() && !ends(&id) {
            std::thread::yield_now();
        }
        for wanted in [
            "was killed, and what it started is still at work since ".to_owned(),
            format!("process {id}"),
            format!("ps -fp {id}"),
            format!("kill -KILL {id}"),
        ] {
            assert!(text.contains(&wanted), "no {wanted:?} in\n{text}");
        }
        assert!(!text.contains("unlock"), "they would work beside the next run\n{text}");
        assert!(refused().contains("unlock"), "nothing is at work any more");
    }
}
