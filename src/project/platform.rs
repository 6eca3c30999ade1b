//! Blocking access to the hosting platform, and the names of the targets' environments on it.

use handlebars::Handlebars;
use serde_json::json;

use crate::config::atmos::CiConfig;
use crate::context::{Context, runtime};
use crate::deployment::{Deployment, TargetName};
use crate::error::{Code, CommandError};
use crate::provider::{
    PlatformApprovals, Provider, ProviderError, ProviderSettings, RetryPolicy, Token, connect,
};
use crate::render::document::error::Hint;

/// The platform of this job, with a runtime for requests.
pub struct Platform {
    runtime: tokio::runtime::Runtime,
    provider: Box<dyn Provider>,
}

/// The connection settings of this job's platform. `token` takes precedence over those of the
/// environment.
pub fn settings(context: &Context, token: Option<Token>) -> Result<ProviderSettings, ProviderError> {
    ProviderSettings::detect(|name| context.variable(name), token)
}

impl Platform {
    /// Connects lazily: sends no request yet.
    pub fn new(settings: ProviderSettings) -> Result<Self, CommandError> {
        let provider = connect(settings, RetryPolicy::default());
        Ok(Self { runtime: runtime::on_this_thread()?, provider })
    }

    /// The platform's approvals of this job for an environment.
    pub fn approvals(&self, environment: &str) -> Result<PlatformApprovals, ProviderError> {
        self.runtime.block_on(self.provider.approvals(environment))
    }

    /// The platform's setting that requires an approval.
    pub fn approval_setting(&self, environment: &str) -> Option<String> {
        self.provider.approval_setting(environment)
    }
}

/// The platform's environment of a target: its name, and the URL of the deployed service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Environment {
    pub name: String,
    pub url: Option<String>,
}

/// The environment of a target, as configured by the project.
pub fn environment(
    config: &CiConfig,
    deployment: &Deployment,
    target: &TargetName,
) -> Result<Environment, CommandError> {
    let name = match &config.environment {
        Some(template) => render("ci.environment", template, deployment, target)?,
        None => target.to_string(),
    };
    let url = config.environment_url.as_deref();
    let url = url.map(|template| render("ci.environment_url", template, deployment, target)).transpose()?;
    Ok(Environment { name, url })
}

fn render(
    key: &str,
    template: &str,
    deployment: &Deployment,
    target: &TargetName,
) -> Result<String, CommandError> {
    let mut registry = Handlebars::new();
    registry.set_strict_mode(true);
    registry.register_escape_fn(handlebars::no_escape);
    let labels = deployment.targets.get(target).map(|target| &target.labels);
    let facts = json!({ "deployment": deployment.name, "target": target, "labels": labels });
    let rendered = registry.render_template(template, &facts).map_err(|error| {
        let message = format!("`{key}` in atmos.yaml cannot be rendered for {target}: {error}");
        CommandError::new(Code::Configuration, message).hint(Hint::note(
            "It may use deployment, target, and the target's labels: {{ labels.environment }}",
        ))
    })?;
    Ok(rendered.trim().to_owned())
}
