//! Runs of the platform's CI: starting one, and the approvals of this one.

use std::collections::{BTreeMap, BTreeSet};

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

/// The inputs that a workflow or pipeline takes when it is started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WorkflowInputs {
    Any,
    Declared(BTreeSet<String>),
    /// The file is no valid workflow.
    Unreadable,
}

/// The approvals of this job for an environment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PlatformApprovals {
    /// Empty where there are none that count for this job.
    pub approvals: Vec<PlatformApproval>,
    /// The run has approvals for the environment, and this job did not wait for them.
    pub of_other_jobs: bool,
    /// The reason why it could not be checked whether this job waited for them, if so.
    pub unchecked: Option<String>,
}

impl From<Vec<PlatformApproval>> for PlatformApprovals {
    fn from(approvals: Vec<PlatformApproval>) -> Self {
        Self { approvals, ..Self::default() }
    }
}

/// A person's approval of this run for an environment.
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
