//! The options of a build.

use std::num::NonZeroUsize;

use crate::deployment::names::ComponentReference;
use crate::deployment::{DeploymentName, TargetName};
use crate::text::KeyValue;

/// The options of a build, as typed.
#[derive(Debug, Clone)]
pub struct Options {
    pub deployment: DeploymentName,
    /// The deployment's default target where there is none.
    pub target: Option<TargetName>,
    /// All components where it is empty.
    pub component: Vec<ComponentReference>,
    /// A revision; the commit that is checked out where there is none.
    pub git_sha: Option<String>,
    /// Overrides of the context.
    pub context: Vec<KeyValue>,
    /// The tag of the images, instead of the one that the component names.
    pub tag: Option<String>,
    /// Shows how the images would be built, and builds nothing.
    pub plan: bool,
    /// Leaves the images where they are built, and records nothing.
    pub skip_push: bool,
    /// The number of parallel builds; by default one per core.
    pub parallelism: Option<NonZeroUsize>,
}
