//! `test`: the results of components' tests.

use schemars::JsonSchema;
use serde::Serialize;

use super::Document;
use crate::deployment::{CommitId, ComponentName, DeploymentName, TargetName};
use crate::results::TestSummary;

/// How the tests of a commit went.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct TestResult {
    pub deployment: DeploymentName,
    pub target: TargetName,
    pub commit: CommitId,
    pub succeeded: bool,
    pub components: Vec<TestedComponent>,
}

impl Document for TestResult {
    const KIND: &'static str = "TestResult";
}

/// How the tests of one component went.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct TestedComponent {
    pub component: ComponentName,
    /// The image that they ran in: `registry/name@sha256:…`.
    pub image: String,
    /// Whether the command ended well and no test failed.
    pub succeeded: bool,
    /// What the command failed with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    pub summary: TestSummary,
    pub duration_seconds: f64,
}
