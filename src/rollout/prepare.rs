//! Validates the typed options into a request: names that exist, commits that are here, a run with
//! an id.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use super::Options;
use super::command_line::{CommandLine, may_be_secret};
use crate::context::Context;
use crate::deployment::declarations::Definitions;
use crate::deployment::digest::{Digest, DigestError};
use crate::deployment::overrides::ContextOverrides;
use crate::deployment::record::LedgerRecord;
use crate::deployment::rollout_plan::{RolloutRequest, RolloutSource};
use crate::deployment::stack_order::in_stack_order;
use crate::deployment::{CommitId, Component, ComponentName, Deployment, ObjectId, TargetName};
use crate::error::{Code, CommandError};
use crate::git::Repository;
use crate::git::checkout::CheckoutLook;
use crate::ledger::Ledger;
use crate::project::Project;
use crate::project::declared::{CommitReader, definition_at};
use crate::project::known::{chosen_target, known_component, known_target};
use crate::project::revision::{checked_out, resolve_commit};
use crate::project::run::Run;
use crate::project::stacks::{CommitFiles, ImportedStacks};
use crate::render::document::error::Hint;
use crate::text::KeyValue;

/// A cache of histories, each with the newest record at that time: a history changes when that
/// does.
pub(super) type Histories = BTreeMap<ComponentName, (ObjectId, Rc<[LedgerRecord]>)>;

/// A rollout with its validated request.
pub(super) struct Prepared<'r> {
    pub(super) repository: &'r Repository,
    pub(super) project: &'r Project<'r>,
    pub(super) ledger: Ledger<'r>,
    /// The deployment as the checkout declares it.
    pub(super) checkout: Deployment,
    pub(super) request: RolloutRequest,
    /// The deployment as the commit declares it, where one commit is deployed.
    pub(super) at_commit: Option<Deployment>,
    /// The components that can be rolled out, in the order that stacks demand too.
    pub(super) components: Vec<Component>,
    /// `--context`.
    pub(super) overrides: ContextOverrides,
    /// The digest that the rollout must have.
    pub(super) expected: Option<Digest>,
    /// `--metadata`.
    pub(super) metadata: BTreeMap<String, String>,
    pub(super) run: Run,
    /// The branch that is checked out.
    pub(super) branch: Option<String>,
    /// The command, for hints.
    pub(super) typed: CommandLine,
    /// A cache of the target's histories.
    pub(super) known_histories: RefCell<Histories>,
    pub(super) known_definitions: RefCell<Definitions>,
    pub(super) reader: CommitReader<'r>,
}

/// Resolves the arguments against the repository and the configuration.
pub(super) fn prepare<'r>(
    options: &Options,
    context: &Context,
    repository: &'r Repository,
    project: &'r Project<'r>,
) -> Result<Prepared<'r>, CommandError> {
    let expected = expected_digest(options)?;
    let metadata = metadata(&options.metadata)?;
    let asked = Asked::of(options, repository)?;
    let checkout = project.deployment(context, &options.deployment)?;
    let target = chosen_target(&checkout, options.target.as_ref())?;
    let ledger = context.ledger(repository, &project.config)?;
    if context.global().offline && ledger.remote().is_some() && !options.plan {
        return Err(CommandError::usage("a rollout takes its locks on the remote, which --offline forbids")
            .hint(Hint::note("Leave out --offline, or add --plan")));
    }
    let (source, branch) = match asked {
        Asked::Promotion(from) => (promotion_source(from, &checkout, &target)?, repository.branch()),
        Asked::Revision(revision) => {
            let commit = resolve_commit(context, repository, &ledger, revision)?;
            (RolloutSource::Commit(commit), repository.branch())
        }
        Asked::Checkout(look) => {
            let (commit, branch) = checked_out(context, look, "deployed", options.plan)?;
            (RolloutSource::Commit(commit), branch)
        }
    };
    let at_commit = match &source {
        RolloutSource::Commit(commit) => {
            Some(definition_at(context, repository, project, &options.deployment, commit, &target)?)
        }
        RolloutSource::Promotion { .. } => None,
    };
    let at_commit = match (at_commit, &source) {
        (Some(deployment), RolloutSource::Commit(commit)) => {
            Some(ordered_at(repository, project, deployment, commit, &target)?)
        }
        (at_commit, _) => at_commit,
    };
    let ordered = match &at_commit {
        None if checkout.has_stacks() => {
            in_stack_order(checkout.clone(), &target, &project.stacks(repository)?).components
        }
        at_commit => at_commit.as_ref().unwrap_or(&checkout).components.clone(),
    };
    let universe = at_commit.as_ref().unwrap_or(&checkout);
    let components = options
        .component
        .iter()
        .map(|reference| known_component(universe, reference).map(|component| component.name.clone()))
        .collect::<Result<_, _>>()?;
    let job = context.job();
    // A job checks out a commit, not a branch: the CI system tells the branch.
    let branch = branch.or_else(|| job.as_ref().and_then(|job| job.branch.clone()));
    let overrides: ContextOverrides = options.context.iter().map(|pair| (&pair.key, &pair.value)).collect();
    let own_commit = job.as_ref().and_then(|job| job.commit.clone());
    let request = RolloutRequest {
        target,
        components,
        skip_promotion_check: options.skip_promotion_check,
        require_uniform: options.require_uniform,
        allow_partial: options.allow_partial,
        trust_state: options.trust_state,
        automatic: job.as_ref().is_some_and(|job| job.automatic),
        // Naming the job's own commit is the same as rolling out the checkout.
        commit_named: match (&options.git_sha, &source) {
            (Some(_), RolloutSource::Commit(named)) => own_commit.as_ref() != Some(named),
            _ => false,
        },
        allow_rollback: options.allow_rollback,
        retry_is_meant: job.as_ref().is_some_and(|job| job.retry_is_meant),
        approves: options.approve.is_some(),
        overridden: !overrides.is_empty(),
        source,
    };
    Ok(Prepared {
        reader: CommitReader::new(context, repository, project, &checkout.name),
        run: Run::of(context, repository, job)?,
        metadata,
        overrides,
        expected,
        repository,
        project,
        ledger,
        checkout,
        request,
        at_commit,
        components: ordered,
        branch,
        typed: options.command_line(&|option, key| may_be_secret(context, &project.config, option, key)),
        known_histories: RefCell::default(),
        known_definitions: RefCell::default(),
    })
}

/// A deployment as a commit declares it, with the order that the stacks of that commit demand.
pub(super) fn ordered_at(
    repository: &Repository,
    project: &Project<'_>,
    deployment: Deployment,
    commit: &CommitId,
    target: &TargetName,
) -> Result<Deployment, CommandError> {
    if !deployment.has_stacks() {
        return Ok(deployment);
    }
    let stacks = ImportedStacks::new(CommitFiles::new(repository, commit.clone())?, &project.config);
    Ok(in_stack_order(deployment, target, &stacks))
}

/// The digest that the plan must have. A digest of another version is not wrong usage: the plan has
/// to be made again.
fn expected_digest(options: &Options) -> Result<Option<Digest>, CommandError> {
    let Some(text) = &options.digest else { return Ok(None) };
    match text.parse::<Digest>() {
        Ok(expected) => Ok(Some(expected)),
        Err(error @ DigestError::OtherVersion) => {
            let message = format!("--digest {text}: {error}");
            // The names that the project redacts are not known here, so every value is left out.
            let mut command = options.command_line(&|_, _| true);
            command.plan();
            Err(CommandError::new(Code::DigestVersion, message)
                .hint(Hint::command("To see the new plan, and its digest", command.to_string())))
        }
        Err(error) => Err(CommandError::usage(format!("--digest: {error}"))),
    }
}

/// The keys that only the program sets, because audits rely on them.
const RESERVED: [&str; 5] =
    ["approver", "approval_timestamp", "promotion_check", "source_state", "lock_taken_over_from"];

/// Parses `--metadata`, without the keys of approvals and checks, which the command line must not
/// set.
fn metadata(pairs: &[KeyValue]) -> Result<BTreeMap<String, String>, CommandError> {
    if let Some(pair) = pairs.iter().find(|pair| RESERVED.contains(&pair.key.as_str())) {
        let message = format!("--metadata {}: this key is set by the program alone", pair.key);
        return Err(CommandError::new(Code::ReservedMetadata, message)
            .hint(Hint::note(format!("Choose another key; reserved are {}", RESERVED.join(", ")))));
    }
    Ok(pairs.iter().map(|pair| (pair.key.clone(), pair.value.clone())).collect())
}

/// The requested source of a rollout, from the command line.
enum Asked<'a> {
    Promotion(&'a str),
    Revision(&'a str),
    /// The checkout: git reads it while the configuration is loaded.
    Checkout(CheckoutLook<'a>),
}

impl<'a> Asked<'a> {
    fn of(options: &'a Options, repository: &'a Repository) -> Result<Self, CommandError> {
        Ok(match (&options.promote_from, &options.git_sha) {
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
            Code::CrossDeployment,
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
