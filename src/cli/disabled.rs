//! Components that their stacks disable on a target: what depends on them does not wait for them, so a promotion does not
//! either.

use std::collections::{BTreeMap, BTreeSet};

use crate::deployment::definition::Values;
use crate::deployment::resolution::Resolution;
use crate::deployment::stack_layer::{Deployable, KnownOutputs};
use crate::deployment::{ComponentName, Deployment, TargetName};
use crate::git::Repository;

use super::context::Project;
use super::error::CommandError;

/// Those of the components that the checkout's stacks disable on a target. A component whose stacks cannot be resolved is
/// not disabled, as far as is known.
///
/// # Errors
///
/// Where the files of the checkout cannot be read.
pub fn disabled_on_target(
    repository: &Repository,
    project: &Project<'_>,
    checkout: &Deployment,
    target: &TargetName,
    components: BTreeSet<ComponentName>,
) -> Result<BTreeSet<ComponentName>, CommandError> {
    let Some(target) = checkout.targets.get(target) else { return Ok(BTreeSet::new()) };
    if components.is_empty() || checkout.stacks.is_empty() {
        return Ok(BTreeSet::new());
    }
    let stacks = project.stacks(repository)?;
    let is_disabled = |name: &ComponentName| {
        let resolution = Resolution {
            deployment: checkout,
            component: checkout.component(name)?,
            target,
            command_line: &Values::new(),
            stacks: &stacks,
            outputs: KnownOutputs::AsWritten,
            images: &BTreeMap::new(),
            repository_root: None,
            templates: None,
        };
        Some(resolution.resolve().ok()?.stack?.deployable == Deployable::Disabled)
    };
    Ok(components.into_iter().filter(|name| is_disabled(name) == Some(true)).collect())
}
