//! The commits that a run may use without asking the remote.

use super::payload::{Payload, PullRequest, Repository, commit};
use super::reference::Reference;
use crate::ci::Trust;
use crate::ci::trust::server as server_of;
use crate::deployment::CommitId;

/// The one event by which a fork's change runs without the repository's secrets. GitHub has a
/// setting that sends them all the same; it is the administrators' choice, and the change brings
/// its own workflow, which no program in it can hold back.
const WITHOUT_SECRETS: &str = "pull_request";

/// The one event of pull requests that gives a fork's change a token that may write.
const OF_THE_BASE: &str = "pull_request_target";

/// The events whose commit the caller of the API chooses freely, also where they name a ref.
const OF_ANY_COMMIT: [&str; 2] = ["deployment", "deployment_status"];

/// The events that run on the trial merge of a pull request.
const OF_TRIAL_MERGES: [&str; 3] = ["pull_request", "pull_request_review", "pull_request_review_comment"];

/// The events of runs whose commit is one of the branch that they name.
const OF_BRANCHES: [&str; 4] = ["push", "schedule", "workflow_dispatch", "pull_request"];

pub(super) fn trust<'v>(
    variable: &impl Fn(&str) -> Option<&'v str>,
    event: &str,
    payload: &Payload,
    reference: Reference<'_>,
) -> Trust {
    let request = payload.pull_request.as_ref();
    let from_fork = request.is_some_and(PullRequest::is_from_fork);
    let mut own: Vec<CommitId> = Vec::new();
    own.extend(commit(variable("GITHUB_SHA")).filter(|_| {
        let named = variable("GITHUB_REF").is_some();
        match reference {
            _ if OF_ANY_COMMIT.contains(&event) => false,
            Reference::Branch(_) => named || !OF_TRIAL_MERGES.contains(&event),
            // The ledger's tags point at any commit that was deployed.
            Reference::Tag(name) => !name.starts_with("atmos/"),
            Reference::PullRequest(_) => request.is_some() && !from_fork,
            Reference::Other => false,
        }
    }));
    if let Some(request) = request {
        own.extend(own_commits_of(request, from_fork));
    }
    own.extend(commit_of_run(payload));
    own.dedup();
    Trust {
        event: if event.is_empty() { "this event" } else { event }.to_owned(),
        own,
        without_secrets: event == WITHOUT_SECRETS && from_fork,
        foreign: foreign(payload),
        repository: variable("GITHUB_REPOSITORY").map(str::to_owned).into_iter().collect(),
        servers: servers(variable("GITHUB_SERVER_URL")),
    }
}

/// Whether GitHub takes the right to write from the token of the job: under the events of a fork's
/// pull request, but for the one that runs on its base.
///
/// <https://docs.github.com/actions/reference/security/secure-use>
pub(super) fn has_read_only_token(event: &str, payload: &Payload) -> bool {
    let of_request = event.starts_with("pull_request") && event != OF_THE_BASE;
    of_request && payload.pull_request.as_ref().is_some_and(PullRequest::is_from_fork)
}

/// GitHub's own servers have a second SSH name, for networks where port 22 is closed.
fn servers(server: Option<&str>) -> Vec<String> {
    let server = server.and_then(server_of);
    let by_ssh = server.as_deref().filter(|server| *server == "https://github.com");
    let by_ssh = by_ssh.map(|_| "ssh://ssh.github.com".to_owned());
    server.into_iter().chain(by_ssh).collect()
}

/// The commits of a pull request that are on branches of the repository: its merge commit, and its
/// head too where it comes from a branch of the repository itself.
fn own_commits_of(request: &PullRequest, from_fork: bool) -> impl Iterator<Item = CommitId> {
    let was_merged = request.merged == Some(true);
    let merge = request.merge_commit().filter(|_| was_merged || !from_fork);
    let head = request.head_commit().filter(|_| !from_fork);
    [merge, head].into_iter().flatten()
}

/// The commit of the run that this one follows, where it is known to be on a branch of the
/// repository.
fn commit_of_run(payload: &Payload) -> Option<CommitId> {
    let run = payload.workflow_run.as_ref()?;
    let of_branch = run.event.as_deref().is_some_and(|event| OF_BRANCHES.contains(&event));
    let name = |repository: &Option<Repository>| repository.as_ref()?.full_name.clone();
    let (head, own) = (name(&run.head_repository), name(&payload.repository));
    commit(run.head_sha.as_deref()).filter(|_| of_branch && head.is_some() && head == own)
}

/// The repository that the event's change comes from, where that is another one.
fn foreign(payload: &Payload) -> Option<String> {
    let head = match (&payload.pull_request, &payload.workflow_run) {
        (Some(request), _) if request.is_from_fork() => request.head.as_ref()?.repo.as_ref(),
        (None, Some(run)) => {
            let name = |repository: &Option<Repository>| repository.as_ref()?.full_name.clone();
            if name(&run.head_repository) == name(&payload.repository) {
                return None;
            }
            run.head_repository.as_ref()
        }
        _ => return None,
    };
    let name = head.and_then(|repository| repository.full_name.clone());
    Some(name.unwrap_or_else(|| "a fork".to_owned()))
}
