//! The promotion status of a deployment's targets, under the rules that bind rollouts too.

use std::collections::{BTreeMap, BTreeSet};

use crate::context::Context;
use crate::deployment::declarations::Definitions;
use crate::deployment::promotion_status::{Blocker, PromotionView, StandingFacts, promotion_status};
use crate::deployment::state::DeploymentState;
use crate::deployment::{Deployment, TargetName};
use crate::error::CommandError;
use crate::git::Repository;
use crate::ledger::Ledger;
use crate::project::Project;
use crate::project::declared::CommitReader;
use crate::project::disabled::disabled_on_target;
use crate::project::rules::{Certainty, TrustedRules};

/// The promotion graph of a deployment as declared by the checkout, with the default branch's
/// rules.
///
/// `commits_behind` is the number of commits that targets are behind their sources, if counted.
///
/// # Errors
///
/// If the rules of the default branch, or the notes of lifted holds, cannot be read.
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
    let reader = CommitReader::new(context, repository, project, &checkout.name);
    let declarations = trusted.declarations(definitions(repository, &reader, state)?);
    let mut facts =
        StandingFacts { commits_behind, lifted, disabled: BTreeMap::new(), declarations, conflicts };
    loop {
        let view = promotion_status(&policy, state, &facts, context.now());
        // One disabled component can reveal the next missing dependency.
        let mut is_new = false;
        for edge in &view.edges {
            let committed = facts.declarations.committed.as_deref();
            let missing = edge.blockers.iter().filter_map(Blocker::missing_dependency).cloned().collect();
            let disabled = disabled_on_target(repository, project, checkout, committed, &edge.to, missing)?;
            let known = facts.disabled.entry(edge.to.clone()).or_default();
            is_new |= !disabled.is_subset(known);
            known.extend(disabled);
        }
        if !is_new {
            return Ok(view);
        }
    }
}

/// The declarations of the running commits. A commit that is not available locally, or whose
/// configuration cannot be read, is left out: its promotion reports that.
fn definitions(
    repository: &Repository,
    reader: &CommitReader<'_>,
    state: &DeploymentState,
) -> Result<Definitions, CommandError> {
    let objects = repository.objects()?;
    let components = state.targets.values().flat_map(|target| target.components.values());
    let commits: BTreeSet<_> = components.filter_map(|component| component.commit.as_ref()).collect();
    let here = commits.into_iter().filter(|commit| objects.contains(&commit.0));
    Ok(here
        .filter_map(|commit| {
            let declared = reader.declared(commit).ok()?;
            Some((commit.clone(), declared.map(|declared| declared.deployment)))
        })
        .collect())
}
