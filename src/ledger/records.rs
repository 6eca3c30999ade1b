//! Reading records.

use std::fmt::Display;

use jiff::{SignedDuration, Timestamp};

use crate::deployment::record::LedgerRecord;
use crate::deployment::record_order::{misnumbered, newest_first};
use crate::deployment::ref_names::ComponentAddress;
use crate::deployment::{CommitId, ObjectId, RecordId};
use crate::git::ObjectStore;
use crate::git::objects::TagObject;

use super::Ledger;
use super::codec::{Found, decode_record};
use super::record_tags::RecordTag;
use super::warnings::Cause;

/// The tolerated difference between the clocks of two machines, without a warning.
const CLOCK_TOLERANCE: SignedDuration = SignedDuration::from_mins(5);

/// The reason why a record is skipped.
type Skipped = String;

impl Ledger<'_> {
    /// Reads the record behind a history tag.
    pub(super) fn read_tagged(&self, RecordTag { name, id, object }: RecordTag) -> Option<LedgerRecord> {
        let record = match self.objects.read_tag(&object) {
            Ok(tag) if tag.name != name => Err(skipped(&name, &format!("it is the record of {}", tag.name))),
            Ok(tag) => decode(id, &object, tag),
            Err(error) => Err(skipped(&name, &error)),
        };
        self.or_warn(record)
    }

    /// Reads a component's record by its tag object, which contains the record's name.
    pub(super) fn read_record(&self, address: &ComponentAddress, object: &ObjectId) -> Option<LedgerRecord> {
        let what = || {
            let ComponentAddress { deployment, target, component } = address;
            format!("a record of {component} in {deployment}/{target}")
        };
        let record = read_unnamed(&self.objects, object, what).and_then(|record| {
            if ComponentAddress::of(&record.id) == *address {
                return Ok(record);
            }
            Err(skipped(&what(), &format!("it is the record of {}", record.id.tag_name())))
        });
        self.or_warn(record)
    }

    /// Reads a pending record of this checkout; its tag names the component.
    pub(super) fn read_own_record(&self, object: &ObjectId) -> Option<LedgerRecord> {
        self.or_warn(read_unnamed(&self.objects, object, || format!("the kept record {object}")))
    }

    /// The records of one component, newest first. Inconsistent numbers cause warnings.
    pub(super) fn ordered(&self, records: Vec<LedgerRecord>) -> Vec<LedgerRecord> {
        self.warn_of_numbers(&records);
        newest_first(records)
    }

    /// Warns of the records of one component whose number does not follow its predecessor's.
    pub(super) fn warn_of_numbers(&self, records: &[LedgerRecord]) {
        for LedgerRecord { id, record, .. } in misnumbered(records) {
            let number = record.details.number.unwrap_or_default();
            let name = id.tag_name();
            self.warn(format!(
                "the number {number} of {name} does not follow its previous record's: ignored"
            ));
        }
    }

    /// Whether a time is further in the future than clocks may differ.
    pub(super) fn is_future(&self, time: Timestamp) -> bool {
        time.duration_since(self.now()) > CLOCK_TOLERANCE
    }

    /// Warns of a record that is dated in the future. Its order does not depend on that.
    pub(super) fn warn_of_future(&self, LedgerRecord { id, record, .. }: &LedgerRecord) {
        let time = record.timestamp.max(id.timestamp);
        if self.is_future(time) {
            let name = id.tag_name();
            self.warn(format!("{name} is dated {time}, in the future: the clock of its machine was wrong"));
        }
    }

    fn or_warn(&self, record: Result<LedgerRecord, Skipped>) -> Option<LedgerRecord> {
        record.map_err(|skipped| self.warn_of(Cause::Record, skipped)).ok()
    }
}

/// Reads the record in a tag object, under the name in that object. `what` names it in warnings
/// where it cannot be read.
fn read_unnamed(
    objects: &ObjectStore,
    object: &ObjectId,
    what: impl Fn() -> String,
) -> Result<LedgerRecord, Skipped> {
    let tag = objects.read_tag(object).map_err(|error| skipped(&what(), &error))?;
    let id = RecordId::parse(&tag.name).map_err(|error| skipped(&what(), &error))?;
    decode(id, object, tag)
}

fn decode(id: RecordId, object: &ObjectId, tag: TagObject) -> Result<LedgerRecord, Skipped> {
    if !tag.is_of_commit {
        return Err(skipped(&id.tag_name(), &format!("it is of {}, which is no commit", tag.target)));
    }
    let found = Found {
        deployment: &id.deployment,
        target: &id.target,
        component: &id.component,
        timestamp: id.timestamp,
        commit: CommitId(tag.target),
    };
    match decode_record(&tag.message, found) {
        Ok(record) => Ok(LedgerRecord { id, object: object.clone(), record: Box::new(record) }),
        Err(error) => Err(skipped(&id.tag_name(), &error)),
    }
}

fn skipped(what: &str, why: &dyn Display) -> Skipped {
    format!("{what} is skipped: {why}")
}
