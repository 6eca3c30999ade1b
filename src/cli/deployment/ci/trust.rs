//! The check that a job runs only trusted commits with the project's secrets.

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

/// The timeout of one exchange with the remote.
const LIMIT: Duration = Duration::from_mins(2);

/// A verb with the commits that it is requested for.
pub(super) struct RequestedVerb<'a> {
    pub(super) verb: &'a str,
    pub(super) activity: Activity,
    /// The requested commit, besides the checkout.
    pub(super) revision: Option<&'a str>,
}

/// Refuses to run a commit that is not the repository's own, or to apply its rules, where the job
/// may have the repository's secrets. Reports of the refusal use nothing of such a checkout.
///
/// Only commits are checked: from then on, the files in use must be theirs.
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
    // The common case needs neither git nor the network.
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

/// The history of the job's repository.
struct History<'r> {
    trust: &'r Trust,
    ledger: Ledger<'r>,
    /// The reason why the remote's branches prove nothing, if they do not.
    distrust: Option<String>,
}

impl<'r> History<'r> {
    /// The checkout's configuration may be untrusted, so it does not choose the remote.
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

/// Whether a remote is the job's repository: a workflow can check out a fork as `origin`. A local
/// folder is trusted, because the workflow has put it there.
///
/// A redirection to a mirror by the runner's configuration is the runner's responsibility; with one
/// by the repository's configuration, the mirror must be the job's repository too.
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
