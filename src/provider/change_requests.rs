//! The choice among the change requests that a platform lists for a commit.

use jiff::Timestamp;

use crate::deployment::CommitId;
use crate::deployment::change_request::{ChangeRequest, RequestOfCommit, RequestState};

/// A change request as a platform lists it.
#[derive(Debug, Clone)]
pub(super) struct Listed {
    pub request: ChangeRequest,
    pub head_branch: Option<String>,
    pub merged_at: Option<Timestamp>,
    /// The other commits that its merge has made.
    pub made: Vec<String>,
}

/// The fit of a request to a commit, in ascending order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fit {
    /// The request brought the commit to the branch, among others.
    Contains,
    /// The commit is the request's newest.
    Head,
    /// The request's merge made the commit.
    Made,
}

/// The request that a commit belongs to, if any: on its branch, or on any where none is named. Of
/// several equal fits, the newest.
pub(super) fn choose(listed: Vec<Listed>, asked: &RequestOfCommit) -> Option<ChangeRequest> {
    let fitting = listed.into_iter().filter_map(|listed| Some((listed.fit(asked)?, listed)));
    let best = fitting.max_by_key(|(fit, listed)| (*fit, listed.merged_at, listed.request.number));
    best.map(|(_, listed)| listed.request)
}

impl Listed {
    fn fit(&self, asked: &RequestOfCommit) -> Option<Fit> {
        let on_branch = |branch: &Option<String>| asked.branch.is_none() || *branch == asked.branch;
        let is_commit = |text: &str| text == asked.commit.as_str();
        let request = &self.request;
        match request.state {
            RequestState::Merged if asked.merged && on_branch(&request.base) => {
                let made = request.merge.iter().map(CommitId::as_str);
                if made.chain(self.made.iter().map(String::as_str)).any(is_commit) {
                    return Some(Fit::Made);
                }
                // Without a branch, any later merge contains the commit.
                asked.branch.is_some().then_some(Fit::Contains)
            }
            RequestState::Open if on_branch(&self.head_branch) => {
                (request.head.as_ref() == Some(&asked.commit)).then_some(Fit::Head)
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(number: u64, state: RequestState, head: (&str, &str), base: &str, merge: &str) -> Listed {
        Listed {
            request: ChangeRequest {
                state,
                head: head.1.repeat(40).parse().ok(),
                merge: merge.repeat(40).parse().ok(),
                base: Some(base.to_owned()),
                ..ChangeRequest::numbered(number)
            },
            head_branch: Some(head.0.to_owned()),
            merged_at: (state == RequestState::Merged)
                .then(|| Timestamp::from_second(i64::try_from(number).unwrap()).unwrap()),
            made: Vec::new(),
        }
    }

    #[test]
    fn the_request_of_a_commit_is_the_one_that_made_it_is_about_it_or_brought_it() {
        use RequestState::{Closed, Merged, Open};
        let all = || {
            vec![
                listed(1, Merged, ("old", "1"), "main", "a"),
                listed(2, Merged, ("older", "2"), "main", "b"),
                listed(3, Open, ("feature", "c"), "main", "d"),
                listed(4, Closed, ("feature", "c"), "main", "d"),
                listed(5, Merged, ("stacked", "5"), "feature", "c"),
                listed(6, Open, ("other", "e"), "main", "f"),
            ]
        };
        for (commit, branch, merged, number) in [
            ("a", Some("main"), true, Some(1)),
            ("9", Some("main"), true, Some(2)),
            ("9", Some("main"), false, None),
            // The commit was merged into the branch of an open request.
            ("c", Some("feature"), true, Some(5)),
            ("c", Some("feature"), false, Some(3)),
            ("e", Some("feature"), true, Some(5)),
            ("e", Some("other"), true, Some(6)),
            ("e", None, true, Some(6)),
            ("b", None, true, Some(2)),
            ("9", None, true, None),
            ("d", None, true, None),
        ] {
            let asked = RequestOfCommit {
                commit: commit.repeat(40).parse().unwrap(),
                branch: branch.map(str::to_owned),
                owner: None,
                merged,
            };
            let found = choose(all(), &asked).map(|request| request.number);
            assert_eq!(found, number, "{commit} on {branch:?}, merged {merged}");
        }
    }
}
