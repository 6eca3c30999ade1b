//! Pull requests: one by its number, and the one of a commit.

use jiff::Timestamp;
use serde::Deserialize;

use super::GitHub;
use crate::deployment::CommitId;
use crate::deployment::change_request::{ChangeRequest, RequestLookup, RequestOfCommit, RequestState};
use crate::provider::change_requests::{Listed, choose};
use crate::provider::http::{PAGE_SIZE, Request, segment};
use crate::provider::{Capability, ProviderError};

#[derive(Deserialize)]
struct PullRequest {
    number: u64,
    #[serde(default)]
    state: String,
    /// Absent where it was not merged.
    #[serde(default)]
    merged_at: Option<Timestamp>,
    #[serde(default)]
    merge_commit_sha: Option<String>,
    #[serde(default)]
    head: Option<Side>,
    base: Side,
}

#[derive(Deserialize)]
struct Side {
    #[serde(rename = "ref")]
    branch: String,
    #[serde(default)]
    sha: Option<String>,
}

impl From<PullRequest> for Listed {
    fn from(answer: PullRequest) -> Self {
        let commit = |text: Option<String>| -> Option<CommitId> { text?.parse().ok() };
        let head_branch = answer.head.as_ref().map(|head| head.branch.clone());
        let request = ChangeRequest {
            number: answer.number,
            state: match (answer.merged_at, answer.state.as_str()) {
                (Some(_), _) => RequestState::Merged,
                (None, "open") => RequestState::Open,
                (None, "closed") => RequestState::Closed,
                (None, _) => RequestState::Unknown,
            },
            head: commit(answer.head.and_then(|head| head.sha)),
            merge: commit(answer.merge_commit_sha),
            base: Some(answer.base.branch),
        };
        Self { request, head_branch, merged_at: answer.merged_at, made: Vec::new() }
    }
}

impl GitHub {
    pub(super) async fn change_request(
        &self,
        lookup: &RequestLookup,
    ) -> Result<Option<ChangeRequest>, ProviderError> {
        match lookup {
            RequestLookup::Number(number) => {
                let request = self.request(&format!("/pulls/{number}"));
                let answer: PullRequest = self.client.read(&request).await?;
                Ok(Some(Listed::from(answer).request))
            }
            RequestLookup::Commit(asked) => self.of_commit(asked).await,
        }
    }

    async fn of_commit(&self, asked: &RequestOfCommit) -> Result<Option<ChangeRequest>, ProviderError> {
        let of_commit = format!("/commits/{}/pulls?per_page={PAGE_SIZE}", asked.commit);
        let found = choose(self.listed(&of_commit).await?, asked);
        // The commits of forks are not listed with their pull requests.
        match (found, &asked.owner, &asked.branch) {
            (None, Some(owner), Some(branch)) => {
                let head = segment(&format!("{owner}:{branch}"));
                let of_branch = format!("/pulls?state=open&head={head}&per_page={PAGE_SIZE}");
                Ok(choose(self.listed(&of_branch).await?, asked))
            }
            (found, ..) => Ok(found),
        }
    }

    async fn listed(&self, path: &str) -> Result<Vec<Listed>, ProviderError> {
        let answers: Vec<PullRequest> = self.client.read(&self.request(path)).await?;
        Ok(answers.into_iter().map(Listed::from).collect())
    }

    fn request(&self, path: &str) -> Request {
        Request::get(Capability::ChangeRequests, self.path(path))
    }
}
