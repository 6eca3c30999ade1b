//! The order of records: by number within a component, by time where they have none.
//!
//! A wrong clock must not change the order of the records around it, so that times decide only
//! where numbers and predecessors do not.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::Timestamp;

use super::commit::ObjectId;
use super::record::LedgerRecord;
use super::ref_names::ComponentAddress;

/// The records of one component, newest first.
///
/// Numbered records are sorted by number, ties by object id. The others are merged in by time,
/// except that the predecessor of a numbered record, and every unnumbered one older than that, is
/// older than the numbered one. Numbers that are not their predecessor's plus one ([`misnumbered`])
/// are ignored, and so is the number of a late record, which is that of its publication.
#[must_use]
pub fn newest_first(records: Vec<LedgerRecord>) -> Vec<LedgerRecord> {
    let ignored: BTreeSet<_> =
        misnumbered(&records).into_iter().map(|record| record.object.clone()).collect();
    let is_numbered = |record: &LedgerRecord| {
        number(record).is_some() && !record.is_late() && !ignored.contains(&record.object)
    };
    let (mut numbered, mut others): (Vec<_>, Vec<_>) = records.into_iter().partition(is_numbered);
    let newer_first = |one: &LedgerRecord, other: &LedgerRecord| other.object.cmp(&one.object);
    numbered.sort_by(|one, other| number(other).cmp(&number(one)).then_with(|| newer_first(one, other)));
    others.sort_by(|one, other| other.compare_age(one).then_with(|| newer_first(one, other)));

    // The number of numbered records that are certainly newer than the given predecessor.
    let mut newer: HashMap<ObjectId, usize> = HashMap::new();
    if !others.is_empty() {
        for (at, record) in numbered.iter().enumerate() {
            newer.extend(record.record.previous.clone().map(|previous| (previous, at + 1)));
        }
    }
    let mut ordered = Vec::with_capacity(numbered.len() + others.len());
    let mut numbered = numbered.into_iter().enumerate().peekable();
    let mut at_least = 0;
    for other in others {
        at_least = at_least.max(newer.get(&other.object).copied().unwrap_or(0));
        // Within one second, a late record counts as older than the others, regardless of the
        // sequence in its name.
        let is_younger = |record: &LedgerRecord| {
            if other.is_late() {
                record.record.timestamp >= other.record.timestamp
            } else {
                record.compare_age(&other).is_gt()
            }
        };
        let is_newer = |(at, record): &(usize, LedgerRecord)| *at < at_least || is_younger(record);
        while let Some((_, record)) = numbered.next_if(is_newer) {
            ordered.push(record);
        }
        ordered.push(other);
    }
    ordered.extend(numbered.map(|(_, record)| record));
    ordered
}

/// The records of one component whose number is not that of their predecessor plus one, or not 1 if
/// they have none.
///
/// A predecessor that is not among the records, or has no number, proves nothing.
#[must_use]
pub fn misnumbered(records: &[LedgerRecord]) -> Vec<&LedgerRecord> {
    if records.iter().all(|record| number(record).is_none()) {
        return Vec::new();
    }
    let numbers: HashMap<_, _> = records.iter().map(|record| (&record.object, number(record))).collect();
    let is_wrong = |record: &&LedgerRecord| {
        number(record).is_some_and(|number| match &record.record.previous {
            None => number != 1,
            Some(previous) => {
                let before = numbers.get(previous).copied().flatten();
                before.is_some_and(|before| before.checked_add(1) != Some(number))
            }
        })
    };
    records.iter().filter(is_wrong).collect()
}

/// Sorts records of any components by time, newest first, preserving each component's own order
/// ([`newest_first`]).
///
/// A record is placed at its own time or at that of the next newer one of its
/// component, whichever is earlier.
#[must_use]
pub fn newest_first_of_all(records: Vec<LedgerRecord>) -> Vec<LedgerRecord> {
    let mut components: BTreeMap<ComponentAddress, Vec<LedgerRecord>> = BTreeMap::new();
    for record in records {
        components.entry(ComponentAddress::of(&record.id)).or_default().push(record);
    }
    merged_newest_first(components.into_values())
}

/// As [`newest_first_of_all`], for records that are sorted per component already.
pub fn merged_newest_first(components: impl IntoIterator<Item = Vec<LedgerRecord>>) -> Vec<LedgerRecord> {
    let mut placed = Vec::new();
    for (component, records) in components.into_iter().enumerate() {
        let mut place = (Timestamp::MAX, u32::MAX);
        for (at, record) in newest_first(records).into_iter().enumerate() {
            place = place.min((record.record.timestamp, record.id.sequence));
            placed.push(((Reverse(place), component, at), record));
        }
    }
    // Records are large: each is moved only once.
    placed.sort_by_cached_key(|(place, _)| *place);
    placed.into_iter().map(|(_, record)| record).collect()
}

const fn number(record: &LedgerRecord) -> Option<u64> {
    record.record.details.number
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::fixtures;
    use super::super::record::RecordStatus;
    use super::*;

    /// The object id of the record with this name, a hexadecimal digit.
    fn object(name: char) -> ObjectId {
        name.to_string().repeat(40).parse().unwrap()
    }

    /// A record of `api` in a year, by its name, number and predecessor.
    fn of(name: char, year: i32, number: Option<u64>, previous: Option<char>) -> LedgerRecord {
        let time = format!("{year}-01-01T00:00:00Z");
        let mut record = fixtures::record("prod", "api", "abc", RecordStatus::Success, &time);
        record.object = object(name);
        record.record.details.number = number;
        record.record.previous = previous.map(object);
        record
    }

    fn names(records: &[LedgerRecord]) -> String {
        records.iter().filter_map(|record| record.object.as_str().chars().next()).collect()
    }

    #[test]
    fn numbers_come_before_times() {
        let records = vec![
            of('1', 2025, Some(1), None),
            of('2', 2099, Some(2), Some('1')),
            of('3', 1970, Some(3), Some('2')),
            of('4', 2026, Some(4), Some('3')),
        ];
        assert_eq!(names(&newest_first(records)), "4321");
    }

    #[test]
    fn records_without_numbers_are_in_order_of_time() {
        let mut second = of('c', 2025, None, None);
        second.id.sequence = 2;
        let records =
            vec![of('b', 2025, None, None), of('a', 2025, None, None), second, of('0', 2026, None, None)];
        assert_eq!(names(&newest_first(records)), "0cba");
    }

    #[test]
    fn records_without_numbers_are_merged_in_by_time() {
        let records = vec![
            of('a', 2024, None, None),
            of('1', 2025, Some(2), Some('a')),
            of('b', 2026, None, Some('1')),
            of('2', 2027, Some(4), Some('b')),
            of('c', 2028, None, None),
        ];
        assert_eq!(names(&newest_first(records)), "c2b1a");
    }

    #[test]
    fn what_a_numbered_record_follows_is_older_whatever_its_time() {
        let records = vec![
            of('a', 2024, None, None),
            of('b', 2099, None, None),
            of('3', 2026, Some(3), Some('b')),
            of('4', 2027, Some(4), Some('3')),
            of('c', 2098, None, None),
        ];
        assert_eq!(names(&newest_first(records)), "43bca");
    }

    #[test]
    fn a_late_record_is_placed_at_its_own_time() {
        let late = |name, year, number, previous| {
            let mut record = of(name, year, Some(number), Some(previous));
            record.record.details.late_of = Some("f".repeat(40));
            record
        };
        let records = vec![
            of('1', 2024, Some(1), None),
            of('2', 2026, Some(2), Some('1')),
            late('3', 2025, 3, '2'),
            of('4', 2027, Some(4), Some('3')),
        ];
        assert!(misnumbered(&records).is_empty());
        assert_eq!(names(&newest_first(records)), "4231");
        let of_one_second = vec![of('1', 2024, Some(1), None), late('2', 2024, 2, '1')];
        assert_eq!(names(&newest_first(of_one_second)), "12");
    }

    #[test]
    fn a_number_that_does_not_follow_is_ignored() {
        let records = vec![
            of('1', 2024, Some(1), None),
            of('2', 2025, Some(2), Some('1')),
            of('9', 2024, Some(900), Some('1')),
            of('8', 2023, Some(800), None),
            of('3', 2026, Some(3), Some('2')),
        ];
        assert_eq!(names(&misnumbered(&records).into_iter().cloned().collect::<Vec<_>>()), "98");
        assert_eq!(names(&newest_first(records)), "32918");
        // A partially read history, or one whose start has no numbers.
        assert!(misnumbered(&[of('7', 2024, Some(7), Some('6'))]).is_empty());
        assert!(misnumbered(&[of('7', 2024, Some(7), Some('6')), of('6', 2023, None, None)]).is_empty());
    }

    #[test]
    fn ties_are_broken_by_object_id() {
        let records = vec![
            of('a', 2026, Some(2), Some('1')),
            of('c', 2025, Some(2), Some('1')),
            of('1', 2024, Some(1), None),
        ];
        assert_eq!(names(&newest_first(records)), "ca1");
    }

    #[test]
    fn components_are_merged_by_time_and_keep_their_own_order() {
        let other = |name, year, number: Option<u64>| {
            let mut record = of(name, year, number, None);
            record.id.component = fixtures::component_name("worker");
            record
        };
        let records = vec![
            of('1', 2099, Some(1), None),
            of('2', 2025, Some(2), Some('1')),
            of('3', 2027, Some(3), Some('2')),
            other('a', 2024, None),
            other('b', 2026, None),
            other('c', 2027, None),
        ];
        assert_eq!(names(&newest_first_of_all(records)), "3cb21a");
    }

    proptest! {
        #[test]
        fn the_order_does_not_depend_on_that_of_reading(
            records in prop::collection::vec(
                (0..4, prop::option::of(1..4_u64), prop::option::of(prop::sample::select(vec!['0', '2', '5']))),
                0..8,
            ),
            rotation in 0..8_usize,
        ) {
            let records: Vec<_> = records
                .into_iter()
                .zip("01234567".chars())
                .map(|((year, number, previous), name)| of(name, 2020 + year, number, previous))
                .collect();
            let mut turned = records.clone();
            turned.rotate_left(rotation.min(records.len()));
            let ordered = newest_first(records.clone());
            prop_assert_eq!(names(&newest_first(turned)), names(&ordered));
            prop_assert_eq!(ordered.len(), records.len());
            let wrong: Vec<_> = misnumbered(&records).into_iter().map(|record| &record.object).collect();
            let numbers: Vec<_> = ordered
                .iter()
                .filter(|record| !wrong.contains(&&record.object))
                .filter_map(number)
                .collect();
            prop_assert!(numbers.is_sorted_by(|one, other| one >= other), "{:?}", numbers);
        }
    }
}
