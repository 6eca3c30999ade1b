//! `describe`: the resolved configuration of a deployment or of one target.

use std::collections::BTreeMap;

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Serialize;

use super::Document;
use super::vendor::VendoredSource;
use crate::deployment::definition::{Labels, Values};
use crate::deployment::{ComponentKind, ComponentName, DeploymentName, TargetName};

/// The resolved configuration of a deployment or of one target.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct DeploymentDescription {
    pub deployment: DeploymentName,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    #[serde(skip_serializing_if = "Labels::is_empty")]
    pub labels: Labels,
    /// The stacks that are loaded, in import order.
    pub stacks: Vec<String>,
    pub targets: Vec<TargetName>,
    /// The target that this describes; absent where no target was named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<TargetName>,
    /// The target's context.
    #[serde(skip_serializing_if = "Values::is_empty")]
    pub context: Values,
    pub components: Vec<DescribedComponent>,
}

impl Document for DeploymentDescription {
    const KIND: &'static str = "DeploymentDescription";
}

/// One component with everything resolved.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct DescribedComponent {
    pub component: ComponentName,
    #[serde(rename = "type")]
    pub kind: ComponentKind,
    /// The folder under the type's base path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub folder: Option<String>,
    #[serde(skip_serializing_if = "Labels::is_empty")]
    pub labels: Labels,
    pub depends_on: Vec<ComponentName>,
    /// The stack that it belongs to on the target.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stack: Option<String>,
    /// The terraform workspace of that stack.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workspace: Option<String>,
    /// The backend of that stack, and the key of the terraform state in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    pub vars: Values,
    /// Where each variable came from, by its path; only with `--sources`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sources: Option<IndexMap<String, String>>,
    /// Where its code comes from, if not from the commit; only with `--sources`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<VendoredSource>,
    /// `--context` that it runs with on the target; sensitive values as hashes. `vars` has these values.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub context_overrides: BTreeMap<String, String>,
}
