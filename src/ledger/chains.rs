//! The ends of components' chains: they give the next record its predecessor, number and sequence.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

use crate::deployment::record::{FIRST_SEQUENCE, LedgerRecord, following};
use crate::deployment::ref_names::{ComponentAddress, LATEST_PREFIX, parse_latest_ref};
use crate::deployment::{ObjectId, Record};

use super::Ledger;
use super::LedgerError;
use super::snapshot::Snapshot;

/// The last record of a chain, also one that this version cannot read.
#[derive(Debug, Clone)]
struct ChainEnd {
    object: ObjectId,
    record: Option<Arc<LedgerRecord>>,
}

impl ChainEnd {
    fn number(&self) -> Option<u64> {
        self.record.as_ref()?.record.details.number
    }
}

/// The ends of chains, which move as records are appended.
#[derive(Debug, Default)]
pub(super) struct Chains {
    ends: BTreeMap<ComponentAddress, ChainEnd>,
    /// The highest numbers in use, for chains whose ends have no number.
    counted: BTreeMap<ComponentAddress, u64>,
}

impl Chains {
    /// The ends of all chains of a snapshot. For `components` whose end has no number, the
    /// records of the history are counted.
    pub(super) fn of<'a>(
        ledger: &Ledger<'_>,
        snapshot: &Snapshot,
        components: impl IntoIterator<Item = &'a ComponentAddress>,
    ) -> Self {
        let mut ends: BTreeMap<_, _> = snapshot
            .heads()
            .map(|(address, head)| {
                (address, ChainEnd { object: head.object.clone(), record: Some(Arc::clone(head)) })
            })
            .collect();
        for (name, object) in snapshot.authoritative(ledger) {
            if name.starts_with(LATEST_PREFIX)
                && let Ok(address) = parse_latest_ref(name)
                && ends.get(&address).is_none_or(|end| end.object != *object)
            {
                ends.insert(address, ChainEnd { object: object.clone(), record: None });
            }
        }
        let mut chains = Self { ends, counted: BTreeMap::new() };
        let is_unnumbered =
            |address: &&ComponentAddress| chains.ends.get(*address).is_some_and(|end| end.number().is_none());
        let unnumbered: BTreeSet<_> = components.into_iter().filter(is_unnumbered).cloned().collect();
        chains.counted = chains.count(ledger, unnumbered);
        chains
    }

    /// The highest numbers in use: the count of the records, or a greater number in one of them.
    fn count(
        &self,
        ledger: &Ledger<'_>,
        unnumbered: BTreeSet<ComponentAddress>,
    ) -> BTreeMap<ComponentAddress, u64> {
        if unnumbered.is_empty() {
            return BTreeMap::new();
        }
        let histories = match ledger.component_histories(&unnumbered) {
            Ok(histories) => histories,
            Err(error) => {
                ledger.warn(format!("records are written without a number: {error}"));
                return BTreeMap::new();
            }
        };
        let last = |address: ComponentAddress| {
            let records = histories.get(&address).map_or(&[][..], Vec::as_slice);
            let end = self.end(&address);
            let untagged = end.is_some_and(|end| records.iter().all(|record| record.object != *end));
            let numbers = records.iter().filter_map(|record| record.record.details.number);
            let greatest = numbers.max().map(|number| number.saturating_add(u64::from(untagged)));
            let count = u64::try_from(records.len()).unwrap_or(u64::MAX).saturating_add(u64::from(untagged));
            // A number is greater than the count where older records were removed.
            (address, greatest.unwrap_or(0).max(count))
        };
        unnumbered.into_iter().map(last).collect()
    }

    /// The object at the end of a chain.
    pub(super) fn end(&self, address: &ComponentAddress) -> Option<&ObjectId> {
        self.ends.get(address).map(|end| &end.object)
    }

    /// The sequence of the next record of a second: counted on where the end is of the same second.
    pub(super) fn next_sequence(&self, address: &ComponentAddress, second: Timestamp) -> u32 {
        let end = self.ends.get(address).and_then(|end| end.record.as_ref());
        end.filter(|end| end.id.timestamp == second).map_or(FIRST_SEQUENCE, |end| following(end.id.sequence))
    }

    /// Appends a record to its chain: writes the tag object without a
    /// ref, with predecessor and number.
    pub(super) fn append(
        &mut self,
        ledger: &Ledger<'_>,
        mut record: Record,
        sequence: u32,
    ) -> Result<LedgerRecord, LedgerError> {
        let address = ComponentAddress::of_record(&record);
        record.previous = self.end(&address).cloned();
        record.details.number = match self.ends.get(&address) {
            Some(end) => {
                let last = end.number().or_else(|| self.counted.get(&address).copied());
                last.and_then(|last| last.checked_add(1))
            }
            None => Some(1),
        };
        self.replace(ledger, record, sequence)
    }

    /// Appends a late record, after records that came in between. It contains the bytes of the
    /// original tag, so that a signature stays verifiable.
    pub(super) fn append_late(
        &mut self,
        ledger: &Ledger<'_>,
        told: &LedgerRecord,
        sequence: u32,
    ) -> Result<LedgerRecord, LedgerError> {
        let mut record = told.record.clone();
        record.details.published_by = Some(ledger.options.writer.1.clone());
        // A late record that is late again keeps its first original.
        if !told.is_late() {
            let original = ledger.objects.tag_bytes(&told.object)?;
            record.details.late_of = Some(told.object.to_string());
            record.details.original = Some(String::from_utf8_lossy(&original).into_owned());
        }
        self.append(ledger, *record, sequence)
    }

    /// Rewrites the record at the end of a chain under another sequence.
    pub(super) fn replace(
        &mut self,
        ledger: &Ledger<'_>,
        record: Record,
        sequence: u32,
    ) -> Result<LedgerRecord, LedgerError> {
        let written = ledger.write_record(record, sequence)?;
        self.put(written.clone());
        Ok(written)
    }

    /// Makes a record that is already written the end of its chain.
    pub(super) fn put(&mut self, record: LedgerRecord) {
        let address = ComponentAddress::of(&record.id);
        let object = record.object.clone();
        self.ends.insert(address, ChainEnd { object, record: Some(Arc::new(record)) });
    }
}
