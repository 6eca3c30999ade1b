//! `atmos deployment status`: the running commits of each target, since when and why.

use std::collections::BTreeSet;
use std::process::ExitCode;

use crate::context::Context;
use crate::deployment::diff::Drift;
use crate::deployment::fan_in::FanIn;
use crate::deployment::judgement::Judgement;
use crate::deployment::lock::HeldLock;
use crate::deployment::state::DeploymentState;
use crate::deployment::{Deployment, DeploymentName, ObjectId, TargetName};
use crate::error::{CommandError, exit};
use crate::execution::Looks;
use crate::git::Repository;
use crate::ledger::{Ledger, Scope, Snapshot, judge_now};
use crate::project::Project;
use crate::project::ledger::refuse_ignorance;
use crate::project::subjects::Subjects;
use crate::render;
use crate::render::document::status::{DeploymentEntry, DeploymentStatus, FanInEntry};
use crate::rollout::{Findings, inspect};

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  atmos deployment status payment-service --target prod
  atmos deployment status payment-service
  atmos deployment status payment-service --target prod --check-health --check-drift
  atmos deployment status --target prod
  atmos deployment status")]
pub struct Args {
    /// The deployment; all of them where none is named
    deployment: Option<DeploymentName>,
    /// Only this target, of one deployment or of all
    #[arg(long, value_name = "TARGET")]
    target: Option<TargetName>,
    /// Find out whether what runs is healthy; end with exit code 5 where something is not
    #[arg(long)]
    pub(super) check_health: bool,
    /// Find out whether what runs is still what was deployed, by a plan at its commit; end with exit code 5 where it is not
    #[arg(long)]
    pub(super) check_drift: bool,
}

impl Args {
    /// The requested target, where exactly one is requested.
    pub(super) fn subject(&self) -> Option<(&DeploymentName, &TargetName)> {
        Some((self.deployment.as_ref()?, self.target.as_ref()?))
    }
}

pub(super) fn run(args: &Args, context: &Context) -> Result<ExitCode, CommandError> {
    run_with(args, context, None)
}

/// Runs as [`run`], with the result of a fan-out's jobs on a target.
pub(super) fn run_with(
    args: &Args,
    context: &Context,
    fan_in: Option<(&TargetName, &FanIn)>,
) -> Result<ExitCode, CommandError> {
    let repository = context.repository()?;
    let project = context.project(&repository)?;
    let subjects = Subjects::read(context, &project, args.deployment.as_ref())?;
    let scope = match (&args.deployment, &args.target) {
        (Some(deployment), Some(target)) => Scope::Targets(deployment.clone(), vec![target.clone()]),
        (Some(deployment), None) => Scope::Deployment(deployment.clone()),
        (None, _) => Scope::All,
    };
    let ledger = context.ledger(&repository, &project.config)?;
    let freshness = ledger.refresh_with_observations(&scope);
    let snapshot = context.snapshot_of(&ledger, &scope, &freshness)?;
    let is_asked = |target: &TargetName| args.target.as_ref().is_none_or(|only| only == target);
    let runs = |name: &DeploymentName| snapshot.deployment(name).targets.keys().any(is_asked);
    if !snapshot.deployments.keys().any(runs) {
        subjects.known(args.target.as_ref())?;
        refuse_ignorance(&ledger, &freshness)?;
    }
    let names: BTreeSet<_> = match &args.deployment {
        Some(name) => [name].into(),
        None => subjects.names().chain(snapshot.deployments.keys()).collect(),
    };
    let looks = Looks { health: args.check_health, drift: args.check_drift };
    let mut findings = Vec::new();
    if looks != Looks::default() {
        let asked = Asked {
            context,
            repository: &repository,
            project: &project,
            subjects: &subjects,
            snapshot: &snapshot,
            looks,
        };
        for name in &names {
            findings.extend(asked.look(name, &ledger, is_asked)?);
        }
    }
    let (mut deployments, mut unheard) = (Vec::new(), Vec::new());
    for name in names {
        let (declared, state) = (subjects.get(name), snapshot.deployment(name));
        if args.deployment.is_none()
            && !runs(name)
            && args.target.as_ref().is_some_and(|target| !declares(declared, target))
        {
            continue;
        }
        if state.used_targets().next().is_none() && ledger.never_heard_of(&Scope::Deployment(name.clone())) {
            unheard.push(name);
            continue;
        }
        let mut entry = DeploymentEntry::new(declared, &state, context.now());
        entry.removed = subjects.lacks(name);
        entry.targets.retain(|target| is_asked(&target.target));
        entry.observe(&ledger.observations(&state)?);
        entry.mark_dead(&dead_locks(&state, context));
        if let Some(declared) = declared {
            entry.mark_holds(declared, &state, &ledger.lifted_holds(&state)?);
        }
        deployments.push(entry);
    }
    context.say_unheard(&ledger, &unheard);
    if deployments.is_empty() && unheard.is_empty() {
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

/// The locks of a deployment whose runs are known to be dead.
pub(super) fn dead_locks(state: &DeploymentState, context: &Context) -> BTreeSet<ObjectId> {
    let locks = state.targets.values().flat_map(|target| &target.locks);
    let is_dead = |held: &&HeldLock| {
        held.lock.process.is_some() && judge_now(&held.lock, context.now()) == Judgement::Free
    };
    locks.filter(is_dead).map(|held| held.object.clone()).collect()
}

fn declares(deployment: Option<&Deployment>, target: &TargetName) -> bool {
    deployment.is_some_and(|deployment| deployment.targets.contains_key(target))
}

/// The inputs of an inspection.
struct Asked<'a> {
    context: &'a Context,
    repository: &'a Repository,
    project: &'a Project<'a>,
    subjects: &'a Subjects,
    snapshot: &'a Snapshot,
    looks: Looks,
}

impl Asked<'_> {
    /// Inspects every requested target of a deployment on which something runs, and prints which of
    /// them it skips.
    fn look(
        &self,
        name: &DeploymentName,
        ledger: &Ledger<'_>,
        is_asked: impl Fn(&TargetName) -> bool,
    ) -> Result<Vec<Findings>, CommandError> {
        let (declared, state) = (self.subjects.get(name), self.snapshot.deployment(name));
        let mut findings = Vec::new();
        let undeclared = state.targets.keys().filter(|target| !declares(declared, target));
        let targets = declared.into_iter().flat_map(|deployment| deployment.targets.keys()).chain(undeclared);
        for target in targets.filter(|target| is_asked(target)) {
            let runs = state.targets.contains_key(target);
            let why_not =
                if runs { self.subjects.why_not_asked(name, target) } else { Some("nothing runs there") };
            let Some(why_not) = why_not else {
                let Self { context, repository, project, snapshot, looks, .. } = self;
                let deployment = self.subjects.one(name);
                let found = inspect(context, repository, project, &deployment, snapshot, target, *looks)?;
                note(context, ledger, name, &found);
                findings.push(found);
                continue;
            };
            self.context.streams().note(&format!("{name} → {target} was not asked: {why_not}\n"));
        }
        Ok(findings)
    }
}

/// Stores the findings as notes. A failed write is a warning: the command's purpose is to show
/// them.
pub(super) fn note(context: &Context, ledger: &Ledger<'_>, deployment: &DeploymentName, found: &Findings) {
    if let Err(error) = ledger.note_observations(deployment, &found.observed) {
        context.warn(&format!("what was found is not noted: {error}"));
    }
}
