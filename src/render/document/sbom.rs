//! `sbom --summary` and `sbom diff`.

use schemars::JsonSchema;
use serde::Serialize;

use super::Document;
use crate::deployment::{CommitId, DeploymentName, TargetName};
use crate::results::ScanSummary;
use crate::sbom::{Dependency, SbomComparison, Summary};

/// An SBOM at a glance.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct SbomSummary {
    pub deployment: DeploymentName,
    /// Absent where a commit was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<TargetName>,
    pub commits: Vec<CommitId>,
    /// As the document says it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generated_at: Option<String>,
    /// `CycloneDX 1.5 (JSON)`.
    pub format: String,
    pub components: Vec<SbomComponent>,
    /// Everything that the components are made of, each once.
    pub dependencies: Vec<SbomDependency>,
    /// What scans have found. Absent where nothing was scanned: not known is not none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vulnerabilities: Option<ScanSummary>,
    /// The size of the whole document, in bytes.
    pub size: usize,
}

impl Document for SbomSummary {
    const KIND: &'static str = "SbomSummary";
}

/// A component of the deployment.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct SbomComponent {
    pub component: String,
    /// Absent in documents of other tools.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// CycloneDX's word for it: `container`, `application`.
    pub form: String,
    /// Of an image, its digest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// How many there are.
    pub dependencies: usize,
}

/// Something that components are made of.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct SbomDependency {
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub purl: Option<String>,
}

/// What two targets are made of, compared.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct SbomDiff {
    pub deployment: DeploymentName,
    pub from: TargetName,
    pub to: TargetName,
    #[serde(flatten)]
    pub comparison: SbomComparison,
}

impl Document for SbomDiff {
    const KIND: &'static str = "SbomDiff";
}

impl SbomSummary {
    /// The document of a summary.
    #[must_use]
    pub fn new(
        deployment: &DeploymentName,
        target: Option<&TargetName>,
        commits: Vec<CommitId>,
        summary: Summary,
        vulnerabilities: Option<ScanSummary>,
    ) -> Self {
        let components = summary.components.into_iter().map(|component| SbomComponent {
            component: component.name,
            kind: component.kind,
            form: component.form,
            version: component.version,
            dependencies: component.dependencies.len(),
        });
        let dependency = |Dependency { name, version, purl }| SbomDependency { name, version, purl };
        Self {
            deployment: deployment.clone(),
            target: target.cloned(),
            commits,
            generated_at: summary.generated_at,
            format: summary.format,
            components: components.collect(),
            dependencies: summary.dependencies.into_iter().map(dependency).collect(),
            vulnerabilities,
            size: summary.size,
        }
    }
}
