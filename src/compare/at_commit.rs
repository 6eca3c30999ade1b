//! A deployment, and the stacks that it imports, as one commit has them.

use crate::config::{AtmosConfig, ConfigError, load_deployment};
use crate::deployment::resolution::{Resolution, Resolved};
use crate::deployment::{CommitId, Component, Deployment, DeploymentName, TargetName};
use crate::error::CommandError;
use crate::git::Repository;
use crate::project::commit_source::CommitSource;
use crate::project::stacks::{CommitFiles, ImportedStacks};
use crate::vendor::{Declarations, Declared};

/// The deployment and the stacks at a commit.
pub struct AtCommit {
    pub deployment: Deployment,
    pub stacks: ImportedStacks,
    source: CommitSource,
    config: AtmosConfig,
}

impl AtCommit {
    /// The declared deployment, with the stacks of its commit.
    ///
    /// # Errors
    ///
    /// Fails where the commit cannot be read.
    pub fn new(
        repository: &Repository,
        config: &AtmosConfig,
        commit: &CommitId,
        deployment: Deployment,
    ) -> Result<Self, CommandError> {
        let source = CommitSource::new(repository, commit.clone())?;
        Ok(Self { deployment, stacks: stacks(repository, config, commit)?, source, config: config.clone() })
    }

    /// The declared source of a vendored component on a target; `None` for code of the commit.
    ///
    /// # Errors
    ///
    /// The reason, as text, where the declarations are wrong.
    pub fn vendored(&self, component: &Component, target: &TargetName) -> Result<Option<Declared>, String> {
        let Some(target) = self.deployment.targets.get(target) else { return Ok(None) };
        let declarations = Declarations {
            source: &self.source,
            config: &self.config,
            deployment: &self.deployment,
            target,
            stacks: &self.stacks,
        };
        let declared = declarations.of([component]).map_err(|error| error.to_string())?;
        Ok(declared.into_values().next())
    }

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
        Self::new(repository, config, commit, loaded.deployment).map(Ok)
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
fn stacks(
    repository: &Repository,
    config: &AtmosConfig,
    commit: &CommitId,
) -> Result<ImportedStacks, CommandError> {
    Ok(ImportedStacks::new(CommitFiles::new(repository, commit.clone())?, config))
}
