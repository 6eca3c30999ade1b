//! How the targets of a deployment stand to each other, by the rules that hold for rollouts too.

use std::collections::{BTreeMap, BTreeSet};

use crate::config::load_deployment;
use crate::deployment::promotion_status::{Blocker, PromotionView, StandingFacts, promotion_status};
use crate::deployment::state::DeploymentState;
use crate::deployment::{CommitId, Deployment, TargetName};
use crate::git::Repository;
use crate::ledger::Ledger;

use super::context::{CommitSource, Context, Project};
use super::disabled::disabled_on_target;
use super::error::CommandError;
use super::rules::{Certainty, TrustedRules};

/// The promotion graph of a deployment as the checkout declares it, with the default branch's rules.
/// `commits_behind` is how many commits targets lack of their sources, where that was counted.
///
/// # Errors
///
/// Where the rules of the default branch, or the notes of lifted holds, cannot be read.
pub fn standing(
    context: &Context,
    repository: &Repository,
    project: &Project<'_>,
    ledger: &Ledger<'_>,
    checkout: &Deployment,
    state: &DeploymentState,
    commits_behind: BTreeMap<TargetName, usize>,
) -> Result<PromotionView, CommandError> {
    let trusted = TrustedRules::read(context, repository, project, ledger, checkout, Certainty::Provisional)?;
    let (policy, conflicts) = trusted.everywhere(checkout);
    let lifted = ledger.lifted_holds(state)?;
    let undeclared = undeclared(repository, project, checkout, state)?;
    let mut facts =
        StandingFacts { commits_behind, lifted, disabled: BTreeMap::new(), undeclared, conflicts };
    loop {
        let view = promotion_status(&policy, state, &facts, context.now());
        // One disabled component can be what the next one is missed for.
        let mut is_new = false;
        for edge in &view.edges {
            let missing = edge.blockers.iter().filter_map(Blocker::missing_dependency).cloned().collect();
            let disabled = disabled_on_target(repository, project, checkout, &edge.to, missing)?;
            let known = facts.disabled.entry(edge.to.clone()).or_default();
            is_new |= !disabled.is_subset(known);
            known.extend(disabled);
        }
        if !is_new {
            return Ok(view);
        }
    }
}

/// The commits that run somewhere and do not declare a target that promotions lead to. Of a commit that is not here, or
/// whose configuration cannot be read, nothing is known: its promotion says so.
fn undeclared(
    repository: &Repository,
    project: &Project<'_>,
    checkout: &Deployment,
    state: &DeploymentState,
) -> Result<BTreeMap<TargetName, BTreeSet<CommitId>>, CommandError> {
    let objects = repository.objects()?;
    let components = state.targets.values().flat_map(|target| target.components.values());
    let commits: BTreeSet<_> = components.filter_map(|component| component.commit.as_ref()).collect();
    let mut undeclared: BTreeMap<TargetName, BTreeSet<CommitId>> = BTreeMap::new();
    for commit in commits.into_iter().filter(|commit| objects.contains(&commit.0)) {
        let source = CommitSource::new(repository, commit.clone())?;
        let Ok(loaded) = load_deployment(&source, &project.config, &checkout.name) else { continue };
        let targets = checkout.targets.keys();
        for target in targets.filter(|target| !loaded.deployment.targets.contains_key(*target)) {
            undeclared.entry(target.clone()).or_default().insert(commit.clone());
        }
    }
    Ok(undeclared)
}
