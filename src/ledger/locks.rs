//! Acquisition and release of locks: all of a run's locks or none, in one push whose leases require
//! that each ref is absent or holds an abandoned lock.

use std::collections::{BTreeMap, HashMap};
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::deployment::judgement::{Judgement, judge};
use crate::deployment::lease::PUBLICATION_LEASE;
use crate::deployment::lock::{HeldLock, Lock, LockScope};
use crate::deployment::record::in_whole_seconds;
use crate::deployment::ref_names::{latest_ref, lock_ref};
use crate::deployment::{ComponentName, DeploymentName, ObjectId, TargetName};
use crate::git::transport::PushUpdate;

use super::backoff::backoff;
use super::ending::{Ending, LeftAtWork};
use super::holder::Holder;
use super::refs::KnownRefs;
use super::snapshot::Snapshot;
use super::step::{Step, StepOutcome};
use super::{Ledger, LedgerError, Scope, codec};

/// The grace period after a publication's lease, so that a waiter sees the lease end.
const PUBLICATION_MARGIN: Duration = Duration::from_secs(10);

/// The longest delay between two polls of a publication's lock.
const LOOKS_AT_PUBLICATIONS: Duration = Duration::from_secs(1);

/// The locks that a run needs.
#[derive(Debug, Clone)]
pub struct LockRequest {
    pub deployment: DeploymentName,
    pub target: TargetName,
    pub scopes: Vec<LockScope>,
    /// The content of the locks. Their times are set when they are acquired.
    pub lock: Lock,
    /// The lease: how long a lock lives without a renewal; `None` for a lock
    /// that stays until it is removed.
    pub lease: Option<Duration>,
    /// The timeout for locks that other runs hold.
    pub wait: Duration,
    /// A session ([`Lock::session`]) whose run is known to have ended: its locks count as free.
    pub replaces: Option<String>,
    /// Whether processes that a killed run left behind are told to end, and waited for.
    pub ends_orphans: bool,
}

/// A callback of [`Ledger::acquire`] before each poll: the locks in the way, and the processes that
/// were told to end since the last poll. It may break the wait off.
pub type Waiting<'w> = dyn FnMut(&[HeldLock], Vec<LeftAtWork>) -> ControlFlow<()> + 'w;

/// A new session id, the same on all locks of one acquisition.
#[must_use]
pub fn lock_session() -> String {
    uuid::Uuid::now_v7().simple().to_string()
}

/// Locks that were taken.
#[derive(Debug, Clone)]
pub struct Acquired {
    pub object: ObjectId,
    pub lock: Lock,
    /// The locks of dead or overdue runs that were taken over.
    pub taken_over: Vec<HeldLock>,
}

/// Why locks were not taken.
#[derive(Debug, thiserror::Error)]
pub enum AcquireError {
    /// Other runs hold them.
    #[error("locked by {}", .0.first().map_or("another run", |held| held.lock.holder.as_str()))]
    Held(Vec<HeldLock>),
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

impl Ledger<'_> {
    /// Acquires all of these locks or none, in one transaction with `others`,
    /// whose leases must hold as well.
    ///
    /// Polls the remote until the locks are free or `request.wait` is over.
    /// `waiting` is called before each poll.
    ///
    /// # Errors
    ///
    /// [`AcquireError::Held`] where others still hold the locks after `request.wait`, or where
    /// `waiting` breaks it off. [`LedgerError::Contended`] where the push keeps losing races;
    /// otherwise the errors of `others`, and of a remote that refuses or does not answer.
    pub fn acquire(
        &self,
        request: &LockRequest,
        snapshot: &Snapshot,
        others: &mut dyn FnMut(&Self) -> Result<Vec<PushUpdate>, LedgerError>,
        waiting: &mut Waiting<'_>,
    ) -> Result<Acquired, AcquireError> {
        let began = Instant::now();
        let deadline = began + request.wait;
        let scope = Scope::Targets(request.deployment.clone(), vec![request.target.clone()]);
        let mut known = snapshot.known.clone();
        let mut publications = None;
        let mut ending = Ending::default();
        // The mirror may be stale: only a look at the remote proves that a lock is held.
        let mut seen = Seen { asked: self.reachable_remote().is_none(), ..Seen::default() };
        for attempt in 0.. {
            let (mut step, lock, object, held, taken_over) = self.lock_step(request, &known, &mut seen)?;
            // At the first poll of the remote, with any timeout.
            let is_ending = request.ends_orphans && seen.asked && ending.ask(&held);
            if held.is_empty() && ending.since.is_some() && !ending.published {
                // The killed run's pending records must be published
                // before the records that follow.
                ending.published = true;
                let runs = self.read(&scope)?.pending;
                let failures = match self.publish_pending(&runs) {
                    Ok(published) => published.failures,
                    Err(error) => vec![error.to_string()],
                };
                for failure in failures {
                    self.warn(format!("what a killed run has kept is not published: {failure}"));
                }
            } else if held.is_empty() {
                for other in others(self)? {
                    step.push(other);
                }
                match self.execute(&step, "atmos: lock", &[])? {
                    StepOutcome::Accepted => return Ok(Acquired { object, lock, taken_over }),
                    // Lost race: for the lock, which the next poll shows, or for a ref of `others`.
                    StepOutcome::Contended(_) if began.elapsed() < self.persistence => {
                        std::thread::sleep(backoff(attempt.min(4)));
                    }
                    StepOutcome::Contended(_) => {
                        return Err(LedgerError::Contended(target_of(request)).into());
                    }
                }
            } else if !seen.asked {
                // Only the mirror shows a holder: poll the remote without a delay.
            } else if (Instant::now() < deadline || is_brief(&held, &mut publications) || is_ending)
                && waiting(&held, ending.news()).is_continue()
            {
                let left = deadline.saturating_duration_since(Instant::now()).max(LOOKS_AT_PUBLICATIONS);
                std::thread::sleep((backoff(attempt) + Duration::from_millis(200)).min(left));
            } else {
                return Err(AcquireError::Held(held));
            }
            self.refresh_states_or_fail(&scope)?;
            known = self.read_refs(&scope)?;
            seen.asked = true;
        }
        Err(LedgerError::Contended(target_of(request)).into())
    }

    /// The step that acquires the locks, the locks in its way, and those that it takes over.
    #[allow(clippy::type_complexity, reason = "used in one place, a line below")]
    fn lock_step(
        &self,
        request: &LockRequest,
        known: &KnownRefs,
        seen: &mut Seen,
    ) -> Result<(Step, Lock, ObjectId, Vec<HeldLock>, Vec<HeldLock>), LedgerError> {
        let now = self.now();
        let mut held = Vec::new();
        let mut taken_over = Vec::new();
        let mut in_the_way = Vec::new();
        for scope in &request.scopes {
            let name = lock_ref(&request.deployment, &request.target, scope);
            let object = self.authoritative(known).get(&name);
            if let Some(object) = object {
                let lock = self.read_lock(&name, object);
                let has_ended = request.replaces.is_some() && request.replaces == lock.session;
                let judged = judge(&lock, Holder::liveness(&lock), now, seen.for_how_long(object));
                let is_free = has_ended || judged == Judgement::Free;
                let found = HeldLock { scope: scope.clone(), object: object.clone(), lock };
                if is_free { taken_over.push(found) } else { held.push(found) }
            }
            in_the_way.push((name, object.cloned()));
        }
        let second = in_whole_seconds(now);
        let lock = Lock {
            acquired_at: second,
            expires_at: expiry(second, request.lease),
            lease: request.lease,
            follows: self.ends_of(request, known),
            ..request.lock.clone()
        };
        let object = self.write_lock(request, &lock)?;
        let mut step = Step::default();
        for (name, seen) in in_the_way {
            step.set(name, object.clone(), seen.as_ref());
        }
        Ok((step, lock, object, held, taken_over))
    }

    /// The known ends of the chains of the components that a run intends to change.
    fn ends_of(&self, request: &LockRequest, known: &KnownRefs) -> BTreeMap<ComponentName, ObjectId> {
        let refs = self.authoritative(known);
        let end = |component: &ComponentName| {
            let latest = latest_ref(&request.deployment, &request.target, component);
            Some((component.clone(), refs.get(&latest)?.clone()))
        };
        request.lock.intends.keys().filter_map(end).collect()
    }

    /// Writes a lock's tag object. It tags an empty blob: a commit might not be on the remote yet.
    pub(super) fn write_lock(&self, request: &LockRequest, lock: &Lock) -> Result<ObjectId, LedgerError> {
        let nothing = self.objects.write_blob(b"")?;
        let nonce = uuid::Uuid::now_v7().simple().to_string();
        let name = format!("atmos/locks/{}/{}/{nonce}", request.deployment, request.target);
        let message = codec::encode_lock(lock, &nonce);
        Ok(self.objects.write_tag(&nothing, "blob", &name, &self.signature(), &message)?)
    }

    /// Removes locks of any holder, if they are still of the sessions that were seen, renewed or
    /// not. Returns whether they are removed.
    ///
    /// Components that the run may have applied under them are recorded as
    /// interrupted, in the same transaction.
    ///
    /// # Errors
    ///
    /// Fails where the remote refuses or does not answer, or where histories cannot be read.
    pub fn unlock(
        &self,
        deployment: &DeploymentName,
        target: &TargetName,
        locks: &[HeldLock],
        snapshot: &Snapshot,
    ) -> Result<bool, LedgerError> {
        let scope = Scope::Targets(deployment.clone(), vec![target.clone()]);
        let (mut locks, mut renewed) = (locks.to_vec(), None::<Snapshot>);
        let began = Instant::now();
        for attempt in 0.. {
            let mut step = Step::default();
            self.add_interrupted(
                &mut step,
                deployment,
                target,
                &locks,
                renewed.as_ref().unwrap_or(snapshot),
            )?;
            for held in &locks {
                step.delete(lock_ref(deployment, target, &held.scope), held.object.clone());
            }
            if matches!(self.execute(&step, "atmos: unlock", &[])?, StepOutcome::Accepted) {
                return Ok(true);
            }
            if began.elapsed() >= self.persistence {
                break;
            }
            std::thread::sleep(backoff(attempt.min(4)));
            self.refresh_states_or_fail(&scope)?;
            let fresh = self.read(&scope)?;
            let state = fresh.deployment(deployment);
            let there = state.targets.get(target).map_or(&[][..], |target| &target.locks);
            let Some(of_the_same) = locks.iter().map(|seen| of_same_taking(seen, there)).collect() else {
                break;
            };
            locks = of_the_same;
            renewed = Some(fresh);
        }
        Ok(false)
    }
}

/// The current object of a lock that was seen: of the same session of the same run.
fn of_same_taking(seen: &HeldLock, there: &[HeldLock]) -> Option<HeldLock> {
    let taking = |lock: &Lock| (lock.session.clone(), lock.run_id.clone(), lock.acquired_at);
    let found = there.iter().find(|found| found.scope == seen.scope)?;
    (taking(&found.lock) == taking(&seen.lock)).then(|| found.clone())
}

/// Whether all of these locks are publications, which are brief and worth waiting for.
///
/// Measured by this process's own clock since the first such lock: the expiry in a lock may
/// be of a skewed clock, or forged.
fn is_brief(held: &[HeldLock], since: &mut Option<Instant>) -> bool {
    if !held.iter().all(|held| held.lock.is_publication()) {
        return false;
    }
    since.get_or_insert_with(Instant::now).elapsed() < PUBLICATION_LEASE + PUBLICATION_MARGIN
}

/// The time since a waiter first saw each lock on the remote, by its own monotonic clock.
#[derive(Debug, Default)]
struct Seen {
    since: HashMap<ObjectId, Instant>,
    /// Whether the locks were read from the remote. A stale mirror proves nothing.
    asked: bool,
}

impl Seen {
    fn for_how_long(&mut self, object: &ObjectId) -> Duration {
        if !self.asked {
            return Duration::ZERO;
        }
        self.since.entry(object.clone()).or_insert_with(Instant::now).elapsed()
    }
}

/// Judges a lock without waiting. A lock that only looks abandoned is taken over by runs that
/// keep watching it, see [`judge`].
#[must_use]
pub fn judge_now(lock: &Lock, now: Timestamp) -> Judgement {
    judge(lock, Holder::liveness(lock), now, Duration::ZERO)
}

/// The end of a lease that starts now.
pub(super) fn expiry(now: Timestamp, lease: Option<Duration>) -> Option<Timestamp> {
    now.checked_add(jiff::SignedDuration::try_from(lease?).ok()?).ok()
}

fn target_of(request: &LockRequest) -> String {
    format!("the lock of {}/{}", request.deployment, request.target)
}

#[cfg(test)]
mod tests;
