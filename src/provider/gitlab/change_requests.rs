//! Merge requests: one by its number, and the one of a commit.

use jiff::Timestamp;
use serde::Deserialize;

use super::GitLab;
use crate::deployment::CommitId;
use crate::deployment::change_request::{ChangeRequest, RequestLookup, RequestState};
use crate::provider::change_requests::{Listed, choose};
use crate::provider::http::{PAGE_SIZE, Request};
use crate::provider::{Capability, ProviderError};

#[derive(Deserialize)]
struct MergeRequest {
    iid: u64,
    state: String,
    target_branch: String,
    #[serde(default)]
    source_branch: Option<String>,
    #[serde(default)]
    sha: Option<String>,
    #[serde(default)]
    merged_at: Option<Timestamp>,
    #[serde(default)]
    merge_commit_sha: Option<String>,
    #[serde(default)]
    squash_commit_sha: Option<String>,
}

impl From<MergeRequest> for Listed {
    fn from(answer: MergeRequest) -> Self {
        let commit = |text: Option<String>| -> Option<CommitId> { text?.parse().ok() };
        let request = ChangeRequest {
            number: answer.iid,
            state: match answer.state.as_str() {
                "opened" => RequestState::Open,
                "merged" => RequestState::Merged,
                "closed" => RequestState::Closed,
                _ => RequestState::Unknown,
            },
            head: commit(answer.sha),
            merge: commit(answer.merge_commit_sha),
            base: Some(answer.target_branch),
        };
        Self {
            request,
            head_branch: answer.source_branch,
            merged_at: answer.merged_at,
            made: answer.squash_commit_sha.into_iter().collect(),
        }
    }
}

impl GitLab {
    pub(super) async fn change_request(
        &self,
        lookup: &RequestLookup,
    ) -> Result<Option<ChangeRequest>, ProviderError> {
        let request = |path: &str| Request::get(Capability::ChangeRequests, self.path(path));
        match lookup {
            RequestLookup::Number(number) => {
                let request = request(&format!("/merge_requests/{number}"));
                let answer: MergeRequest = self.client.read(&request).await?;
                Ok(Some(Listed::from(answer).request))
            }
            RequestLookup::Commit(asked) => {
                let path =
                    format!("/repository/commits/{}/merge_requests?per_page={PAGE_SIZE}", asked.commit);
                let answers: Vec<MergeRequest> = self.client.read(&request(&path)).await?;
                Ok(choose(answers.into_iter().map(Listed::from).collect(), asked))
            }
        }
    }
}
