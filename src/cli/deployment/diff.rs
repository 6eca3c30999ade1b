//! `atmos deployment diff`: the differences between two targets or two commits.

use std::process::ExitCode;

use clap::ArgGroup;

use super::status::note;
use crate::compare::{
    Comparison, Configurations, Side, WithFiles, chosen_components, compare_commits, components, summaries,
};
use crate::context::Context;
use crate::deployment::diff::{Change, DiffView, Drift};
use crate::deployment::names::ComponentReference;
use crate::deployment::{CommitId, Deployment, DeploymentName, TargetName};
use crate::error::{CommandError, exit};
use crate::execution::Looks;
use crate::ledger::{Ledger, Scope};
use crate::project::known::known_target;
use crate::project::ledger::never_refreshed;
use crate::project::revision::{complete_history, resolve_commit};
use crate::project::subjects::Subjects;
use crate::render;
use crate::render::document::diff::DeploymentDiff;
use crate::rollout::inspect;

#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
#[command(
    group(ArgGroup::new("from").required(true)),
    group(ArgGroup::new("to").required(true)),
    after_help = "Examples:
  atmos deployment diff payment-service --from-target prod --to-target staging
  atmos deployment diff payment-service --from-sha abc123 --to-sha def456
  atmos deployment diff payment-service --from-target prod --to-sha HEAD
  atmos deployment diff payment-service --from-target prod --to-target staging --component api
  atmos deployment diff payment-service --from-target prod --to-target staging --show-files"
)]
pub struct Args {
    /// The deployment
    deployment: DeploymentName,
    /// Compare what runs on this target …
    #[arg(long, value_name = "TARGET", group = "from")]
    from_target: Option<TargetName>,
    /// Compare this commit …
    #[arg(long, value_name = "COMMIT", group = "from")]
    from_sha: Option<String>,
    /// … with what runs on this one
    #[arg(long, value_name = "TARGET", group = "to")]
    to_target: Option<TargetName>,
    /// … with this one
    #[arg(long, value_name = "COMMIT", group = "to")]
    to_sha: Option<String>,
    /// Only this component (repeatable)
    #[arg(long, value_name = "COMPONENT")]
    component: Vec<ComponentReference>,
    /// List the files that differ
    #[arg(long)]
    show_files: bool,
    /// Show the lines that differ, of each file up to 400
    #[arg(long)]
    show_code: bool,
    /// Find out whether the targets still are what was deployed to them, by a plan at its commit
    #[arg(long)]
    pub(super) check_drift: bool,
    /// End with exit code 5 where the commits differ, of the whole or of a component
    #[arg(long)]
    exit_code: bool,
}

impl Args {
    fn with_files(&self) -> WithFiles {
        match (self.show_code, self.show_files) {
            (true, _) => WithFiles::Lines,
            (false, true) => WithFiles::Names,
            (false, false) => WithFiles::No,
        }
    }
}

pub(super) fn run(args: &Args, context: &Context) -> Result<ExitCode, CommandError> {
    let repository = context.repository()?;
    let project = context.project(&repository)?;
    let subjects = Subjects::read(context, &project, Some(&args.deployment))?;
    let deployment = subjects.one(&args.deployment);
    let removed = subjects.lacks(&args.deployment);
    let targets: Vec<_> = [&args.from_target, &args.to_target].into_iter().flatten().cloned().collect();
    let ledger = context.ledger(&repository, &project.config)?;
    let scope = if removed {
        // A deployment without a file is known to the ledger alone.
        Scope::Deployment(args.deployment.clone())
    } else {
        Scope::Targets(args.deployment.clone(), targets.clone())
    };
    // A comparison of two commits does not need the ledger's state.
    let freshness = (removed || !targets.is_empty()).then(|| ledger.refresh(&scope));
    let snapshot = ledger.read(&scope)?;
    let state = snapshot.deployment(&args.deployment);
    subjects.has_file_or_state(&state)?;
    for target in targets.iter().filter(|target| !state.targets.contains_key(*target)) {
        refuse_unknown(target, &deployment, &ledger)?;
    }
    let (mut drift, mut incomplete) = (Drift::NotChecked, false);
    for target in targets.iter().filter(|_| args.check_drift) {
        if let Some(why_not) = subjects.why_not_asked(&args.deployment, target) {
            context.streams().note(&format!("{} → {target} was not asked: {why_not}\n", args.deployment));
            incomplete = true;
            continue;
        }
        let looks = Looks { health: false, drift: true };
        let found = inspect(context, &repository, &project, &deployment, &snapshot, target, looks)?;
        note(context, &ledger, &args.deployment, &found);
        drift = drift.and(found.drift);
        incomplete |= found.incomplete;
    }
    if incomplete && drift == Drift::None {
        // The checked components have not drifted; the others are unknown.
        drift = Drift::NotChecked;
    }
    let resolve = |text: &String| resolve_commit(context, &repository, &ledger, text);
    let shas = [args.from_sha.as_ref(), args.to_sha.as_ref()];
    let [from_sha, to_sha] = shas.map(|sha| sha.map(resolve).transpose());
    let (from_sha, to_sha) = (from_sha?, to_sha?);
    let running = state.targets.values().flat_map(|target| target.components.values());
    let running = running.filter_map(|component| component.commit.clone());
    let commits: Vec<_> = from_sha.iter().chain(&to_sha).cloned().chain(running).collect();
    complete_history(context, &ledger, &commits);
    let (configurations, warnings) =
        Configurations::load(&repository, &project.config, &args.deployment, &commits)?;
    for warning in warnings {
        context.warn(&warning);
    }
    let chosen = chosen_components(&args.component, &deployment, &state, &configurations)?;
    let side = |target: Option<&TargetName>, commit: Option<CommitId>| match (target, commit) {
        (_, Some(commit)) => {
            let declares = configurations.at(&commit);
            Ok(Side::of_commit(commit.clone(), declares, &chosen))
        }
        (Some(target), None) => Side::of_target(&repository, &state, target, &chosen),
        (None, None) => Err(CommandError::usage("two targets or two commits are to be compared")),
    };
    let from = side(args.from_target.as_ref(), from_sha)?;
    let to = side(args.to_target.as_ref(), to_sha)?;
    for note in [&from, &to].into_iter().filter_map(Side::mixed) {
        context.streams().note(&note);
    }
    let (divergence, files) =
        compare_commits(repository.git(), (&from.commit, &to.commit), args.with_files())?;
    let (configuration, problems) = configurations.compare(&chosen, &from, &to, args.component.is_empty());
    for problem in problems {
        context.warn(&problem);
    }
    let mut components = components(&chosen, &from, &to, &deployment, &state, &configurations);
    let place = Comparison {
        repository: &repository,
        config: &project.config,
        ledger: &ledger,
        deployment: &args.deployment,
    };
    place.mark_same(&mut components, [from.target.as_ref(), to.target.as_ref()], &configurations)?;
    let view = DiffView {
        deployment: args.deployment.clone(),
        commits_ahead: divergence.ahead,
        commits_behind: divergence.behind,
        commits: summaries(&repository, &divergence)?,
        components,
        configuration,
        files,
        drift,
        from: from.shown(),
        to: to.shown(),
    };
    let mut document = DeploymentDiff::from(&view);
    document.mark_removed(&deployment, removed);
    context.print(&document, render::diff::text)?;
    match &freshness {
        Some(freshness) => context.say_freshness(&ledger, freshness),
        None => context.say_warnings(&ledger),
    }
    let code = if args.exit_code && differs(&view) { exit::FINDINGS } else { 0 };
    Ok(ExitCode::from(code))
}

/// Refuses an unknown target. An undeclared one may have run earlier.
fn refuse_unknown(
    target: &TargetName,
    deployment: &Deployment,
    ledger: &Ledger<'_>,
) -> Result<(), CommandError> {
    known_target(deployment, target)?;
    let scope = Scope::Targets(deployment.name.clone(), vec![target.clone()]);
    if ledger.never_heard_of(&scope) { Err(never_refreshed(ledger)) } else { Ok(()) }
}

/// Whether different commits are deployed. Between targets that run the same commits, the
/// configuration differs only because the targets do.
fn differs(view: &DiffView) -> bool {
    view.from.commit != view.to.commit
        || view.components.iter().any(|component| component.change() != Change::NoChange)
}
