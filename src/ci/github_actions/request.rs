//! The pull request that a run is about.

use super::payload::{Payload, PullRequest, commit};
use super::reference::Reference;
use crate::deployment::CommitId;
use crate::deployment::change_request::{ChangeRequest, RequestLookup, RequestOfCommit, RequestState};

/// The run, as far as its variables and payload identify the pull request.
pub(super) struct Run<'r> {
    pub(super) event: &'r str,
    pub(super) payload: &'r Payload,
    pub(super) reference: Reference<'r>,
    pub(super) commit: Option<&'r CommitId>,
}

impl Run<'_> {
    /// The pull request, as far as the event describes it.
    pub(super) fn change_request(&self) -> Option<ChangeRequest> {
        let described = self.described().or_else(|| self.numbered().map(ChangeRequest::numbered));
        let of_reference = match self.reference {
            Reference::PullRequest(number) => Some(ChangeRequest::numbered(number)),
            _ => None,
        };
        let mut request = described.or_else(|| of_reference.clone())?;
        if of_reference.is_some() && request.state != RequestState::Merged {
            request.merge = self.commit.cloned().or(request.merge);
        }
        Some(request)
    }

    /// The lookup to ask the platform for: the commits of a pull request of which only the number
    /// is known, or the pull request of a commit.
    pub(super) fn lookup(&self) -> Option<RequestLookup> {
        match self.change_request() {
            Some(request) if request.head.is_some() => None,
            Some(request) => Some(RequestLookup::Number(request.number)),
            None => self.of_commit().map(RequestLookup::Commit),
        }
    }

    fn described(&self) -> Option<ChangeRequest> {
        let Payload { pull_request, workflow_run, check_run, check_suite, .. } = self.payload;
        if let Some(request) = pull_request {
            return request.describe(self.payload);
        }
        let of_run = workflow_run.iter().flat_map(|run| &run.pull_requests);
        let of_checks = check_run.iter().flat_map(|run| &run.pull_requests);
        let of_suites = check_suite.iter().flat_map(|suite| &suite.pull_requests);
        let mut listed = of_run.chain(of_checks).chain(of_suites);
        // Several that share a commit are ambiguous, so none is taken.
        let only = listed.next().filter(|_| listed.next().is_none())?;
        // The short form has neither state nor merge.
        Some(ChangeRequest { state: RequestState::Unknown, merge: None, ..only.describe(self.payload)? })
    }

    /// The number, where the event says nothing else.
    fn numbered(&self) -> Option<u64> {
        if let Some(issue) = &self.payload.issue {
            return issue.pull_request.is_some().then_some(issue.number);
        }
        // `refs/heads/gh-readonly-queue/<base>/pr-<number>-<commit>`
        let group = self.payload.merge_group.as_ref()?.head_ref.as_deref()?;
        let (_, entry) = group.split_once("gh-readonly-queue/")?.1.rsplit_once("/pr-")?;
        entry.split_once('-')?.0.parse().ok()
    }

    fn of_commit(&self) -> Option<RequestOfCommit> {
        let Payload { workflow_run, check_run, check_suite, deployment, sha, .. } = self.payload;
        let whole = |commit: Option<&str>, branch: Option<&str>| {
            Some(RequestOfCommit {
                commit: super::payload::commit(commit)?,
                branch: branch.filter(|branch| !branch.is_empty()).map(str::to_owned),
                owner: None,
                merged: true,
            })
        };
        if let Some(run) = workflow_run {
            let owner = run.head_repository.as_ref().and_then(|repository| repository.owner());
            let of_a_change = matches!(run.event.as_deref(), Some("push" | "pull_request"));
            return Some(RequestOfCommit {
                owner: owner.map(str::to_owned),
                merged: of_a_change,
                ..whole(run.head_sha.as_deref(), run.head_branch.as_deref())?
            });
        }
        if let Some(run) = check_run {
            let suite = run.check_suite.as_ref();
            let branch = suite.and_then(|suite| suite.head_branch.as_deref());
            return whole(run.head_sha.as_deref(), branch);
        }
        if let Some(suite) = check_suite {
            return whole(suite.head_sha.as_deref(), suite.head_branch.as_deref());
        }
        if let Some(deployment) = deployment {
            return whole(deployment.sha.as_deref(), None);
        }
        let own = self.commit.map(CommitId::as_str);
        match (self.event, self.reference) {
            ("status", _) => whole(sha.as_deref(), None),
            ("push", Reference::Branch(branch)) => whole(own, Some(branch)),
            // Started by hand: it is not about the change that was merged into the branch.
            ("workflow_dispatch", Reference::Branch(branch)) => {
                Some(RequestOfCommit { merged: false, ..whole(own, Some(branch))? })
            }
            _ => None,
        }
    }
}

impl PullRequest {
    fn describe(&self, payload: &Payload) -> Option<ChangeRequest> {
        let closed = self.state.as_deref() == Some("closed") || payload.action.as_deref() == Some("closed");
        let merged = self.merged == Some(true) || self.merged_at.is_some();
        Some(ChangeRequest {
            number: self.number.or(payload.number)?,
            state: match (merged, closed) {
                (true, _) => RequestState::Merged,
                (false, true) => RequestState::Closed,
                (false, false) => RequestState::Open,
            },
            head: self.head_commit(),
            merge: self.merge_commit(),
            base: self.base_branch().map(str::to_owned),
        })
    }
}

/// The platform's deployment whose event started the run.
pub(super) fn requested_deployment(event: &str, payload: &Payload) -> Option<crate::ci::RequestedDeployment> {
    let deployment = payload.deployment.as_ref().filter(|_| event == "deployment")?;
    Some(crate::ci::RequestedDeployment {
        id: deployment.id,
        environment: deployment.environment.clone()?,
        commit: commit(deployment.sha.as_deref())?,
    })
}
