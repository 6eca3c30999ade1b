//! `validate`: the problems of the configuration.

use schemars::JsonSchema;
use serde::Serialize;

use super::Document;
use crate::deployment::{ComponentName, Deployment, TargetName, promotion};

/// What is wrong with the configuration.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct ValidationReport {
    /// Whether nothing is wrong; warnings are not wrong.
    pub valid: bool,
    pub deployments: Vec<ValidatedDeployment>,
}

impl Document for ValidationReport {
    const KIND: &'static str = "ValidationReport";
}

/// What is wrong with one deployment.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct ValidatedDeployment {
    /// The deployment's name; the stem of its file where it could not be read.
    pub deployment: String,
    pub valid: bool,
    pub problems: Vec<Problem>,
    /// What was declared; absent where that could not be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub summary: Option<Summary>,
}

/// One thing that is wrong, or looks so.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Problem {
    pub severity: Severity,
    /// What was checked; absent where the configuration as a whole was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub check: Option<Check>,
    pub message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// From 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// From 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The problem with its source line for people, without colours; not part of the document.
    #[serde(skip)]
    pub rendered: Option<String>,
}

/// Whether a problem makes a deployment invalid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    Error,
    Warning,
}

/// What `validate` looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Check {
    /// The file can be read and follows the schema. Without it, nothing else can be checked.
    Configuration,
    Targets,
    Components,
    Promotion,
    Context,
    Labels,
    /// How components are configured.
    Settings,
    /// Outputs that components need of each other.
    Outputs,
    /// Images that are to be built.
    Images,
    /// Programs that components need; those of this machine are warnings.
    Programs,
}

impl Check {
    /// All checks, in the order of the output.
    pub const ALL: [Self; 10] = [
        Self::Configuration,
        Self::Targets,
        Self::Components,
        Self::Promotion,
        Self::Context,
        Self::Labels,
        Self::Settings,
        Self::Outputs,
        Self::Images,
        Self::Programs,
    ];

    /// Whether the check needs a file that can be read as a deployment.
    #[must_use]
    pub const fn needs_the_deployment(self) -> bool {
        matches!(self, Self::Components | Self::Context)
    }

    /// Whether the check is shown even where it passes.
    #[must_use]
    pub const fn is_always_shown(self) -> bool {
        !matches!(self, Self::Settings | Self::Outputs | Self::Images | Self::Programs)
    }
}

/// What a deployment declares.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Summary {
    pub targets: Vec<TargetName>,
    pub components: Vec<ComponentName>,
    pub promotions: Vec<Promotion>,
}

/// One allowed promotion.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Promotion {
    pub from: TargetName,
    pub to: TargetName,
}

impl ValidationReport {
    /// The report of all deployments.
    #[must_use]
    pub fn new(deployments: Vec<ValidatedDeployment>) -> Self {
        Self { valid: deployments.iter().all(|deployment| deployment.valid), deployments }
    }
}

impl ValidatedDeployment {
    /// A deployment with its problems.
    #[must_use]
    pub fn new(name: String, deployment: Option<&Deployment>, problems: Vec<Problem>) -> Self {
        Self {
            deployment: name,
            valid: problems.iter().all(|problem| problem.severity != Severity::Error),
            problems,
            summary: deployment.map(Summary::new),
        }
    }
}

impl Summary {
    fn new(deployment: &Deployment) -> Self {
        Self {
            targets: deployment.targets.keys().cloned().collect(),
            components: deployment.components.iter().map(|component| component.name.clone()).collect(),
            promotions: promotion::edges(&deployment.targets)
                .map(|(from, to)| Promotion { from: from.clone(), to: to.name.clone() })
                .collect(),
        }
    }
}
