//! Pushes of a session: records, renewals of its locks, and their release.
//!
//! Invariant: every push of records renews the locks with their old objects as leases, so that a
//! run whose locks were taken over cannot move a state. A push that meets an unexpected lock of its
//! own run (renewed meanwhile, or by a push whose answer was lost) is retried.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::deployment::RecordId;
use crate::deployment::record::{LedgerRecord, Record};
use crate::git::Repository;
use crate::git::refs::{Expected, RefUpdate};

use super::hold::{Hold, RunEntry};
use super::kept::{Kept, keep};
use super::pending::{batch_ref, run_ref};
use super::refs::KnownRefs;
use super::step::{Step, StepOutcome};
use super::{Ledger, LedgerError, LedgerOptions, Scope};

/// The most records of one component in one second; more mean a loop.
const MAX_SEQUENCE: u32 = 1000;

/// The most retries of a push that loses races against renewals of its own run.
const MEETINGS: u32 = 5;

/// A ledger for another thread, opened on first use: git2 repositories are not shared.
#[derive(Debug)]
struct Place<'r> {
    repository: &'r Repository,
    options: LedgerOptions,
    hold: Arc<Hold>,
    /// Whether the remote supports no atomic pushes, as the session has found out.
    pushes_apart: bool,
    ledger: Option<Ledger<'r>>,
}

impl<'r> Place<'r> {
    fn new(ledger: &Ledger<'r>, hold: Arc<Hold>) -> Self {
        let (repository, options) = (ledger.repository, ledger.options.clone());
        Self { repository, options, hold, pushes_apart: ledger.pushes_apart.get(), ledger: None }
    }

    fn ledger(&mut self) -> Result<&mut Ledger<'r>, LedgerError> {
        let ledger = match self.ledger.take() {
            Some(ledger) => ledger,
            None => Ledger::open(self.repository, self.options.clone())?,
        };
        ledger.pushes_apart.set(ledger.pushes_apart.get() || self.pushes_apart);
        Ok(self.ledger.insert(ledger))
    }
}

/// The pushes of a session's records. Invariant: one push is in flight at a time.
#[derive(Debug)]
pub struct Delivery<'r> {
    place: Place<'r>,
    known: KnownRefs,
}

impl<'r> Delivery<'r> {
    pub(super) fn new(ledger: &Ledger<'r>, hold: Arc<Hold>, known: KnownRefs) -> Self {
        Self { place: Place::new(ledger, hold), known }
    }

    /// Pushes pending records; with `last`, the same push releases the locks. Records may be
    /// renamed: another record can have the same second's tag.
    ///
    /// Also returns warnings.
    ///
    /// # Errors
    ///
    /// [`LedgerError::LockLost`] where the locks were taken over. [`LedgerError::Git`] where the
    /// remote does not answer: the outcome of the push is then unknown, and a retry is safe.
    pub fn push(&mut self, kept: &mut Kept, last: bool) -> (Result<(), LedgerError>, Vec<String>) {
        let hold = Arc::clone(&self.place.hold);
        let ledger = match self.place.ledger() {
            Ok(ledger) => ledger,
            Err(error) => return (Err(error), Vec::new()),
        };
        let result = Exchange::new(ledger, &hold, &mut self.known).push(kept, last);
        (result, ledger.take_warnings())
    }
}

/// The renewal of a session's locks.
#[derive(Debug)]
pub struct Renewal<'r>(Place<'r>);

impl<'r> Renewal<'r> {
    pub(super) fn new(ledger: &Ledger<'r>, hold: Arc<Hold>) -> Self {
        let mut place = Place::new(ledger, hold);
        let limit = place.hold.lease().renewal_limit();
        place.options.write_limit = place.options.write_limit.min(limit).max(Duration::from_secs(1));
        Self(place)
    }

    /// Extends the lease.
    ///
    /// # Errors
    ///
    /// [`LedgerError::LockLost`] where the locks were taken over; after other errors it is
    /// unknown whether they were renewed.
    pub fn renew(&mut self) -> Result<(), LedgerError> {
        let (hold, limit) = (Arc::clone(&self.0.hold), self.0.options.write_limit);
        let ledger = self.0.ledger()?;
        ledger.persistence = limit;
        for _ in 0..MEETINGS {
            // The releasing push renews the locks itself; a second push would only race with it.
            if hold.is_releasing() {
                return Ok(());
            }
            let change = hold.change(ledger, false)?;
            let mut step = Step::default();
            step.under(change.clone());
            match ledger.execute(&step, "atmos: renew", &[])? {
                StepOutcome::Accepted => {
                    hold.arrived(&change);
                    return Ok(());
                }
                StepOutcome::Contended(_) if hold.is_releasing() || hold.look(ledger)? => {}
                StepOutcome::Contended(_) => break,
            }
        }
        Err(LedgerError::LockLost(hold.request().target.to_string()))
    }
}

/// One exchange of a session with the remote.
pub(super) struct Exchange<'x, 'r> {
    ledger: &'x Ledger<'r>,
    hold: &'x Hold,
    known: &'x mut KnownRefs,
}

impl<'x, 'r> Exchange<'x, 'r> {
    pub(super) const fn new(ledger: &'x Ledger<'r>, hold: &'x Hold, known: &'x mut KnownRefs) -> Self {
        Self { ledger, hold, known }
    }

    /// Pushes records under the locks: [`Delivery::push`].
    pub(super) fn push(&mut self, kept: &mut Kept, last: bool) -> Result<(), LedgerError> {
        self.hold.set_releasing(self.ledger, last);
        let result = self.push_under_locks(kept, last);
        if result.is_err() {
            self.hold.set_releasing(self.ledger, false);
        }
        result
    }

    fn push_under_locks(&mut self, kept: &mut Kept, last: bool) -> Result<(), LedgerError> {
        if !self.hold.is_held() {
            return if kept.is_empty() { Ok(()) } else { Err(self.lock_lost()) };
        }
        let (mut meetings, began) = (0, Instant::now());
        loop {
            let mut step = self.step(&kept.records);
            let change = self.hold.change(self.ledger, last)?;
            step.under(change.clone());
            let arrived = self.pending_removals(kept, last);
            match self.ledger.carry_out_since(began, &step, "atmos: rollout", &arrived)? {
                StepOutcome::Accepted => {
                    self.hold.arrived(&change);
                    self.accepted(&step);
                    if last {
                        self.hold.mark(RunEntry::Absent);
                    }
                    kept.batches.clear();
                    return Ok(());
                }
                StepOutcome::Contended(reasons) => {
                    let contended = |name: &String| reasons.iter().any(|(guilty, _)| guilty == name);
                    if change.seen.keys().any(contended) {
                        meetings += 1;
                        if !self.hold.look(self.ledger)? {
                            return Err(self.lock_lost());
                        }
                        if meetings > MEETINGS {
                            return Err(LedgerError::Contended(self.target()));
                        }
                    } else if !self.rename(kept, contended)? {
                        return Err(self.moved(&kept.records));
                    }
                }
            }
        }
    }

    /// The refs that change with these records.
    fn step(&self, records: &[LedgerRecord]) -> Step {
        let mut step = Step::default();
        for record in records {
            step.tag(record);
            step.lead_to(record, self.ledger.authoritative(self.known));
        }
        step
    }

    fn accepted(&mut self, step: &Step) {
        let refs =
            if self.ledger.remote().is_some() { &mut self.known.remote } else { &mut self.known.local };
        for update in step.updates() {
            match update.new {
                Some(object) => refs.insert(update.name, object),
                None => refs.remove(&update.name),
            };
        }
    }

    /// Renames records whose tags exist to the next sequence of their second, and makes them
    /// durable again. Returns whether there was one.
    fn rename(&self, kept: &mut Kept, contended: impl Fn(&String) -> bool) -> Result<bool, LedgerError> {
        let mut renamed = false;
        let mut names: BTreeSet<_> = kept.records.iter().map(|record| record.id.clone()).collect();
        for record in &mut kept.records {
            if contended(&record.id.tag_ref()) && record.id.sequence < MAX_SEQUENCE {
                let sequence = record.id.next_sequence(&mut names);
                *record = self.ledger.write_record(Record::clone(&record.record), sequence)?;
                renamed = true;
            }
        }
        if renamed {
            let batch = keep(self.ledger, self.hold, &kept.records)?;
            let outdated: Vec<_> = kept.batches.iter().filter(|old| batch.as_ref() != Some(*old)).collect();
            let run = self.hold.lock();
            let removals: Vec<_> = outdated.into_iter().map(|old| removal(batch_ref(&run, old))).collect();
            self.ledger.repository.git().update_refs(&removals, "atmos: to be published")?;
            kept.batches = batch.into_iter().collect();
        }
        Ok(renamed)
    }

    /// The removals of pending refs, for after these records have arrived.
    fn pending_removals(&self, kept: &Kept, last: bool) -> Vec<RefUpdate> {
        let run = self.hold.lock();
        let entry = (last && self.hold.entry() != RunEntry::Absent).then(|| run_ref(&run));
        kept.batches.iter().map(|batch| batch_ref(&run, batch)).chain(entry).map(removal).collect()
    }

    fn lock_lost(&self) -> LedgerError {
        LedgerError::LockLost(self.hold.request().target.to_string())
    }

    fn target(&self) -> String {
        let request = self.hold.request();
        format!("{}/{}", request.deployment, request.target)
    }

    /// The conflict with a writer that ignored the lock, such as plain git.
    fn moved(&self, records: &[LedgerRecord]) -> LedgerError {
        let Some(record) = records.first() else { return LedgerError::Contended(self.target()) };
        let RecordId { deployment, target, .. } = &record.id;
        let scope = Scope::Targets(deployment.clone(), vec![target.clone()]);
        let fresh = self.ledger.refresh_or_fail(&scope).and_then(|()| self.ledger.read(&scope));
        let moved = fresh.ok().and_then(|fresh| {
            let state = fresh.deployment(deployment);
            records.iter().find_map(|record| {
                let newest = state.component(target, &record.id.component)?.newest.clone()?;
                (Some(&newest.object) != record.record.previous.as_ref())
                    .then(|| (record.id.component.clone(), newest))
            })
        });
        match moved {
            Some((component, by)) => LedgerError::Moved { target: target.clone(), component, by: Some(by) },
            None => LedgerError::Contended(self.target()),
        }
    }
}

/// The removal of a ref of this run alone.
fn removal(name: String) -> RefUpdate {
    RefUpdate { name, new: None, expected: Expected::Anything }
}

#[cfg(test)]
mod tests;
