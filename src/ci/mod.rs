//! The CI job that this process runs in, read from its environment, and the outputs that it leaves
//! for people and for later jobs.

pub mod annotations;
pub mod comment;
mod github_actions;
mod gitlab_ci;
pub mod log_group;
pub mod markdown;
pub mod matrix;
pub mod outputs;
pub mod replaced_file;
pub mod summary;
#[cfg(test)]
mod tests;
mod trust;

pub use trust::{Activity, Trust};

use crate::deployment::CommitId;
use crate::deployment::change_request::{ChangeRequest, RequestLookup};

/// A supported CI system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum System {
    GitHubActions,
    GitLabCi,
}

/// The properties of the CI job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    pub system: System,
    /// The id of this attempt of this run: it makes recording idempotent.
    pub run_id: String,
    /// The address of its page.
    pub url: Option<String>,
    /// Whether no person asked for this very run: a push, a schedule or another pipeline
    /// started it, or it is started again.
    pub automatic: bool,
    /// Whether it is a manual job or one of an environment, on GitLab. Its interface rolls an
    /// environment back by a retry of such a job.
    pub retry_is_meant: bool,
    /// The account that started it.
    pub actor: Option<String>,
    /// The name that people see: `Deploy #128`.
    pub name: String,
    /// The commit that it is about.
    pub commit: Option<CommitId>,
    /// The branch or tag that it runs on.
    pub reference: Option<String>,
    /// The repository's default branch, where the system tells it.
    pub default_branch: Option<String>,
    /// The branch that it runs on; for a pull or merge request, the request's own branch.
    pub branch: Option<String>,
    /// The address prefix that a commit's id is appended to:
    /// `https://github.com/acme/shop/commit/`.
    pub commit_address: Option<String>,
    /// The pull or merge request that it is about, as far as the event describes it.
    pub change_request: Option<ChangeRequest>,
    /// The lookup to ask the platform for: details of that request, or the request of a commit.
    pub request_lookup: Option<RequestLookup>,
    /// The branch or tag of this repository that follow-up runs use.
    pub next_reference: Option<String>,
    /// The platform's deployment that asked for this job.
    pub requested_deployment: Option<RequestedDeployment>,
    /// Whether the platform's token is read-only: the job is of a fork's pull or merge request.
    pub read_only_token: bool,
    /// The commits that it may run.
    pub trust: Trust,
}

/// A deployment of the platform whose creation started a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestedDeployment {
    pub id: u64,
    pub environment: String,
    pub commit: CommitId,
}

impl Job {
    /// The job that the environment describes; `None` outside of the supported platforms.
    ///
    /// `variable` looks up a variable, with nothing for an empty one; `event` is the text of the
    /// file that `GITHUB_EVENT_PATH` names.
    #[must_use]
    pub fn detect<'v>(
        variable: impl Fn(&str) -> Option<&'v str>,
        event: impl FnOnce() -> Option<String>,
    ) -> Option<Self> {
        github_actions::detect(&variable, event).or_else(|| gitlab_ci::detect(&variable))
    }

    /// The commit at which people see a status of `commit`. A pipeline on GitLab belongs to the
    /// commit that it runs on.
    #[must_use]
    pub fn shown_at<'c>(&'c self, commit: &'c CommitId) -> &'c CommitId {
        match (self.system, &self.change_request) {
            (System::GitHubActions, Some(request)) => request.shown_at(commit),
            _ => commit,
        }
    }

    /// The address of the run with this id, as a record names it, if it is a run of this project.
    #[must_use]
    pub fn address_of_run(&self, run_id: &str) -> Option<String> {
        let project = self.commit_address.as_deref()?;
        match self.system {
            System::GitHubActions => {
                let (run, attempt) = run_id.strip_prefix("github:")?.split_once('/')?;
                let project = project.strip_suffix("/commit/")?;
                Some(format!("{project}/actions/runs/{run}/attempts/{attempt}"))
            }
            System::GitLabCi => {
                let (_, job) = run_id.strip_prefix("gitlab:")?.split_once('/')?;
                let project = project.strip_suffix("/commit/")?;
                Some(format!("{project}/jobs/{job}"))
            }
        }
    }
}
