//! Records outside of their component's chain. Without atomic pushes, the tag of a killed run can
//! arrive after other runs have extended the chain. Pure, so that a retry decides the same.

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::deployment::ObjectId;
use crate::deployment::record::LedgerRecord;

/// The chain of a component, as far as it can be followed from its end.
#[derive(Debug)]
pub(super) struct Line {
    end: ObjectId,
    /// The objects of the chain's records, including predecessors that are only named.
    objects: HashSet<ObjectId>,
    /// Whether it was followed to its first record.
    is_whole: bool,
}

impl Line {
    /// Follows a chain. `previous` is a record's predecessor, if it has one; `None` where the
    /// record cannot be read.
    pub(super) fn follow(
        end: &ObjectId,
        mut previous: impl FnMut(&ObjectId) -> Option<Option<ObjectId>>,
    ) -> Self {
        let mut line = Self { end: end.clone(), objects: HashSet::new(), is_whole: false };
        let mut next = Some(end.clone());
        while let Some(object) = next.take_if(|object| line.objects.insert(object.clone())) {
            match previous(&object) {
                Some(None) => line.is_whole = true,
                Some(before) => next = before,
                None => {}
            }
        }
        line
    }

    /// The records that are certainly not part of the chain, and never will be: they follow a
    /// record of it that has another successor. A record that the chain has yet to reach follows
    /// its end.
    pub(super) fn strays(&self, records: &[LedgerRecord]) -> BTreeSet<ObjectId> {
        let known: HashMap<_, _> = records.iter().map(|record| (&record.object, record)).collect();
        let strays = records.iter().filter(|record| self.leaves_out(record, &known));
        strays.map(|record| record.object.clone()).collect()
    }

    fn leaves_out(&self, record: &LedgerRecord, known: &HashMap<&ObjectId, &LedgerRecord>) -> bool {
        // Plain git commands name no predecessors.
        if record.record.details.number.is_none() || self.objects.contains(&record.object) {
            return false;
        }
        let mut at = record;
        for _ in 0..=known.len() {
            let Some(previous) = &at.record.previous else {
                return self.is_whole && at.record.details.number.is_some();
            };
            if self.objects.contains(previous) {
                return *previous != self.end;
            }
            let Some(before) = known.get(previous) else { return false };
            at = before;
        }
        false
    }
}

/// The records that late ones publish, by their objects.
pub(super) fn published_late<'r>(records: impl IntoIterator<Item = &'r LedgerRecord>) -> BTreeSet<&'r str> {
    records.into_iter().filter_map(|found| found.record.details.late_of.as_deref()).collect()
}

/// The object that identifies a record, whichever run publishes it.
pub(super) fn identity(record: &LedgerRecord) -> &str {
    record.record.details.late_of.as_deref().unwrap_or(record.object.as_str())
}

/// Whether more than one record of a component has no successor among these records.
pub(super) fn has_fork<'r>(records: impl IntoIterator<Item = &'r LedgerRecord> + Clone) -> bool {
    let named: HashSet<_> =
        records.clone().into_iter().filter_map(|found| found.record.previous.as_ref()).collect();
    let is_last =
        |found: &&LedgerRecord| found.record.details.number.is_some() && !named.contains(&found.object);
    records.into_iter().filter(is_last).count() > 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deployment::RecordStatus;
    use crate::deployment::fixtures::record;

    fn object(name: char) -> ObjectId {
        name.to_string().repeat(40).parse().unwrap()
    }

    /// Records by name and predecessor; `-` is none, and those in capitals have no number.
    fn records(of: &str) -> Vec<LedgerRecord> {
        let made = |word: &str| {
            let mut names = word.chars();
            let (name, previous) = (names.next().unwrap(), names.next().unwrap());
            let mut found = record("dev", "api", "abc123d", RecordStatus::Success, "2025-01-22T12:00:00Z");
            found.object = object(name.to_ascii_lowercase());
            found.record.previous = (previous != '-').then(|| object(previous));
            found.record.details.number = name.is_lowercase().then_some(1);
            found
        };
        of.split_whitespace().map(made).collect()
    }

    fn strays(end: char, of: &str) -> String {
        let records = records(of);
        let line = Line::follow(&object(end), |object| {
            let found = records.iter().find(|found| found.object == *object)?;
            Some(found.record.previous.clone())
        });
        line.strays(&records).iter().filter_map(|object| object.as_str().chars().next()).collect()
    }

    #[test]
    fn what_follows_the_chain_before_its_end_is_outside_of_it() {
        for (end, of, expected) in [
            ('c', "a- ba cb", ""),
            ('c', "a- ba cb da", "d"),
            ('c', "a- ba cb da ed", "de"),
            // Tags of a push that is in flight.
            ('c', "a- ba cb dc ed", ""),
            // The first record of a component.
            ('b', "a- b- cb", "a"),
            // Plain git names no predecessors.
            ('b', "A- ba C-", ""),
            // An unreadable record proves nothing, but the record that names it does.
            ('c', "a- cb da", ""),
            ('c', "a- cb db", "d"),
            ('f', "a- ba", ""),
            ('c', "a- ba cb de ed", ""),
        ] {
            assert_eq!(strays(end, of), expected, "{of}");
        }
        assert!(has_fork(&records("a- ba ca")) && !has_fork(&records("a- ba cb")));
    }
}
