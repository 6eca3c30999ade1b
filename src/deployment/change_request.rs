//! The pull or merge request of a run, and the lookup of it on the platform.

use super::CommitId;

/// A pull or merge request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeRequest {
    /// GitHub's number, GitLab's `iid`.
    pub number: u64,
    pub state: RequestState,
    /// Its newest commit, which the platform shows statuses of.
    pub head: Option<CommitId>,
    /// The platform's trial merge of it, or its final merge commit.
    pub merge: Option<CommitId>,
    /// The branch that it is merged into.
    pub base: Option<String>,
}

/// Whether a change request is still under review.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum RequestState {
    Open,
    Merged,
    /// Closed without a merge.
    Closed,
    /// The event does not tell.
    #[default]
    Unknown,
}

/// The lookup of a run's change request, where its event does not describe it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RequestLookup {
    /// Only the number is known, not the commits.
    Number(u64),
    Commit(RequestOfCommit),
}

/// The lookup of the change request that a commit belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestOfCommit {
    pub commit: CommitId,
    /// The branch of the commit: that of an open request, or the base of a merged one.
    pub branch: Option<String>,
    /// The owner of the branch, which may be in another repository: `mallory`.
    pub owner: Option<String>,
    /// Whether merged requests count too.
    pub merged: bool,
}

impl ChangeRequest {
    /// A change request of which only the number is known.
    #[must_use]
    pub const fn numbered(number: u64) -> Self {
        Self { number, state: RequestState::Unknown, head: None, merge: None, base: None }
    }

    /// The commits that represent the change: if one of them runs, the change does.
    pub fn commits(&self) -> impl Iterator<Item = &CommitId> {
        self.head.iter().chain(&self.merge)
    }

    /// The commit that shows a commit's status. A trial merge is on no page of the platform; the
    /// request's newest commit is. The merge of a merged request is a commit of its base branch.
    #[must_use]
    pub fn shown_at<'c>(&'c self, commit: &'c CommitId) -> &'c CommitId {
        match (&self.head, self.state) {
            (Some(head), RequestState::Open) if self.merge.as_ref() == Some(commit) => head,
            _ => commit,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_trial_merge_of_an_open_request_is_shown_at_its_head() {
        let [head, merge, other] = ["a", "b", "c"].map(|digit| digit.repeat(40).parse::<CommitId>().unwrap());
        for (state, deployed, shown) in [
            (RequestState::Open, &merge, &head),
            (RequestState::Open, &head, &head),
            (RequestState::Open, &other, &other),
            (RequestState::Merged, &merge, &merge),
            (RequestState::Closed, &merge, &merge),
            (RequestState::Unknown, &merge, &merge),
        ] {
            let request = ChangeRequest {
                state,
                head: Some(head.clone()),
                merge: Some(merge.clone()),
                ..ChangeRequest::numbered(7)
            };
            assert_eq!(request.shown_at(deployed), shown, "{state:?}");
        }
        assert_eq!(ChangeRequest::numbered(7).shown_at(&merge), &merge);
    }
}
