//! A deployment, and the stacks that it imports, as one commit has them.

use crate::config::{AtmosConfig, ConfigError, load_deployment};
use crate::deployment::resolution::{Resolution, Resolved};
use crate::deployment::{CommitId, Component, Deployment, DeploymentName, TargetName};
use crate::error::CommandError;
use crate::git::Repository;
use crate::project::commit_source::CommitSource;
use crate::project::stacks::{CommitFiles, ImportedStacks};

/// The deployment and the stacks at a commit.
pub struct AtCommit {
    pub deployment: Deployment,
    pub stacks: ImportedStacks,
}

impl AtCommit {
    /// Reads the deployment from the configured folder. The inner error says why a declaration is
    /// unusable.
    ///
    /// # Errors
    ///
    /// Fails where the commit cannot be read.
    pub fn read(
        repository: &Repository,
        config: &AtmosConfig,
        name: &DeploymentName,
        commit: &CommitId,
    ) -> Result<Result<Self, ConfigError>, CommandError> {
        let source = CommitSource::new(repository, commit.clone())?;
        let loaded = match load_deployment(&source, config, name) {
            Ok(loaded) => loaded,
            Err(error) => return Ok(Err(error)),
        };
        let stacks = stacks(repository, config, commit)?;
        Ok(Ok(Self { deployment: loaded.deployment, stacks }))
    }

    /// Resolves a component on a target. Values that are known only at run time stay as written.
    ///
    /// # Errors
    ///
    /// The reason, as text, where the component cannot be resolved on this target.
    pub fn resolve(&self, component: &Component, target: &TargetName) -> Result<Resolved, String> {
        let target = self.deployment.targets.get(target);
        let target = target.ok_or_else(|| "the target is new".to_owned())?;
        let resolution = Resolution::as_declared(&self.deployment, component, target, &self.stacks);
        resolution.resolve().map_err(|error| error.to_string())
    }
}

/// Reads the stacks of a commit.
///
/// # Errors
///
/// Fails where the commit cannot be read.
pub fn stacks(
    repository: &Repository,
    config: &AtmosConfig,
    commit: &CommitId,
) -> Result<ImportedStacks, CommandError> {
    Ok(ImportedStacks::new(CommitFiles::new(repository, commit.clone())?, config))
}
