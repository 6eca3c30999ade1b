//! The components of two sides.

use std::collections::BTreeSet;

use super::configurations::Configurations;
use super::side::Side;
use crate::deployment::diff::ComponentDifference;
use crate::deployment::names::ComponentReference;
use crate::deployment::state::DeploymentState;
use crate::deployment::{ComponentName, Deployment};
use crate::error::CommandError;
use crate::project::known::known_component;

/// The components to compare: the named ones; by default all that are declared, in their order,
/// then by name those that only earlier commits declare or that run somewhere.
///
/// # Errors
///
/// Fails for an unknown name.
pub fn chosen_components(
    named: &[ComponentReference],
    deployment: &Deployment,
    state: &DeploymentState,
    configurations: &Configurations,
) -> Result<Vec<ComponentName>, CommandError> {
    let mut all: Vec<ComponentName> =
        deployment.components.iter().map(|component| component.name.clone()).collect();
    let earlier = configurations.deployments().flat_map(|deployment| &deployment.components);
    let running = state.targets.values().flat_map(|target| target.components.keys());
    let others: BTreeSet<_> = earlier.map(|component| &component.name).chain(running).collect();
    for name in others {
        if !all.contains(name) {
            all.push(name.clone());
        }
    }
    if named.is_empty() {
        return Ok(all);
    }
    let mut chosen: Vec<ComponentName> = Vec::new();
    for reference in named {
        let known = all.iter().find(|name| name.as_str() == reference.0).cloned();
        let name = match known {
            Some(name) => name,
            None => known_component(deployment, reference)?.name.clone(),
        };
        if !chosen.contains(&name) {
            chosen.push(name);
        }
    }
    Ok(chosen)
}

/// The commits of each of these components, on either side.
pub fn components(
    chosen: &[ComponentName],
    from: &Side,
    to: &Side,
    deployment: &Deployment,
    state: &DeploymentState,
    configurations: &Configurations,
) -> Vec<ComponentDifference> {
    let declared = |name: &ComponentName| {
        let mut deployments = [deployment].into_iter().chain(configurations.deployments());
        deployments.find_map(|deployment| deployment.component(name)).map(|component| component.kind)
    };
    let recorded = |name: &ComponentName| {
        let mut running = state.targets.values().filter_map(|target| target.components.get(name));
        running.find_map(|component| component.newest.as_ref()?.record.component_type)
    };
    let kind = |name: &ComponentName| declared(name).or_else(|| recorded(name));
    let sides =
        chosen.iter().map(|name| (name, from.commits.get(name).cloned(), to.commits.get(name).cloned()));
    sides
        .filter(|(_, from, to)| from.is_some() || to.is_some())
        .map(|(name, from_commit, to_commit)| ComponentDifference {
            component: name.clone(),
            kind: kind(name),
            from: from_commit,
            to: to_commit,
            is_same: false,
            removed: (from.target.is_some() || to.target.is_some()) && deployment.component(name).is_none(),
        })
        .collect()
}
