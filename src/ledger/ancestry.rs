//! The ancestry of commits, in any checkout: missing history is fetched.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crate::deployment::rollout_plan::Ancestry;
use crate::deployment::{CommitId, ObjectId};
use crate::git::GitError;
use crate::git::ancestry::{Histories, Related};
use crate::git::transport::FetchOptions;

use super::{Ledger, LedgerError};

/// The numbers of commits by which a shallow history is deepened, step by step; at last, to its
/// beginning.
pub(super) const STEPS: [Option<u32>; 3] = [Some(64), Some(1024), None];

/// Pairs of commits, with the answers known so far.
struct Comparison<'p> {
    pairs: &'p [(CommitId, CommitId)],
    answers: Vec<Option<Ancestry>>,
    /// The shallow commits from which history has to be deepened for the other answers.
    ends: BTreeSet<ObjectId>,
}

/// The result of a fetch of objects, the best one last.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Arrival {
    Nothing,
    /// The server cannot deepen by a number of commits.
    Unsupported,
    Some,
}

impl Ledger<'_> {
    /// Returns the relation of each pair's first commit to the second.
    ///
    /// A checkout that has both commits and their history starts no process. Otherwise missing
    /// commits are fetched, and a shallow history is deepened until the answers are known, within
    /// the timeout for writing. Without the needed commits, the answer is [`Ancestry::Unknown`].
    ///
    /// # Errors
    ///
    /// Fails where objects that are here cannot be read, or git cannot be run.
    pub fn ancestry(&self, pairs: &[(CommitId, CommitId)]) -> Result<Vec<Ancestry>, LedgerError> {
        let mut comparison = Comparison::new(pairs);
        self.look(&mut comparison)?;
        let deadline = Instant::now() + self.options.write_limit;
        let missing = self.missing(&comparison);
        if !missing.is_empty() && self.obtain(missing, &self.fetch_options(), deadline)? == Arrival::Some {
            self.look(&mut comparison)?;
        }
        for step in STEPS {
            if comparison.ends.is_empty() {
                break;
            }
            let options = FetchOptions { deepen: step, unshallow: step.is_none(), ..FetchOptions::default() };
            match self.obtain(comparison.ends.clone(), &options, deadline)? {
                Arrival::Some => self.look(&mut comparison)?,
                Arrival::Unsupported => {}
                Arrival::Nothing => break,
            }
        }
        let answers = comparison.answers.into_iter();
        Ok(answers.map(|answer| answer.unwrap_or(Ancestry::Unknown)).collect())
    }

    /// Answers the pairs that the local history decides.
    fn look(&self, comparison: &mut Comparison<'_>) -> Result<(), LedgerError> {
        comparison.ends.clear();
        let mut histories = Histories::new(&self.objects, self.repository.shallow_commits());
        for ((first, second), answer) in comparison.pairs.iter().zip(&mut comparison.answers) {
            if answer.is_some() {
                continue;
            }
            match histories.relate(first, second)? {
                Related::Known(ancestry) => *answer = Some(ancestry),
                Related::Open { ends } => comparison.ends.extend(ends),
            }
        }
        Ok(())
    }

    /// The commits that are not here, of pairs without an answer.
    fn missing(&self, comparison: &Comparison<'_>) -> BTreeSet<ObjectId> {
        let open = comparison.pairs.iter().zip(&comparison.answers).filter(|(_, answer)| answer.is_none());
        let commits = open.flat_map(|((first, second), _)| [&first.0, &second.0]);
        commits.filter(|commit| !self.objects.contains(commit)).cloned().collect()
    }

    /// Fetches commits by their ids, all in one fetch: from the ledger's remote, and those that it
    /// lacks from the code's, if it is another.
    pub(super) fn obtain(
        &self,
        mut wanted: BTreeSet<ObjectId>,
        options: &FetchOptions,
        deadline: Instant,
    ) -> Result<Arrival, LedgerError> {
        let ledger = self.reachable_remote();
        let code = self.reachable_code_remote().filter(|code| Some(*code) != ledger);
        let mut arrival = Arrival::Nothing;
        for remote in ledger.into_iter().chain(code) {
            let (arrived, absent) = self.obtain_from(remote, wanted, options, deadline)?;
            arrival = arrival.max(arrived);
            wanted = absent;
        }
        Ok(arrival)
    }

    /// Fetches commits by their ids from one remote. Also returns the ids that it refuses.
    fn obtain_from(
        &self,
        remote: &str,
        mut wanted: BTreeSet<ObjectId>,
        options: &FetchOptions,
        deadline: Instant,
    ) -> Result<(Arrival, BTreeSet<ObjectId>), LedgerError> {
        let mut absent = BTreeSet::new();
        let mut arrival = Arrival::Nothing;
        while !wanted.is_empty() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left == Duration::ZERO {
                break;
            }
            let refspecs: Vec<_> = wanted.iter().map(ToString::to_string).collect();
            let options = FetchOptions { limit: Some(left), ..options.clone() };
            match self.fetch(remote, &refspecs, &options) {
                Ok(()) => return Ok((Arrival::Some, absent)),
                Err(GitError::Failed { stderr, .. }) => {
                    if stderr.contains("does not support") {
                        arrival = Arrival::Unsupported;
                    }
                    // Servers name the object that they lack or refuse.
                    let refused: BTreeSet<_> =
                        wanted.iter().filter(|id| stderr.contains(id.as_str())).cloned().collect();
                    if refused.is_empty() {
                        break;
                    }
                    wanted.retain(|id| !refused.contains(id));
                    absent.extend(refused);
                }
                Err(GitError::TimedOut { .. }) => break,
                Err(error) => return Err(error.into()),
            }
        }
        absent.append(&mut wanted);
        Ok((arrival, absent))
    }
}

impl<'p> Comparison<'p> {
    fn new(pairs: &'p [(CommitId, CommitId)]) -> Self {
        Self { pairs, answers: vec![None; pairs.len()], ends: BTreeSet::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Checkout, Workspace, open};
    use super::Ancestry::{Ancestor, Descendant, Same, Unknown, Unrelated};
    use super::*;

    type Case = (&'static str, &'static str, Ancestry);

    /// The answers wherever the remote can be asked.
    const TRUTH: [Case; 11] = [
        ("main~0", "main~0", Same),
        ("main~1", "main~0", Ancestor),
        ("main~0", "main~30", Descendant),
        ("main~900", "main~0", Ancestor),
        ("main~0", "main~1249", Descendant),
        ("side~0", "main~0", Unrelated),
        ("main~50", "side~2", Ancestor),
        ("orphan~0", "main~0", Unrelated),
        ("side~0", "orphan~2", Unrelated),
        ("main~0", "absent", Unknown),
        ("absent", "absent", Same),
    ];

    const CLONES: [&str; 6] = [
        "",
        "--depth=1 --single-branch",
        "--depth=1 --single-branch --branch=side",
        "--single-branch --branch=side",
        "--filter=blob:none",
        "--filter=tree:0 --single-branch",
    ];

    fn pairs(workspace: &Workspace, cases: &[Case]) -> Vec<(CommitId, CommitId)> {
        let pair = |(first, second, _): &Case| (workspace.commit(first), workspace.commit(second));
        cases.iter().map(pair).collect()
    }

    fn ask(workspace: &Workspace, checkout: &Checkout, offline: bool, cases: &[Case]) -> Vec<Ancestry> {
        let repository = checkout.repository();
        let ledger = open(&repository, |options| options.offline = offline);
        ledger.ancestry(&pairs(workspace, cases)).unwrap()
    }

    fn expected(cases: &[Case]) -> Vec<Ancestry> {
        cases.iter().map(|(_, _, ancestry)| *ancestry).collect()
    }

    #[test]
    fn the_answer_is_the_same_in_every_kind_of_checkout() {
        let workspace = Workspace::new();
        for clone in CLONES {
            let checkout = workspace.clone(clone);
            assert_eq!(ask(&workspace, &checkout, false, &TRUTH), expected(&TRUTH), "{clone}");
            checkout.git(&["fsck", "--connectivity-only"]);
        }
    }

    #[test]
    fn each_pair_alone_is_answered_as_well() {
        let workspace = Workspace::new();
        for case in TRUTH {
            let checkout = workspace.clone("--depth=1 --single-branch");
            assert_eq!(ask(&workspace, &checkout, false, &[case]), [case.2], "{case:?}");
        }
    }

    #[test]
    fn what_is_not_here_and_cannot_be_had_is_unknown() {
        let workspace = Workspace::new();
        let cases =
            [("main~0", "main~0", Same), ("main~900", "main~0", Unknown), ("orphan~0", "main~0", Unknown)];
        for clone in ["--depth=1", "--depth=1 --single-branch --branch=side"] {
            let checkout = workspace.clone(clone);
            assert_eq!(ask(&workspace, &checkout, true, &cases), expected(&cases), "{clone} offline");
            checkout.git(&["remote", "set-url", "origin", "/nowhere"]);
            assert_eq!(ask(&workspace, &checkout, false, &cases), expected(&cases), "{clone} unreachable");
        }
        // Both tips are here, and their histories end early.
        let both = workspace.clone("--depth=5 --no-single-branch");
        let cases = [
            ("main~4", "main~0", Ancestor),
            ("side~0", "side~1", Descendant),
            ("side~0", "main~0", Unknown),
            ("orphan~0", "main~0", Unknown),
        ];
        assert_eq!(ask(&workspace, &both, true, &cases), expected(&cases));
    }

    #[test]
    fn a_checkout_that_has_all_of_it_starts_no_process() {
        let workspace = Workspace::new();
        for clone in ["", "--filter=tree:0"] {
            let checkout = workspace.clone(clone);
            let repository = checkout.repository_without_git();
            let ledger = open(&repository, |_| ());
            let cases = &TRUTH[..TRUTH.len() - 2];
            assert_eq!(ledger.ancestry(&pairs(&workspace, cases)).unwrap(), expected(cases), "{clone}");
        }
    }

    #[test]
    fn only_as_much_history_as_the_answer_needs_is_fetched() {
        let workspace = Workspace::new();
        let checkout = workspace.clone("--depth=1 --single-branch");
        assert_eq!(ask(&workspace, &checkout, false, &[("main~30", "main~0", Ancestor)]), [Ancestor]);
        let depth: usize = checkout.git(&["rev-list", "--count", "HEAD"]).parse().unwrap();
        assert!((31..200).contains(&depth), "{depth}");
        assert_eq!(checkout.git(&["for-each-ref", "refs/heads/side", "refs/remotes/origin/orphan"]), "");
    }

    #[test]
    fn a_stale_commit_graph_changes_nothing() {
        let workspace = Workspace::new();
        let checkout = workspace.clone("");
        checkout.git(&["commit-graph", "write", "--reachable"]);
        checkout.git(&["fetch", "--quiet", "--depth=1", "origin", "main"]);
        for reference in checkout.git(&["for-each-ref", "--format=%(refname)", "refs/remotes"]).lines() {
            checkout.git(&["update-ref", "-d", reference]);
        }
        checkout.git(&["reflog", "expire", "--expire=now", "--all"]);
        checkout.git(&["-c", "gc.pruneExpire=now", "gc", "--quiet", "--prune=now"]);
        assert_eq!(ask(&workspace, &checkout, false, &TRUTH), expected(&TRUTH));
    }

    #[test]
    fn no_history_is_lost_where_a_step_ends_in_the_middle_of_it() {
        let workspace = Workspace::new();
        let checkout = workspace.clone("--depth=1 --single-branch");
        let inner = workspace.commit("main~20");
        checkout.git(&["fetch", "--quiet", "--depth=80", "origin", inner.as_str()]);
        let count = || checkout.git(&["rev-list", "--count", inner.as_str()]).parse::<usize>().unwrap();
        assert_eq!(count(), 80);
        assert_eq!(ask(&workspace, &checkout, false, &[("main~30", "main~0", Ancestor)]), [Ancestor]);
        assert!(count() >= 80, "{}", count());
        checkout.git(&["fsck", "--connectivity-only"]);
    }

    #[test]
    fn commits_that_were_never_pushed_are_related_to_those_of_the_remote() {
        let workspace = Workspace::new();
        let checkout = workspace.clone("--depth=1 --single-branch");
        let own = checkout.commit_to("main");
        let repository = checkout.repository();
        let ledger = open(&repository, |_| ());
        let others = ["main~0", "main~100", "orphan~0"].map(|name| (own.clone(), workspace.commit(name)));
        assert_eq!(ledger.ancestry(&others).unwrap(), [Descendant, Descendant, Unrelated]);
    }

    #[test]
    fn what_the_ledger_s_remote_lacks_comes_from_the_code_s() {
        let workspace = Workspace::new();
        let checkout = workspace.clone("--depth=1 --single-branch");
        let records = workspace.empty("records.git");
        checkout.git(&["remote", "add", "records", &records.url()]);
        let repository = checkout.repository();
        let ledger = open(&repository, |options| {
            options.remote = Some("records".to_owned());
            options.code_remote = Some("origin".to_owned());
        });
        assert_eq!(ledger.ancestry(&pairs(&workspace, &TRUTH)).unwrap(), expected(&TRUTH));
    }
}
