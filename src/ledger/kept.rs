//! Records that are durable in this repository before the remote has them.

use crate::deployment::ObjectId;
use crate::deployment::record::LedgerRecord;
use crate::git::refs::Ref;

use super::hold::{Hold, RunEntry};
use super::pending::{batch_ref, run_ref};
use super::{Ledger, LedgerError, batch};

/// Records that are durable here and wait to be pushed.
#[derive(Debug, Clone, Default)]
pub struct Kept {
    /// Oldest first.
    pub records: Vec<LedgerRecord>,
    /// The batches that keep them; none where there is no remote to wait for.
    pub(super) batches: Vec<ObjectId>,
}

impl Kept {
    /// How many records there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Takes other records along.
    pub fn extend(&mut self, other: Self) {
        self.records.extend(other.records);
        self.batches.extend(other.batches);
    }
}

/// Keeps records of a run that holds its locks. Returns the batch; none where there is no remote to
/// wait for.
pub(super) fn keep(
    ledger: &Ledger<'_>,
    hold: &Hold,
    records: &[LedgerRecord],
) -> Result<Option<ObjectId>, LedgerError> {
    if ledger.remote().is_none() || records.is_empty() {
        return Ok(None);
    }
    let run = hold.lock();
    let kept = ledger
        .restoring(|| Ok(batch::write(&ledger.objects, records.iter().map(|record| &record.object))?))?;
    let mut entries = vec![Ref { name: batch_ref(&run, &kept), object: kept.clone() }];
    if hold.entry() != RunEntry::There {
        // Must be written first: a batch without a run entry counts as left behind, and another
        // command publishes it. It is written again where that has failed.
        hold.mark(RunEntry::Unsure);
        let lock = ledger.write_lock(hold.request(), &run)?;
        entries.insert(0, Ref { name: run_ref(&run), object: lock });
    }
    ledger.restoring(|| Ok(ledger.repository.make_refs(entries.clone(), "atmos: to be published")?))?;
    // A clean-up that began before there were refs takes the objects all the same.
    ledger.repository.restore_objects()?;
    hold.mark(RunEntry::There);
    Ok(Some(kept))
}
