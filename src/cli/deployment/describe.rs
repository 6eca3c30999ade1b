//! `atmos deployment describe`: a resolved deployment, and its variables on a target.

use std::collections::BTreeMap;
use std::process::ExitCode;

use indexmap::IndexMap;

use crate::context::Context;
use crate::deployment::definition::Target;
use crate::deployment::overrides::ContextOverrides;
use crate::deployment::resolution::{Resolution, Resolved};
use crate::deployment::stack_layer::StateLocation;
use crate::deployment::stack_order::in_stack_order;
use crate::deployment::state::TargetState;
use crate::deployment::variables::ValueSource;
use crate::deployment::{Component, ComponentName, DeploymentName, TargetName};
use crate::error::CommandError;
use crate::git::Repository;
use crate::ledger::Scope;
use crate::project::Project;
use crate::project::known::known_target;
use crate::project::vendored::{Fetch, Locking, Wanted, sources_of};
use crate::render;
use crate::render::document::describe::{DeploymentDescription, DescribedComponent};

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
    let stacks = project.stacks(&repository)?;
    let deployment = match &args.target {
        Some(target) => in_stack_order(deployment, target, &stacks),
        None => deployment,
    };
    let target = args.target.as_ref().and_then(|target| deployment.targets.get(target));
    let root = repository.work_tree().map(|root| root.to_string_lossy().into_owned());
    let running = match &args.target {
        Some(target) => running_overrides(context, &repository, &project, &args.deployment, target)?,
        None => BTreeMap::new(),
    };
    let overrides_of = |component: &Component| running.get(&component.name).cloned().unwrap_or_default();
    let resolve = |component: &Component, target: &Target| {
        let overrides: ContextOverrides = overrides_of(component).into_iter().collect();
        let resolution = Resolution {
            // A value of which only the hash is kept is shown as that hash.
            command_line: &overrides.values(&[&target.context, &component.vars]),
            repository_root: root.as_deref(),
            ..Resolution::as_declared(&deployment, component, target, &stacks)
        };
        resolution.resolve()
    };
    let resolved = |component| target.map(|target| resolve(component, target)).transpose();
    let vendored = match (&args.target, args.sources) {
        (Some(_), true) => {
            let (target, components) = (args.target.as_ref(), &[][..]);
            let wanted = Wanted { target, components, fetch: Fetch::Never, lock: Locking::Obeyed };
            sources_of(context, &repository, &project, &deployment, wanted)?.sources
        }
        _ => Vec::new(),
    };
    let code = |component: &Component| {
        vendored.iter().find(|source| source.components.contains(&component.name)).cloned()
    };
    let components = deployment
        .components
        .iter()
        .map(|component| {
            let context_overrides = overrides_of(component);
            let described = described(component, resolved(component)?, args.sources);
            Ok(DescribedComponent { context_overrides, code: code(component), ..described })
        })
        .collect::<Result<Vec<_>, CommandError>>()?;
    for component in components.iter().filter(|component| !component.context_overrides.is_empty()) {
        let keys: Vec<_> = component.context_overrides.keys().map(String::as_str).collect();
        context.streams().note(&format!(
            "{} runs with --context {}; that is what is shown\n",
            component.component,
            keys.join(", ")
        ));
    }
    let description = DeploymentDescription {
        deployment: deployment.name.clone(),
        description: deployment.description.clone(),
        labels: deployment.labels.clone(),
        stacks: deployment.stack_paths().map(str::to_owned).collect(),
        targets: deployment.targets.keys().cloned().collect(),
        target: args.target.clone(),
        context: target.map(|target| target.context.clone()).unwrap_or_default(),
        components,
    };
    context.print(&description, render::describe::text)?;
    Ok(ExitCode::SUCCESS)
}

/// The `--context` overrides of the components that run on a target, as far as they are known here.
fn running_overrides(
    context: &Context,
    repository: &Repository,
    project: &Project<'_>,
    deployment: &DeploymentName,
    target: &TargetName,
) -> Result<BTreeMap<ComponentName, BTreeMap<String, String>>, CommandError> {
    let ledger = context.ledger(repository, &project.config)?;
    let scope = Scope::Targets(deployment.clone(), vec![target.clone()]);
    let state = context.snapshot(&ledger, &scope)?.into_deployment(deployment);
    context.say_warnings(&ledger);
    Ok(state.targets.get(target).map(TargetState::overrides).unwrap_or_default())
}

fn described(component: &Component, resolved: Option<Resolved>, with_sources: bool) -> DescribedComponent {
    let sources = resolved.as_ref().filter(|_| with_sources).map(sources);
    let stack = resolved.as_ref().and_then(|resolved| resolved.stack.as_ref());
    let (name, workspace) =
        (stack.map(|stack| stack.stack.clone()), stack.and_then(|it| it.workspace.clone()));
    let state = stack.and_then(|stack| stack.state.as_ref()).map(StateLocation::words);
    let folder = stack.map(|stack| &stack.folder);
    let folder = folder.filter(|folder| *folder != component.name.as_str()).or(component.folder.as_ref());
    DescribedComponent {
        component: component.name.clone(),
        kind: component.kind,
        folder: folder.cloned(),
        labels: component.labels.clone(),
        depends_on: component.depends_on.clone(),
        stack: name,
        workspace,
        state,
        vars: resolved.map_or_else(|| component.vars.clone(), |resolved| resolved.variables.values),
        sources,
        code: None,
        context_overrides: BTreeMap::new(),
    }
}

/// The source of each variable; for stacks, the file too.
fn sources(resolved: &Resolved) -> IndexMap<String, String> {
    let files = resolved.stack.as_ref().map(|stack| &stack.files);
    let words = |(name, source): (&String, &ValueSource)| {
        let file = files.filter(|_| *source == ValueSource::Stacks).and_then(|files| files.get(name));
        let words = match source {
            ValueSource::CommandLine => "--context of what runs",
            source => source.as_words(),
        };
        (name.clone(), file.map_or_else(|| words.to_owned(), |file| format!("{words}: {file}")))
    };
    resolved.variables.sources.iter().map(words).collect()
}
