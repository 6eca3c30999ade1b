//! One step of writing: refs that change together, on the remote and then here.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use crate::deployment::ObjectId;
use crate::deployment::ref_names::{LATEST_PREFIX, LOCK_PREFIX, NOTES_PREFIX, STATE_PREFIX, TAGS_PREFIX};
use crate::git::refs::{Expected, PreparedRefs, RefUpdate};
use crate::git::rejection::{Rejection, rejection_here};
use crate::git::transport::{PushOutcome, PushUpdate};
use crate::git::{Git, GitError};

use super::refs::mirror_of;
use super::{Ledger, LedgerError};

/// The time for which a step that only meets contention is tried again. One of many writers gets
/// through at a time, so that the last of them has to try as often as there are others.
pub(super) const PERSISTENCE: Duration = Duration::from_mins(3);

/// What refuses where there is no remote.
const HERE: &str = "this repository";

/// Refs that change together or not at all.
#[derive(Debug, Clone, Default)]
pub(super) struct Step {
    updates: Vec<PushUpdate>,
    /// Where each ref's change is.
    places: HashMap<String, usize>,
}

/// What the remote said to a step.
#[derive(Debug)]
pub(super) enum StepOutcome {
    Accepted,
    /// These refs are not as they were expected to be, or busy.
    Contended(Vec<(String, Rejection)>),
}

impl Step {
    /// Adds a change; a second one of the same ref replaces what the first would have set.
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

    /// Adds a ref that must be as it was last seen.
    pub(super) fn set(&mut self, name: String, object: ObjectId, seen: Option<&ObjectId>) {
        self.push(PushUpdate { name, new: Some(object), expected: seen.cloned() });
    }

    /// Adds the removal of a ref that must be as it was last seen.
    pub(super) fn delete(&mut self, name: String, seen: ObjectId) {
        self.push(PushUpdate { name, new: None, expected: Some(seen) });
    }

    /// The changes.
    pub(super) fn updates(&self) -> &[PushUpdate] {
        &self.updates
    }

    /// The changes for a server without atomic pushes: tags first and alone, then what leads to
    /// them, then locks. A push that is torn between two of these never names a record that is not
    /// there, nor frees what is not recorded.
    fn in_safe_order(&self) -> [Vec<PushUpdate>; 3] {
        let rank = |update: &PushUpdate| {
            if update.name.starts_with(LOCK_PREFIX) {
                2
            } else {
                usize::from(!update.name.starts_with(TAGS_PREFIX))
            }
        };
        let mut parts: [Vec<PushUpdate>; 3] = Default::default();
        for update in &self.updates {
            parts[rank(update)].push(update.clone());
        }
        parts
    }
}

impl Ledger<'_> {
    /// Pushes a step once. A refusal that trying again cannot change is an error.
    pub(super) fn push_step(&self, remote: &str, step: &Step) -> Result<StepOutcome, LedgerError> {
        self.push_step_with(self.repository.git(), remote, step)
    }

    /// Pushes a step once, with a git that finds the step's objects.
    pub(super) fn push_step_with(
        &self,
        git: &Git,
        remote: &str,
        step: &Step,
    ) -> Result<StepOutcome, LedgerError> {
        let limit = Some(self.options.write_limit);
        match git.push(remote, step.updates(), true, limit)? {
            PushOutcome::Accepted => Ok(StepOutcome::Accepted),
            PushOutcome::Rejected(reasons) => classify(remote, reasons),
            PushOutcome::AtomicUnsupported => {
                for part in step.in_safe_order().iter().filter(|part| !part.is_empty()) {
                    match git.push(remote, part, false, limit)? {
                        PushOutcome::Rejected(reasons) => {
                            self.take_back(remote, part, &reasons);
                            return classify(remote, reasons);
                        }
                        PushOutcome::Accepted | PushOutcome::AtomicUnsupported => {}
                    }
                }
                Ok(StepOutcome::Accepted)
            }
        }
    }

    /// Without atomic pushes, locks of which only some were taken are given back: all of them or none.
    fn take_back(&self, remote: &str, part: &[PushUpdate], rejected: &[(String, Rejection)]) {
        let taken: Vec<_> = part
            .iter()
            .filter(|update| update.name.starts_with(LOCK_PREFIX))
            .filter(|update| !rejected.iter().any(|(name, _)| *name == update.name))
            .filter_map(|update| {
                let object = update.new.clone()?;
                Some(PushUpdate { name: update.name.clone(), new: None, expected: Some(object) })
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

    /// Carries a step out, on the remote where there is one and then here; waits for its turn where
    /// others write to the same repository at the same moment, and gives up where a ref is not as
    /// expected.
    ///
    /// `afterwards` is removed here at last.
    pub(super) fn carry_out(
        &self,
        step: &Step,
        reason: &str,
        afterwards: &[RefUpdate],
    ) -> Result<StepOutcome, LedgerError> {
        if step.updates.is_empty() {
            self.repository.git().update_refs(afterwards, reason)?;
            return Ok(StepOutcome::Accepted);
        }
        let Some(remote) = self.reachable_remote() else { return self.carry_out_here(step, reason) };
        let (changes, removals) = after_push(remote, step);
        self.insist(remote, || {
            // What follows here once the remote has accepted is made ready while it decides.
            let ready = self.repository.prepare_refs(&changes, reason)?;
            let outcome = self.push_step(remote, step)?;
            if matches!(outcome, StepOutcome::Accepted) {
                super::failpoint("pushed");
                let mut removals = self.known_here(&removals)?;
                removals.extend_from_slice(afterwards);
                follow(self.repository.git(), ready, &changes, &removals, reason)?;
            }
            Ok(outcome)
        })
    }

    /// Tries again for as long as refs are only busy. What is still busy then has another reason
    /// than other writers, as far as is known: it is told in the words of who refused.
    fn insist(
        &self,
        place: &str,
        mut attempt: impl FnMut() -> Result<StepOutcome, LedgerError>,
    ) -> Result<StepOutcome, LedgerError> {
        let began = Instant::now();
        let mut attempts = 0;
        loop {
            match attempt()? {
                StepOutcome::Contended(rejected) if rejected.iter().all(|(_, why)| why.is_transient()) => {
                    if began.elapsed() >= self.persistence {
                        return Err(given_up(place, rejected, place.to_owned()));
                    }
                }
                outcome => return Ok(outcome),
            }
            std::thread::sleep(backoff(attempts));
            attempts += 1;
        }
    }

    /// The removals of refs that are here.
    fn known_here(&self, removals: &[RefUpdate]) -> Result<Vec<RefUpdate>, LedgerError> {
        if removals.is_empty() {
            return Ok(Vec::new());
        }
        let names: Vec<_> = removals.iter().map(|removal| &removal.name).collect();
        let here: HashSet<_> = self.repository.refs(&names)?.into_iter().map(|found| found.name).collect();
        Ok(removals.iter().filter(|removal| here.contains(&removal.name)).cloned().collect())
    }

    /// Carries a step out in a repository without a remote.
    pub(super) fn carry_out_here(&self, step: &Step, reason: &str) -> Result<StepOutcome, LedgerError> {
        self.insist(HERE, || self.update_step(step, reason))
    }

    /// Changes a step's refs here, once. A refusal that trying again cannot change is an error.
    fn update_step(&self, step: &Step, reason: &str) -> Result<StepOutcome, LedgerError> {
        let updates: Vec<_> = step
            .updates
            .iter()
            .map(|update| RefUpdate {
                name: update.name.clone(),
                new: update.new.clone(),
                expected: update.expected.clone().map_or(Expected::Absent, Expected::Object),
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

/// Changes here what the remote has accepted. Where it could not be made ready, it is tried once
/// more: what was in the way may be gone.
fn follow(
    git: &Git,
    ready: Option<PreparedRefs>,
    changes: &[RefUpdate],
    removals: &[RefUpdate],
    reason: &str,
) -> Result<(), GitError> {
    if ready.is_some_and(|ready| ready.commit(removals).is_ok()) {
        return Ok(());
    }
    git.update_refs(&[changes, removals].concat(), reason)
}

/// What is set and what is removed here once the remote has accepted a step: of the mirror, and of
/// the ledger itself. Locks are only mirrored, and those that were taken not before the look at the
/// remote that every taker of one has to take anyhow. What the remote had already was taken over
/// when it was read.
fn after_push(remote: &str, step: &Step) -> (Vec<RefUpdate>, Vec<RefUpdate>) {
    let change = |name: String, new: &Option<ObjectId>| RefUpdate {
        name,
        new: new.clone(),
        expected: Expected::Anything,
    };
    let mut updates = Vec::new();
    for update in step.updates.iter().filter(|update| update.new != update.expected) {
        let name = &update.name;
        if name.starts_with(LOCK_PREFIX) && update.new.is_some() {
            continue;
        }
        if [STATE_PREFIX, LATEST_PREFIX, LOCK_PREFIX, NOTES_PREFIX].iter().any(|kind| name.starts_with(kind))
        {
            updates.push(change(mirror_of(remote, name), &update.new));
        }
        if !name.starts_with(LOCK_PREFIX) {
            updates.push(change(name.clone(), &update.new));
        }
    }
    updates.into_iter().partition(|update| update.new.is_some())
}

/// Sorts rejections into contention, which another look may resolve, and refusals, which are
/// errors.
fn classify(remote: &str, rejected: Vec<(String, Rejection)>) -> Result<StepOutcome, LedgerError> {
    if let Some((name, rejection)) = rejected.iter().find(|(_, rejection)| rejection.is_final()) {
        let (name, reason) = (name.clone(), rejection.to_string());
        return Err(LedgerError::Refused { remote: remote.to_owned(), name, reason });
    }
    let (bystanders, guilty): (Vec<_>, Vec<_>) =
        rejected.into_iter().partition(|(_, rejection)| *rejection == Rejection::Bystander);
    Ok(StepOutcome::Contended(if guilty.is_empty() { bystanders } else { guilty }))
}

/// Why it was given up, by the last rejections: refs that were busy are told in the words of who
/// refused, and only refs that were not as expected tell that `what` kept changing.
pub(super) fn given_up(place: &str, rejected: Vec<(String, Rejection)>, what: String) -> LedgerError {
    match rejected.into_iter().find(|(_, rejection)| rejection.is_transient()) {
        Some((name, rejection)) => {
            LedgerError::Refused { remote: place.to_owned(), name, reason: rejection.to_string() }
        }
        None => LedgerError::Contended(what),
    }
}

/// How long to wait before trying again: doubling, half of it by chance, so that many runners do
/// not march in step.
pub(super) fn backoff(attempt: u32) -> Duration {
    let ceiling = 40_u64 << attempt.min(6);
    let chance = u64::from(uuid::Uuid::now_v7().as_bytes()[15]);
    Duration::from_millis(ceiling / 2 + ceiling * chance / 512)
}

#[cfg(test)]
mod tests;
