//! Deployments as commits declare them: each is looked for by the commit's own configuration.

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

/// Reads one deployment in commits.
pub struct CommitReader<'a> {
    repository: &'a Repository,
    project: &'a Project<'a>,
    name: DeploymentName,
    /// Where this command was started, relative to the checkout.
    start: String,
}

/// What a commit declares.
#[derive(Debug, Clone)]
pub struct Declared {
    pub deployment: Rc<Deployment>,
    /// What the commit calls the targets on a platform.
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
    /// Where it cannot be read.
    pub fn config(&self, commit: &CommitId) -> Result<AtmosConfig, CommandError> {
        Ok(crate::config::atmos::load(&CommitSource::new(self.repository, commit.clone())?, "")?)
    }

    /// The deployment as a commit declares it; `None` where it does not.
    ///
    /// # Errors
    ///
    /// Where the commit, its configuration or its declaration cannot be read.
    pub fn declared(&self, commit: &CommitId) -> Result<Option<Declared>, CommandError> {
        match self.find(&CommitSource::new(self.repository, commit.clone())?) {
            Ok(declared) => Ok(Some(declared)),
            Err(ConfigError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The deployment as a commit has to declare it.
    ///
    /// # Errors
    ///
    /// A configuration that cannot be read, or a commit that does not declare the deployment.
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

    /// Looks where the commit's own configuration keeps deployments, at the root before where this
    /// command was started, else where this command looks for them. Folders, flags and variables
    /// alone cannot lead away from what the commit declares, and deployments may move from commit
    /// to commit.
    fn find(&self, source: &dyn Source) -> Result<Declared, ConfigError> {
        let root = crate::config::atmos::load(source, "")?;
        let nearest =
            if self.start.is_empty() { None } else { Some(crate::config::atmos::load(source, &self.start)?) };
        let own = nearest.as_ref().unwrap_or(&root);
        // The configuration of this command is not the commit's: where it leads, the commit's own
        // names the environments.
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

/// The deployment as a commit declares it: configuration comes from what is deployed.
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
