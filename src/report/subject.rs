//! The subject of a report: deployment, target and commits.

use crate::deployment::names::ComponentReference;
use crate::deployment::{DeploymentName, TargetName};

/// The subject of a rollout, from its command line.
#[derive(Debug, Clone)]
pub struct Subject {
    pub deployment: DeploymentName,
    pub target: Option<TargetName>,
    pub dry_run: bool,
    /// The components that it is limited to.
    pub components: Vec<ComponentReference>,
    /// The commit that is named on the command line.
    pub revision: Option<String>,
    /// Whether it is a promotion of another target's running commits.
    pub is_promotion: bool,
}
