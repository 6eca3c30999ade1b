//! The fields that are read from an event's payload:
//! <https://docs.github.com/webhooks/webhook-events-and-payloads>.

use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer};

use crate::deployment::CommitId;

/// The payload of any event: each part is set for the events that have it in a readable form.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Payload {
    #[serde(deserialize_with = "readable")]
    pub(super) action: Option<String>,
    #[serde(deserialize_with = "readable")]
    pub(super) number: Option<u64>,
    #[serde(deserialize_with = "readable")]
    pub(super) pull_request: Option<PullRequest>,
    #[serde(deserialize_with = "readable")]
    pub(super) issue: Option<Issue>,
    #[serde(deserialize_with = "readable")]
    pub(super) workflow_run: Option<WorkflowRun>,
    #[serde(deserialize_with = "readable")]
    pub(super) check_run: Option<CheckRun>,
    #[serde(deserialize_with = "readable")]
    pub(super) check_suite: Option<CheckSuite>,
    #[serde(deserialize_with = "readable")]
    pub(super) merge_group: Option<MergeGroup>,
    #[serde(deserialize_with = "readable")]
    pub(super) deployment: Option<Deployment>,
    /// Of the event `status`: the commit.
    #[serde(deserialize_with = "readable")]
    pub(super) sha: Option<String>,
    #[serde(deserialize_with = "readable")]
    pub(super) repository: Option<Repository>,
}

#[derive(Debug, Deserialize)]
pub(super) struct PullRequest {
    pub(super) number: Option<u64>,
    pub(super) state: Option<String>,
    pub(super) merged: Option<bool>,
    pub(super) merged_at: Option<String>,
    pub(super) head: Option<Side>,
    pub(super) base: Option<Side>,
    pub(super) merge_commit_sha: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Side {
    #[serde(rename = "ref")]
    pub(super) branch: Option<String>,
    pub(super) sha: Option<String>,
    /// Absent where the fork was deleted.
    pub(super) repo: Option<Repository>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Repository {
    pub(super) full_name: Option<String>,
    /// The API address, which the short form of a repository has instead of a full name.
    pub(super) url: Option<String>,
    pub(super) default_branch: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Issue {
    pub(super) number: u64,
    /// Absent where it is no pull request.
    pub(super) pull_request: Option<serde::de::IgnoredAny>,
}

#[derive(Debug, Deserialize)]
pub(super) struct WorkflowRun {
    /// The event that started that run.
    pub(super) event: Option<String>,
    pub(super) head_branch: Option<String>,
    pub(super) head_sha: Option<String>,
    pub(super) head_repository: Option<Repository>,
    #[serde(default)]
    pub(super) pull_requests: Vec<PullRequest>,
}

#[derive(Debug, Deserialize)]
pub(super) struct CheckRun {
    pub(super) head_sha: Option<String>,
    pub(super) check_suite: Option<CheckSuite>,
    #[serde(default)]
    pub(super) pull_requests: Vec<PullRequest>,
}

#[derive(Debug, Deserialize)]
pub(super) struct CheckSuite {
    pub(super) head_branch: Option<String>,
    pub(super) head_sha: Option<String>,
    #[serde(default)]
    pub(super) pull_requests: Vec<PullRequest>,
}

#[derive(Debug, Deserialize)]
pub(super) struct MergeGroup {
    pub(super) head_ref: Option<String>,
    pub(super) base_ref: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Deployment {
    pub(super) id: u64,
    pub(super) sha: Option<String>,
    pub(super) environment: Option<String>,
}

impl Payload {
    /// Parses a payload; the empty one where the text cannot be parsed.
    pub(super) fn read(text: &str) -> Self {
        serde_json::from_str(crate::text::unmarked(text)).unwrap_or_default()
    }

    /// The default branch of the repository that the event is of.
    pub(super) fn default_branch(&self) -> Option<&str> {
        self.repository.as_ref()?.default_branch.as_deref().filter(|branch| !branch.is_empty())
    }
}

impl PullRequest {
    /// Whether it is not known to come from a branch of the repository itself.
    pub(super) fn is_from_fork(&self) -> bool {
        let name = |side: &Option<Side>| side.as_ref()?.repo.as_ref()?.name().map(str::to_lowercase);
        let (head, base) = (name(&self.head), name(&self.base));
        head.is_none() || head != base
    }

    pub(super) fn head_commit(&self) -> Option<CommitId> {
        commit(self.head.as_ref()?.sha.as_deref())
    }

    pub(super) fn merge_commit(&self) -> Option<CommitId> {
        commit(self.merge_commit_sha.as_deref())
    }

    pub(super) fn base_branch(&self) -> Option<&str> {
        self.base.as_ref()?.branch.as_deref()
    }
}

impl Repository {
    /// The identifier that tells it from other repositories.
    pub(super) fn name(&self) -> Option<&str> {
        self.full_name.as_deref().or(self.url.as_deref())
    }

    pub(super) fn owner(&self) -> Option<&str> {
        Some(self.full_name.as_deref()?.split_once('/')?.0)
    }
}

pub(super) fn commit(text: Option<&str>) -> Option<CommitId> {
    text?.parse().ok()
}

/// Reads a part of the payload; none where its form is unexpected, without failing the other parts.
fn readable<'de, D: Deserializer<'de>, T: DeserializeOwned>(deserializer: D) -> Result<Option<T>, D::Error> {
    let value = serde_json::Value::deserialize(deserializer)?;
    Ok(serde_json::from_value(value).ok())
}
