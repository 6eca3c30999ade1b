//! The pull or merge request that a job is about, and whose work it is.

use serde::Deserialize;

use crate::deployment::CommitId;

/// A pull or merge request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeRequest {
    /// GitHub's number, GitLab's `iid`.
    pub number: u64,
    /// Its newest commit: where people look for statuses.
    pub head: Option<CommitId>,
    /// The merge of it that the platform has made to try it out, or for good.
    pub merge: Option<CommitId>,
    /// It comes from a fork, whose jobs get a token that may only read.
    pub from_fork: bool,
}

impl ChangeRequest {
    /// The commits that stand for the change: where one of them runs, the change does.
    pub fn commits(&self) -> impl Iterator<Item = &CommitId> {
        self.head.iter().chain(&self.merge)
    }
}

/// A push to a branch. What it brings may be the merge of a change request, which the platform knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Push {
    pub branch: String,
    /// The branch's newest commit.
    pub commit: CommitId,
}

/// Somebody else's commit, offered to a job that has the project's secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignHead {
    /// The event that starts such jobs: `pull_request_target`.
    pub event: String,
    /// Whose it is: `mallory/shop`.
    pub repository: Option<String>,
}

/// The events that run with the project's secrets, whoever caused them.
const PRIVILEGED: [&str; 2] = ["pull_request_target", "workflow_run"];

/// What is read of the payload of an event on GitHub:
/// <https://docs.github.com/webhooks/webhook-events-and-payloads>.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Payload {
    pull_request: Option<PullRequest>,
    number: Option<u64>,
    issue: Option<Issue>,
    workflow_run: Option<WorkflowRun>,
    repository: Option<Repository>,
}

#[derive(Debug, Deserialize)]
struct PullRequest {
    number: Option<u64>,
    head: Option<Side>,
    base: Option<Side>,
    merge_commit_sha: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Side {
    sha: Option<String>,
    /// Absent where the fork was deleted.
    repo: Option<Repository>,
}

#[derive(Debug, Deserialize)]
struct Repository {
    full_name: String,
    default_branch: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Issue {
    number: u64,
    /// Absent where it is no pull request.
    pull_request: Option<serde::de::IgnoredAny>,
}

#[derive(Debug, Deserialize)]
struct WorkflowRun {
    head_repository: Option<Repository>,
}

impl Payload {
    /// What can be read of a text; nothing of what is no payload.
    pub(super) fn read(text: &str) -> Self {
        serde_json::from_str(text).unwrap_or_default()
    }

    /// The default branch of the repository that the event is of.
    pub(super) fn default_branch(&self) -> Option<String> {
        let branch = self.repository.as_ref()?.default_branch.clone();
        branch.filter(|branch| !branch.is_empty())
    }

    pub(super) fn change_request(&self) -> Option<ChangeRequest> {
        let commit = |text: &Option<String>| text.as_deref()?.parse().ok();
        if let Some(pull_request) = &self.pull_request {
            return Some(ChangeRequest {
                number: pull_request.number.or(self.number)?,
                head: pull_request.head.as_ref().and_then(|head| commit(&head.sha)),
                merge: commit(&pull_request.merge_commit_sha),
                from_fork: pull_request.is_from_fork(),
            });
        }
        let issue = self.issue.as_ref().filter(|issue| issue.pull_request.is_some())?;
        Some(ChangeRequest { number: issue.number, head: None, merge: None, from_fork: false })
    }

    /// Whose commit the event offers, where it is not the project's own and the job has its secrets.
    pub(super) fn foreign_head(&self, event: &str) -> Option<ForeignHead> {
        if !PRIVILEGED.contains(&event) {
            return None;
        }
        let repository = match (&self.pull_request, &self.workflow_run) {
            (Some(pull_request), _) => {
                pull_request.is_from_fork().then(|| pull_request.head.as_ref()?.repo.as_ref())
            }
            (None, Some(run)) => {
                let head = run.head_repository.as_ref();
                (head.map(|head| &head.full_name) != self.repository.as_ref().map(|own| &own.full_name))
                    .then_some(head)
            }
            // An event that does not say whose it is.
            (None, None) => Some(None),
        }?;
        Some(ForeignHead {
            event: event.to_owned(),
            repository: repository.map(|repository| repository.full_name.clone()),
        })
    }
}

impl PullRequest {
    /// Whoever does not say that it is the project's own is a fork.
    fn is_from_fork(&self) -> bool {
        let name = |side: &Option<Side>| side.as_ref()?.repo.as_ref().map(|repo| repo.full_name.clone());
        let (head, base) = (name(&self.head), name(&self.base));
        head.is_none() || head != base
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payload(head: &str) -> Payload {
        Payload::read(&format!(
            r#"{{"number": 7, "pull_request": {{"number": 7, "merge_commit_sha": "{}", "head": {{"sha": "{}", "repo": {head}}},
                "base": {{"sha": "x", "repo": {{"full_name": "acme/shop"}}}}}}}}"#,
            "b".repeat(40),
            "a".repeat(40),
        ))
    }

    #[test]
    fn a_pull_request_is_known_by_its_number_its_commits_and_whose_it_is() {
        let own = payload(r#"{"full_name": "acme/shop"}"#);
        let change = own.change_request().unwrap();
        assert_eq!((change.number, change.from_fork), (7, false));
        assert_eq!(change.commits().map(CommitId::short).collect::<Vec<_>>(), ["aaaaaaa", "bbbbbbb"]);
        assert_eq!(own.foreign_head("pull_request_target"), None);
        for head in [r#"{"full_name": "mallory/shop"}"#, "null"] {
            let fork = payload(head);
            assert!(fork.change_request().unwrap().from_fork);
            assert!(fork.foreign_head("pull_request_target").is_some());
            assert_eq!(fork.foreign_head("pull_request"), None);
        }
    }

    #[test]
    fn a_comment_on_a_pull_request_is_about_it_and_one_on_an_issue_is_not() {
        let of = |text: &str| Payload::read(text).change_request().map(|change| change.number);
        assert_eq!(of(r#"{"issue": {"number": 3, "pull_request": {"url": "x"}}}"#), Some(3));
        assert_eq!(of(r#"{"issue": {"number": 3}}"#), None);
        assert_eq!(of("no json"), None);
    }

    #[test]
    fn a_run_that_follows_a_fork_s_run_is_foreign() {
        let run = |head: &str| {
            let text = format!(
                r#"{{"workflow_run": {{"head_repository": {head}}}, "repository": {{"full_name": "acme/shop"}}}}"#
            );
            Payload::read(&text).foreign_head("workflow_run")
        };
        assert_eq!(run(r#"{"full_name": "acme/shop"}"#), None);
        assert_eq!(
            run(r#"{"full_name": "mallory/shop"}"#).unwrap().repository.as_deref(),
            Some("mallory/shop")
        );
        assert!(run("null").is_some());
        assert!(Payload::read("").foreign_head("pull_request_target").is_some());
    }
}
