//! Whether a commit is the repository's own: part of the history of a branch or tag that the remote
//! has now. Refs of the checkout prove nothing, since any step of a job may have moved them.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crate::deployment::{CommitId, ObjectId};
use crate::git::GitError;
use crate::git::ancestry::{Histories, Reach};
use crate::git::transport::{FetchOptions, TipKind};

use super::ancestry::{Arrival, STEPS};
use super::{Ledger, LedgerError};

/// How many commits that branches and tags lead to are fetched to look through their history.
const MOST_TIPS: usize = 256;

/// The answer to whether a commit is the repository's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ownership {
    Own,
    /// A commit on no branch and no tag.
    Foreign,
    /// The reason why it cannot be told.
    Unknown(String),
}

impl Ledger<'_> {
    /// Whether a commit is in the history of the code's remote, or of commits that are `known` to
    /// be. The remote is asked only where those do not answer, as far as their history is here.
    ///
    /// # Errors
    ///
    /// Fails where objects that are here cannot be read, or git cannot be run.
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
            // Most commits that are asked for are on the default branch.
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

    /// Looks through the history of the tips, and fetches what of it is not here.
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
