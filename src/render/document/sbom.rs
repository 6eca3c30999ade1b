//! `sbom --summary` and `sbom diff`.

use schemars::JsonSchema;
use serde::Serialize;

use super::Document;
use crate::deployment::{CommitId, ComponentName, DeploymentName, TargetName};
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
    /// Which part of it was scanned, where that is not all of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scan_coverage: Option<ScanCoverage>,
    /// Components of which nothing says what they are made of.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub without_sbom: Vec<ComponentName>,
    /// The size of the whole document, in bytes.
    pub size: usize,
}

impl Document for SbomSummary {
    const KIND: &'static str = "SbomSummary";
}

/// Which components scans are about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ScanCoverage {
    /// Whether these are the components with images; else they are all components.
    pub images: bool,
    pub scanned: Vec<ComponentName>,
    pub unscanned: Vec<ComponentName>,
}

/// The findings of scans, and their coverage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vulnerabilities {
    pub found: ScanSummary,
    /// Absent where all components were scanned.
    pub coverage: Option<ScanCoverage>,
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
    /// What was read, where no other tool wrote it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_from: Option<String>,
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
        vulnerabilities: Option<Vulnerabilities>,
        without_sbom: Vec<ComponentName>,
    ) -> Self {
        let (vulnerabilities, scan_coverage) =
            vulnerabilities.map(|known| (known.found, known.coverage)).unzip();
        let components = summary.components.into_iter().map(|component| SbomComponent {
            component: component.name,
            kind: component.kind,
            form: component.form,
            version: component.version,
            read_from: component.read_from,
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
            scan_coverage: scan_coverage.flatten(),
            without_sbom,
            size: summary.size,
        }
    }
}
