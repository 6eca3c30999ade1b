//! The decisions of the ledger's own code for the model's pushes and records.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::deployment::record::LedgerRecord;
use crate::deployment::ref_names::{LATEST_PREFIX, LOCK_PREFIX, STATE_PREFIX, TAGS_PREFIX};
use crate::deployment::{ObjectId, RecordStatus, fixtures};
use crate::ledger::line::Line;
use crate::ledger::pending::{Arrived, Placement, place};
use crate::ledger::step::{HoldChange, Step};
use crate::ledger::strays::untold;

use super::remote::{Id, Kind, Name, Rec, Update};

fn object(kind: char, id: Id) -> ObjectId {
    format!("{kind}{id:039}").parse().unwrap()
}

/// The parts of a push, in the ledger's order.
pub(super) fn parts(
    atomic: bool,
    updates: &[Update],
    locks: &[(usize, Id)],
    renewed: Id,
    release: bool,
) -> Vec<Vec<Update>> {
    let mut step = Step::default();
    let mut names = HashMap::new();
    for update in updates {
        let name = match update.name {
            Name::Lock(component) => format!("{LOCK_PREFIX}{component}"),
            Name::Tag(id) => format!("{TAGS_PREFIX}{id}"),
            Name::Latest(component) => format!("{LATEST_PREFIX}{component}"),
            Name::State(component) => format!("{STATE_PREFIX}{component}"),
        };
        names.insert(name.clone(), *update);
        step.set(name, object('a', update.new), Some(&object('a', update.expected)));
    }
    let seen =
        locks.iter().map(|(component, seen)| (format!("{LOCK_PREFIX}{component}"), object('b', *seen)));
    step.under(HoldChange { seen: seen.collect(), renewed: object('b', renewed), release });
    let of_lock = |name: &str, new: &Option<ObjectId>, expected: &Option<ObjectId>| {
        let component = name.strip_prefix(LOCK_PREFIX).and_then(|rest| rest.parse().ok()).unwrap();
        let id = |object: &Option<ObjectId>| {
            object.as_ref().map_or(0, |object| object.as_str()[1..].parse::<Id>().unwrap())
        };
        Update { name: Name::Lock(component), new: id(new), expected: id(expected) }
    };
    let convert = |update: &crate::git::transport::PushUpdate| {
        let known = names.get(&update.name).copied();
        known.unwrap_or_else(|| of_lock(&update.name, &update.new, &update.expected))
    };
    if atomic {
        return vec![step.updates().iter().map(convert).collect()];
    }
    step.in_safe_order().iter().map(|part| part.iter().map(convert).collect()).collect()
}

/// A record of the model as a ledger record.
fn made((id, rec): &(Id, Rec)) -> LedgerRecord {
    let mut found = fixtures::record("dev", "api", "abc123d", RecordStatus::Success, "2025-01-22T12:00:00Z");
    found.object = object('a', *id);
    found.record.previous = (rec.previous != 0).then(|| object('a', rec.previous));
    found.record.details.number = Some(1);
    if let Kind::Late(of) = rec.kind {
        found.record.details.late_of = Some(object('a', of).to_string());
    }
    found
}

fn line(end: &ObjectId, records: &[LedgerRecord]) -> Line {
    Line::follow(end, |object| {
        let found = records.iter().find(|found| found.object == *object)?;
        Some(found.record.previous.clone())
    })
}

/// The records outside of a chain that the next run publishes.
pub(super) fn strays(end: Id, there: &[(Id, Rec)]) -> Vec<Id> {
    let records: Vec<_> = there.iter().map(made).collect();
    let strays = untold(&line(&object('a', end), &records), &records);
    let id = |(found, _): &(LedgerRecord, u32)| {
        there.iter().find(|(id, _)| object('a', *id) == found.object).map(|(id, _)| *id)
    };
    strays.iter().filter_map(id).collect()
}

/// The ledger's placement of a pending record.
pub(super) fn placement(kept: (Id, Rec), end: Id, there: &[(Id, Rec)]) -> Placement {
    type Known = HashMap<((Id, Rec), Id, Vec<(Id, Rec)>), Placement>;
    static KNOWN: Mutex<Option<Known>> = Mutex::new(None);
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let key = (kept, end, there.to_vec());
    let found = known.get_or_insert_default();
    *found.entry(key).or_insert_with(|| {
        let arrived: Vec<_> = there.iter().map(made).collect();
        let end = (end != 0).then(|| object('a', end));
        let line = end.as_ref().map(|end| line(end, &arrived));
        place(&made(&kept), end.as_ref(), Some(&Arrived::new(&arrived, line.as_ref())))
    })
}
