//! The declarations of a repository: its configuration, deployments, stacks and rules, in the
//! checkout and in commits; also opens its ledger.

pub mod commit_source;
pub mod declared;
pub mod disabled;
pub mod known;
pub mod ledger;
pub mod left_at_work;
pub mod left_behind;
mod opening;
pub mod platform;
pub mod revision;
pub mod rules;
pub mod run;
pub mod stacks;
pub mod standing;
pub mod subjects;
mod tree;
pub mod vendored;

use crate::config::{self, AtmosConfig, ConfigError, Loaded, Source};
use crate::context::Context;
use crate::deployment::{Deployment, DeploymentName};
use crate::error::CommandError;
use crate::git::{CommitTree, Repository};

use stacks::{CheckoutFiles, CommitFiles, ImportedStacks};

pub use tree::{Tree, WorkTree};

/// The configuration and its source.
pub struct Project<'r> {
    pub source: Box<dyn Source + 'r>,
    pub config: AtmosConfig,
    /// Whether only committed files are read.
    is_committed: bool,
}

impl Project<'_> {
    /// The stacks of the checkout, as its deployments import them, for display; of its head commit
    /// in a bare repository, and where only committed files are read.
    pub fn stacks(&self, repository: &Repository) -> Result<ImportedStacks, CommandError> {
        if let Some(root) = repository.work_tree().filter(|_| !self.is_committed) {
            let files = CheckoutFiles::new(repository, root, "")?;
            return Ok(ImportedStacks::new(files, &self.config));
        }
        Ok(ImportedStacks::new(CommitFiles::new(repository, repository.head()?)?, &self.config))
    }

    /// The files of the components' code, from the same tree as [`Project::stacks`].
    pub fn tree(&self, repository: &Repository) -> Result<Box<dyn Tree>, CommandError> {
        let commit = || Ok::<_, CommandError>(CommitTree::new(repository, repository.head()?)?);
        let Some(root) = repository.work_tree().filter(|_| !self.is_committed) else {
            return Ok(Box::new(commit()?));
        };
        let is_sparse = !repository.left_out()?.is_empty();
        Ok(Box::new(WorkTree::new(root, is_sparse.then(commit).transpose()?)))
    }

    /// Explains an empty table: names the folder of deployment files.
    pub fn say_there_are_none(&self, context: &Context) {
        let directory = self.config.deployments_directory();
        context.streams().note(&format!("No deployments yet: each is a file {directory}/<name>.yaml\n"));
    }

    /// A deployment by its name; prints its warnings.
    pub fn deployment(&self, context: &Context, name: &DeploymentName) -> Result<Deployment, CommandError> {
        Ok(self.load(context, name)?)
    }

    /// A deployment by its name, for callers that handle a missing file themselves.
    pub fn load(&self, context: &Context, name: &DeploymentName) -> Result<Deployment, ConfigError> {
        let Loaded { deployment, warnings, .. } = config::load_deployment(&*self.source, &self.config, name)?;
        for warning in warnings {
            context.streams().note(&format!("{}\n", warning.render(false)));
        }
        Ok(deployment)
    }
}
