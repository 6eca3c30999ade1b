//! `atmos deployment describe`: a deployment as it is resolved, and its variables on a target.

use std::process::ExitCode;

use crate::cli::context::{Context, known_target};
use crate::cli::error::CommandError;
use crate::deployment::definition::Values;
use crate::deployment::{Component, DeploymentName, Target, TargetName, variables};
use crate::render;
use crate::render::document::describe::{DeploymentDescription, DescribedComponent};

/// Show a deployment with everything resolved, on one target if one is named
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  atmos deployment describe payment-service
  atmos deployment describe payment-service --target prod
  atmos deployment describe payment-service --target prod --sources")]
pub struct Args {
    /// The deployment
    deployment: DeploymentName,
    /// Show the variables that the components have on this target
    #[arg(long, value_name = "TARGET")]
    target: Option<TargetName>,
    /// Show where each variable comes from
    #[arg(long, requires = "target")]
    sources: bool,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<ExitCode, CommandError> {
    let repository = context.repository()?;
    let project = context.project(&repository)?;
    let deployment = project.deployment(context, &args.deployment)?;
    if let Some(target) = &args.target {
        known_target(&deployment, target)?;
    }
    let target = args.target.as_ref().and_then(|target| deployment.targets.get(target));
    let description = DeploymentDescription {
        deployment: deployment.name.clone(),
        description: deployment.description.clone(),
        labels: deployment.labels.clone(),
        stacks: deployment.stacks.clone(),
        targets: deployment.targets.keys().cloned().collect(),
        target: args.target.clone(),
        context: target.map(|target| target.context.clone()).unwrap_or_default(),
        components: deployment
            .components
            .iter()
            .map(|component| described(component, target, args.sources))
            .collect(),
    };
    context.print(&description, render::describe::text)?;
    Ok(ExitCode::SUCCESS)
}

fn described(component: &Component, target: Option<&Target>, with_sources: bool) -> DescribedComponent {
    let resolved = target.map(|target| variables::on_target(component, target, &Values::new()));
    let sources = resolved.as_ref().filter(|_| with_sources).map(|resolved| {
        let sources = resolved.sources.iter();
        sources.map(|(name, source)| (name.clone(), source.as_words().to_owned())).collect()
    });
    DescribedComponent {
        component: component.name.clone(),
        kind: component.kind,
        folder: component.folder.clone(),
        labels: component.labels.clone(),
        depends_on: component.depends_on.clone(),
        vars: resolved.map_or_else(|| component.vars.clone(), |resolved| resolved.values),
        sources,
    }
}
