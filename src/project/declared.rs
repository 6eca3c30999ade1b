//! Deployments as declared by commits, each found by the commit's own configuration.

use std::rc::Rc;

use crate::config::atmos::CiConfig;
use crate::config::{AtmosConfig, ConfigError, MAX_FILE_BYTES, Source, load_deployment};
use crate::context::Context;
use crate::deployment::{CommitId, Deployment, DeploymentName, TargetName};
use crate::error::{Code, CommandError};
use crate::git::Repository;
use crate::project::Project;
use crate::project::commit_source::CommitSource;
use crate::render::document::error::Hint;

/// Reads the declarations of one deployment in commits.
pub struct CommitReader<'a> {
    repository: &'a Repository,
    project: &'a Project<'a>,
    name: DeploymentName,
    /// The working directory of this command, relative to the checkout.
    start: String,
}

/// The declaration of a deployment in a commit.
#[derive(Debug, Clone)]
pub struct Declared {
    pub deployment: Rc<Deployment>,
    /// The commit's names of the targets' environments on a platform.
    pub ci: CiConfig,
    /// The file that declares it, relative to the repository's root.
    pub file: String,
}

impl<'a> CommitReader<'a> {
    pub fn new(
        context: &Context,
        repository: &'a Repository,
        project: &'a Project<'a>,
        name: &DeploymentName,
    ) -> Self {
        Self { repository, project, name: name.clone(), start: context.start(repository) }
    }

    /// The configuration at the root of a commit.
    ///
    /// # Errors
    ///
    /// If it cannot be read.
    pub fn config(&self, commit: &CommitId) -> Result<AtmosConfig, CommandError> {
        Ok(crate::config::atmos::load(&CommitSource::new(self.repository, commit.clone())?, "")?)
    }

    /// The deployment as declared by a commit; `None` if it is not declared.
    ///
    /// # Errors
    ///
    /// If the commit, its configuration or its declaration cannot be read.
    pub fn declared(&self, commit: &CommitId) -> Result<Option<Declared>, CommandError> {
        match self.find(&CommitSource::new(self.repository, commit.clone())?) {
            Ok(declared) => Ok(Some(declared)),
            Err(ConfigError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The deployment as declared by a commit, which must declare it.
    ///
    /// # Errors
    ///
    /// If the configuration cannot be read, or the commit does not declare the deployment.
    pub fn existing(&self, commit: &CommitId) -> Result<Rc<Deployment>, CommandError> {
        Ok(self.find(&CommitSource::new(self.repository, commit.clone())?)?.deployment)
    }

    /// The file that declares the deployment in a commit, with its text.
    ///
    /// # Errors
    ///
    /// As [`CommitReader::existing`].
    pub fn file(&self, commit: &CommitId) -> Result<(String, String), CommandError> {
        let source = CommitSource::new(self.repository, commit.clone())?;
        let file = self.find(&source)?.file;
        let text = source.read(&file, MAX_FILE_BYTES).map_err(ConfigError::from)?.unwrap_or_default();
        Ok((file, String::from_utf8_lossy(&text).into_owned()))
    }

    /// Searches the deployments folders of the commit's own configuration, the one at the root
    /// before the one at the working directory, then the folder of this command's configuration. So
    /// folders, flags and variables alone cannot bypass the commit's declaration, and deployments
    /// may move between commits.
    fn find(&self, source: &dyn Source) -> Result<Declared, ConfigError> {
        let root = crate::config::atmos::load(source, "")?;
        let nearest =
            if self.start.is_empty() { None } else { Some(crate::config::atmos::load(source, &self.start)?) };
        let own = nearest.as_ref().unwrap_or(&root);
        // The last candidate is this command's configuration, not the commit's: even there, the
        // commit's own configuration names the environments.
        let places = [(&root, &root), (own, own), (&self.project.config, own)];
        let mut outcome = None;
        for (config, naming) in places {
            match load_deployment(source, config, &self.name) {
                Ok(loaded) => {
                    let ci = naming.ci.clone();
                    return Ok(Declared { deployment: Rc::new(loaded.deployment), ci, file: loaded.file });
                }
                Err(error @ ConfigError::NotFound { .. }) => outcome = Some(error),
                Err(error) => return Err(error),
            }
        }
        Err(outcome.unwrap_or_else(|| ConfigError::NotFound {
            name: self.name.clone(),
            nearest: None,
            available: Vec::new(),
        }))
    }
}

/// The deployment as declared by the commit that is deployed.
pub fn definition_at(
    context: &Context,
    repository: &Repository,
    project: &Project<'_>,
    name: &DeploymentName,
    commit: &CommitId,
    target: &TargetName,
) -> Result<Deployment, CommandError> {
    let reader = CommitReader::new(context, repository, project, name);
    let deployment = reader.existing(commit).map_err(|error| in_commit(error, commit))?;
    if !deployment.targets.contains_key(target) {
        let message = format!("{name} has no target called {target} in commit {}", commit.short());
        let error = CommandError::new(Code::UnknownTarget, message);
        return Err(
            error.hint(Hint::note("Configuration comes from the commit that is deployed: commit it first"))
        );
    }
    if deployment.components.is_empty() {
        context.warn(&format!("{name} has no components to roll out to {target}"));
    }
    Ok(Rc::unwrap_or_clone(deployment))
}

pub fn in_commit(error: CommandError, commit: &CommitId) -> CommandError {
    error.details([format!("in commit {}", commit.short())])
}
