//! Approvals as notes on the approved commits: `refs/notes/atmos/<deployment>/approvals`.

use std::collections::BTreeMap;

use crate::deployment::approval::Approval;
use crate::deployment::{CommitId, DeploymentName};
use crate::git::transport::PushUpdate;

use super::notes::united;
use super::{Ledger, LedgerError};

const NAMESPACE: &str = "approvals";

impl Ledger<'_> {
    /// The change that notes an approval on every commit that it covers. It is pushed with the locks, so that nothing is
    /// applied whose approval is not on record.
    pub fn approval_update(
        &self,
        deployment: &DeploymentName,
        approval: &Approval,
        commits: &[CommitId],
    ) -> Result<PushUpdate, LedgerError> {
        let line = approval.to_json();
        let entries: BTreeMap<_, _> =
            commits.iter().map(|commit| (commit.clone(), vec![line.clone()])).collect();
        self.note_update(deployment, NAMESPACE, &entries, united)
    }
}
