//! The platform's own records of deployments, which its user interface lists by environment.

use crate::deployment::{CommitId, DeploymentName, TargetName};

/// A rollout that starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewDeployment {
    pub deployment: DeploymentName,
    pub target: TargetName,
    pub commit: CommitId,
    /// The branch or tag that the commit was taken from, where the platform wants one.
    pub reference: Option<String>,
    /// The platform's environment: `production`.
    pub environment: String,
    /// The address of the deployed application.
    pub environment_url: Option<String>,
    /// The run that the rollout is part of.
    pub run_id: String,
    /// A unique key of this rollout, also among those of the same run: each has a record of its
    /// own.
    pub key: String,
    pub description: String,
}

/// The platform's record of a deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlatformDeployment {
    pub id: u64,
}

/// An update of a deployment's status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeploymentUpdate {
    pub phase: DeploymentPhase,
    pub description: String,
    /// The address of the run.
    pub log_url: Option<String>,
    pub environment_url: Option<String>,
}

/// The phase of a deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DeploymentPhase {
    InProgress,
    Success,
    Failure,
    /// The deployment was cancelled, refused or could not be started.
    Error,
}
