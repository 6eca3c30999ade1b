//! `atmos deployment promotion-graph`: the paths between targets, and the running commits of each.

use std::collections::BTreeMap;
use std::process::ExitCode;

use crate::context::Context;
use crate::deployment::state::DeploymentState;
use crate::deployment::{CommitId, Deployment, DeploymentName, TargetName, promotion};
use crate::error::CommandError;
use crate::git::Repository;
use crate::ledger::Scope;
use crate::project::ledger::refuse_unheard;
use crate::project::standing::standing;
use crate::project::subjects::Subjects;
use crate::render;
use crate::render::document::promotion::PromotionGraph;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  atmos deployment promotion-graph payment-service
  atmos deployment promotion-graph payment-service --show-status")]
pub struct Args {
    /// The deployment
    deployment: DeploymentName,
    /// Also show how each target stands: its status, its health, how far it is behind, what can be promoted
    #[arg(long)]
    show_status: bool,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<ExitCode, CommandError> {
    let repository = context.repository()?;
    let project = context.project(&repository)?;
    let subjects = Subjects::read(context, &project, Some(&args.deployment))?;
    let deployment = subjects.one(&args.deployment);
    let ledger = context.ledger(&repository, &project.config)?;
    let scope = Scope::Deployment(args.deployment.clone());
    let show_status = args.show_status;
    let snapshot = context.snapshot_with_rules(&ledger, &scope)?;
    let state = snapshot.deployment(&args.deployment);
    subjects.has_file_or_state(&state)?;
    refuse_unheard(&ledger, &scope, &state)?;
    let mut graph = if subjects.lacks(&args.deployment) {
        PromotionGraph::removed(&state, context.now())
    } else {
        let behind =
            if show_status { commits_behind(&repository, &deployment, &state)? } else { BTreeMap::new() };
        let view = standing(context, &repository, &project, &ledger, &deployment, &state, behind)?;
        let mut graph = PromotionGraph::from(&view);
        graph.add_removed(&state, context.now());
        graph
    };
    if show_status {
        graph.observe(&ledger.observations(&state)?);
    }
    context.print(&graph, |graph, presentation| {
        render::promotion_graph::text(graph, show_status, presentation)
    })?;
    context.say_warnings(&ledger);
    Ok(ExitCode::SUCCESS)
}

/// The number of commits that each target is behind its sources. Omits targets on which nothing
/// runs, and all targets in a shallow checkout, whose history is incomplete.
fn commits_behind(
    repository: &Repository,
    deployment: &Deployment,
    state: &DeploymentState,
) -> Result<BTreeMap<TargetName, usize>, CommandError> {
    if repository.is_shallow() {
        return Ok(BTreeMap::new());
    }
    let objects = repository.objects()?;
    let commits = |target: &TargetName| -> Vec<CommitId> {
        let components = state.targets.get(target).into_iter().flat_map(|target| target.components.values());
        let commits = components.filter_map(|component| component.commit.clone());
        commits.filter(|commit| objects.contains(&commit.0)).collect()
    };
    std::thread::scope(|scope| {
        let mut counts = Vec::new();
        for target in deployment.targets.keys() {
            let sources: Vec<_> = promotion::sources(deployment, target).iter().flat_map(commits).collect();
            let here = commits(target);
            if !sources.is_empty() && !here.is_empty() {
                let count = scope.spawn(move || repository.git().count_missing(&sources, &here));
                counts.push((target, count));
            }
        }
        counts
            .into_iter()
            .map(|(target, count)| {
                let counted = count.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
                Ok((target.clone(), counted))
            })
            .collect()
    })
}
