//! Health checks: their configuration and their results.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::template::{Renderer, TemplateError};

/// The health check of a component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthCheck {
    pub probe: Probe,
    /// The timeout of a rollout for the component to become healthy.
    pub timeout: Duration,
    /// The interval between two checks.
    pub interval: Duration,
    /// Whether a component that does not become healthy has failed.
    pub required: bool,
}

impl HealthCheck {
    /// The default timeout.
    pub const TIMEOUT: Duration = Duration::from_mins(1);
    /// The default interval between two checks.
    pub const INTERVAL: Duration = Duration::from_secs(5);
}

/// The target of a health check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Probe {
    /// An argument vector that succeeds if the component is healthy.
    Command(Vec<String>),
    /// A URL; healthy is this status, or any from 200 to 299.
    Http {
        url: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        status: Option<u16>,
    },
    /// A workload by kind and name, `deployment/api`.
    Kubernetes {
        resource: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        namespace: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        context: Option<String>,
    },
    /// A service of Amazon ECS.
    Ecs {
        cluster: String,
        service: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        region: Option<String>,
    },
}

impl Probe {
    /// Renders the templates in the probe.
    pub fn render(&self, renderer: &Renderer) -> Result<Self, TemplateError> {
        let text = |name: &str, text: &str| match renderer.value(&format!("settings.health.{name}"), text)? {
            Value::String(text) => Ok(text),
            other => Ok(other.to_string()),
        };
        let optional =
            |name: &str, value: &Option<String>| value.as_ref().map(|value| text(name, value)).transpose();
        Ok(match self {
            Self::Command(argv) => {
                Self::Command(argv.iter().map(|word| text("command", word)).collect::<Result<_, _>>()?)
            }
            Self::Http { url, status } => Self::Http { url: text("http.url", url)?, status: *status },
            Self::Kubernetes { resource, namespace, context } => Self::Kubernetes {
                resource: text("kubernetes.resource", resource)?,
                namespace: optional("kubernetes.namespace", namespace)?,
                context: optional("kubernetes.context", context)?,
            },
            Self::Ecs { cluster, service, region } => Self::Ecs {
                cluster: text("ecs.cluster", cluster)?,
                service: text("ecs.service", service)?,
                region: optional("ecs.region", region)?,
            },
        })
    }
}

/// Whether a component is healthy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum HealthStatus {
    Healthy,
    Unhealthy,
    /// Whoever was asked did not answer.
    Unknown,
}

impl HealthStatus {
    /// The severity for comparisons. A known failure is worse than an unknown state.
    pub(super) const fn severity(self) -> u8 {
        match self {
            Self::Healthy => 0,
            Self::Unknown => 1,
            Self::Unhealthy => 2,
        }
    }

    /// The status as written in documents.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
            Self::Unknown => "unknown",
        }
    }
}

/// What a health check found.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Health {
    pub status: HealthStatus,
    /// In a few words: `2/2 tasks`, `HTTP 503`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

impl Health {
    /// A status with a short detail of the observation.
    #[must_use]
    pub fn new(status: HealthStatus, detail: impl Into<String>) -> Self {
        Self { status, detail: Some(detail.into()) }
    }
}

/// `healthy (2/2 tasks)`.
impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.status.as_str())?;
        self.detail.as_ref().map_or(Ok(()), |detail| write!(f, " ({detail})"))
    }
}
