//! Publishing what runs have kept that cannot do it themselves any more (`ledger.md`, "Late records").

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::time::Duration;

use crate::deployment::lock::{Lock, LockScope};
use crate::deployment::record::LedgerRecord;
use crate::deployment::ref_names::{ComponentAddress, TAGS_PREFIX, latest_ref, state_ref};
use crate::deployment::{DeploymentName, ObjectId, RecordStatus, TargetName};
use crate::git::refs::{Expected, Ref, RefUpdate};

use super::placement::{Arrived, Placement, place};
use super::{PendingRun, RUN_ENTRY, batch_ref};
use crate::ledger::locks::{AcquireError, LockRequest, PUBLISHING};
use crate::ledger::session::Session;
use crate::ledger::step::{Step, StepOutcome};
use crate::ledger::{Holder, Ledger, LedgerError, Scope, Snapshot, batch};

/// How often a publication that met others is made anew.
const ATTEMPTS: usize = 20;

/// How long the lock of a publication lives. Rollouts wait it out.
pub(in crate::ledger) const LEASE: Duration = Duration::from_mins(1);

/// What has been published of runs that left records behind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Published {
    /// How many records have arrived.
    pub records: usize,
    /// How many of them after others of their component, marked as late.
    pub late: usize,
    /// The holders of locks that have to be waited for.
    pub waiting_for: Vec<String>,
}

/// What a publication of some records changes.
struct Plan {
    step: Step,
    /// What the kept records are written as.
    written: Vec<LedgerRecord>,
    published: Published,
}

impl Ledger<'_> {
    /// Publishes what runs left behind that cannot do it themselves any more: under the locks of the components, so that no
    /// run is overtaken. What others hold waits.
    ///
    /// # Errors
    ///
    /// Where the remote refuses, does not answer or cannot be read. What has not arrived then stays.
    pub fn publish_pending(&self, runs: &[PendingRun]) -> Result<Published, LedgerError> {
        let mut published = Published::default();
        if self.reachable_remote().is_none() {
            return Ok(published);
        }
        for run in runs.iter().filter(|run| !run.may_be_alive(self.now())) {
            let of_run = self.publish_run(run)?;
            published.records += of_run.records;
            published.late += of_run.late;
            published.waiting_for.extend(of_run.waiting_for);
        }
        Ok(published)
    }

    fn publish_run(&self, run: &PendingRun) -> Result<Published, LedgerError> {
        let mut targets: BTreeMap<(DeploymentName, TargetName), Vec<LedgerRecord>> = BTreeMap::new();
        for record in &run.records {
            let target = (record.id.deployment.clone(), record.id.target.clone());
            targets.entry(target).or_default().push(record.clone());
        }
        let mut published = Published::default();
        let mut kept = run.refs.clone();
        for ((deployment, target), records) in targets {
            let of_target = self.publish_records(run, deployment, target, records, &mut kept)?;
            published.records += of_target.records;
            published.late += of_target.late;
            published.waiting_for.extend(of_target.waiting_for);
        }
        if published.waiting_for.is_empty() {
            self.forget(run, &kept)?;
        }
        Ok(published)
    }

    /// Removes what keeps a run whose records have arrived. What could not be read stays.
    fn forget(&self, run: &PendingRun, kept: &[(String, ObjectId)]) -> Result<(), LedgerError> {
        let arrived = kept.iter().filter(|(name, _)| !run.unreadable.contains(name));
        Ok(self.repository.git().update_refs(&removals(arrived), "atmos: published")?)
    }

    /// Publishes a run's records of one target, oldest first. `kept` is what keeps them, and follows where one is renamed.
    fn publish_records(
        &self,
        run: &PendingRun,
        deployment: DeploymentName,
        target: TargetName,
        mut records: Vec<LedgerRecord>,
        kept: &mut Vec<(String, ObjectId)>,
    ) -> Result<Published, LedgerError> {
        let scope = Scope::Targets(deployment.clone(), vec![target.clone()]);
        let request = self.publication_lock(run, deployment, target, &records);
        let snapshot = self.read(&scope)?;
        let acquired =
            self.acquire(&request, &snapshot, &mut |_| Ok(Vec::new()), &mut |_| ControlFlow::Continue(()));
        let acquired = match acquired {
            Ok(acquired) => acquired,
            Err(AcquireError::Held(held)) => {
                let waiting_for = held.into_iter().map(|held| held.lock.holder).collect();
                return Ok(Published { waiting_for, ..Published::default() });
            }
            Err(AcquireError::Ledger(error)) => return Err(error),
        };
        // Lets go of the locks, whatever happens.
        let mut session = Session::new(self, request, acquired);
        // The sequences of late records whose names were taken, by the places of the records.
        let mut late_sequences = BTreeMap::new();
        for _ in 0..ATTEMPTS {
            self.refresh_states_or_fail(&scope)?;
            let snapshot = self.read(&scope)?;
            let mut plan = self.plan_publication(&records, &late_sequences, &snapshot)?;
            // What the run may have applied besides is recorded with the release of its other locks.
            let LockRequest { deployment, target, .. } = session.request();
            let others = snapshot.locks_of(deployment, target, &run.run_id);
            self.add_interrupted(&mut plan.step, deployment, target, &others, &snapshot)?;
            for held in others {
                plan.step.delete(session.lock_name(&held.scope), held.object);
            }
            session.release_in(&mut plan.step);
            match self.carry_out(&plan.step, "atmos: publish", &[])? {
                StepOutcome::Accepted => {
                    session.released();
                    return Ok(plan.published);
                }
                StepOutcome::Contended(rejected) => {
                    let is_taken = |written: &LedgerRecord| {
                        let tag = format!("{TAGS_PREFIX}{}", written.id.tag_name());
                        rejected.iter().any(|(name, _)| *name == tag)
                    };
                    for (at, written) in plan.written.iter().enumerate() {
                        if is_taken(written) && written.is_late() {
                            late_sequences.insert(at, written.id.sequence + 1);
                        } else if is_taken(written) {
                            self.rename(run, &mut records, at, kept)?;
                        }
                    }
                }
            }
        }
        Err(LedgerError::Contended("the ledger".to_owned()))
    }

    fn publication_lock(
        &self,
        run: &PendingRun,
        deployment: DeploymentName,
        target: TargetName,
        records: &[LedgerRecord],
    ) -> LockRequest {
        let holder = Holder::current();
        let components: BTreeSet<_> = records.iter().map(|record| &record.id.component).collect();
        LockRequest {
            deployment,
            target,
            scopes: components.into_iter().cloned().map(LockScope::Component).collect(),
            lock: Lock {
                holder: self.options.writer.1.clone(),
                run_id: format!("publish:{}", uuid::Uuid::now_v7().simple()),
                run_url: None,
                reason: Some(PUBLISHING.to_owned()),
                // Set when it is taken.
                acquired_at: self.now(),
                expires_at: None,
                host: holder.host,
                process: Some(holder.process),
                process_started: holder.started,
                intends: BTreeMap::new(),
            },
            lease: Some(LEASE),
            wait: Duration::ZERO,
            replaces: Some(run.run_id.clone()),
        }
    }

    /// The push that publishes records, oldest first, on top of what the remote has.
    fn plan_publication(
        &self,
        records: &[LedgerRecord],
        late_sequences: &BTreeMap<usize, u32>,
        snapshot: &Snapshot,
    ) -> Result<Plan, LedgerError> {
        let arrived = self.arrived(records, snapshot)?;
        let known = &snapshot.known.remote;
        let mut plan = Plan { step: Step::default(), written: Vec::new(), published: Published::default() };
        let mut heads: BTreeMap<ComponentAddress, Head> = BTreeMap::new();
        for (at, kept) in records.iter().enumerate() {
            let address = ComponentAddress::of(&kept.id);
            let ComponentAddress { deployment, target, component } = &address;
            let (latest, state) =
                (latest_ref(deployment, target, component), state_ref(deployment, target, component));
            let (lease, running) = (known.get(&latest), known.get(&state));
            let head = heads.entry(address.clone()).or_insert_with(|| Head::of(&address, snapshot));
            let arrived = arrived.get(&address);
            let placement = place(kept, head.object.as_ref(), arrived);
            let written = match placement {
                Placement::Late => self.write_late(kept, late_sequences.get(&at).copied(), head)?,
                _ => kept.clone(),
            };
            if placement != Placement::Arrived {
                plan.step.create(format!("{TAGS_PREFIX}{}", written.id.tag_name()), written.object.clone());
            }
            let is_on_top = matches!(placement, Placement::AsWritten | Placement::Late);
            let mut changes = is_on_top;
            if is_on_top || (placement == Placement::Newest && lease != Some(&written.object)) {
                plan.step.set(latest, written.object.clone(), lease);
                *head = Head { object: Some(written.object.clone()), number: written.record.details.number };
                changes = true;
            }
            let counts = matches!(placement, Placement::AsWritten | Placement::Newest);
            let commit = &written.record.commit.0;
            if counts && written.record.status == RecordStatus::Success && running != Some(commit) {
                plan.step.set(state, commit.clone(), running);
                changes = true;
            }
            plan.published.records += usize::from(changes);
            plan.published.late += usize::from(placement == Placement::Late);
            plan.written.push(written);
        }
        Ok(plan)
    }

    /// What the remote has of the components whose end does not tell it.
    fn arrived(
        &self,
        records: &[LedgerRecord],
        snapshot: &Snapshot,
    ) -> Result<BTreeMap<ComponentAddress, Arrived>, LedgerError> {
        let is_told = |record: &LedgerRecord| {
            let head = Head::of(&ComponentAddress::of(&record.id), snapshot).object;
            matches!(place(record, head.as_ref(), None), Placement::Newest | Placement::AsWritten)
        };
        let mut oldest: BTreeMap<ComponentAddress, &LedgerRecord> = BTreeMap::new();
        for record in records {
            oldest.entry(ComponentAddress::of(&record.id)).or_insert(record);
        }
        let untold = oldest.into_iter().filter(|(_, record)| !is_told(record)).map(|(address, _)| address);
        let untold: BTreeSet<_> = untold.collect();
        if untold.is_empty() {
            return Ok(BTreeMap::new());
        }
        let histories = self.component_histories(&untold)?;
        Ok(histories.into_iter().map(|(address, records)| (address, Arrived::new(&records))).collect())
    }

    /// Writes a record anew, on top of what has come in between. The bytes of the tag that it stands for stay checkable.
    fn write_late(
        &self,
        kept: &LedgerRecord,
        sequence: Option<u32>,
        head: &Head,
    ) -> Result<LedgerRecord, LedgerError> {
        let mut record = kept.record.clone();
        record.previous.clone_from(&head.object);
        record.details.number = head.number.and_then(|number| number.checked_add(1));
        record.details.late_of = Some(kept.object.to_string());
        record.details.published_by = Some(self.options.writer.1.clone());
        let original = self.objects.tag_bytes(&kept.object)?;
        record.details.original = Some(String::from_utf8_lossy(&original).into_owned());
        self.write_record(record, sequence.unwrap_or(kept.id.sequence))
    }

    /// Gives a record the next name of its second, because its own is taken, and tells those that follow it. What keeps the
    /// records follows before the next push: otherwise an interruption would publish the record twice.
    fn rename(
        &self,
        run: &PendingRun,
        records: &mut [LedgerRecord],
        at: usize,
        kept: &mut Vec<(String, ObjectId)>,
    ) -> Result<(), LedgerError> {
        let mut before = records[at].object.clone();
        records[at] = self.write_record(records[at].record.clone(), records[at].id.sequence + 1)?;
        let mut after = records[at].object.clone();
        for record in &mut records[at + 1..] {
            if record.record.previous.as_ref() == Some(&before) {
                before = record.object.clone();
                record.record.previous = Some(after);
                *record = self.write_record(record.record.clone(), record.id.sequence)?;
                after = record.object.clone();
            }
        }
        let batch = batch::write(&self.objects, records.iter().map(|record| &record.object))?;
        let entry = Ref { name: batch_ref(&run.run_id, &batch), object: batch };
        self.repository.make_refs(vec![entry.clone()], "atmos: to be published")?;
        let (mut staying, outdated) = std::mem::take(kept)
            .into_iter()
            .partition(|(name, _)| name.ends_with(RUN_ENTRY) || run.unreadable.contains(name));
        let outdated = removals(&outdated);
        self.repository.git().update_refs(&outdated, "atmos: to be published")?;
        Vec::push(&mut staying, (entry.name, entry.object));
        *kept = staying;
        Ok(())
    }
}

/// The removals of refs that are as they were read.
fn removals<'k>(kept: impl IntoIterator<Item = &'k (String, ObjectId)>) -> Vec<RefUpdate> {
    let removal = |(name, object): &(String, ObjectId)| RefUpdate {
        name: name.clone(),
        new: None,
        expected: Expected::Object(object.clone()),
    };
    kept.into_iter().map(removal).collect()
}

/// The end of a component's chain.
struct Head {
    object: Option<ObjectId>,
    number: Option<u64>,
}

impl Head {
    fn of(address: &ComponentAddress, snapshot: &Snapshot) -> Self {
        let ComponentAddress { deployment, target, component } = address;
        match snapshot.head(address) {
            Some(record) => {
                Self { object: Some(record.object.clone()), number: record.record.details.number }
            }
            // One that cannot be read is the end all the same.
            None => Self {
                object: snapshot.known.remote.get(&latest_ref(deployment, target, component)).cloned(),
                number: None,
            },
        }
    }
}
