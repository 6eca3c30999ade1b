//! The events and the report of a build.

use std::time::Duration;

use serde::Serialize;

use super::{CommitId, ComponentName, DeploymentName, TargetName};

/// A step of one component's build.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BuildStep {
    /// Determines the build's recipe.
    Planning,
    Building,
    Pushing,
    /// Generates the software bill of materials.
    Billing,
}

/// How a component's build ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum BuildStatus {
    Built,
    /// The same was built of this commit before.
    Reused,
    /// A dry run: nothing was built.
    Planned,
    Failed,
    Cancelled,
}

/// One component's build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComponentBuild {
    pub component: ComponentName,
    pub status: BuildStatus,
    /// `registry/name:tag`.
    pub name: String,
    /// `registry/name@sha256:…`; absent where nothing was pushed.
    pub image: Option<String>,
    /// The engine's own id of an image that was not pushed.
    pub local_id: Option<String>,
    /// The builder that wrote the recipe: `nixpacks 1.41.0`, `Dockerfile`.
    pub builder: String,
    pub duration: Duration,
    pub error: Option<String>,
    /// The recipe of a dry run.
    pub recipe: Option<String>,
    /// The builder's plan behind the recipe of a dry run, if it prints one.
    pub plan: Option<serde_json::Value>,
}

impl ComponentBuild {
    /// The digest that identifies the image: the registry's, else the engine's own.
    #[must_use]
    pub fn digest(&self) -> Option<&str> {
        let of_registry = self.image.as_deref().and_then(|image| image.rsplit_once('@'));
        of_registry.map(|(_, digest)| digest).or(self.local_id.as_deref())
    }
}

/// An event of a build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BuildEvent {
    Started {
        deployment: DeploymentName,
        target: TargetName,
        commit: CommitId,
        dry_run: bool,
        names: Vec<ComponentName>,
    },
    ComponentStarted {
        component: ComponentName,
    },
    Step {
        component: ComponentName,
        step: BuildStep,
    },
    /// A line that the builder or the engine printed.
    Output {
        component: ComponentName,
        line: String,
        is_error: bool,
    },
    ComponentFinished(ComponentBuild),
    Finished,
}

impl BuildStep {
    /// The step's name in messages.
    #[must_use]
    pub const fn as_words(self) -> &'static str {
        match self {
            Self::Planning => "detecting project type",
            Self::Building => "building container",
            Self::Pushing => "pushing to registry",
            Self::Billing => "generating SBOM",
        }
    }
}
