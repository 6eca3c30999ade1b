//! `attach` and `scan`: the note that was stored on a commit.

use schemars::JsonSchema;
use serde::Serialize;

use super::Document;
use crate::deployment::{CommitId, ComponentName, DeploymentName, NoteNamespace};
use crate::results::{ScanSummary, TestSummary};

/// A file that was noted on a commit.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct AttachResult {
    pub deployment: DeploymentName,
    pub namespace: NoteNamespace,
    pub commit: CommitId,
    /// Absent where the file is about the whole deployment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub component: Option<ComponentName>,
    /// The file's size, in bytes.
    pub size: usize,
    pub attached: Attached,
}

impl Document for AttachResult {
    const KIND: &'static str = "AttachResult";
}

/// What the file says, at a glance.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Attached {
    Sbom {
        components: usize,
        dependencies: usize,
    },
    Tests(TestSummary),
    Scan {
        /// What wrote the file, as it says.
        #[serde(skip_serializing_if = "Option::is_none")]
        tool: Option<String>,
        vulnerabilities: ScanSummary,
    },
}
