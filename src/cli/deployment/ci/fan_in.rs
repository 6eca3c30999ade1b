//! The job after a fan-out: how the target stands to the commit of the job, by what the ledger
//! says.

use std::collections::BTreeSet;
use std::process::ExitCode;

use super::reports::{Reports, Switches};
use super::{Subject, status};
use crate::cli::args::GlobalArgs;
use crate::cli::context::{CommitSource, Context, known_target};
use crate::cli::deployment::matrix::{Changes, Place};
use crate::cli::disabled::disabled_on_target;
use crate::cli::error::{CommandError, exit};
use crate::config::load_deployment;
use crate::deployment::fan_in::FanIn;
use crate::deployment::{DeploymentName, TargetName};
use crate::ledger::Scope;
use crate::render::document::error::Hint;

/// The subject of a report on a target; `None` where nothing is to be reported.
///
/// # Errors
///
/// Where no target is named, or the remote is not to be asked: what is reported is what is true
/// there.
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
        let message = format!("{what} says what the remote knows: input `fetch: false` does not apply");
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

/// Reports how a target stands, which has been shown before, and ends as that is.
pub(super) fn report(
    context: &Context,
    reports: Option<&Reports>,
    (deployment, target): (&DeploymentName, &TargetName),
    shown: Result<ExitCode, CommandError>,
) -> Result<ExitCode, CommandError> {
    let mut ending = ExitCode::SUCCESS;
    let found = shown.and_then(|code| {
        ending = code;
        look(context, deployment, target).map_err(CommandError::after_document)
    });
    if let Some(reports) = reports {
        reports.fan_in(target, &found);
    }
    let found = found?;
    if found.is_complete() {
        context.streams().note(&format!("{target}: {found}\n"));
        return Ok(ending);
    }
    let rollout = format!("atmos deployment rollout {deployment} --target {target}");
    Err(CommandError::new(exit::FINDINGS, "incomplete", format!("{target}: {found}"))
        .details(found.details())
        .hint(Hint::command("To roll out what is left", rollout))
        .after_document())
}

/// Compares what runs on a target, as the remote knows it now, with the commit that is checked out.
fn look(context: &Context, name: &DeploymentName, target: &TargetName) -> Result<FanIn, CommandError> {
    let repository = context.repository()?;
    let project = context.project(&repository)?;
    let ledger = context.ledger(&repository, &project.config)?;
    let commit = repository.head()?;
    let source = CommitSource::new(&repository, commit.clone())?;
    let deployment = load_deployment(&source, &project.config, name)?.deployment;
    known_target(&deployment, target)?;
    let scope = Scope::Targets(name.clone(), vec![target.clone()]);
    ledger.refresh_or_fail(&scope)?;
    let state = ledger.read(&scope)?.into_deployment(name);
    let names: BTreeSet<_> = deployment.components.iter().map(|component| component.name.clone()).collect();
    let disabled = disabled_on_target(&repository, &project, &deployment, None, target, names)?;
    let place =
        Place { repository: &repository, config: &project.config, ledger: &ledger, deployment: name, target };
    let mut changes = Changes::new(place, &commit, &deployment)?;
    let mut found = FanIn { commit, components: 0, left: Vec::new() };
    for component in deployment.components.iter().filter(|component| !disabled.contains(&component.name)) {
        found.components += 1;
        if let Some(reason) = changes.reason(&component.name, state.component(target, &component.name))? {
            found.left.push((component.name.clone(), reason));
        }
    }
    drop(ledger.take_warnings());
    Ok(found)
}
