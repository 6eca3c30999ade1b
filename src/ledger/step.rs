//! A step: a transaction of refs, pushed to the remote and then mirrored by local refs.

use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use crate::deployment::record::LedgerRecord;
use crate::deployment::ref_names::{
    LATEST_PREFIX, LOCK_PREFIX, RECORD_TAG_PREFIX, STATE_PREFIX, TAGS_PREFIX, latest_ref, state_ref,
};
use crate::deployment::{ObjectId, RecordId, RecordStatus};
use crate::git::refs::{Expected, RefUpdate};
use crate::git::rejection::{Rejection, rejection_here};
use crate::git::transport::{PushOutcome, PushUpdate};
use crate::git::{Git, GitError};

use super::backoff::backoff;
use super::following::after_push;
use super::{Ledger, LedgerError};

/// The retry timeout of a step that only meets contention. Of n concurrent writers one wins each
/// round (optimistic concurrency), so that the last one needs up to n attempts.
pub(super) const PERSISTENCE: Duration = Duration::from_mins(3);

/// The most retries after `git gc` has pruned objects that no ref leads to yet.
const RESTORATIONS: u32 = 20;

/// The name of this repository in refusals, where there is no remote.
pub(super) const HERE: &str = "this repository";

/// A transaction: refs that change together or not at all, each with its expected old value.
#[derive(Debug, Clone, Default)]
pub(super) struct Step {
    updates: Vec<PushUpdate>,
    /// The index of each ref's change in `updates`.
    places: HashMap<String, usize>,
    /// The locks under which it is made.
    hold: Option<HoldChange>,
}

/// The change of the locks under which a push is made. It renews them or lets them go, and fails
/// (compare-and-swap) where one of them was taken over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct HoldChange {
    /// The lease of each lock's ref: its expected old value.
    pub(super) seen: BTreeMap<String, ObjectId>,
    /// The lock object that renews them.
    pub(super) renewed: ObjectId,
    /// Whether they are deleted at the end instead.
    pub(super) release: bool,
}

/// The result of pushing a step.
#[derive(Debug)]
pub(super) enum StepOutcome {
    Accepted,
    /// A conflict: these refs do not have their expected values (a lost race), or are locked.
    Contended(Vec<(String, Rejection)>),
}

impl Step {
    /// Adds a change. A second one of the same ref replaces the new value and keeps the lease.
    pub(super) fn push(&mut self, update: PushUpdate) {
        if let Some(known) = self.places.get(&update.name).and_then(|at| self.updates.get_mut(*at)) {
            known.new = update.new;
        } else {
            self.places.insert(update.name.clone(), self.updates.len());
            self.updates.push(update);
        }
    }

    /// Adds a ref that must not exist yet.
    pub(super) fn create(&mut self, name: String, object: ObjectId) {
        self.push(PushUpdate { name, new: Some(object), expected: None });
    }

    /// Adds a ref whose lease is the value that was last seen; `None` requires that it is absent.
    pub(super) fn set(&mut self, name: String, object: ObjectId, seen: Option<&ObjectId>) {
        self.push(PushUpdate { name, new: Some(object), expected: seen.cloned() });
    }

    /// Adds the removal of a ref whose lease is the value that was last seen.
    pub(super) fn delete(&mut self, name: String, seen: ObjectId) {
        self.push(PushUpdate { name, new: None, expected: Some(seen) });
    }

    /// Adds the tag of a record, which must not exist yet.
    pub(super) fn tag(&mut self, record: &LedgerRecord) {
        self.create(record.id.tag_ref(), record.object.clone());
    }

    /// Adds the index refs of a record at the end of its chain: the newest record, and for a
    /// success that is not late the state. Their leases are the values in `seen`.
    pub(super) fn lead_to(&mut self, record: &LedgerRecord, seen: &BTreeMap<String, ObjectId>) {
        let RecordId { deployment, target, component, .. } = &record.id;
        let latest = latest_ref(deployment, target, component);
        let before = seen.get(&latest);
        self.set(latest, record.object.clone(), before);
        if record.record.status == RecordStatus::Success && !record.is_late() {
            let state = state_ref(deployment, target, component);
            let before = seen.get(&state);
            self.set(state, record.record.commit.0.clone(), before);
        }
    }

    /// Makes the step under locks. Invariant: it changes nothing once one of them was taken over.
    pub(super) fn under(&mut self, change: HoldChange) {
        self.hold = Some(change);
    }

    /// Whether it deletes the locks under which it is made.
    fn lets_go(&self) -> bool {
        self.hold.as_ref().is_some_and(|hold| hold.release)
    }

    /// The changes of one atomic push, those of the locks included.
    pub(super) fn updates(&self) -> Vec<PushUpdate> {
        let of_locks = self.hold.iter().flat_map(|hold| {
            let new = (!hold.release).then(|| hold.renewed.clone());
            hold.seen.iter().map(move |(name, seen)| change(name, new.clone(), seen))
        });
        self.updates.iter().cloned().chain(of_locks).collect()
    }

    /// The changes in as few pushes as a host with a limit of refs per push allows.
    ///
    /// Invariant: whichever parts arrive, a component is complete or absent, its
    /// lock included. Only where it has more records than fit into one push, their
    /// tags come first. Notes come last.
    pub(super) fn in_parts(&self, limit: Option<NonZeroUsize>) -> Vec<Vec<PushUpdate>> {
        let updates = self.updates();
        let Some(limit) = limit.map(NonZeroUsize::get).filter(|limit| updates.len() > *limit) else {
            return vec![updates];
        };
        let mut components: BTreeMap<Vec<String>, Vec<PushUpdate>> = BTreeMap::new();
        let mut others = Vec::new();
        for update in updates {
            match component_of(&update.name) {
                Some(component) => components.entry(component).or_default().push(update),
                None => others.push(update),
            }
        }
        let mut parts: Vec<Vec<PushUpdate>> = Vec::new();
        for mut component in components.into_values().chain([others]) {
            // Pending records can be many: their tags come before the refs that lead to them.
            component.sort_by_key(|update| !update.name.starts_with(TAGS_PREFIX));
            while component.len() > limit {
                let rest = component.split_off(limit.min(component.len() - limit));
                parts.push(std::mem::replace(&mut component, rest));
            }
            match parts.last_mut() {
                Some(part) if part.len() + component.len() <= limit => part.extend(component),
                _ => parts.push(component),
            }
        }
        parts.retain(|part| !part.is_empty());
        parts
    }

    /// The changes for a server without atomic pushes, in parts: renewals of the locks, tags,
    /// newest records, states, releases of locks.
    ///
    /// Invariant: a sequence that is torn between two parts never leads to a missing record, and
    /// never frees a lock whose work is not recorded. A run that has lost its locks fails with the
    /// first part, or where another record came in between. The server checks each ref of a part by
    /// itself, so the states must wait until the chain is accepted.
    ///
    /// The tags of a chain are spread over parts, oldest first: where a name is taken, that record
    /// and all that follow it are rewritten.
    pub(super) fn in_safe_order(&self) -> Vec<Vec<PushUpdate>> {
        let (mut renewals, mut leading, mut states, mut locks) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut tags: Vec<Vec<PushUpdate>> = Vec::new();
        let mut records: HashMap<&str, usize> = HashMap::new();
        for update in &self.updates {
            if update.name.starts_with(LOCK_PREFIX) {
                locks.push(update.clone());
            } else if update.name.starts_with(TAGS_PREFIX) {
                let component = update.name.rsplit_once('/').map_or("", |(component, _)| component);
                let place = records.entry(component).or_default();
                if tags.len() == *place {
                    tags.push(Vec::new());
                }
                tags[*place].push(update.clone());
                *place += 1;
            } else if update.name.starts_with(STATE_PREFIX) {
                states.push(update.clone());
            } else {
                leading.push(update.clone());
            }
        }
        if let Some(hold) = &self.hold {
            let renewed = Some(&hold.renewed);
            renewals.extend(hold.seen.iter().map(|(name, seen)| change(name, renewed.cloned(), seen)));
            if hold.release {
                locks.extend(hold.seen.keys().map(|name| change(name, None, &hold.renewed)));
            }
        }
        let parts = std::iter::once(renewals).chain(tags).chain([leading, states, locks]);
        parts.filter(|part| !part.is_empty()).collect()
    }
}

/// The deployment, target and component that a ref belongs to; `None` for other refs.
fn component_of(name: &str) -> Option<Vec<String>> {
    let record = format!("{TAGS_PREFIX}{RECORD_TAG_PREFIX}");
    let rest = [STATE_PREFIX, LATEST_PREFIX, LOCK_PREFIX, record.as_str()]
        .into_iter()
        .find_map(|prefix| name.strip_prefix(prefix));
    Some(rest?.split('/').take(3).map(str::to_owned).collect())
}

/// A change whose lease is the object `seen`.
fn change(name: &str, new: Option<ObjectId>, seen: &ObjectId) -> PushUpdate {
    PushUpdate { name: name.to_owned(), new, expected: Some(seen.clone()) }
}

impl Ledger<'_> {
    /// Pushes a step once, without retry. A refusal that a retry cannot change is an error.
    pub(super) fn push_step(&self, remote: &str, step: &Step) -> Result<StepOutcome, LedgerError> {
        self.push_step_with(self.repository.git(), remote, step)
    }

    /// Pushes a step once with this git, which has to find the step's objects.
    pub(super) fn push_step_with(
        &self,
        git: &Git,
        remote: &str,
        step: &Step,
    ) -> Result<StepOutcome, LedgerError> {
        self.refuse_symbolic(remote, |name| step.places.contains_key(name))?;
        let limit = Some(self.options.write_limit);
        if self.pushes_apart.get() {
            return self.push_apart(git, remote, step);
        }
        let parts = step.in_parts(self.options.max_refs_per_push);
        let mut arrived = Vec::new();
        for part in &parts {
            let outcome = git.push(remote, part, true, limit);
            if outcome.is_err() {
                self.take_back(remote, step, &arrived, &[]);
            }
            match outcome? {
                PushOutcome::Accepted => {
                    arrived.extend_from_slice(part);
                    self.lets_go.set(step.lets_go());
                }
                PushOutcome::Rejected(reasons) => {
                    self.take_back(remote, step, &arrived, &reasons);
                    return classify(remote, reasons);
                }
                PushOutcome::AtomicUnsupported => return self.push_apart(git, remote, step),
            }
        }
        Ok(StepOutcome::Accepted)
    }

    /// Pushes a step to a server without atomic pushes, within the limit of refs per push.
    fn push_apart(&self, git: &Git, remote: &str, step: &Step) -> Result<StepOutcome, LedgerError> {
        let limit = Some(self.options.write_limit);
        self.pushes_apart.set(true);
        let most = self.options.max_refs_per_push.map_or(usize::MAX, NonZeroUsize::get);
        let mut arrived = Vec::new();
        for part in step.in_safe_order().iter().flat_map(|part| part.chunks(most)) {
            // Locks are deleted in the last part, not atomically: some may be gone after an error.
            let frees =
                part.iter().any(|change| change.name.starts_with(LOCK_PREFIX) && change.new.is_none());
            self.lets_go.set(self.lets_go.get() || (frees && step.lets_go()));
            let outcome = git.push(remote, part, false, limit);
            if outcome.is_err() {
                self.take_back(remote, step, &arrived, &[]);
            }
            arrived.extend_from_slice(part);
            match outcome? {
                PushOutcome::Rejected(reasons) => {
                    self.take_back(remote, step, &arrived, &reasons);
                    return classify(remote, reasons);
                }
                PushOutcome::Accepted | PushOutcome::AtomicUnsupported => super::failpoint("part"),
            }
        }
        Ok(StepOutcome::Accepted)
    }

    /// Whether a step can be torn: arrive on the remote in part.
    pub(super) fn pushes_in_parts(&self) -> bool {
        self.pushes_apart.get() || self.options.max_refs_per_push.is_some()
    }

    /// Rolls back a torn acquisition of locks: a run holds all of its locks or none. Renewed locks
    /// stay, because the run held them before.
    fn take_back(&self, remote: &str, step: &Step, part: &[PushUpdate], rejected: &[(String, Rejection)]) {
        if step.hold.is_some() {
            return;
        }
        let taken: Vec<_> = part
            .iter()
            .filter(|update| update.name.starts_with(LOCK_PREFIX))
            .filter(|update| !rejected.iter().any(|(name, _)| *name == update.name))
            .filter_map(|update| {
                let taken = update.new.clone();
                // A dead run's lock is restored: only it names the intended commits of that run.
                Some(PushUpdate {
                    name: update.name.clone(),
                    new: update.expected.clone(),
                    expected: Some(taken?),
                })
            })
            .collect();
        if taken.is_empty() {
            return;
        }
        let result = self.repository.git().push(remote, &taken, false, Some(self.options.write_limit));
        if !matches!(result, Ok(PushOutcome::Accepted)) {
            self.warn(format!("{remote} kept locks that this run gives back; they will expire"));
        }
    }

    /// Executes a step: pushes it, then updates the local refs that mirror it. Retries while refs
    /// are locked by other writers; returns a conflict where a lease does not hold.
    ///
    /// The refs in `afterwards` are deleted locally, after everything else.
    pub(super) fn execute(
        &self,
        step: &Step,
        reason: &str,
        afterwards: &[RefUpdate],
    ) -> Result<StepOutcome, LedgerError> {
        self.carry_out_since(Instant::now(), step, reason, afterwards)
    }

    /// Executes a step whose retry timeout counts from `began`: a caller that rebuilds the step
    /// after each renewal of its locks must not extend the timeout.
    pub(super) fn carry_out_since(
        &self,
        began: Instant,
        step: &Step,
        reason: &str,
        afterwards: &[RefUpdate],
    ) -> Result<StepOutcome, LedgerError> {
        if step.updates.is_empty() && step.hold.is_none() {
            self.repository.git().update_refs(afterwards, reason)?;
            return Ok(StepOutcome::Accepted);
        }
        let Some(remote) = self.reachable_remote() else { return self.execute_here(step, reason) };
        let (changes, removals) = after_push(remote, step.updates());
        self.insist(began, remote, || {
            // The local updates are prepared (git locks the refs) while the remote decides.
            let ready = self.repository.prepare_refs(&changes, reason)?;
            let outcome = self.restoring(|| self.push_step(remote, step))?;
            if matches!(outcome, StepOutcome::Accepted) {
                super::failpoint("pushed");
                self.follow_here(remote, ready, (&changes, &removals, afterwards), reason);
            }
            Ok(outcome)
        })
    }

    /// Retries with backoff while refs are only locked, until the retry timeout. A lock that lasts
    /// longer has another cause than contention, so the error quotes the refusal.
    fn insist(
        &self,
        began: Instant,
        place: &str,
        mut attempt: impl FnMut() -> Result<StepOutcome, LedgerError>,
    ) -> Result<StepOutcome, LedgerError> {
        let mut attempts = 0;
        loop {
            match attempt() {
                // Safe to retry only without a remote: after a push the step would no longer apply.
                Err(LedgerError::Git(error))
                    if place == HERE && error.is_briefly_locked() && began.elapsed() < self.persistence => {}
                Ok(StepOutcome::Contended(rejected))
                    if rejected.iter().all(|(_, why)| why.is_transient()) =>
                {
                    if began.elapsed() >= self.persistence {
                        return Err(given_up(place, rejected, place.to_owned()));
                    }
                }
                outcome => return outcome,
            }
            std::thread::sleep(backoff(attempts));
            attempts += 1;
        }
    }

    /// Retries an action after restoring objects of this process that `git gc` has
    /// pruned: no ref led to them yet.
    pub(super) fn restoring<T>(
        &self,
        mut act: impl FnMut() -> Result<T, LedgerError>,
    ) -> Result<T, LedgerError> {
        let mut left = RESTORATIONS;
        loop {
            let result = act();
            let may_miss_objects = matches!(
                result,
                Err(LedgerError::Git(_) | LedgerError::Objects(_) | LedgerError::Refused { .. })
            );
            if !may_miss_objects || left == 0 || !self.repository.restore_objects().unwrap_or(false) {
                return result;
            }
            left -= 1;
        }
    }

    /// Executes a step in a repository without a remote.
    pub(super) fn execute_here(&self, step: &Step, reason: &str) -> Result<StepOutcome, LedgerError> {
        self.insist(Instant::now(), HERE, || self.restoring(|| self.update_step(step, reason)))
    }

    /// Updates a step's refs locally, once. A refusal that a retry cannot change is an error.
    fn update_step(&self, step: &Step, reason: &str) -> Result<StepOutcome, LedgerError> {
        let updates: Vec<_> = step
            .updates()
            .into_iter()
            .map(|update| RefUpdate {
                name: update.name,
                new: update.new,
                expected: update.expected.map_or(Expected::Absent, Expected::Object),
            })
            .collect();
        match self.repository.git().update_refs(&updates, reason) {
            Ok(()) => Ok(StepOutcome::Accepted),
            Err(error) => {
                let GitError::Failed { stderr, .. } = &error else { return Err(error.into()) };
                match rejection_here(stderr) {
                    Some(rejected) => classify(HERE, vec![rejected]),
                    None => Err(error.into()),
                }
            }
        }
    }
}

/// Sorts rejections into conflicts, which a retry on fresh state may resolve,
/// and refusals, which are errors.
fn classify(remote: &str, rejected: Vec<(String, Rejection)>) -> Result<StepOutcome, LedgerError> {
    if let Some((name, rejection)) = rejected.iter().find(|(_, rejection)| rejection.is_final()) {
        let (name, reason) = (name.clone(), rejection.clone());
        return Err(LedgerError::Refused { remote: remote.to_owned(), name, reason });
    }
    let (bystanders, guilty): (Vec<_>, Vec<_>) =
        rejected.into_iter().partition(|(_, rejection)| *rejection == Rejection::Bystander);
    Ok(StepOutcome::Contended(if guilty.is_empty() { bystanders } else { guilty }))
}

/// The error after the retry timeout: locked refs quote the refusal, and lost races name `what` as
/// the contended part.
pub(super) fn given_up(place: &str, rejected: Vec<(String, Rejection)>, what: String) -> LedgerError {
    match rejected.into_iter().find(|(_, rejection)| rejection.is_transient()) {
        Some((name, reason)) => LedgerError::Refused { remote: place.to_owned(), name, reason },
        None => LedgerError::Contended(what),
    }
}

#[cfg(test)]
mod tests;
