//! Runs of the platform's CI: starting one, and who let this one go on.

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
    /// What was read is no workflow.
    Unreadable,
}

/// Who let this job deploy to an environment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PlatformApprovals {
    /// Empty where there are none that count for this job.
    pub approvals: Vec<PlatformApproval>,
    /// The run has approvals for the environment, and this job did not wait for them.
    pub of_other_jobs: bool,
    /// Why it could not be checked whether this job waited for them, where it could not.
    pub unchecked: Option<String>,
}

impl From<Vec<PlatformApproval>> for PlatformApprovals {
    fn from(approvals: Vec<PlatformApproval>) -> Self {
        Self { approvals, ..Self::default() }
    }
}

/// That a person let this run deploy to an environment.
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
