//! The job after a fan-out: compares a target with the commit of the job, by the ledger.

use std::collections::BTreeSet;
use std::process::ExitCode;

use crate::cli::deployment::status;
use crate::compare::{Changes, Place};
use crate::config::load_deployment;
use crate::context::Context;
use crate::context::flags::GlobalArgs;
use crate::deployment::change::ChangeReason;
use crate::deployment::fan_in::{FanIn, LeftComponent};
use crate::deployment::rollout_plan::Ancestry;
use crate::deployment::state::ComponentState;
use crate::deployment::{CommitId, ComponentName, DeploymentName, TargetName};
use crate::error::{Code, CommandError};
use crate::ledger::{Ledger, Scope};
use crate::project::commit_source::CommitSource;
use crate::project::disabled::disabled_on_target;
use crate::project::known::known_target;
use crate::render::document::error::Hint;
use crate::report::{Reports, Seen, Subject, Switches};
use crate::text::quoted;

/// The subject of a report on a target; `None` where no report is enabled.
///
/// # Errors
///
/// Fails where no target is named, or with `--offline`: a report tells the state on the remote.
pub(super) fn subject(
    args: &status::Args,
    switches: Switches,
    global: &GlobalArgs,
) -> Result<Option<Subject>, CommandError> {
    if !switches.any() {
        return Ok(None);
    }
    let what = "a report of command `status` (`commit-status`, `deployment-record`, `comment`)";
    let Some((deployment, target)) = args.subject() else {
        let message = format!("{what} is of one target: inputs `deployment` and `target` are needed");
        return Err(CommandError::usage(message));
    };
    if global.offline {
        let message = format!(
            "{what} says what the remote knows, which `fetch: false` and ATMOS_OFFLINE forbid to ask"
        );
        return Err(CommandError::usage(message));
    }
    Ok(Some(Subject {
        deployment: deployment.clone(),
        target: Some(target.clone()),
        dry_run: false,
        components: Vec::new(),
        revision: None,
        is_promotion: false,
    }))
}

/// Prints the status of a target and reports it. An incomplete target is an error.
pub(super) fn run(
    args: &status::Args,
    context: &Context,
    reports: Option<&Reports>,
    (deployment, target): (&DeploymentName, &TargetName),
    seen: &mut Seen,
) -> Result<ExitCode, CommandError> {
    // No fallback to the local state where that of the remote is unknown.
    let found = look(context, deployment, target).and_then(|found| {
        let code = status::run_with(args, context, Some((target, &found.fan_in)))?;
        Ok((code, found))
    });
    let (ending, found) = match found {
        Ok(found) => found,
        Err(error) => {
            report_failure(reports, target, &error);
            return Err(error);
        }
    };
    let Found { fan_in, sources } = found;
    if let Some(reports) = reports {
        reports.fan_in(target, &fan_in);
    }
    let said = format!("{target}: {fan_in}");
    let hints = hints(&fan_in, deployment, target, &sources);
    let (is_complete, details) = (fan_in.is_complete(), fan_in.details().collect::<Vec<_>>());
    seen.fan_in = Some((target.clone(), fan_in));
    if is_complete {
        context.streams().note(&format!("{said}\n"));
        return Ok(ending);
    }
    let error = CommandError::new(Code::Incomplete, said).details(details);
    Err(hints.into_iter().fold(error, CommandError::hint).after_document())
}

/// Reports that the state of the target is unknown.
pub(super) fn report_failure(reports: Option<&Reports>, target: &TargetName, error: &CommandError) {
    if let Some(reports) = reports {
        reports.no_fan_in(target, error);
    }
}

/// The hints to roll out the remaining components, where a rollout does that: it must not take a
/// component back to an older commit.
fn hints(
    fan_in: &FanIn,
    deployment: &DeploymentName,
    target: &TargetName,
    sources: &[TargetName],
) -> Vec<Hint> {
    let behind: Vec<_> = fan_in.behind().collect();
    if behind.is_empty() {
        return vec![Hint::note(
            "Newer runs have replaced what this commit brought: they say how the target stands",
        )];
    }
    let mut rollout = format!("atmos deployment rollout {deployment} --target {target}");
    let named = |only: String, component: &&ComponentName| {
        format!("{only} --component {}", quoted(component.as_str()))
    };
    let only = if behind.len() == fan_in.left.len() {
        String::new()
    } else {
        behind.iter().fold(String::new(), named)
    };
    if sources.is_empty() {
        rollout.push_str(&only);
        return vec![Hint::command("To roll out what is left", rollout)];
    }
    let promotion = |source: &TargetName| {
        let command = format!("{rollout} --promote-from {source}{only}");
        Hint::command(format!("To promote what is left, where it runs on {source}"), command)
    };
    sources.iter().map(promotion).collect()
}

/// The state of a target, and the sources of its promotions.
struct Found {
    fan_in: FanIn,
    sources: Vec<TargetName>,
}

/// Compares the running components of a target, by the remote's current state, with the checked-out
/// commit.
fn look(context: &Context, name: &DeploymentName, target: &TargetName) -> Result<Found, CommandError> {
    let repository = context.repository()?;
    let project = context.project(&repository)?;
    let ledger = context.ledger(&repository, &project.config)?;
    let commit = repository.head()?;
    let source = CommitSource::new(&repository, commit.clone())?;
    let deployment = load_deployment(&source, &project.config, name)?.deployment;
    known_target(&deployment, target)?;
    let rules = deployment.targets.get(target).and_then(|target| target.promotion.as_ref());
    let sources = rules.map(|rule| rule.sources.clone()).unwrap_or_default();
    let scope = Scope::Targets(name.clone(), vec![target.clone()]);
    ledger.refresh_or_fail(&scope)?;
    let state = ledger.read(&scope)?.into_deployment(name);
    let names: BTreeSet<_> = deployment.components.iter().map(|component| component.name.clone()).collect();
    let disabled = disabled_on_target(&repository, &project, &deployment, None, target, names)?;
    let place =
        Place { repository: &repository, config: &project.config, ledger: &ledger, deployment: name, target };
    let mut changes = Changes::new(place, &commit, &deployment)?;
    let mut fan_in = FanIn { commit, components: 0, left: Vec::new() };
    for component in deployment.components.iter().filter(|component| !disabled.contains(&component.name)) {
        fan_in.components += 1;
        let state = state.component(target, &component.name);
        // A state may have been moved by hand: without a record it is not known to be deployed.
        let unrecorded = || {
            let is_unrecorded = state.is_some_and(|state| state.running.is_none());
            is_unrecorded.then(|| ChangeReason::Unknown("no record is of what runs".to_owned()))
        };
        if let Some(reason) = changes.reason(&component.name, state)?.or_else(unrecorded) {
            let against = state.and_then(|state| against(state, &reason)).cloned();
            let against = against.map(|commit| (commit, Ancestry::Unknown));
            fan_in.left.push(LeftComponent { component: component.name.clone(), reason, against });
        }
    }
    relate(&ledger, &mut fan_in)?;
    drop(ledger.take_warnings());
    Ok(Found { fan_in, sources })
}

/// The commit that a reason refers to.
fn against<'s>(state: &'s ComponentState, reason: &ChangeReason) -> Option<&'s CommitId> {
    match reason {
        ChangeReason::Unfinished(_) => state.newest.as_ref().map(|newest| &newest.record.commit),
        _ => state.commit.as_ref(),
    }
}

/// Determines which of the running commits are newer than the job's commit, and which are older.
fn relate(ledger: &Ledger<'_>, fan_in: &mut FanIn) -> Result<(), CommandError> {
    let against = || fan_in.left.iter().filter_map(|left| left.against.as_ref());
    let pairs: Vec<_> = against().map(|(other, _)| (fan_in.commit.clone(), other.clone())).collect();
    let relations = ledger.ancestry(&pairs)?;
    let against = fan_in.left.iter_mut().filter_map(|left| left.against.as_mut());
    for ((_, relation), found) in against.zip(relations) {
        *relation = found;
    }
    Ok(())
}
