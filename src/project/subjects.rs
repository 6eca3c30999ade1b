//! The deployments of a reading command, as declared by the checkout: one, or all.

use std::collections::BTreeMap;

use crate::config::{ConfigError, load_all};
use crate::context::Context;
use crate::deployment::state::DeploymentState;
use crate::deployment::{Deployment, DeploymentName, TargetName};
use crate::error::CommandError;
use crate::project::Project;
use crate::project::known::{known_target, unknown_target};

/// The declarations of the requested deployments.
pub struct Subjects {
    /// `None` where a file is invalid; the deployment may exist nevertheless.
    deployments: BTreeMap<DeploymentName, Option<Deployment>>,
    /// The requested deployment, if it has no file: an error, unless the ledger knows it.
    missing: Option<ConfigError>,
}

impl Subjects {
    /// Reads the one deployment, or all of them.
    ///
    /// # Errors
    ///
    /// If the requested deployment's file is invalid. A missing file is reported by
    /// [`Subjects::known`].
    pub fn read(
        context: &Context,
        project: &Project<'_>,
        only: Option<&DeploymentName>,
    ) -> Result<Self, CommandError> {
        let Some(name) = only else {
            let loaded = load_all(&*project.source, &project.config)?.deployments.into_iter();
            let deployments =
                loaded.map(|(name, loaded)| (name, loaded.ok().map(|loaded| loaded.deployment)));
            return Ok(Self { deployments: deployments.collect(), missing: None });
        };
        match project.load(context, name) {
            Ok(deployment) => {
                Ok(Self { deployments: [(name.clone(), Some(deployment))].into(), missing: None })
            }
            Err(missing @ ConfigError::NotFound { .. }) => {
                Ok(Self { deployments: BTreeMap::new(), missing: Some(missing) })
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Refuses names without any declaration; for names that the ledger does not know either.
    ///
    /// # Errors
    ///
    /// With the nearest name.
    pub fn known(&self, target: Option<&TargetName>) -> Result<(), CommandError> {
        if let Some(ConfigError::NotFound { name, nearest, available }) = &self.missing {
            let (name, nearest, available) = (name.clone(), nearest.clone(), available.clone());
            return Err(ConfigError::NotFound { name, nearest, available }.into());
        }
        let Some(target) = target else { return Ok(()) };
        let mut all = self.all();
        match (all.next(), all.next()) {
            (Some(only), None) => known_target(only, target),
            (None, _) => Ok(()),
            _ if self.all().any(|deployment| deployment.targets.contains_key(target)) => Ok(()),
            _ => {
                let names = self.all().flat_map(|deployment| deployment.targets.keys());
                let message = format!("no deployment has a target called {target}");
                Err(unknown_target(message, "There are", target, names))
            }
        }
    }

    /// The requested deployment as declared by its file, or as an undeclared one if it has no file
    /// any more.
    pub fn one(&self, name: &DeploymentName) -> Deployment {
        self.get(name).cloned().unwrap_or_else(|| Deployment::undeclared(name.clone()))
    }

    /// Refuses a deployment without a file and without any state in the ledger.
    ///
    /// # Errors
    ///
    /// With the nearest name.
    pub fn has_file_or_state(&self, state: &DeploymentState) -> Result<(), CommandError> {
        if state.used_targets().next().is_some() { Ok(()) } else { self.known(None) }
    }

    /// The reason that a target's health is not checked; `None` if it can be.
    pub fn why_not_asked(&self, name: &DeploymentName, target: &TargetName) -> Option<&'static str> {
        match self.get(name) {
            None if self.lacks(name) => Some("the deployment has no file"),
            None => Some("the deployment's file cannot be used"),
            Some(declared) if !declared.targets.contains_key(target) => {
                Some("the deployment's file does not name it")
            }
            Some(_) => None,
        }
    }

    /// The names of the deployments that have a file.
    pub fn names(&self) -> impl Iterator<Item = &DeploymentName> {
        self.deployments.keys()
    }

    /// The deployments whose file is valid.
    pub fn all(&self) -> impl Iterator<Item = &Deployment> {
        self.deployments.values().flatten()
    }

    /// A deployment, if its file is valid.
    pub fn get(&self, name: &DeploymentName) -> Option<&Deployment> {
        self.deployments.get(name)?.as_ref()
    }

    /// Whether a deployment has no file any more.
    pub fn lacks(&self, name: &DeploymentName) -> bool {
        !self.deployments.contains_key(name)
    }

    /// Whether there are no files at all.
    pub fn is_empty(&self) -> bool {
        self.deployments.is_empty()
    }
}
