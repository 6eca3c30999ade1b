//! Records that are kept here until the remote has them: `refs/atmos/pending/<run>/…`.
//!
//! A record is put here before it is pushed and taken away once it has arrived, so that neither a remote that has gone
//! nor a killed process loses one. `<run>/%records-<id>` are records that were made together (a [`batch`]), `<run>/%run` is
//! the run's lock, which tells whether the run still lives. Earlier versions kept each record by itself, in a ref that is
//! named after its tag.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::deployment::lock::Lock;
use crate::deployment::record::LedgerRecord;
use crate::deployment::record_order::newest_first_of_all;
use crate::deployment::ref_names::{RECORD_TAG_PREFIX, TAGS_PREFIX, latest_ref, state_ref};
use crate::deployment::{DeploymentName, ObjectId, RecordId, RecordStatus, TargetName};
use crate::git::refs::{Expected, RefUpdate};

use super::codec::decode_lock;
use super::holder::{Holder, Liveness};
use super::refs::KnownRefs;
use super::step::{Step, StepOutcome};
use super::{Ledger, LedgerError, Scope, batch};

pub(super) const PENDING_PREFIX: &str = "refs/atmos/pending/";
/// How often a publication that met others is made anew.
const ATTEMPTS: usize = 20;
/// The entry of a run that is its lock. No deployment can have this name.
const RUN_ENTRY: &str = "%run";
/// How an entry starts that is a batch of records; its id follows.
const BATCH_ENTRY: &str = "%records-";

/// A run of this checkout whose records have not all reached the remote.
#[derive(Debug, Clone, PartialEq)]
pub struct PendingRun {
    pub run_id: String,
    /// The lock that the run held.
    pub lock: Option<Lock>,
    /// Oldest first.
    pub records: Vec<LedgerRecord>,
    /// The refs that keep all this.
    pub(super) refs: Vec<(String, ObjectId)>,
}

impl PendingRun {
    /// Whether the process that is to publish these records may still be there to do so. Where its machine cannot tell,
    /// its lease does.
    #[must_use]
    pub fn may_be_alive(&self, now: Timestamp) -> bool {
        self.lock.as_ref().is_some_and(|lock| match Holder::liveness(lock) {
            Liveness::Alive => true,
            Liveness::Dead => false,
            Liveness::Unknown => !lock.expired(now),
        })
    }
}

/// The ref that keeps a batch of a run's records.
pub(super) fn batch_ref(run: &str, batch: &ObjectId) -> String {
    format!("{}{BATCH_ENTRY}{batch}", run_prefix(run))
}

/// The ref that keeps a run's lock.
pub(super) fn run_ref(run: &str) -> String {
    format!("{}{RUN_ENTRY}", run_prefix(run))
}

/// The longest run id, in bytes as a ref has it.
pub const LONGEST_RUN_ID: usize = 200;

/// Whether a run of this id can keep what it has done: the id becomes part of a ref, and with it of a file's name.
#[must_use]
pub fn run_id_fits(run: &str) -> bool {
    run_segment(run).len() <= LONGEST_RUN_ID
}

fn run_prefix(run: &str) -> String {
    format!("{PENDING_PREFIX}{}/", run_segment(run))
}

fn run_segment(run: &str) -> String {
    // Run ids hold colons and slashes; the escaping of components serves them as well.
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
                lock: None,
                records: Vec::new(),
                refs: Vec::new(),
            });
            run.refs.push((name.clone(), object.clone()));
            if entry == RUN_ENTRY {
                run.lock = self.objects.read_tag(object).ok().and_then(|tag| decode_lock(&tag.message).ok());
            } else if entry.starts_with(BATCH_ENTRY) {
                match batch::read(&self.objects, object) {
                    Ok(tags) => run.records.extend(tags.iter().filter_map(|tag| self.read_own_record(tag))),
                    Err(error) => self.warn(format!("{name} cannot be read: {error}")),
                }
            } else if RecordId::parse(&format!("{RECORD_TAG_PREFIX}{entry}")).is_ok() {
                run.records.extend(self.read_own_record(object));
            }
        }
        let mut runs: Vec<_> = runs.into_values().collect();
        for run in &mut runs {
            if let Some(lock) = &run.lock {
                run.run_id.clone_from(&lock.run_id);
            }
            run.records = newest_first_of_all(std::mem::take(&mut run.records));
            run.records.reverse();
        }
        runs
    }

    /// Publishes what runs left behind that cannot do it themselves any more. Returns how many records arrived.
    pub fn publish_pending(&self, runs: &[PendingRun]) -> Result<usize, LedgerError> {
        if self.reachable_remote().is_none() {
            return Ok(0);
        }
        let mut published = 0;
        for run in runs.iter().filter(|run| !run.may_be_alive(self.now())) {
            published += self.publish_run(run)?;
        }
        Ok(published)
    }

    fn publish_run(&self, run: &PendingRun) -> Result<usize, LedgerError> {
        let mut targets: BTreeMap<DeploymentName, Vec<TargetName>> = BTreeMap::new();
        for record in &run.records {
            let targets = targets.entry(record.id.deployment.clone()).or_default();
            if !targets.contains(&record.id.target) {
                targets.push(record.id.target.clone());
            }
        }
        for (deployment, targets) in targets {
            let scope = Scope::Targets(deployment.clone(), targets);
            let mut records: Vec<_> =
                run.records.iter().filter(|record| record.id.deployment == deployment).cloned().collect();
            self.publish_records(run, &mut records, &scope)?;
        }
        let cleanup: Vec<_> = run
            .refs
            .iter()
            .map(|(name, object)| RefUpdate {
                name: name.clone(),
                new: None,
                expected: Expected::Object(object.clone()),
            })
            .collect();
        self.repository.git().update_refs(&cleanup, "atmos: published")?;
        Ok(run.records.len())
    }

    /// Publishes a run's records of one deployment. The tag always goes up. State and newest record follow only where
    /// nobody has recorded the component since: what came later stays what counts.
    fn publish_records(
        &self,
        run: &PendingRun,
        records: &mut [LedgerRecord],
        scope: &Scope,
    ) -> Result<(), LedgerError> {
        for _ in 0..ATTEMPTS {
            self.refresh_states_or_fail(scope)?;
            let known = self.read_refs(scope)?;
            let mut step = publication(records, &known);
            for (name, object) in self.locks_of(&known, &run.run_id) {
                step.delete(name, object);
            }
            match self.carry_out(&step, "atmos: publish", &[])? {
                StepOutcome::Accepted => return Ok(()),
                StepOutcome::Contended(reasons) => {
                    for at in 0..records.len() {
                        let tag = format!("{TAGS_PREFIX}{}", records[at].id.tag_name());
                        if reasons.iter().any(|(name, _)| *name == tag) {
                            self.rename(records, at)?;
                        }
                    }
                }
            }
        }
        Err(LedgerError::Contended("the ledger".to_owned()))
    }

    /// Gives a record the next name of its second, because somebody else has taken its own, and tells those that follow
    /// it.
    fn rename(&self, records: &mut [LedgerRecord], at: usize) -> Result<(), LedgerError> {
        let old = records[at].clone();
        records[at] = self.write_record(old.record, old.id.sequence + 1)?;
        let new = records[at].object.clone();
        if let Some(next) =
            (at + 1..records.len()).find(|next| records[*next].record.previous.as_ref() == Some(&old.object))
        {
            records[next].record.previous = Some(new);
            records[next] = self.write_record(records[next].record.clone(), records[next].id.sequence)?;
        }
        Ok(())
    }
}

/// The refs that publish records, oldest first, on top of what the remote has.
fn publication(records: &[LedgerRecord], known: &KnownRefs) -> Step {
    let mut step = Step::default();
    let mut heads: BTreeMap<String, Option<ObjectId>> = BTreeMap::new();
    for LedgerRecord { id, object, record } in records {
        let latest = latest_ref(&id.deployment, &id.target, &id.component);
        let state = state_ref(&id.deployment, &id.target, &id.component);
        let seen = |name: &String| known.remote.get(name);
        let head = heads.entry(latest.clone()).or_insert_with(|| seen(&latest).cloned());
        let succeeded = record.status == RecordStatus::Success;
        if head.as_ref() == Some(object) {
            // It arrived. A server without atomic pushes may have missed the state that goes with it.
            if succeeded && seen(&state) != Some(&record.commit.0) {
                step.set(state.clone(), record.commit.0.clone(), seen(&state));
            }
            continue;
        }
        step.create(format!("{TAGS_PREFIX}{}", id.tag_name()), object.clone());
        if *head == record.previous {
            *head = Some(object.clone());
            step.set(latest.clone(), object.clone(), seen(&latest));
            if succeeded {
                step.set(state.clone(), record.commit.0.clone(), seen(&state));
            }
        }
    }
    step
}
