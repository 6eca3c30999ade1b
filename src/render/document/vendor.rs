//! `vendor`: the sources of components, and the cache of their content.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::{Document, is_zero};
use crate::deployment::{CommitId, ComponentName, DeploymentName, TargetName};

/// The sources of vendored components.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct VendorStatus {
    pub deployment: DeploymentName,
    pub sources: Vec<VendoredSource>,
}

impl Document for VendorStatus {
    const KIND: &'static str = "VendorStatus";
}

/// The source of components on one target.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct VendoredSource {
    pub target: TargetName,
    /// The components that have the folder.
    pub components: Vec<ComponentName>,
    /// From the root of the repository.
    pub folder: String,
    pub source: String,
    /// The version or range, as declared; absent for a folder of the same commit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// What declares it: `vendor.components`, `vendor.manifest`, `vendor.yaml` or `component.yaml`.
    pub declared_by: String,
    /// Where it is declared: file, line and column as far as they are known.
    pub declared_at: String,
    /// Whether the lock file pins it as it is declared.
    pub locked: bool,
    pub state: VendoredState,
    /// The tag, branch or commit that the version stands for; absent where it is not in the cache.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resolved: Option<String>,
    /// The commit of the source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit: Option<CommitId>,
    /// The digest of the content: `sha256:` and hexadecimal digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
}

/// Whether the content is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum VendoredState {
    /// It was in the cache.
    Cached,
    /// This command has fetched it.
    Fetched,
    /// The cache does not have it.
    Missing,
}

/// What the cache of vendored content holds.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct VendorCacheStats {
    /// The folder of the cache.
    pub folder: String,
    /// The size of all content in bytes.
    pub bytes: u64,
    /// The versions of sources that are known.
    pub versions: usize,
    /// The content, largest first.
    pub objects: Vec<VendoredObject>,
}

impl Document for VendorCacheStats {
    const KIND: &'static str = "VendorCacheStats";
}

/// Content of the cache.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct VendoredObject {
    /// `sha256:` and hexadecimal digits.
    pub digest: String,
    pub bytes: u64,
    pub files: usize,
    pub last_used: Timestamp,
    /// The sources that have this content, with their versions.
    pub sources: Vec<String>,
}

/// What was removed from the cache, or would be.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct VendorCleaning {
    /// Whether nothing was removed, only listed.
    pub dry_run: bool,
    /// The digests of the content.
    pub removed: Vec<String>,
    pub bytes: u64,
    /// The folders that killed processes have left behind.
    #[serde(skip_serializing_if = "is_zero")]
    pub left_behind: usize,
}

impl Document for VendorCleaning {
    const KIND: &'static str = "VendorCleaning";
}
