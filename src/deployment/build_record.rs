//! The record of a built image (`definitions.md`, "Build Record").

use jiff::Timestamp;

use super::{CommitId, ComponentName, DeploymentName, TargetName};

/// One image of one component at one commit: `refs/atmos/builds/<build_id>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildRecord {
    pub deployment: DeploymentName,
    pub component: ComponentName,
    /// The target whose context it was built with.
    pub target: TargetName,
    pub commit: CommitId,
    /// `registry/name@sha256:…`, by the registry's own digest.
    pub image: String,
    /// The tag that was pushed as well. Advisory.
    pub tag: Option<String>,
    /// A digest of all inputs of the image other than the commit.
    pub inputs: String,
    /// The builder that wrote the recipe: `nixpacks 1.41.0`, `Dockerfile`.
    pub builder: String,
    /// The engine that executed it: `buildah 1.28.2`.
    pub engine: String,
    pub built_by: String,
    pub timestamp: Timestamp,
    pub run_id: String,
}

impl BuildRecord {
    /// The id, from which the record's ref follows.
    #[must_use]
    pub fn id(&self) -> String {
        build_id(&self.deployment, &self.commit, &self.component)
    }
}

/// The id of the build of a component at a commit.
#[must_use]
pub fn build_id(deployment: &DeploymentName, commit: &CommitId, component: &ComponentName) -> String {
    format!("{deployment}.{commit}.{component}")
}
