//! The components whose code is not in a commit.

use std::collections::BTreeSet;

use crate::config::AtmosConfig;
use crate::deployment::{CommitId, ComponentKind, ComponentName, Deployment};
use crate::error::CommandError;
use crate::git::Repository;
use crate::project::commit_source::CommitSource;
use crate::project::stacks::{CommitFiles, ImportedStacks};
use crate::vendor::Declarations;

/// The components that are vendored on any target. Where that cannot be told, all that may be.
#[must_use]
pub fn vendored_components(
    repository: &Repository,
    config: &AtmosConfig,
    deployment: &Deployment,
    commit: &CommitId,
) -> BTreeSet<ComponentName> {
    declared(repository, config, deployment, commit).unwrap_or_else(|error| {
        tracing::debug!(?error, "the vendored components of a commit cannot be told");
        let components = deployment.components.iter().filter(|_| deployment.vendor.is_some());
        let may_be = components
            .filter(|component| matches!(component.kind, ComponentKind::Terraform | ComponentKind::Helmfile));
        may_be.map(|component| component.name.clone()).collect()
    })
}

fn declared(
    repository: &Repository,
    config: &AtmosConfig,
    deployment: &Deployment,
    commit: &CommitId,
) -> Result<BTreeSet<ComponentName>, CommandError> {
    let source = CommitSource::new(repository, commit.clone())?;
    let stacks = ImportedStacks::new(CommitFiles::new(repository, commit.clone())?, config);
    let mut vendored = BTreeSet::new();
    for target in deployment.targets.values() {
        let declarations = Declarations { source: &source, config, deployment, target, stacks: &stacks };
        let folders = declarations.of(&deployment.components)?;
        vendored.extend(folders.into_values().flat_map(|folder| folder.components));
    }
    Ok(vendored)
}
