//! The CI job that this runs in, read from its environment, and what it leaves for people and for later jobs.

pub mod annotations;
mod change_request;
pub mod comment;
mod github_actions;
mod gitlab_ci;
pub mod log_group;
pub mod markdown;
pub mod matrix;
pub mod outputs;
pub mod summary;

pub use change_request::{ChangeRequest, ForeignHead, Push};

use crate::deployment::CommitId;

/// A CI system that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum System {
    GitHubActions,
    GitLabCi,
}

/// What is known of the job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    pub system: System,
    /// Identifies this attempt of this run: what it has recorded is not recorded again.
    pub run_id: String,
    /// Where to look at it.
    pub url: Option<String>,
    /// Whether no person asked for this very run: a push, a schedule or another pipeline started it,
    /// or it is started again.
    pub automatic: bool,
    /// Whether it is a manual job or one of an environment, on GitLab. Its interface rolls an
    /// environment back by a retry of such a job.
    pub retry_is_meant: bool,
    /// Who started it.
    pub actor: Option<String>,
    /// What people call it: `Deploy #128`.
    pub name: String,
    /// The commit that it is about.
    pub commit: Option<CommitId>,
    /// The branch or tag that it runs on.
    pub reference: Option<String>,
    /// The repository's default branch, where the system tells it.
    pub default_branch: Option<String>,
    /// The branch that it runs on; of a pull or merge request, its own.
    pub branch: Option<String>,
    /// What a commit's id is appended to for its address: `https://github.com/acme/shop/commit/`.
    pub commit_address: Option<String>,
    /// The pull or merge request that it is about.
    pub change_request: Option<ChangeRequest>,
    /// The push that started it.
    pub push: Option<Push>,
    /// Set where the job has the project's secrets on behalf of somebody else's fork.
    pub foreign_head: Option<ForeignHead>,
}

impl Job {
    /// The job that the environment describes; `None` outside of the platforms that are known.
    /// `variable` looks up a variable, with nothing for an empty one; `event` is the text of the file that
    /// `GITHUB_EVENT_PATH` names.
    #[must_use]
    pub fn detect<'v>(
        variable: impl Fn(&str) -> Option<&'v str>,
        event: impl FnOnce() -> Option<String>,
    ) -> Option<Self> {
        github_actions::detect(&variable, event).or_else(|| gitlab_ci::detect(&variable))
    }

    /// The address of the run that a record names by its id, if it is one of this project.
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
