//! Finds and loads deployment files.

use std::collections::BTreeMap;

use crate::deployment::nearest::nearest;
use crate::deployment::{Deployment, DeploymentName};

use super::atmos::AtmosConfig;
use super::error::{ConfigError, about_file};
use super::file::{deserialize, read_text};
use super::problem::{self, Problem, Problems};
use super::shape;
use super::source::{Source, SourceError};
use super::{deployment_file, path, resolve, yaml};

/// A valid deployment.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    pub deployment: Deployment,
    /// The file that declares it, relative to the repository's root.
    pub file: String,
    /// Warnings about likely mistakes in the file.
    pub warnings: Vec<Problem>,
}

/// The deployments of a repository.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Listing {
    /// Each deployment's file, in the order of their names.
    pub files: BTreeMap<DeploymentName, String>,
    /// Files in the deployments directory that cannot be deployments.
    pub problems: Vec<Problem>,
}

impl Listing {
    /// The deployments' names, in alphabetical order.
    pub fn names(&self) -> impl Iterator<Item = &DeploymentName> {
        self.files.keys()
    }
}

/// Every deployment of a repository, with the result of loading it.
#[derive(Debug, Default)]
pub struct LoadedAll {
    /// In the order of their names.
    pub deployments: BTreeMap<DeploymentName, Result<Loaded, ConfigError>>,
    /// Files in the deployments directory that cannot be deployments.
    pub problems: Vec<Problem>,
}

/// The deployments that have a file: `<name>.yaml` or `<name>.yml`,
/// directly in the deployments directory.
///
/// Hidden files are ignored; any other YAML file whose stem is not a valid deployment name is a
/// problem.
pub fn list_deployments(source: &dyn Source, config: &AtmosConfig) -> Result<Listing, SourceError> {
    let directory = config.deployments_directory();
    let mut names = source.list(&directory)?;
    names.sort_unstable();
    let mut listing = Listing::default();
    for file_name in names {
        let stem = file_name.strip_suffix(".yaml").or_else(|| file_name.strip_suffix(".yml"));
        let Some(stem) = stem.filter(|_| !file_name.starts_with('.')) else { continue };
        let file = path::join([directory.as_str(), file_name.as_str()]);
        match stem.parse::<DeploymentName>() {
            Ok(name) => {
                if let Some(first) = listing.files.get(&name) {
                    let hint = format!("remove this file or `{first}`");
                    let message = format!("deployment `{name}` has two files");
                    listing.problems.extend(about_file(&file, message, Some(hint)));
                } else {
                    listing.files.insert(name, file);
                }
            }
            Err(error) => {
                let hint = "rename the file; it is called after its deployment".to_owned();
                listing.problems.extend(about_file(&file, error.to_string(), Some(hint)));
            }
        }
    }
    Ok(listing)
}

/// Reads and checks one deployment.
pub fn load_deployment(
    source: &dyn Source,
    config: &AtmosConfig,
    name: &DeploymentName,
) -> Result<Loaded, ConfigError> {
    let directory = config.deployments_directory();
    for extension in ["yaml", "yml"] {
        let file = path::join([directory.as_str(), &format!("{name}.{extension}")]);
        if let Some(text) = read_text(source, &file)? {
            return parse_deployment(&file, name, &text).map_err(ConfigError::Invalid);
        }
    }
    let available: Vec<DeploymentName> = list_deployments(source, config)?.files.into_keys().collect();
    let nearest = nearest(name.as_str(), available.iter().map(DeploymentName::as_str))
        .and_then(|nearest| available.iter().find(|name| name.as_str() == nearest))
        .cloned();
    Err(ConfigError::NotFound { name: name.clone(), nearest, available })
}

/// Loads and checks every deployment. An invalid one does not hide the others.
pub fn load_all(source: &dyn Source, config: &AtmosConfig) -> Result<LoadedAll, SourceError> {
    let Listing { files, problems } = list_deployments(source, config)?;
    let deployments = files
        .into_iter()
        .map(|(name, file)| {
            let loaded = match read_text(source, &file) {
                Ok(text) => {
                    parse_deployment(&file, &name, &text.unwrap_or_default()).map_err(ConfigError::Invalid)
                }
                Err(error) => Err(error),
            };
            (name, loaded)
        })
        .collect();
    Ok(LoadedAll { deployments, problems })
}

/// Validates the text of a deployment file. `name` is the file's stem.
///
/// Reports all problems at once, in file order; warnings alone are no failure.
pub fn parse_deployment(file: &str, name: &DeploymentName, text: &str) -> Result<Loaded, Vec<Problem>> {
    let mut problems = Problems::new(file, text);
    let deployment = yaml::compose(text, &mut problems).and_then(|root| {
        let checked = shape::check(&deployment_file::RULE, &root, &mut problems)?;
        let typed = deserialize::<deployment_file::DeploymentFile>(checked, &mut problems)?;
        let about_schema = problems.len();
        let deployment = resolve::resolve(typed.deployment?, name, &root, &mut problems);
        problems.locate(about_schema, &root);
        Some(deployment)
    });
    let problems = problems.finish();
    match deployment {
        Some(deployment) if !problem::has_errors(&problems) => {
            Ok(Loaded { deployment, file: file.to_owned(), warnings: problems })
        }
        _ => Err(problems),
    }
}
