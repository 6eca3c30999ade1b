//! The diff of a target's step: from the running state to the planned or the current one.

use std::collections::BTreeMap;

use super::commits::{divergence, summaries};
use super::configurations::Configurations;
use super::side::{RecordedOverrides, Side};
use crate::deployment::diff::{ComponentDifference, DiffView, Drift};
use crate::deployment::{CommitId, ComponentName, Deployment, TargetName};
use crate::error::CommandError;
use crate::git::Repository;
use crate::ledger::Ledger;
use crate::project::Project;

/// A step of a target from one state to another.
pub struct Step<'s> {
    pub target: &'s TargetName,
    pub from: BTreeMap<ComponentName, CommitId>,
    pub to: BTreeMap<ComponentName, CommitId>,
    /// The `--context` overrides of either side.
    pub overrides: (RecordedOverrides, RecordedOverrides),
}

/// The diff of a step; `None` where a side has no components. Both sides are resolved on the same
/// target: the configuration of a promotion's source has no part in it.
pub fn of_step(
    repository: &Repository,
    project: &Project<'_>,
    ledger: &Ledger<'_>,
    deployment: &Deployment,
    step: Step<'_>,
) -> Result<Option<DiffView>, CommandError> {
    let Step { target, from, to, overrides } = step;
    let commits: Vec<_> = from.values().chain(to.values()).cloned().collect();
    // With incomplete history, fewer commits are listed.
    if let Err(error) = ledger.complete_history(&commits) {
        tracing::warn!(%error, "history ends early");
    }
    let sides = (
        Side::of_components(repository, Some(target.clone()), from, overrides.0)?,
        Side::of_components(repository, None, to, overrides.1)?,
    );
    let (Some(from), Some(to)) = sides else { return Ok(None) };
    let (configurations, _) = Configurations::load(repository, &project.config, &deployment.name, &commits)?;
    let components: Vec<_> = from.commits.keys().chain(to.commits.keys()).cloned().collect();
    let mut chosen: Vec<ComponentName> = Vec::new();
    for component in components {
        if !chosen.contains(&component) {
            chosen.push(component);
        }
    }
    let divergence = divergence(repository.git(), &from.commit, &to.commit)?;
    let (configuration, _) = configurations.compare(&chosen, &from, &to, true);
    let difference = |component: &ComponentName| ComponentDifference {
        component: component.clone(),
        kind: deployment.component(component).map(|component| component.kind),
        from: from.commits.get(component).cloned(),
        to: to.commits.get(component).cloned(),
        is_same: false,
        removed: false,
    };
    Ok(Some(DiffView {
        deployment: deployment.name.clone(),
        commits_ahead: divergence.ahead,
        commits_behind: divergence.behind,
        commits: summaries(repository, &divergence)?,
        components: chosen.iter().map(difference).collect(),
        configuration,
        files: None,
        drift: Drift::NotChecked,
        from: from.shown(),
        to: to.shown(),
    }))
}
