//! Components that their stacks disable on a target: dependents do not wait for them, and so a
//! promotion does not either.

use std::collections::BTreeSet;

use crate::deployment::resolution::Resolution;
use crate::deployment::stack_layer::Deployable;
use crate::deployment::{ComponentName, Deployment, TargetName};
use crate::error::CommandError;
use crate::git::Repository;
use crate::project::Project;
use crate::project::stacks::{CommitFiles, ImportedStacks};

/// Selects the components that the checkout's stacks disable on a target and, if `committed` (the
/// checked-out commit's declaration) is given, that commit's stacks disable as well.
///
/// A component whose stacks cannot be resolved counts as enabled.
///
/// # Errors
///
/// If the files of the checkout, or of its commit, cannot be read.
pub fn disabled_on_target(
    repository: &Repository,
    project: &Project<'_>,
    checkout: &Deployment,
    committed: Option<&Deployment>,
    target: &TargetName,
    components: BTreeSet<ComponentName>,
) -> Result<BTreeSet<ComponentName>, CommandError> {
    if components.is_empty() || !checkout.has_stacks() {
        return Ok(BTreeSet::new());
    }
    let disabled = disabled_by(&project.stacks(repository)?, checkout, target, components);
    match committed {
        Some(committed) if !disabled.is_empty() => {
            let files = CommitFiles::new(repository, repository.head()?)?;
            Ok(disabled_by(&ImportedStacks::new(files, &project.config), committed, target, disabled))
        }
        _ => Ok(disabled),
    }
}

fn disabled_by(
    stacks: &ImportedStacks,
    deployment: &Deployment,
    target: &TargetName,
    components: BTreeSet<ComponentName>,
) -> BTreeSet<ComponentName> {
    let Some(target) = deployment.targets.get(target) else { return BTreeSet::new() };
    let is_disabled = |name: &ComponentName| {
        let resolution = Resolution::as_declared(deployment, deployment.component(name)?, target, stacks);
        Some(resolution.resolve().ok()?.stack?.deployable == Deployable::Disabled)
    };
    components.into_iter().filter(|name| is_disabled(name) == Some(true)).collect()
}
