//! Runs of the platform's CI: starting one, and who let this one go on.

use std::collections::BTreeMap;

use jiff::Timestamp;

/// A workflow or pipeline to start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dispatch {
    /// GitHub: the workflow's file, `deploy.yml`. GitLab has one pipeline and ignores it.
    pub workflow: String,
    /// The branch or tag to run it on.
    pub reference: String,
    /// GitHub: inputs. GitLab: variables.
    pub inputs: BTreeMap<String, String>,
}

/// Somebody let this run deploy to an environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlatformApproval {
    /// The login.
    pub approved_by: String,
    /// The environment of the platform.
    pub environment: String,
    pub comment: Option<String>,
    /// GitHub does not say when.
    pub approved_at: Option<Timestamp>,
}
