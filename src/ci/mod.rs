//! The CI job that this runs in, read from its environment, and what it leaves for people and for later jobs.

pub mod annotations;
pub mod comment;
mod github_actions;
mod gitlab_ci;
pub mod log_group;
pub mod markdown;
pub mod matrix;
pub mod outputs;
pub mod summary;

/// What is known of the job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Identifies this attempt of this run: what it has recorded is not recorded again.
    pub run_id: String,
    /// Where to look at it.
    pub url: Option<String>,
    /// Nobody started this very run: a push, a schedule or another pipeline did.
    pub automatic: bool,
    /// Who started it.
    pub actor: Option<String>,
}

impl Job {
    /// The job that the environment describes; `None` outside of the platforms that are known.
    /// `variable` looks up a variable, with nothing for an empty one.
    #[must_use]
    pub fn detect<'v>(variable: impl Fn(&str) -> Option<&'v str>) -> Option<Self> {
        github_actions::detect(&variable).or_else(|| gitlab_ci::detect(&variable))
    }
}
