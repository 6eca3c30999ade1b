//! GitHub's responses, limited to the used fields.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{FORBIDDEN, TAGS};
use crate::provider::comment::Comment;

#[derive(Deserialize)]
pub(super) struct CommentAnswer {
    pub(super) id: u64,
    #[serde(default)]
    pub(super) body: Option<String>,
    #[serde(default)]
    pub(super) html_url: Option<String>,
    /// Absent where the account was deleted.
    #[serde(default)]
    pub(super) user: Option<User>,
}

impl From<CommentAnswer> for Comment {
    fn from(answer: CommentAnswer) -> Self {
        Self {
            id: answer.id,
            // GitHub may hand out the line ends that a browser has sent.
            body: answer.body.unwrap_or_default().replace("\r\n", "\n"),
            url: answer.html_url,
            author: answer.user.map(|user| user.login),
        }
    }
}

#[derive(Deserialize)]
pub(super) struct User {
    pub(super) login: String,
}

#[derive(Deserialize)]
pub(super) struct Created {
    pub(super) id: u64,
}

#[derive(Deserialize)]
pub(super) struct DeploymentAnswer {
    pub(super) id: u64,
    /// The payload: an object, or any other value of a foreign creator.
    #[serde(default)]
    pub(super) payload: Value,
}

#[derive(Deserialize)]
pub(super) struct DeploymentStatusAnswer {
    #[serde(default)]
    log_url: Option<String>,
    /// The former name of the same.
    #[serde(default)]
    target_url: Option<String>,
}

impl DeploymentStatusAnswer {
    /// The run and the job whose log it points to, if it is one: `…/actions/runs/<run>/job/<job>`.
    pub(super) fn job(&self) -> Option<(u64, u64)> {
        let address = self.log_url.as_deref().filter(|address| !address.is_empty());
        let address = address.or(self.target_url.as_deref())?;
        let address = address.split(['?', '#']).next()?.trim_end_matches('/');
        let (run, job) = address.rsplit_once("/actions/runs/")?.1.split_once("/job/")?;
        Some((run.parse().ok()?, job.parse().ok()?))
    }
}

#[derive(Deserialize)]
pub(super) struct Jobs {
    pub(super) jobs: Vec<Job>,
}

/// A job of one attempt of a run.
#[derive(Deserialize)]
pub(super) struct Job {
    pub(super) id: u64,
    pub(super) status: String,
    pub(super) head_sha: String,
    /// Absent until a runner has taken it.
    #[serde(default)]
    pub(super) runner_name: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct RulesetSummary {
    pub(super) id: u64,
    pub(super) name: String,
}

#[derive(Deserialize)]
pub(super) struct Ruleset {
    pub(super) enforcement: String,
    #[serde(default)]
    pub(super) conditions: Value,
    #[serde(default)]
    pub(super) rules: Vec<Value>,
    #[serde(default)]
    pub(super) bypass_actors: Vec<Value>,
}

impl Ruleset {
    /// Whether the ruleset forbids all required operations, without exceptions.
    pub(super) fn protects_the_ledger(&self) -> bool {
        let names = &self.conditions["ref_name"];
        self.enforcement == "active"
            && names["include"].as_array().is_some_and(|include| include.contains(&json!(TAGS)))
            && names["exclude"].as_array().is_none_or(Vec::is_empty)
            && self.bypass_actors.is_empty()
            && FORBIDDEN.iter().all(|kind| self.rules.iter().any(|rule| rule["type"] == *kind))
    }
}

#[derive(Deserialize)]
pub(super) struct Review {
    pub(super) state: String,
    #[serde(default)]
    pub(super) comment: String,
    pub(super) user: User,
    pub(super) environments: Vec<Environment>,
}

#[derive(Deserialize)]
pub(super) struct Environment {
    pub(super) name: String,
}
