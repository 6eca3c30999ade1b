//! Resolves the typed options to the images to build, each with its build settings.

use std::collections::BTreeMap;

use secrecy::SecretString;

use super::Options;
use super::{BuildSettings, Engine, EngineError, ImageName, SettingsError, SigningKey};
use crate::component::Environment;
use crate::context::Context;
use crate::deployment::definition::Values;
use crate::deployment::overrides::ContextOverrides;
use crate::deployment::template::{Facts, Renderer};
use crate::deployment::variables::merge;
use crate::deployment::{CommitId, Component, ComponentKind, ComponentName, Deployment, Target, TargetName};
use crate::error::{Code, CommandError};
use crate::git::Repository;
use crate::ledger::Ledger;
use crate::project::Project;
use crate::project::declared::definition_at;
use crate::project::known::{chosen_target, known_component};
use crate::project::ledger::reachable;
use crate::project::revision::{checked_out, resolve_commit};
use crate::project::run::Run;
use crate::render::document::error::Hint;

/// A build with resolved options.
pub struct Prepared<'r> {
    pub repository: &'r Repository,
    pub project: &'r Project<'r>,
    pub ledger: Ledger<'r>,
    /// As the commit declares it.
    pub deployment: Deployment,
    pub target: TargetName,
    pub commit: CommitId,
    /// The images, in the order of the file; none where the deployment has none.
    pub jobs: Vec<Job>,
    pub run: Run,
    /// The key that signs provenance.
    pub key: Option<SigningKey>,
}

/// The key that provenance is signed with: its PEM, or the file that it is in.
const PROVENANCE_KEY: &str = "ATMOS_PROVENANCE_KEY";

/// One image.
#[derive(Debug, Clone)]
pub struct Job {
    pub component: ComponentName,
    pub settings: BuildSettings,
    pub name: ImageName,
    /// A digest of every build input beside the commit.
    pub inputs: String,
    /// Push it to its registry.
    pub publish: bool,
}

pub fn prepare<'r>(
    options: &Options,
    context: &Context,
    repository: &'r Repository,
    project: &'r Project<'r>,
) -> Result<Prepared<'r>, CommandError> {
    let policy = project.deployment(context, &options.deployment)?;
    let target = chosen_target(&policy, options.target.as_ref())?;
    let ledger = context.ledger(repository, &project.config)?;
    if !options.plan && !options.skip_push {
        reachable(context, &ledger, "notes")?;
    }
    let (commit, branch) = commit_of(context, repository, &ledger, options.git_sha.as_deref(), options.plan)?;
    let mut key = None;
    if !options.plan && !options.skip_push {
        ledger.check_signing(&commit)?;
        key = provenance_key(context)?;
    }
    let deployment = definition_at(context, repository, project, &options.deployment, &commit, &target)?;
    let mut wanted = Vec::new();
    for reference in &options.component {
        let component = known_component(&deployment, reference)?;
        if component.kind != ComponentKind::Nixpack {
            let message =
                format!("{} is a {} component: there is no image to build", component.name, component.kind);
            return Err(CommandError::usage(message).hint(Hint::note(listed(&deployment))));
        }
        wanted.push(component.name.clone());
    }
    let run = Run::of(context, repository, context.job())?;
    let overrides: ContextOverrides = options.context.iter().map(|pair| (&pair.key, &pair.value)).collect();
    let mut jobs = Vec::new();
    if let Some(at) = deployment.targets.get(&target) {
        let built = deployment.components.iter().filter(|component| component.kind == ComponentKind::Nixpack);
        for component in built.filter(|built| wanted.is_empty() || wanted.contains(&built.name)) {
            let overrides = overrides.values(&[&at.context, &component.vars]);
            let variables =
                variables(context, project, component, at, &overrides, &commit, branch.as_deref())?;
            let registry = project.config.registry.as_deref();
            let job = job(options, component, &variables, &commit, registry)
                .map_err(|error| unusable(component, &error))?;
            jobs.push(job);
        }
    }
    Ok(Prepared { repository, project, ledger, deployment, target, commit, jobs, run, key })
}

/// The commit to build, and the branch that is checked out. Uncommitted changes are not built.
pub fn commit_of(
    context: &Context,
    repository: &Repository,
    ledger: &Ledger<'_>,
    named: Option<&str>,
    dry_run: bool,
) -> Result<(CommitId, Option<String>), CommandError> {
    if let Some(revision) = named {
        return Ok((resolve_commit(context, repository, ledger, revision)?, repository.branch()));
    }
    checked_out(context, repository.look_at_checkout()?, "built", dry_run)
}

/// The component's resolved variables: its own, overridden by the target's, then the command
/// line's.
///
/// The context that a target gives to all its components is for templates alone: the same commit is
/// the same image on every target, so that it can be promoted.
pub fn variables(
    context: &Context,
    project: &Project<'_>,
    component: &Component,
    target: &Target,
    overrides: &Values,
    commit: &CommitId,
    branch: Option<&str>,
) -> Result<Values, CommandError> {
    let mut values = component.vars.clone();
    if let Some(of_target) = target.components.get(&component.name) {
        merge(&mut values, &of_target.vars);
    }
    merge(&mut values, overrides);
    let mut everything = target.context.clone();
    merge(&mut everything, overrides);
    let (images, outputs) = (BTreeMap::new(), BTreeMap::new());
    let allowed = project.config.deployments.template_env.iter();
    let environment =
        allowed.filter_map(|name| Some((name.clone(), context.variable(name)?.to_owned()))).collect();
    let renderer = Renderer::new(Facts {
        commit,
        branch,
        target: &target.name,
        context: &everything,
        images: &images,
        outputs: &outputs,
        environment: &environment,
    });
    renderer.render(&values).map_err(|error| {
        CommandError::new(Code::Configuration, format!("{}: {error}", component.qualified_name()))
    })
}

fn job(
    options: &Options,
    component: &Component,
    variables: &Values,
    commit: &CommitId,
    registry: Option<&str>,
) -> Result<Job, SettingsError> {
    let settings = BuildSettings::new(component, variables)?;
    let name = ImageName::new(component, variables, options.tag.as_deref(), commit, registry)?;
    let published = component.settings.nixpack.as_ref().is_none_or(|nixpack| nixpack.publish);
    let publish = published && !options.skip_push;
    if publish && !options.plan && name.registry.is_none() {
        return Err(SettingsError::NoRegistry);
    }
    let inputs = settings.inputs(&name.repository());
    Ok(Job { component: component.name.clone(), settings, name, inputs, publish })
}

fn unusable(component: &Component, error: &SettingsError) -> CommandError {
    let shown = CommandError::new(Code::Configuration, format!("{}: {error}", component.qualified_name()));
    match error {
        SettingsError::NoRegistry => shown.hint(Hint::note(
            "Set vars.image.registry of the component, components.nixpack.registry of atmos.yaml or ATMOS_REGISTRY, or \
             add --skip-push to build without pushing",
        )),
        _ => shown,
    }
}

fn listed(deployment: &Deployment) -> String {
    let built = deployment.components.iter().filter(|component| component.kind == ComponentKind::Nixpack);
    let names: Vec<_> = built.map(|component| component.name.as_str()).collect();
    if names.is_empty() {
        "No component has one".to_owned()
    } else {
        format!("These have one: {}", names.join(", "))
    }
}

/// The environment of child processes: without the key, which builders, tests and components need
/// not know.
pub fn environment(context: &Context) -> Environment {
    context.environment().iter().filter(|(name, _)| name != PROVENANCE_KEY).cloned().collect()
}

/// The key that provenance is to be signed with, where there is one.
fn provenance_key(context: &Context) -> Result<Option<SigningKey>, CommandError> {
    let Some(value) = context.variable(PROVENANCE_KEY) else { return Ok(None) };
    let unusable = |reason: String| {
        let message = format!("{PROVENANCE_KEY} cannot be used: {reason}");
        CommandError::new(Code::NotSigned, message).hint(Hint::command(
            "To make a key",
            "openssl ecparam -name prime256v1 -genkey -noout -out provenance.pem",
        ))
    };
    let pem: SecretString = if value.contains("-----BEGIN") {
        value.into()
    } else {
        let file = context.directory().join(value);
        // The value is not shown: it may be a key.
        std::fs::read_to_string(file).map_err(|error| unusable(format!("as a file: {error}")))?.into()
    };
    SigningKey::from_pem(&pem).map(Some).map_err(|error| unusable(error.to_string()))
}

/// The engine, or an error with the hint how to install one.
pub fn engine(environment: &Environment) -> Result<Engine, CommandError> {
    Engine::find(environment).map_err(|error| {
        let shown = CommandError::new(Code::Preflight, error.to_string());
        shown.hint(Hint::note(match error {
            EngineError::Unknown(_) => "Unset it to take the first that is there",
            EngineError::NoneFound | EngineError::Missing(_) => {
                "Install one of them (Debian: apt-get install buildah), or set ATMOS_CONTAINER_ENGINE to the one to use"
            }
        }))
    })
}
