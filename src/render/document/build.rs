//! `build`: the images of a commit.

use schemars::JsonSchema;
use serde::Serialize;

use super::Document;
use crate::deployment::build_report::{BuildStatus, ComponentBuild};
use crate::deployment::{CommitId, ComponentName, DeploymentName, TargetName};

/// What a build did.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct BuildResult {
    pub deployment: DeploymentName,
    /// The target whose context was built with.
    pub target: TargetName,
    pub commit: CommitId,
    /// Nothing was built.
    pub dry_run: bool,
    pub succeeded: bool,
    pub components: Vec<BuiltComponent>,
    /// What was attached to the commit; absent where nothing was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sbom: Option<SbomCounts>,
    pub duration_seconds: f64,
}

impl Document for BuildResult {
    const KIND: &'static str = "BuildResult";
}

/// How much an SBOM has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub struct SbomCounts {
    pub components: usize,
    pub dependencies: usize,
}

/// One component's image.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct BuiltComponent {
    pub component: ComponentName,
    pub status: BuildStatus,
    /// `registry/name:tag`.
    pub name: String,
    /// `registry/name@sha256:…`; absent where nothing was pushed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// The digest that it goes by: the registry's; of an image that was not pushed, the engine's own id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// What wrote the recipe.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub builder: String,
    pub duration_seconds: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The Dockerfile of a dry run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recipe: Option<String>,
    /// The plan that it follows from, as nixpacks prints it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<serde_json::Value>,
}

impl From<&ComponentBuild> for BuiltComponent {
    fn from(build: &ComponentBuild) -> Self {
        Self {
            component: build.component.clone(),
            status: build.status,
            name: build.name.clone(),
            image: build.image.clone(),
            digest: build.digest().map(str::to_owned),
            builder: build.builder.clone(),
            duration_seconds: build.duration.as_secs_f64(),
            error: build.error.clone(),
            recipe: build.recipe.clone(),
            plan: build.plan.clone(),
        }
    }
}
