//! Pending records, until the remote has them: `refs/atmos/pending/<run>/…`.
//!
//! A record is pending from before its push until it has arrived, so that neither an unreachable
//! remote nor a killed process loses it. `<run>.<session>/%records-<id>` is a [`batch`], and
//! `<run>.<session>/%run` is the run's lock, which tells whether the run is alive. Earlier versions
//! stored each record in a ref named after its tag.
//!
//! A run that ends by itself removes its `%run` entry and leaves its pending records: from then on
//! any command publishes them, also in the next container of the same job. The entry of a killed
//! run stays, and its records wait for as long as the run may be alive.

mod placement;
mod publish;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::deployment::judgement::Liveness;
use crate::deployment::lock::Lock;
use crate::deployment::record::LedgerRecord;
use crate::deployment::record_order::newest_first_of_all;
use crate::deployment::ref_names::{LOCK_PREFIX, RECORD_TAG_PREFIX};
use crate::deployment::{ObjectId, RecordId};

use super::codec::decode_lock;
use super::holder::Holder;
use super::refs::KnownRefs;
use super::{Ledger, batch};

#[cfg(test)]
pub(super) use placement::{Arrived, Placement, place};
pub use publish::Published;

pub(super) const PENDING_PREFIX: &str = "refs/atmos/pending/";
/// The entry of a run that is its lock. No deployment can have this name.
const RUN_ENTRY: &str = "%run";
/// The prefix of the entry of a batch of records; its id follows.
const BATCH_ENTRY: &str = "%records-";

/// A run of this checkout whose records have not all reached the remote.
#[derive(Debug, Clone, PartialEq)]
pub struct PendingRun {
    pub run_id: String,
    /// The acquisition of locks that the records belong to: [`Lock::session`]. Absent in entries of
    /// earlier versions.
    pub session: Option<String>,
    /// The lock that the run held; `None` where the run has ended by itself.
    pub lock: Option<Lock>,
    /// Whether a lock of the run is known. A running process without its locks publishes nothing
    /// itself.
    pub holds_locks: bool,
    /// Oldest first.
    pub records: Vec<LedgerRecord>,
    /// The refs that store this run.
    pub(super) refs: Vec<(String, ObjectId)>,
    /// The refs with content that this version cannot read. They stay.
    pub(super) unreadable: Vec<String>,
}

impl PendingRun {
    /// The ref that keeps another batch of its records.
    fn batch_ref(&self, batch: &ObjectId) -> String {
        format!("{PENDING_PREFIX}{}/{BATCH_ENTRY}{batch}", segment(&self.run_id, self.session.as_deref()))
    }

    /// Whether the run is known to be over: it has ended by itself, or its process is gone.
    pub(super) fn has_ended(&self) -> bool {
        self.lock.as_ref().is_none_or(|lock| Holder::liveness(lock) == Liveness::Dead)
    }

    /// Whether the process that has to publish these records may still be alive. Where its machine
    /// cannot tell, its locks and their lease decide.
    #[must_use]
    pub fn may_be_alive(&self, now: Timestamp) -> bool {
        self.lock.as_ref().is_some_and(|lock| match Holder::liveness(lock) {
            Liveness::Alive => true,
            Liveness::Dead => false,
            Liveness::Unknown => self.holds_locks && !lock.expired(now),
        })
    }
}

/// The ref of a batch of the records that were made under a lock.
pub(super) fn batch_ref(lock: &Lock, batch: &ObjectId) -> String {
    format!("{PENDING_PREFIX}{}/{BATCH_ENTRY}{batch}", segment(&lock.run_id, lock.session.as_deref()))
}

/// The ref of a running process's lock.
pub(super) fn run_ref(lock: &Lock) -> String {
    format!("{PENDING_PREFIX}{}/{RUN_ENTRY}", segment(&lock.run_id, lock.session.as_deref()))
}

/// The longest run id, in bytes of its escaped form.
pub const LONGEST_RUN_ID: usize = 200;

/// Whether a run with this id can store its records: the id becomes part of a ref, and so of a file
/// name.
#[must_use]
pub fn run_id_fits(run: &str) -> bool {
    run_segment(run).len() <= LONGEST_RUN_ID
}

/// A run and one of its sessions as one segment. An escaped run id contains no dot.
fn segment(run: &str, session: Option<&str>) -> String {
    let run = run_segment(run);
    session.map_or_else(|| run.clone(), |session| format!("{run}.{session}"))
}

fn run_segment(run: &str) -> String {
    // Run ids contain colons and slashes; the escaping of components works for them as well.
    run.chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || c == '-' {
                c.to_string()
            } else {
                format!("%{:02X}", u32::from(c))
            }
        })
        .collect()
}

impl Ledger<'_> {
    /// The pending runs among refs that were read.
    pub(super) fn pending_runs(&self, known: &KnownRefs) -> Vec<PendingRun> {
        let mut runs: BTreeMap<String, PendingRun> = BTreeMap::new();
        let refs = known
            .local
            .range(PENDING_PREFIX.to_owned()..)
            .take_while(|(name, _)| name.starts_with(PENDING_PREFIX));
        for (name, object) in refs {
            let Some((segment, entry)) = name[PENDING_PREFIX.len()..].split_once('/') else { continue };
            let run = runs.entry(segment.to_owned()).or_insert_with(|| PendingRun {
                run_id: segment.to_owned(),
                session: segment.split_once('.').map(|(_, session)| session.to_owned()),
                lock: None,
                holds_locks: false,
                records: Vec::new(),
                refs: Vec::new(),
                unreadable: Vec::new(),
            });
            run.refs.push((name.clone(), object.clone()));
            if entry == RUN_ENTRY {
                run.lock = self.objects.read_tag(object).ok().and_then(|tag| decode_lock(&tag.message).ok());
            } else if entry.starts_with(BATCH_ENTRY) {
                if !self.read_batch(name, object, &mut run.records) {
                    run.unreadable.push(name.clone());
                }
            } else if RecordId::parse(&format!("{RECORD_TAG_PREFIX}{entry}")).is_ok() {
                match self.read_own_record(object) {
                    Some(record) => run.records.push(record),
                    None => run.unreadable.push(name.clone()),
                }
            } else {
                run.unreadable.push(name.clone());
            }
        }
        let mut runs: Vec<_> = runs.into_values().collect();
        let locked = if runs.is_empty() { BTreeSet::new() } else { self.sessions(known) };
        for run in &mut runs {
            run.holds_locks = run.session.as_ref().is_some_and(|session| locked.contains(session));
            let of_record = run.records.first().and_then(|record| record.record.run_id.clone());
            if let Some(run_id) = run.lock.as_ref().map(|lock| lock.run_id.clone()).or(of_record) {
                run.run_id = run_id;
            }
            run.records = newest_first_of_all(std::mem::take(&mut run.records));
            run.records.reverse();
        }
        runs
    }

    /// The sessions ([`Lock::session`]) of which a lock is known.
    fn sessions(&self, known: &KnownRefs) -> BTreeSet<String> {
        let locks = self.authoritative(known).iter().filter(|(name, _)| name.starts_with(LOCK_PREFIX));
        locks.filter_map(|(name, object)| self.read_lock(name, object).session).collect()
    }

    /// Adds the records of a batch. Returns whether it is whole: a truncated one, or one of a newer
    /// version, is reported and stays.
    fn read_batch(&self, name: &str, object: &ObjectId, records: &mut Vec<LedgerRecord>) -> bool {
        let read = batch::read(&self.objects, object);
        let (tags, is_whole) = match read {
            Ok(read) => read,
            Err(error) => {
                self.warn(format!("{name} cannot be read, and stays: {error}"));
                return false;
            }
        };
        if !is_whole {
            self.warn(format!("{name} is cut off, and stays"));
        }
        let found = tags.iter().filter_map(|tag| self.read_own_record(tag));
        let before = records.len();
        records.extend(found);
        is_whole && records.len() - before == tags.len()
    }
}

#[cfg(test)]
mod tests;
