//! Pending records: durable in this repository before the remote has them.

use crate::deployment::ObjectId;
use crate::deployment::record::LedgerRecord;
use crate::git::refs::Ref;

use super::hold::{Hold, RunEntry};
use super::pending::{batch_ref, run_ref};
use super::{Ledger, LedgerError, batch};

/// Pending records, durable here and waiting to be pushed.
#[derive(Debug, Clone, Default)]
pub struct Kept {
    /// Oldest first.
    pub records: Vec<LedgerRecord>,
    /// The batches that hold them; none without a remote.
    pub(super) batches: Vec<ObjectId>,
}

impl Kept {
    /// The number of records.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there are no records.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Appends other records.
    pub fn extend(&mut self, other: Self) {
        self.records.extend(other.records);
        self.batches.extend(other.batches);
    }
}

/// Makes records of a session durable, as one batch. Returns its object; `None` without a remote.
pub(super) fn keep(
    ledger: &Ledger<'_>,
    hold: &Hold,
    records: &[LedgerRecord],
) -> Result<Option<ObjectId>, LedgerError> {
    if ledger.remote().is_none() || records.is_empty() {
        return Ok(None);
    }
    let run = hold.lock();
    let tags: Vec<_> = records.iter().map(|record| &record.object).collect();
    let kept = ledger.restoring(|| Ok(batch::write(&ledger.objects, &tags)?))?;
    let mut entries = vec![Ref { name: batch_ref(&run, &kept), object: kept.clone() }];
    if hold.entry() != RunEntry::There {
        // Must be written first: a batch without a run entry looks abandoned, and another command
        // would publish it. Written again after a failure.
        hold.mark(RunEntry::Unsure);
        let lock = ledger.write_lock(hold.request(), &run)?;
        entries.insert(0, Ref { name: run_ref(&run), object: lock });
    }
    ledger.restoring(|| Ok(ledger.repository.make_refs(entries.clone(), "atmos: to be published")?))?;
    // Race: a `git gc` that began before the refs were written prunes the objects nevertheless.
    ledger.repository.restore_objects()?;
    hold.mark(RunEntry::There);
    Ok(Some(kept))
}
