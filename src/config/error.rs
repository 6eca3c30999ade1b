//! Errors of the configuration.

use crate::deployment::DeploymentName;

use super::problem::{Problem, Problems};
use super::source::SourceError;
use super::span::Span;

/// An error of the configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// There is no file for this deployment.
    #[error("deployment {name} does not exist")]
    NotFound {
        name: DeploymentName,
        /// The most similar existing name.
        nearest: Option<DeploymentName>,
        /// All existing deployments, in alphabetical order.
        available: Vec<DeploymentName>,
    },
    /// The file exists but is invalid. At least one of the problems is an error.
    #[error("the configuration has problems")]
    Invalid(Vec<Problem>),
    /// Configuration could not be read at all.
    #[error(transparent)]
    Source(#[from] SourceError),
}

/// A problem with a file as a whole.
pub(super) fn about_file(file: &str, message: String, hint: Option<String>) -> Vec<Problem> {
    let mut problems = Problems::new(file, "");
    problems.error(Span::START, message, hint);
    problems.finish()
}
