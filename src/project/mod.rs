//! What a repository declares: its configuration, deployments, stacks and rules, in the checkout
//! and in commits; and how its ledger is opened.

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

use crate::config::{self, AtmosConfig, ConfigError, Loaded, Source};
use crate::context::Context;
use crate::deployment::{Deployment, DeploymentName};
use crate::error::CommandError;
use crate::git::{CommitTree, Repository};

use stacks::{CheckoutFiles, CommitFiles, ImportedStacks};

pub use tree::{Tree, WorkTree};

/// Configuration and where it is read from.
pub struct Project<'r> {
    pub source: Box<dyn Source + 'r>,
    pub config: AtmosConfig,
    /// Whether nothing is read that is not in the commit that is checked out.
    is_committed: bool,
}

impl Project<'_> {
    /// The stacks of the checkout, as its deployments import them, to be shown; of its head commit
    /// in a bare repository, and where what is used has to be committed.
    pub fn stacks(&self, repository: &Repository) -> Result<ImportedStacks, CommandError> {
        if let Some(root) = repository.work_tree().filter(|_| !self.is_committed) {
            let files = CheckoutFiles::new(repository, root, "")?;
            return Ok(ImportedStacks::new(files, &self.config));
        }
        Ok(ImportedStacks::new(CommitFiles::new(repository, repository.head()?)?, &self.config))
    }

    /// The files that components are made of, as [`Project::stacks`] reads stacks.
    pub fn tree(&self, repository: &Repository) -> Result<Box<dyn Tree>, CommandError> {
        let commit = || Ok::<_, CommandError>(CommitTree::new(repository, repository.head()?)?);
        let Some(root) = repository.work_tree().filter(|_| !self.is_committed) else {
            return Ok(Box::new(commit()?));
        };
        let is_sparse = !repository.left_out()?.is_empty();
        Ok(Box::new(WorkTree::new(root, is_sparse.then(commit).transpose()?)))
    }

    /// Explains an empty table: where deployment files belong.
    pub fn say_there_are_none(&self, context: &Context) {
        let directory = self.config.deployments_directory();
        context.streams().note(&format!("No deployments yet: each is a file {directory}/<name>.yaml\n"));
    }

    /// A deployment by its name; its warnings are said.
    pub fn deployment(&self, context: &Context, name: &DeploymentName) -> Result<Deployment, CommandError> {
        Ok(self.load(context, name)?)
    }

    /// A deployment by its name, where the caller has something else to say of one without a file.
    pub fn load(&self, context: &Context, name: &DeploymentName) -> Result<Deployment, ConfigError> {
        let Loaded { deployment, warnings, .. } = config::load_deployment(&*self.source, &self.config, name)?;
        for warning in warnings {
            context.streams().note(&format!("{}\n", warning.render(false)));
        }
        Ok(deployment)
    }
}
