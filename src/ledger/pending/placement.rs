//! The placement of a pending record in its component's chain. Pure, so
//! that a retry decides the same.

use std::collections::BTreeSet;

use crate::deployment::record::LedgerRecord;
use crate::deployment::{ObjectId, RecordId};
use crate::ledger::line::{Line, identity, published_late};

/// The placement of a pending record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::ledger) enum Placement {
    /// The record is the end of the chain already. Its tag or state may be missing after a torn
    /// push.
    Newest,
    /// The record, or a late record of it, is in the chain already. A tag alone proves nothing: it
    /// can be a stray.
    Arrived,
    /// The record is in the chain, and its tag is missing after a torn push.
    Untagged,
    /// No other record came in between: it is published unchanged.
    AsWritten,
    /// Other records came in between: it is appended after them as a late record.
    Late,
}

/// The remote's records of one component's chain, by object, because another
/// record can have the same name.
#[derive(Debug, Default)]
pub(in crate::ledger) struct Arrived {
    /// All names in use.
    names: BTreeSet<RecordId>,
    tags: BTreeSet<ObjectId>,
    /// The objects that are predecessors of records.
    previous: BTreeSet<ObjectId>,
    /// The originals of late records.
    late: BTreeSet<String>,
}

impl Arrived {
    /// Collects the records that are in the chain, without known strays.
    pub(in crate::ledger) fn new(records: &[LedgerRecord], chain: Option<&Line>) -> Self {
        let strays = chain.map(|chain| chain.strays(records)).unwrap_or_default();
        let records_of_chain = || records.iter().filter(|found| !strays.contains(&found.object));
        Self {
            names: records.iter().map(|found| found.id.clone()).collect(),
            tags: records_of_chain().map(|found| found.object.clone()).collect(),
            previous: records_of_chain().filter_map(|found| found.record.previous.clone()).collect(),
            late: published_late(records_of_chain()).into_iter().map(str::to_owned).collect(),
        }
    }

    /// The first free sequence of a record's second.
    pub(super) fn free_sequence(&mut self, record: &LedgerRecord) -> u32 {
        if self.names.insert(record.id.clone()) {
            record.id.sequence
        } else {
            record.id.next_sequence(&mut self.names)
        }
    }

    fn placement(&self, record: &LedgerRecord) -> Option<Placement> {
        let (object, identity) = (&record.object, identity(record));
        let is_told = self.late.contains(identity) || self.tags.iter().any(|tag| tag.as_str() == identity);
        if self.tags.contains(object) || is_told {
            Some(Placement::Arrived)
        } else {
            self.previous.contains(object).then_some(Placement::Untagged)
        }
    }
}

/// Places a record on a chain that ends with `head`. `arrived` is needed only where the
/// end of the chain does not decide.
pub(in crate::ledger) fn place(
    record: &LedgerRecord,
    head: Option<&ObjectId>,
    arrived: Option<&Arrived>,
) -> Placement {
    if head == Some(&record.object) {
        Placement::Newest
    } else if head == record.record.previous.as_ref() {
        Placement::AsWritten
    } else {
        arrived.and_then(|arrived| arrived.placement(record)).unwrap_or(Placement::Late)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deployment::RecordStatus;
    use crate::deployment::fixtures::record;

    fn object(name: char) -> ObjectId {
        name.to_string().repeat(40).parse().unwrap()
    }

    fn of(name: char, previous: Option<char>) -> LedgerRecord {
        let mut found = record("dev", "api", "abc123d", RecordStatus::Success, "2025-01-22T12:00:00Z");
        found.object = object(name);
        found.record.previous = previous.map(object);
        found.record.details.number = Some(1);
        found
    }

    #[test]
    fn a_record_is_placed_by_its_object_and_never_by_its_name() {
        let kept = of('b', Some('a'));
        let placed = |head: Option<char>, remote: &[LedgerRecord]| {
            let head = head.map(object);
            let line = head.as_ref().map(|head| {
                Line::follow(head, |object| {
                    let found = remote.iter().find(|found| found.object == *object)?;
                    Some(found.record.previous.clone())
                })
            });
            place(&kept, head.as_ref(), Some(&Arrived::new(remote, line.as_ref())))
        };
        let (first, own) = (of('a', None), of('b', Some('a')));
        let (other, after) = (of('c', Some('a')), of('d', Some('b')));
        assert_eq!(placed(Some('a'), std::slice::from_ref(&first)), Placement::AsWritten);
        // Only the tag has arrived.
        assert_eq!(placed(Some('a'), &[first.clone(), own.clone()]), Placement::AsWritten);
        assert_eq!(placed(Some('b'), &[first.clone(), own.clone()]), Placement::Newest);
        // The tag is missing.
        assert_eq!(placed(Some('b'), std::slice::from_ref(&first)), Placement::Newest);
        assert_eq!(placed(Some('d'), &[first.clone(), after.clone()]), Placement::Untagged);
        assert_eq!(placed(Some('d'), &[first.clone(), own, after]), Placement::Arrived);
        assert_eq!(placed(Some('c'), &[first.clone(), other.clone()]), Placement::Late);
        // The ledger was recreated, or is another one.
        assert_eq!(placed(None, &[]), Placement::Late);
        let mut late = of('e', Some('c'));
        late.record.details.late_of = Some(object('b').to_string());
        assert_eq!(placed(Some('e'), &[first.clone(), other.clone(), late.clone()]), Placement::Arrived);
        // The record's tag arrived after other records had extended the chain.
        let stray = of('b', Some('a'));
        let landed = [first, other, stray, late];
        assert_eq!(placed(Some('c'), &landed[..3]), Placement::Late);
        assert_eq!(placed(Some('e'), &landed), Placement::Arrived, "publishing it twice is a no-op");
    }

    #[test]
    fn the_first_record_of_a_component_goes_up_where_there_is_none() {
        assert_eq!(place(&of('a', None), None, None), Placement::AsWritten);
        assert_eq!(place(&of('a', None), Some(&object('c')), None), Placement::Late);
    }
}
