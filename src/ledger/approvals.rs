//! Approvals as notes on the approved commits: `refs/notes/atmos/<deployment>/approvals`.

use std::collections::{BTreeMap, BTreeSet};

use crate::deployment::approval::{Approval, Revocation};
use crate::deployment::ref_names::notes_ref;
use crate::deployment::{CommitId, DeploymentName};
use crate::git::transport::PushUpdate;

use super::heard::Part;
use super::namespaces::APPROVALS;
use super::notes::merged;
use super::{Freshness, Ledger, LedgerError};

impl Ledger<'_> {
    /// The change that adds an approval to the notes of every commit that it covers.
    ///
    /// Invariant: it is pushed in one transaction with the locks, so that nothing is applied
    /// without a recorded approval.
    ///
    /// # Errors
    ///
    /// Fails where the notes cannot be fetched or written.
    pub fn approval_update(
        &self,
        deployment: &DeploymentName,
        approval: &Approval,
        commits: &[CommitId],
    ) -> Result<PushUpdate, LedgerError> {
        let line = approval.to_json();
        let entries: BTreeMap<_, _> =
            commits.iter().map(|commit| (commit.clone(), vec![line.clone()])).collect();
        self.note_update(deployment, APPROVALS, &entries, merged)
    }

    /// Adds an approval that is given ahead of its rollout.
    ///
    /// # Errors
    ///
    /// Fails where the notes cannot be fetched or pushed.
    pub fn note_approval(&self, approval: &Approval) -> Result<(), LedgerError> {
        let commits: BTreeSet<_> = approval.components.iter().map(|covered| covered.commit.clone()).collect();
        let line = approval.to_json();
        let entries = commits.into_iter().map(|commit| (commit, vec![line.clone()])).collect();
        self.add_notes(&approval.deployment, APPROVALS, &entries, merged)
    }

    /// Adds revocations beside the revoked approvals.
    ///
    /// # Errors
    ///
    /// Fails where the notes cannot be fetched or pushed.
    pub fn note_revocations(
        &self,
        deployment: &DeploymentName,
        revocations: &[(&Approval, Revocation)],
    ) -> Result<(), LedgerError> {
        let mut entries: BTreeMap<CommitId, Vec<String>> = BTreeMap::new();
        for (approval, revocation) in revocations {
            let commits: BTreeSet<_> = approval.components.iter().map(|covered| &covered.commit).collect();
            for commit in commits {
                entries.entry(commit.clone()).or_default().push(revocation.to_json());
            }
        }
        self.add_notes(deployment, APPROVALS, &entries, merged)
    }

    /// Fetches the approvals' notes of these commits and returns their lines.
    ///
    /// # Errors
    ///
    /// Fails where the remote does not answer: a stale approval may have been revoked.
    pub fn approval_lines(
        &self,
        deployment: &DeploymentName,
        commits: &[CommitId],
    ) -> Result<Vec<String>, LedgerError> {
        self.fetch_notes(deployment, APPROVALS)?;
        let name = notes_ref(deployment, APPROVALS);
        let known = self.read_note_refs(&[&name])?;
        let texts = self.note_texts(&known, &name, commits)?;
        Ok(texts.iter().flat_map(|text| lines(text)).collect())
    }

    /// The lines of all approvals' notes of a deployment, and their freshness.
    ///
    /// # Errors
    ///
    /// Fails where the mirrored notes cannot be read.
    pub fn all_approval_lines(
        &self,
        deployment: &DeploymentName,
    ) -> Result<(Vec<String>, Freshness), LedgerError> {
        let freshness = match self.reachable_remote() {
            None => self.refresh_nothing(&Part::notes(deployment, APPROVALS)),
            Some(_) => match self.fetch_notes(deployment, APPROVALS) {
                Ok(()) => Freshness::Current,
                Err(error) => self.stale(&error, &Part::notes(deployment, APPROVALS)),
            },
        };
        let name = notes_ref(deployment, APPROVALS);
        let known = self.read_note_refs(&[&name])?;
        let Some(tip) = self.notes_that_count(&known, &name) else {
            return Ok((Vec::new(), freshness));
        };
        let notes = self.objects.notes(tip)?;
        let all = notes.iter().flat_map(|(_, content)| lines(&String::from_utf8_lossy(content))).collect();
        Ok((all, freshness))
    }
}

/// The entries of a note, normalised to one a line.
fn lines(note: &str) -> Vec<String> {
    merged("", note).lines().map(str::to_owned).collect()
}
