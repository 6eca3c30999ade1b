//! `atmos deployment status`: what runs where, since when and why.

use std::collections::BTreeSet;
use std::process::ExitCode;

use super::rollout::{Findings, inspect};
use crate::cli::context::{Context, Project, known_target};
use crate::cli::error::{CommandError, exit};
use crate::config::load_all;
use crate::deployment::diff::Drift;
use crate::deployment::fan_in::FanIn;
use crate::deployment::{Deployment, DeploymentName, TargetName};
use crate::git::Repository;
use crate::ledger::{Ledger, LedgerError, Scope, Snapshot};
use crate::render;
use crate::render::document::status::{DeploymentEntry, DeploymentStatus, FanInEntry};
use crate::rollout::Looks;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  atmos deployment status payment-service --target prod
  atmos deployment status payment-service
  atmos deployment status payment-service --target prod --check-health --check-drift
  atmos deployment status")]
pub struct Args {
    /// The deployment; all of them where none is named
    deployment: Option<DeploymentName>,
    /// Only this target
    #[arg(long, value_name = "TARGET", requires = "deployment")]
    target: Option<TargetName>,
    /// Find out whether what runs is healthy; end with exit code 5 where something is not
    #[arg(long, requires = "deployment")]
    pub(super) check_health: bool,
    /// Find out whether what runs is still what was deployed, by a plan at its commit; end with exit code 5 where it is not
    #[arg(long, requires = "deployment")]
    pub(super) check_drift: bool,
}

impl Args {
    /// The one target of one deployment that is asked about, where it is one.
    pub(super) fn subject(&self) -> Option<(&DeploymentName, &TargetName)> {
        Some((self.deployment.as_ref()?, self.target.as_ref()?))
    }
}

pub(super) fn run(args: &Args, context: &Context) -> Result<ExitCode, CommandError> {
    run_with(args, context, None)
}

/// As [`run`], with what the jobs of a fan-out have come to on a target.
pub(super) fn run_with(
    args: &Args,
    context: &Context,
    fan_in: Option<(&TargetName, &FanIn)>,
) -> Result<ExitCode, CommandError> {
    let repository = context.repository()?;
    let project = context.project(&repository)?;
    let declared = match &args.deployment {
        Some(name) => vec![project.deployment(context, name)?],
        None => Vec::new(),
    };
    if let (Some(deployment), Some(target)) = (declared.first(), &args.target) {
        known_target(deployment, target)?;
    }
    let scope = match (&args.deployment, &args.target) {
        (Some(deployment), Some(target)) => Scope::Targets(deployment.clone(), vec![target.clone()]),
        (Some(deployment), None) => Scope::Deployment(deployment.clone()),
        (None, _) => Scope::All,
    };
    let ledger = context.ledger(&repository, &project.config)?;
    let snapshot = context.snapshot_with_observations(&ledger, &scope)?;
    let now = context.now();
    let looks = Looks { health: args.check_health, drift: args.check_drift };
    let mut findings = Vec::new();
    if let (Some(deployment), true) = (declared.first(), looks != Looks::default()) {
        findings = look(context, &repository, &project, deployment, &snapshot, args.target.as_ref(), looks)?;
        for finding in &findings {
            note(context, &ledger, &deployment.name, finding);
        }
    }
    let entry = |declared: Option<&Deployment>, name: &DeploymentName| {
        let state = snapshot.deployment(name);
        let mut entry = DeploymentEntry::new(declared, &state, now);
        entry.observe(&ledger.observations(&state)?);
        if let Some(declared) = declared {
            entry.mark_holds(declared, &state, &ledger.lifted_holds(&state)?);
        }
        Ok::<_, LedgerError>(entry)
    };
    let deployments = if let Some(name) = &args.deployment {
        vec![entry(declared.first(), name)?]
    } else {
        let declared = load_all(&*project.source, &project.config)?.deployments;
        let names: BTreeSet<_> = declared.keys().chain(snapshot.deployments.keys()).collect();
        names
            .into_iter()
            .map(|name| {
                let declared = declared.get(name).and_then(|loaded| loaded.as_ref().ok());
                let declared = declared.map(|loaded| &loaded.deployment);
                entry(declared, name)
            })
            .collect::<Result<_, _>>()?
    };
    if deployments.is_empty() {
        project.say_there_are_none(context);
    }
    let fan_in = fan_in.map(|(target, fan_in)| FanInEntry::new(target, fan_in));
    context.print(&DeploymentStatus { deployments, fan_in }, render::status::text)?;
    context.say_warnings(&ledger);
    let found = findings.iter().any(|found| found.unhealthy || found.drift == Drift::Found);
    let incomplete = findings.iter().any(|found| found.incomplete);
    Ok(ExitCode::from(match (found, incomplete) {
        (true, _) => exit::FINDINGS,
        (false, true) => exit::FAILED,
        (false, false) => 0,
    }))
}

/// Looks at every target that was asked for and on which something runs.
fn look(
    context: &Context,
    repository: &Repository,
    project: &Project<'_>,
    deployment: &Deployment,
    snapshot: &Snapshot,
    only: Option<&TargetName>,
    looks: Looks,
) -> Result<Vec<Findings>, CommandError> {
    let state = snapshot.deployment(&deployment.name);
    let targets = deployment.targets.keys().filter(|target| only.is_none_or(|only| only == *target));
    targets
        .filter(|target| state.targets.contains_key(*target))
        .map(|target| inspect(context, repository, project, deployment, snapshot, target, looks))
        .collect()
}

/// Keeps what was found for whoever asks next. Where it cannot be kept, it is still shown: what is kept is not what is
/// asked for.
pub(super) fn note(context: &Context, ledger: &Ledger<'_>, deployment: &DeploymentName, found: &Findings) {
    if let Err(error) = ledger.note_observations(deployment, &found.observed) {
        context.warn(&format!("what was found is not noted: {error}"));
    }
}
