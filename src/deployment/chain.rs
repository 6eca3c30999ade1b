//! The past successes of a component on a target, as input of decisions.

use super::commit::{CommitId, ObjectId, is_abbreviated_id};
use super::record::{LedgerRecord, RecordStatus};

/// One success.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastSuccess {
    pub object: ObjectId,
    pub commit: CommitId,
    /// The replaced commit, if it was a rollback. Other writers may have abbreviated it.
    pub rollback_of: Option<String>,
    pub run_id: Option<String>,
    pub run_url: Option<String>,
}

impl PastSuccess {
    /// Whether this was a rollback from `commit`.
    fn left(&self, commit: &CommitId) -> bool {
        let left = self.rollback_of.as_deref().filter(|left| is_abbreviated_id(left));
        left.is_some_and(|left| commit.as_str().starts_with(left))
    }
}

/// The successes of one component on one target, newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Chain(Vec<PastSuccess>);

impl Chain {
    /// The successes among records, which are newest first. Late records decide nothing.
    pub fn new<'r>(records: impl IntoIterator<Item = &'r LedgerRecord>) -> Self {
        let is_success =
            |found: &&LedgerRecord| found.record.status == RecordStatus::Success && !found.is_late();
        let successes = records.into_iter().filter(is_success);
        let success = |found: &LedgerRecord| PastSuccess {
            object: found.object.clone(),
            commit: found.record.commit.clone(),
            rollback_of: found.record.rollback_of.clone(),
            run_id: found.record.run_id.clone(),
            run_url: found.record.details.run_url.clone(),
        };
        Self(successes.map(success).collect())
    }

    /// The successes, newest first.
    #[must_use]
    pub fn successes(&self) -> &[PastSuccess] {
        &self.0
    }

    /// Whether `commit` succeeded here before the running one, and no rollback has left it since
    /// its newest success: a known good to return to.
    #[must_use]
    pub fn returns_to(&self, commit: &CommitId, running: &CommitId) -> bool {
        let Some(now) = self.0.iter().position(|success| success.commit == *running) else { return false };
        // The state may have been set to an older commit by hand: the commits after it count as
        // left too.
        let before = self.0.iter().skip(now + 1).position(|success| success.commit == *commit);
        before.is_some_and(|at| !self.0.iter().take(now + 1 + at).any(|later| later.left(commit)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{commit, hexadecimal};
    use super::*;

    /// `good`, or `good<bad` for a rollback from `bad` to `good`, oldest first.
    fn chain(story: &str) -> Chain {
        let success = |word: &str| {
            let (to, left) = word.split_once('<').map_or((word, None), |(to, left)| (to, Some(left)));
            PastSuccess {
                object: commit("0bec7").0,
                commit: id(to),
                rollback_of: left.map(|left| id(left).to_string()),
                run_id: None,
                run_url: None,
            }
        };
        Chain(story.split_whitespace().rev().map(success).collect())
    }

    fn id(name: &str) -> CommitId {
        commit(&hexadecimal(name))
    }

    #[test]
    fn a_known_good_is_one_that_no_rollback_has_left() {
        for (story, wanted, is_known_good) in [
            ("a b", "a", true),
            ("a b", "b", false),
            ("a b", "c", false),
            ("b", "a", false),
            ("", "a", false),
            ("a b a<b", "b", false),
            ("o a b a<b", "o", true),
            ("a b a<b b c", "b", true),
            ("a b a<b b a<b", "b", false),
            ("a b c a<c", "b", true),
            ("a a b", "a", true),
        ] {
            let chain = chain(story);
            let running = chain.0.first().map_or_else(|| id("z"), |newest| newest.commit.clone());
            assert_eq!(chain.returns_to(&id(wanted), &running), is_known_good, "{story}: {wanted}");
        }
        assert!(!chain("a b").returns_to(&id("a"), &id("z")), "what runs has no record");
    }

    #[test]
    fn an_abbreviated_rollback_counts_and_a_meaningless_one_does_not() {
        let mut abbreviated = chain("a b a<b");
        abbreviated.0[0].rollback_of = Some(id("b").short().to_owned());
        assert!(!abbreviated.returns_to(&id("b"), &id("a")));
        abbreviated.0[0].rollback_of = Some(String::new());
        // Without the rollback, the chain is: a, b, a. The running commit is a, and b came before
        // it.
        assert!(abbreviated.returns_to(&id("b"), &id("a")));
    }
}
