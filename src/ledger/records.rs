//! Reading records: one, or many at once.

use std::fmt::Display;
use std::num::NonZero;
use std::thread;

use crate::deployment::record::LedgerRecord;
use crate::deployment::ref_names::ComponentAddress;
use crate::deployment::{CommitId, ObjectId, RecordId};
use crate::git::ObjectStore;
use crate::git::objects::ObjectError;

use super::codec::{Found, decode_record};
use super::{Ledger, LedgerError};

/// How many records another thread is worth. Starting it and opening the objects for it takes as long as reading thirty.
const WORTH_A_THREAD: usize = 100;

/// Why a record is passed over.
type Skipped = String;

impl Ledger<'_> {
    /// Reads the records behind history tags, in no order. Many are read on several cores: unpacking them is most of what
    /// a history costs.
    pub(super) fn read_named(
        &self,
        mut tags: Vec<(RecordId, ObjectId)>,
    ) -> Result<Vec<LedgerRecord>, LedgerError> {
        let cores = thread::available_parallelism().map_or(1, NonZero::get);
        let threads = (tags.len() / WORTH_A_THREAD).clamp(1, cores);
        let share = tags.len() / threads;
        let read = thread::scope(|scope| {
            let mut helpers = Vec::new();
            for _ in 1..threads {
                let objects = self.repository.objects()?;
                let tags = tags.split_off(tags.len() - share);
                helpers.push(scope.spawn(move || read_all(&objects, tags)));
            }
            let mut read = read_all(&self.objects, tags);
            for helper in helpers {
                read.extend(helper.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
            }
            Ok::<_, ObjectError>(read)
        })?;
        Ok(read.into_iter().filter_map(|record| self.or_warn(record)).collect())
    }

    /// Reads a component's record whose tag object is known; its name stands in the object itself.
    pub(super) fn read_record(&self, address: &ComponentAddress, object: &ObjectId) -> Option<LedgerRecord> {
        let ComponentAddress { deployment, target, component } = address;
        let what = format!("a record of {component} in {deployment}/{target}");
        let record = read(&self.objects, None, object, &what).and_then(|record| {
            if ComponentAddress::of(&record.id) == *address {
                return Ok(record);
            }
            Err(skipped(&what, &format!("it is the record of {}", record.id.tag_name())))
        });
        self.or_warn(record)
    }

    /// Reads a record that this checkout keeps; whose it is, its tag says.
    pub(super) fn read_own_record(&self, object: &ObjectId) -> Option<LedgerRecord> {
        self.or_warn(read(&self.objects, None, object, &format!("the kept record {object}")))
    }

    fn or_warn(&self, record: Result<LedgerRecord, Skipped>) -> Option<LedgerRecord> {
        record.map_err(|skipped| self.warn(skipped)).ok()
    }
}

fn read_all(objects: &ObjectStore, tags: Vec<(RecordId, ObjectId)>) -> Vec<Result<LedgerRecord, Skipped>> {
    tags.into_iter()
        .map(|(id, object)| {
            let name = id.tag_name();
            read(objects, Some(id), &object, &name)
        })
        .collect()
}

/// Reads the record in a tag object, which is called `what` where it cannot be read. Without an id, the tag's own name is it.
fn read(
    objects: &ObjectStore,
    id: Option<RecordId>,
    object: &ObjectId,
    what: &str,
) -> Result<LedgerRecord, Skipped> {
    let tag = objects.read_tag(object).map_err(|error| skipped(what, &error))?;
    let id = match id {
        Some(id) => id,
        None => RecordId::parse(&tag.name).map_err(|error| skipped(what, &error))?,
    };
    let found = Found {
        deployment: &id.deployment,
        target: &id.target,
        component: &id.component,
        timestamp: id.timestamp,
        commit: CommitId(tag.target),
    };
    match decode_record(&tag.message, found) {
        Ok(record) => Ok(LedgerRecord { id, object: object.clone(), record }),
        Err(error) => Err(skipped(&id.tag_name(), &error)),
    }
}

fn skipped(what: &str, why: &dyn Display) -> Skipped {
    format!("{what} is skipped: {why}")
}
