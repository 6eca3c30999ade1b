//! What is reported on.

use crate::deployment::names::ComponentReference;
use crate::deployment::{DeploymentName, TargetName};

/// What a rollout is about, as far as the command line says.
#[derive(Debug, Clone)]
pub struct Subject {
    pub deployment: DeploymentName,
    pub target: Option<TargetName>,
    pub dry_run: bool,
    /// The components that it is limited to.
    pub components: Vec<ComponentReference>,
    /// The commit that is asked for by name.
    pub revision: Option<String>,
    /// What is rolled out is what runs on another target.
    pub is_promotion: bool,
}
