//! Finding and reading deployment files.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;

use crate::deployment::{Deployment, DeploymentName};

use super::atmos::AtmosConfig;
use super::problem::{self, Problem, Problems, Span};
use super::shape;
use super::source::{MAX_FILE_BYTES, Source, SourceError};
use super::{deployment_file, nearest, path, resolve, yaml};

/// Configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// There is no file for this deployment.
    #[error("deployment {name} does not exist")]
    NotFound {
        name: DeploymentName,
        /// The existing name that was probably meant.
        nearest: Option<DeploymentName>,
        /// Every deployment there is, in alphabetical order.
        available: Vec<DeploymentName>,
    },
    /// The file is there and cannot be used. At least one of the problems is an error.
    #[error("the configuration has problems")]
    Invalid(Vec<Problem>),
    /// Configuration could not be read at all.
    #[error(transparent)]
    Source(#[from] SourceError),
}

/// A deployment that can be used.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    pub deployment: Deployment,
    /// The file that declares it, relative to the repository's root.
    pub file: String,
    /// What its author probably did not mean.
    pub warnings: Vec<Problem>,
}

/// The deployments of a repository.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Listing {
    /// Each deployment's file, in the order of their names.
    pub files: BTreeMap<DeploymentName, String>,
    /// Files that stand among the deployments and cannot be one.
    pub problems: Vec<Problem>,
}

impl Listing {
    /// The deployments' names, in alphabetical order.
    pub fn names(&self) -> impl Iterator<Item = &DeploymentName> {
        self.files.keys()
    }
}

/// Every deployment of a repository, each with what came of reading it.
#[derive(Debug, Default)]
pub struct LoadedAll {
    /// In the order of their names.
    pub deployments: BTreeMap<DeploymentName, Result<Loaded, ConfigError>>,
    /// Files that stand among the deployments and cannot be one.
    pub problems: Vec<Problem>,
}

/// The deployments that have a file: `<name>.yaml` or `<name>.yml`, directly in the deployments directory.
///
/// Hidden files are passed over; any other YAML file whose stem is no deployment's name is a problem.
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
    let nearest = nearest::nearest(name.as_str(), available.iter().map(DeploymentName::as_str))
        .and_then(|nearest| available.iter().find(|name| name.as_str() == nearest))
        .cloned();
    Err(ConfigError::NotFound { name: name.clone(), nearest, available })
}

/// Reads and checks every deployment there is. A broken one does not hide the others.
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

/// Checks the text of a deployment file. `name` is what the file's stem says.
///
/// All problems at once, in the order of the file; warnings alone do not stop it.
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

/// What passed the check, as its type. The check follows the type's own schema, so a failure is one of the schema's.
pub(super) fn deserialize<T: DeserializeOwned>(
    checked: serde_json::Value,
    problems: &mut Problems<'_>,
) -> Option<T> {
    serde_json::from_value(checked).map_err(|error| problems.error(Span::START, error.to_string(), None)).ok()
}

/// A configuration file's text; `None` where there is no such file.
pub(super) fn read_text(source: &dyn Source, file: &str) -> Result<Option<String>, ConfigError> {
    let unreadable = |message: String| ConfigError::Invalid(about_file(file, message, None));
    let bytes = match source.read(file, MAX_FILE_BYTES) {
        Ok(Some(bytes)) => bytes,
        Ok(None) => return Ok(None),
        Err(SourceError::TooLarge { limit, .. }) => {
            return Err(unreadable(format!("the file is larger than {limit} bytes")));
        }
        Err(error) => return Err(error.into()),
    };
    match String::from_utf8(bytes) {
        // A byte order mark is no part of the text and would shift the first line's columns.
        Ok(text) => Ok(Some(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))),
        Err(error) => {
            let valid = error.utf8_error().valid_up_to();
            let text = String::from_utf8_lossy(error.as_bytes().get(..valid).unwrap_or_default());
            let line_start = text.rfind('\n').map_or(0, |newline| newline + 1);
            let span = Span {
                line: text.matches('\n').count() + 1,
                column: text[line_start..].chars().count() + 1,
                start: valid,
                end: valid,
            };
            let mut problems = Problems::new(file, &text);
            problems.error(span, "the file is not UTF-8", None);
            Err(ConfigError::Invalid(problems.finish()))
        }
    }
}

/// A problem with a file as a whole.
pub(super) fn about_file(file: &str, message: String, hint: Option<String>) -> Vec<Problem> {
    let mut problems = Problems::new(file, "");
    problems.error(Span::START, message, hint);
    problems.finish()
}
