//! From what was typed to a typed request: names that exist, commits that are here, a run that has an id.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::Args;
use crate::ci::Job;
use crate::cli::args::KeyValue;
use crate::cli::context::{CommitSource, Context, Project, chosen_target, known_component, known_target};
use crate::cli::error::{CommandError, exit};
use crate::cli::revision::{checked_out, resolve_commit};
use crate::config::load_deployment;
use crate::deployment::definition::Values;
use crate::deployment::rollout_plan::{RolloutRequest, RolloutSource};
use crate::deployment::{CommitId, Deployment, DeploymentName, TargetName};
use crate::git::Repository;
use crate::git::checkout::CheckoutLook;
use crate::ledger::Ledger;
use crate::render::document::error::Hint;

/// A rollout that knows what it is asked for.
pub(super) struct Prepared<'r> {
    pub(super) repository: &'r Repository,
    pub(super) project: &'r Project<'r>,
    pub(super) ledger: Ledger<'r>,
    /// The deployment as the checkout declares it: its rules hold.
    pub(super) policy: Deployment,
    pub(super) request: RolloutRequest,
    /// The deployment as the commit declares it, where one commit is deployed.
    pub(super) at_commit: Option<Deployment>,
    /// `--context`.
    pub(super) context: Values,
    /// `--metadata`.
    pub(super) metadata: BTreeMap<String, String>,
    pub(super) run: Run,
    /// The branch that is checked out.
    pub(super) branch: Option<String>,
    /// The digest of the request, by which a dead run of the same is known.
    pub(super) digest: String,
}

/// The run that this process is.
#[derive(Debug, Clone)]
pub(in crate::cli::deployment) struct Run {
    pub(in crate::cli::deployment) id: String,
    pub(in crate::cli::deployment) url: Option<String>,
    pub(in crate::cli::deployment) actor: String,
}

/// Resolves the arguments against the repository and the configuration.
pub(super) fn prepare<'r>(
    args: &Args,
    context: &Context,
    repository: &'r Repository,
    project: &'r Project<'r>,
) -> Result<Prepared<'r>, CommandError> {
    let asked = Asked::of(args, repository)?;
    let policy = project.deployment(context, &args.deployment)?;
    let target = chosen_target(&policy, args.target.as_ref())?;
    let ledger = context.ledger(repository, &project.config)?;
    if context.global().offline && ledger.remote().is_some() && !args.plan {
        return Err(CommandError::usage("a rollout takes its locks on the remote, which --offline forbids")
            .hint(Hint::note("Leave out --offline, or add --plan")));
    }
    let (source, branch) = match asked {
        Asked::Promotion(from) => (promotion_source(from, &policy, &target)?, repository.branch()),
        Asked::Revision(revision) => {
            let commit = resolve_commit(context, repository, &ledger, revision)?;
            (RolloutSource::Commit(commit), repository.branch())
        }
        Asked::Checkout(look) => {
            let (commit, branch) = checked_out(context, look, "deployed", args.plan)?;
            (RolloutSource::Commit(commit), branch)
        }
    };
    let at_commit = match &source {
        RolloutSource::Commit(commit) => {
            Some(definition_at(context, repository, project, &args.deployment, commit, &target)?)
        }
        RolloutSource::Promotion { .. } => None,
    };
    let universe = at_commit.as_ref().unwrap_or(&policy);
    let components = args
        .component
        .iter()
        .map(|reference| known_component(universe, reference).map(|component| component.name.clone()))
        .collect::<Result<_, _>>()?;
    let job = context.job();
    let request = RolloutRequest {
        target,
        source,
        components,
        skip_promotion_check: args.skip_promotion_check,
        require_uniform: args.require_uniform,
        automatic: job.as_ref().is_some_and(|job| job.automatic),
    };
    let overrides = context_values(&args.context);
    let digest = digest(&policy.name, &request, &overrides);
    Ok(Prepared {
        run: run_of(context, repository, job),
        metadata: args.metadata.iter().map(|pair| (pair.key.clone(), pair.value.clone())).collect(),
        context: overrides,
        repository,
        project,
        ledger,
        policy,
        request,
        at_commit,
        branch,
        digest,
    })
}

/// What is rolled out, as the command line says it.
enum Asked<'a> {
    Promotion(&'a str),
    Revision(&'a str),
    /// What is checked out: git looks at it while the configuration is read.
    Checkout(CheckoutLook<'a>),
}

impl<'a> Asked<'a> {
    fn of(args: &'a Args, repository: &'a Repository) -> Result<Self, CommandError> {
        Ok(match (&args.promote_from, &args.git_sha) {
            (Some(from), _) => Self::Promotion(from),
            (None, Some(revision)) => Self::Revision(revision),
            (None, None) => Self::Checkout(repository.look_at_checkout()?),
        })
    }
}

fn promotion_source(
    from: &str,
    policy: &Deployment,
    target: &TargetName,
) -> Result<RolloutSource, CommandError> {
    if from.contains('/') {
        return Err(CommandError::new(
            exit::REFUSED,
            "cross_deployment",
            "Cannot promote across deployments. Use same-deployment promotion only.",
        )
        .hint(Hint::note(format!("Name a target of {}", policy.name))));
    }
    let from: TargetName = from.parse().map_err(|error| CommandError::usage(format!("{error}")))?;
    known_target(policy, &from)?;
    if from == *target {
        return Err(CommandError::usage(format!("{target} cannot be promoted from itself")));
    }
    Ok(RolloutSource::Promotion { from })
}

/// The deployment as a commit declares it: configuration comes from what is deployed.
pub(in crate::cli::deployment) fn definition_at(
    context: &Context,
    repository: &Repository,
    project: &Project<'_>,
    name: &DeploymentName,
    commit: &CommitId,
    target: &TargetName,
) -> Result<Deployment, CommandError> {
    let source = CommitSource::new(repository, commit.clone())?;
    let deployment = load_deployment(&source, &project.config, name)
        .map_err(|error| CommandError::from(error).details([format!("in commit {}", commit.short())]))?
        .deployment;
    if !deployment.targets.contains_key(target) {
        let message = format!("{name} has no target called {target} in commit {}", commit.short());
        let error = CommandError::new(exit::USAGE, "unknown_target", message);
        return Err(
            error.hint(Hint::note("Configuration comes from the commit that is deployed: commit it first"))
        );
    }
    if deployment.components.is_empty() {
        context.warn(&format!("{name} has no components to roll out to {target}"));
    }
    Ok(deployment)
}

/// `--context` as values: numbers and booleans as such, `a.b=1` as a nested value.
pub(in crate::cli::deployment) fn context_values(pairs: &[KeyValue]) -> Values {
    let mut values = Values::new();
    for pair in pairs {
        let value = serde_json::from_str::<serde_json::Value>(&pair.value)
            .ok()
            .filter(|value| value.is_number() || value.is_boolean())
            .unwrap_or_else(|| pair.value.clone().into());
        let nested = pair.key.rsplit('.').fold(value, |value, key| {
            let mut map = Values::new();
            map.insert(key.to_owned(), value);
            serde_json::Value::Object(map)
        });
        if let serde_json::Value::Object(nested) = nested {
            crate::deployment::variables::merge(&mut values, &nested);
        }
    }
    values
}

/// The run that this process is: by its environment, else by the CI job, else one of its own.
pub(in crate::cli::deployment) fn run_of(
    context: &Context,
    repository: &Repository,
    job: Option<Job>,
) -> Run {
    let id = context
        .variable("ATMOS_RUN_ID")
        .map(str::to_owned)
        .or_else(|| job.as_ref().map(|job| job.run_id.clone()))
        .unwrap_or_else(|| format!("local:{}", uuid::Uuid::now_v7().simple()));
    let actor = job.as_ref().and_then(|job| job.actor.clone());
    Run {
        id,
        url: job.and_then(|job| job.url),
        actor: match (repository.identity(), actor) {
            (None, Some(actor)) => actor,
            _ => context.actor(repository),
        },
    }
}

/// What is asked for, as a digest. Two runs with the same one do the same work.
fn digest(deployment: &DeploymentName, request: &RolloutRequest, context: &Values) -> String {
    let source = match &request.source {
        RolloutSource::Commit(commit) => format!("commit {commit}"),
        RolloutSource::Promotion { from } => format!("promotion {from}"),
    };
    let components: Vec<_> = request.components.iter().map(AsRef::as_ref).collect();
    let context = serde_json::to_string(context).unwrap_or_default();
    let lines = [deployment.as_str(), request.target.as_str(), &source, &components.join("\n"), &context];
    let digest = Sha256::digest(lines.join("\n\n"));
    digest.iter().take(16).fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}
