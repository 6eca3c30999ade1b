//! Ownership of commits: whether a commit is in the history of a branch or tag of the remote. Refs
//! of the checkout prove nothing, because any step of a job may have moved them.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crate::deployment::{CommitId, ObjectId};
use crate::git::GitError;
use crate::git::ancestry::{Histories, Reach};
use crate::git::transport::{FetchOptions, TipKind};

use super::ancestry::{Arrival, STEPS};
use super::{Ledger, LedgerError};

/// The most tips of branches and tags whose history is fetched.
const MOST_TIPS: usize = 256;

/// The ownership of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ownership {
    Own,
    /// A commit on no branch and no tag.
    Foreign,
    /// Undecided, with the reason.
    Unknown(String),
}

impl Ledger<'_> {
    /// Whether a commit is in the history of the code's remote, or of `known` commits of it.
    /// Fetches only if the local history of the `known` ones does not decide.
    ///
    /// # Errors
    ///
    /// Fails where objects are damaged, or git cannot be run. An unreachable
    /// remote is [`Ownership::Unknown`].
    pub fn ownership(&self, commit: &CommitId, known: &[CommitId]) -> Result<Ownership, LedgerError> {
        let mut tips: BTreeSet<ObjectId> = known.iter().map(|known| known.0.clone()).collect();
        if self.reach(&tips, commit)? == Reach::Yes {
            return Ok(Ownership::Own);
        }
        let Some(remote) = self.reachable_code_remote() else {
            return Ok(Ownership::Unknown("there is no remote to ask for its branches".to_owned()));
        };
        let deadline = Instant::now() + self.options.write_limit;
        let mut left_out = 0;
        for kind in [TipKind::Branches, TipKind::Tags] {
            let listed = match self.repository.git().remote_tips(remote, kind, Some(left(deadline))) {
                Ok(listed) => listed,
                Err(error @ (GitError::Failed { .. } | GitError::TimedOut { .. })) => {
                    return Ok(Ownership::Unknown(error.to_string()));
                }
                Err(error) => return Err(error.into()),
            };
            let all: BTreeSet<_> = listed.values().cloned().collect();
            if all.contains(&commit.0) || self.reach(&all, commit)? == Reach::Yes {
                return Ok(Ownership::Own);
            }
            // Checked first, because most commits are on the default branch.
            let default = self.options.default_branch.as_ref().filter(|_| kind == TipKind::Branches);
            let first = default.and_then(|branch| listed.get(branch)).cloned();
            for tip in first.into_iter().chain(all) {
                if tips.len() < MOST_TIPS {
                    tips.insert(tip);
                } else if !tips.contains(&tip) {
                    left_out += 1;
                }
            }
        }
        match self.search(&tips, commit, deadline)? {
            Reach::No if left_out > 0 => Ok(Ownership::Unknown(format!(
                "{remote} has {left_out} more branches and tags than are searched"
            ))),
            Reach::Yes => Ok(Ownership::Own),
            Reach::No => Ok(Ownership::Foreign),
            Reach::Open { .. } => Ok(Ownership::Unknown(format!(
                "the history of {remote}'s branches and tags cannot be fetched"
            ))),
        }
    }

    /// Searches the history of the tips, fetching what is missing.
    fn search(
        &self,
        tips: &BTreeSet<ObjectId>,
        commit: &CommitId,
        deadline: Instant,
    ) -> Result<Reach, LedgerError> {
        let mut found = self.reach(tips, commit)?;
        if let Reach::Open { missing, .. } = &found
            && !missing.is_empty()
            && self.obtain(missing.clone(), &self.fetch_options(), deadline)? == Arrival::Some
        {
            found = self.reach(tips, commit)?;
        }
        for step in STEPS {
            let Reach::Open { ends, .. } = &found else { break };
            if ends.is_empty() {
                break;
            }
            let options = FetchOptions { deepen: step, unshallow: step.is_none(), ..FetchOptions::default() };
            match self.obtain(ends.clone(), &options, deadline)? {
                Arrival::Some => found = self.reach(tips, commit)?,
                Arrival::Unsupported => {}
                Arrival::Nothing => break,
            }
        }
        Ok(found)
    }

    fn reach(&self, tips: &BTreeSet<ObjectId>, commit: &CommitId) -> Result<Reach, LedgerError> {
        Ok(Histories::new(&self.objects, self.repository.shallow_commits()).reach(tips, commit)?)
    }
}

fn left(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now()).max(Duration::from_secs(1))
}

#[cfg(test)]
mod tests;
