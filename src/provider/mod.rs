//! Hosting platforms (GitHub, GitLab): comments, statuses, deployments, approvals, protection.
//!
//! Every capability is optional. A missing capability or permission is a [`ProviderError`]; it
//! never fails the rollout that it is about.
//!
//! A provider belongs to the tokio runtime of its first request.

mod address;
mod certificates;
mod change_requests;
mod client;
mod comment;
mod environment;
mod error;
mod github;
mod gitlab;
mod http;
mod none;
mod protection;
mod record;
mod redirect;
mod retry;
mod run;
mod settings;
mod status;
#[cfg(test)]
mod tests;
mod token;

use std::fmt;

use async_trait::async_trait;

pub use address::{is_folder, path_on_servers};
pub use comment::{Posted, PostedComment, StickyComment};
pub use environment::is_same_environment;
pub use error::ProviderError;
pub use protection::{Protection, ProtectionRule, RuleState};
pub use record::{DeploymentPhase, DeploymentUpdate, NewDeployment, PlatformDeployment};
pub use retry::RetryPolicy;
pub use run::{Dispatch, PlatformApproval, PlatformApprovals, WorkflowInputs};
pub use settings::{ProviderSettings, TokenKind};
pub use status::{CommitStatus, CommitStatusState};
pub use token::{Token, TokenError};

use crate::deployment::CommitId;
use crate::deployment::change_request::{ChangeRequest, RequestLookup};

/// A hosting platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Platform {
    GitHub,
    GitLab,
    /// No platform, or one that is not known.
    None,
}

impl Platform {
    /// The longest comment, in UTF-16 units: the strictest way to count the platforms' characters.
    #[must_use]
    pub const fn comment_limit(self) -> usize {
        match self {
            Self::GitHub | Self::None => 65_536,
            Self::GitLab => 1_000_000,
        }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::GitHub => "GitHub",
            Self::GitLab => "GitLab",
            Self::None => "A job outside of GitHub Actions and GitLab CI",
        })
    }
}

/// An optional capability of a platform; displayed as the end of "cannot …".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Capability {
    ChangeRequests,
    Comments,
    CommitStatuses,
    Deployments,
    Protection,
    Dispatch,
    Approvals,
    Waiting,
    Workflows,
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::ChangeRequests => "find the pull or merge request",
            Self::Comments => "write the comment",
            Self::CommitStatuses => "set the commit status",
            Self::Deployments => "record the deployment",
            Self::Protection => "protect the ledger",
            Self::Dispatch => "start the pipeline",
            Self::Approvals => "tell who approved this run",
            Self::Waiting => "tell what this job waited for",
            Self::Workflows => "read the workflow",
        })
    }
}

/// The operations of a hosting platform.
#[async_trait]
pub trait Provider: Send + Sync + fmt::Debug {
    /// The kind of platform.
    fn platform(&self) -> Platform;

    /// Posts a comment on a pull or merge request, or edits the one with the same marker.
    /// Idempotent: there is never a second one.
    async fn put_comment(
        &self,
        change_request: u64,
        comment: &StickyComment,
    ) -> Result<PostedComment, ProviderError> {
        let _ = (change_request, comment);
        Err(self.unsupported(Capability::Comments))
    }

    /// Finds a pull or merge request; `None` where a commit belongs to none.
    async fn find_change_request(
        &self,
        lookup: &RequestLookup,
    ) -> Result<Option<ChangeRequest>, ProviderError> {
        let _ = lookup;
        Err(self.unsupported(Capability::ChangeRequests))
    }

    /// Sets a status of a commit.
    async fn set_commit_status(&self, commit: &CommitId, status: &CommitStatus) -> Result<(), ProviderError> {
        let _ = (commit, status);
        Err(self.unsupported(Capability::CommitStatuses))
    }

    /// Creates the platform's deployment for a rollout. Idempotent: a retry after a lost
    /// response creates no second one.
    async fn start_deployment(
        &self,
        deployment: &NewDeployment,
    ) -> Result<PlatformDeployment, ProviderError> {
        let _ = deployment;
        Err(self.unsupported(Capability::Deployments))
    }

    /// Updates the status of the platform's deployment.
    async fn update_deployment(
        &self,
        deployment: &PlatformDeployment,
        update: &DeploymentUpdate,
    ) -> Result<(), ProviderError> {
        let _ = (deployment, update);
        Err(self.unsupported(Capability::Deployments))
    }

    /// Reads the protection of the ledger's refs, and the changes that [`Self::protect`] would
    /// make.
    async fn protection(&self) -> Result<Protection, ProviderError> {
        Err(self.unsupported(Capability::Protection))
    }

    /// Protects the ledger's refs, as far as the platform can. Existing protection
    /// stays; returns the state before.
    async fn protect(&self) -> Result<Protection, ProviderError> {
        Err(self.unsupported(Capability::Protection))
    }

    /// The inputs of a workflow at a branch or tag.
    async fn workflow_inputs(
        &self,
        workflow: &str,
        reference: &str,
    ) -> Result<WorkflowInputs, ProviderError> {
        let _ = (workflow, reference);
        Ok(WorkflowInputs::Any)
    }

    /// Starts a workflow or pipeline.
    async fn dispatch(&self, dispatch: &Dispatch) -> Result<(), ProviderError> {
        let _ = dispatch;
        Err(self.unsupported(Capability::Dispatch))
    }

    /// The approvals of this job for an environment of the platform;
    /// empty without any, required or not.
    async fn approvals(&self, environment: &str) -> Result<PlatformApprovals, ProviderError> {
        let _ = environment;
        Err(self.unsupported(Capability::Approvals))
    }

    /// The platform's setting that requires an approval, for the hint of a refusal without one.
    fn approval_setting(&self, environment: &str) -> Option<String> {
        let _ = environment;
        None
    }

    /// The error of a capability that the platform lacks.
    fn unsupported(&self, capability: Capability) -> ProviderError {
        ProviderError::Unsupported { platform: self.platform(), capability }
    }
}

/// The provider that the settings describe. Nothing is sent yet.
#[must_use]
pub fn connect(settings: ProviderSettings, policy: RetryPolicy) -> Box<dyn Provider> {
    match settings {
        ProviderSettings::GitHub(settings) => Box::new(github::GitHub::new(settings, policy)),
        ProviderSettings::GitLab(settings) => Box::new(gitlab::GitLab::new(settings, policy)),
        ProviderSettings::None => Box::new(none::NoPlatform),
    }
}
