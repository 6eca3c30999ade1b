//! Whose commits may run with the project's secrets.

use std::time::Duration;

use crate::ci::{Activity, Job, System, Trust};
use crate::context::{Context, Distrusted};
use crate::deployment::CommitId;
use crate::error::{Code, CommandError};
use crate::git::Repository;
use crate::ledger::{Ledger, Ownership};
use crate::project::revision::resolve_commit;
use crate::provider::{is_folder, path_on_servers};
use crate::render::document::error::Hint;

/// How long one exchange with the remote may take.
const LIMIT: Duration = Duration::from_mins(2);

/// A verb with the commits that it is requested for.
pub(super) struct RequestedVerb<'a> {
    pub(super) verb: &'a str,
    pub(super) activity: Activity,
    /// The commit that is requested, beside the one that is checked out.
    pub(super) revision: Option<&'a str>,
}

/// Refuses to run a commit that is not the repository's own, or to follow its rules, where the job
/// may have the repository's secrets. Reports on the refusal use nothing of such a checkout.
///
/// What is looked at are commits: from then on the files in use have to be theirs.
pub(super) fn check(context: &Context, job: &Job, requested: &RequestedVerb<'_>) -> Result<(), CommandError> {
    if job.trust.needs_own_commits(requested.activity) {
        check_commits(context, job, requested)?;
        context.use_committed_files();
    }
    Ok(())
}

fn check_commits(context: &Context, job: &Job, requested: &RequestedVerb<'_>) -> Result<(), CommandError> {
    let repository = context.repository()?;
    let distrust = |what| move |_: &CommandError| context.distrust(what);
    if repository.is_submodule() {
        context.distrust(Distrusted::Clone);
        let reason = "it is a submodule, whose remote the commits of the repository around it choose";
        return Err(unknown(job, requested, "the checkout", reason.to_owned()));
    }
    let head = repository.head().map_err(CommandError::from).inspect_err(distrust(Distrusted::Clone))?;
    // The usual job: it asks nothing of git and of the network.
    if requested.revision.is_none() && job.trust.own.contains(&head) {
        return Ok(());
    }
    let history = History::open(context, &repository, &job.trust).inspect_err(distrust(Distrusted::Clone))?;
    let check = |what: &str, commit: &CommitId| match history.ownership(commit)? {
        Ownership::Own => Ok(()),
        Ownership::Foreign => Err(foreign(job, requested, what, commit)),
        Ownership::Unknown(reason) => Err(unknown(job, requested, what, reason)),
    };
    let of_this = if history.distrust.is_some() { Distrusted::Clone } else { Distrusted::Files };
    check("the checkout", &head).inspect_err(distrust(of_this))?;
    match requested.revision {
        Some(revision) => check(revision, &resolve_commit(context, &repository, &history.ledger, revision)?),
        None => Ok(()),
    }
}

/// The history of the repository that the job is of.
struct History<'r> {
    trust: &'r Trust,
    ledger: Ledger<'r>,
    /// Why the remote's branches prove nothing, where they do not.
    distrust: Option<String>,
}

impl<'r> History<'r> {
    /// The configuration of the checkout may be foreign: it has no say in which remote is asked.
    fn open(context: &Context, repository: &'r Repository, trust: &'r Trust) -> Result<Self, CommandError> {
        let remote = match repository.remote(None) {
            Ok(remote) => remote,
            Err(_) => repository.remote(context.variable("ATMOS_REMOTE"))?,
        };
        let distrust = remote.as_deref().filter(|remote| !is_repository_of_job(trust, repository, remote));
        let distrust = distrust
            .map(|remote| format!("{remote} is not the repository of this job: its branches prove nothing"));
        Ok(Self { trust, ledger: context.ledger_of(repository, remote, LIMIT)?, distrust })
    }

    fn ownership(&self, commit: &CommitId) -> Result<Ownership, CommandError> {
        let known = &self.trust.own;
        if known.contains(commit) {
            return Ok(Ownership::Own);
        }
        match &self.distrust {
            Some(reason) => Ok(Ownership::Unknown(reason.clone())),
            None => Ok(self.ledger.ownership(commit, known)?),
        }
    }
}

/// Whether a remote is the job's repository: a workflow can check out a fork as `origin`. A folder
/// of this machine is what the workflow has put there.
///
/// Where the runner's configuration leads git to a mirror, that is the runner's business; where the
/// repository's own does, the mirror has to be the repository as well.
fn is_repository_of_job(trust: &Trust, repository: &Repository, remote: &str) -> bool {
    let is_own = |address: &String| {
        path_on_servers(address, &trust.servers).is_some_and(|path| trust.is_path_of_repository(&path))
    };
    let addresses = repository.remote_urls(remote);
    let is_led = addresses.first() != addresses.last();
    if is_led && repository.rewrites_addresses() {
        return addresses.iter().all(is_own);
    }
    addresses.iter().any(|address| is_folder(address) || is_own(address))
}

fn foreign(job: &Job, requested: &RequestedVerb<'_>, what: &str, commit: &CommitId) -> CommandError {
    let (verb, event) = (requested.verb, &job.trust.event);
    let message =
        format!("Refused to run {verb} under {event}: {what} is not part of this repository's own history");
    let mut details = Vec::new();
    if job.trust.without_secrets {
        details.push(format!("a change from a fork can be planned under {event}, and nothing else"));
    } else {
        details.push(format!("a job under {event} has this repository's secrets"));
    }
    details.push(format!("commit {} is on none of the repository's branches and tags", commit.short()));
    refusal(job, message, details)
}

fn unknown(job: &Job, requested: &RequestedVerb<'_>, what: &str, reason: String) -> CommandError {
    let (verb, event) = (requested.verb, &job.trust.event);
    let message = format!(
        "Refused to run {verb} under {event}: it is not known whether {what} is part of this repository's own history"
    );
    refusal(job, message, vec![reason]).hint(Hint::note("Where the remote did not answer, try again"))
}

fn refusal(job: &Job, message: String, mut details: Vec<String>) -> CommandError {
    details.extend(job.trust.foreign.as_ref().map(|whose| format!("the change comes from {whose}")));
    let (plan, base) = match job.system {
        System::GitHubActions => (
            "Plan changes from forks under `on: pull_request`, which has no secrets",
            "To run the repository's own commit, check out without `ref` and `repository`",
        ),
        System::GitLabCi => (
            "Plan changes from forks in the fork's own pipeline, which has none of this project's variables",
            "To run the project's own commit, use a pipeline of one of its branches",
        ),
    };
    CommandError::new(Code::ForeignHead, message)
        .details(details)
        .hint(Hint::note(plan))
        .hint(Hint::note(base))
}
