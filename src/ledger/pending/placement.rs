//! Where a kept record goes in the chain of its component. Pure: the same answers, whatever is
//! retried.

use std::collections::BTreeSet;

use crate::deployment::ObjectId;
use crate::deployment::record::LedgerRecord;

/// How a kept record reaches the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Placement {
    /// It is the end of the chain already. A push that was torn may have left out its tag or its
    /// state.
    Newest,
    /// Its tag is there, or another record publishes it late.
    Arrived,
    /// A later record leads to it, and its tag was left out.
    Untagged,
    /// No other record has come in between: it goes up as it was written, or what is missing of it
    /// does.
    AsWritten,
    /// Others have: it goes on top of them, marked as late.
    Late,
}

/// The records of one component that the remote has, by object: a record's name can be taken by
/// another one.
#[derive(Debug, Default)]
pub(super) struct Arrived {
    tags: BTreeSet<ObjectId>,
    /// The objects that records name as their predecessors.
    previous: BTreeSet<ObjectId>,
    /// Those that records publish late.
    late: BTreeSet<String>,
}

impl Arrived {
    pub(super) fn new(records: &[LedgerRecord]) -> Self {
        let records = || records.iter();
        Self {
            tags: records().map(|found| found.object.clone()).collect(),
            previous: records().filter_map(|found| found.record.previous.clone()).collect(),
            late: records().filter_map(|found| found.record.details.late_of.clone()).collect(),
        }
    }

    fn placement(&self, object: &ObjectId) -> Option<Placement> {
        if self.tags.contains(object) || self.late.contains(object.as_str()) {
            Some(Placement::Arrived)
        } else {
            self.previous.contains(object).then_some(Placement::Untagged)
        }
    }
}

/// Places a record on a chain that ends with `head`. `arrived` is what the remote has of the
/// component, where that was read: it need not be where the end of the chain tells.
pub(super) fn place(record: &LedgerRecord, head: Option<&ObjectId>, arrived: Option<&Arrived>) -> Placement {
    if head == Some(&record.object) {
        Placement::Newest
    } else if head == record.record.previous.as_ref() {
        Placement::AsWritten
    } else {
        arrived.and_then(|arrived| arrived.placement(&record.object)).unwrap_or(Placement::Late)
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
        found
    }

    #[test]
    fn a_record_is_placed_by_its_object_and_never_by_its_name() {
        let kept = of('b', Some('a'));
        let placed = |head: Option<char>, remote: &[LedgerRecord]| {
            place(&kept, head.map(object).as_ref(), Some(&Arrived::new(remote)))
        };
        let (first, own) = (of('a', None), of('b', Some('a')));
        let (other, after) = (of('c', Some('a')), of('d', Some('b')));
        assert_eq!(placed(Some('a'), std::slice::from_ref(&first)), Placement::AsWritten);
        // Only the tag has arrived.
        assert_eq!(placed(Some('a'), &[first.clone(), own.clone()]), Placement::AsWritten);
        assert_eq!(placed(Some('b'), &[first.clone(), own.clone()]), Placement::Newest);
        // The tag was left out.
        assert_eq!(placed(Some('b'), std::slice::from_ref(&first)), Placement::Newest);
        assert_eq!(placed(Some('d'), &[first.clone(), after.clone()]), Placement::Untagged);
        assert_eq!(placed(Some('d'), &[first.clone(), own, after]), Placement::Arrived);
        assert_eq!(placed(Some('c'), &[first.clone(), other.clone()]), Placement::Late);
        // The ledger was begun anew, or is another one.
        assert_eq!(placed(None, &[]), Placement::Late);
        let mut late = of('e', Some('c'));
        late.record.details.late_of = Some(object('b').to_string());
        assert_eq!(placed(Some('e'), &[first, other, late]), Placement::Arrived);
    }

    #[test]
    fn the_first_record_of_a_component_goes_up_where_there_is_none() {
        assert_eq!(place(&of('a', None), None, None), Placement::AsWritten);
        assert_eq!(place(&of('a', None), Some(&object('c')), None), Placement::Late);
    }
}
