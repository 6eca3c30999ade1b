//! Taking and giving back locks: all of a run's locks or none, in one create-only push.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::deployment::lock::{HeldLock, Lock, LockScope};
use crate::deployment::record::in_whole_seconds;
use crate::deployment::ref_names::{latest_ref, lock_ref};
use crate::deployment::{ComponentName, DeploymentName, ObjectId, TargetName};
use crate::git::transport::PushUpdate;

use super::holder::{Holder, Liveness};
use super::refs::KnownRefs;
use super::snapshot::Snapshot;
use super::step::{Step, StepOutcome, backoff};
use super::{Ledger, LedgerError, Scope, codec};

/// How much longer than its lease a publication is waited for.
const CLOCKS_APART: Duration = Duration::from_secs(10);

/// How long is waited at most between two looks at the lock of a publication.
const LOOKS_AT_PUBLICATIONS: Duration = Duration::from_secs(1);

/// Which locks a run wants.
#[derive(Debug, Clone)]
pub struct LockRequest {
    pub deployment: DeploymentName,
    pub target: TargetName,
    pub scopes: Vec<LockScope>,
    /// What the locks will say. Their times are set when they are taken.
    pub lock: Lock,
    /// How long a lock lives without being renewed; `None` for a lock that stays until it is removed.
    pub lease: Option<Duration>,
    /// How long to wait for those of others.
    pub wait: Duration,
    /// A taking of locks ([`Lock::session`]) whose holder is known to have ended: they are as good
    /// as free.
    pub replaces: Option<String>,
}

/// An id for the taking of locks.
#[must_use]
pub fn lock_session() -> String {
    uuid::Uuid::now_v7().simple().to_string()
}

/// The reason of the locks under which kept records are published. They are short, and waited out.
pub(super) const PUBLISHING: &str = "publishing";

/// Locks that were taken.
#[derive(Debug, Clone)]
pub struct Acquired {
    pub object: ObjectId,
    pub lock: Lock,
    /// The locks of dead or overdue runs that were in the way.
    pub taken_over: Vec<HeldLock>,
}

/// Why locks were not taken.
#[derive(Debug, thiserror::Error)]
pub enum AcquireError {
    /// Others hold them.
    #[error("locked by {}", .0.first().map_or("another run", |held| held.lock.holder.as_str()))]
    Held(Vec<HeldLock>),
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

impl Ledger<'_> {
    /// Takes all of these locks or none, together with `others`, which must hold as well. `waiting` is told, before
    /// every look, who is waited for, and may break it off.
    pub fn acquire(
        &self,
        request: &LockRequest,
        snapshot: &Snapshot,
        others: &mut dyn FnMut(&Self) -> Result<Vec<PushUpdate>, LedgerError>,
        waiting: &mut dyn FnMut(&[HeldLock]) -> ControlFlow<()>,
    ) -> Result<Acquired, AcquireError> {
        let began = Instant::now();
        let deadline = began + request.wait;
        let scope = Scope::Targets(request.deployment.clone(), vec![request.target.clone()]);
        let mut known = snapshot.known.clone();
        let mut publications = None;
        // What is known here of others' locks may be long past: only the remote says that one is held.
        let mut asked = self.reachable_remote().is_none();
        for attempt in 0.. {
            let (mut step, lock, object, held, taken_over) = self.lock_step(request, &known)?;
            if held.is_empty() {
                for other in others(self)? {
                    step.push(other);
                }
                match self.carry_out(&step, "atmos: lock", &[])? {
                    StepOutcome::Accepted => return Ok(Acquired { object, lock, taken_over }),
                    // Somebody was faster: to the lock, which the next look shows, or to the notes that go with it.
                    StepOutcome::Contended(_) if began.elapsed() < self.persistence => {
                        std::thread::sleep(backoff(attempt.min(4)));
                    }
                    StepOutcome::Contended(_) => {
                        return Err(LedgerError::Contended(target_of(request)).into());
                    }
                }
            } else if !asked {
                // It is asked right away.
            } else if (Instant::now() < deadline || is_brief(&held, &mut publications))
                && waiting(&held).is_continue()
            {
                let left = deadline.saturating_duration_since(Instant::now()).max(LOOKS_AT_PUBLICATIONS);
                std::thread::sleep((backoff(attempt) + Duration::from_millis(200)).min(left));
            } else {
                return Err(AcquireError::Held(held));
            }
            self.refresh_states_or_fail(&scope)?;
            known = self.read_refs(&scope)?;
            asked = true;
        }
        Err(LedgerError::Contended(target_of(request)).into())
    }

    /// The push that would take the locks, and whose are in the way.
    #[allow(clippy::type_complexity, reason = "used in one place, a line below")]
    fn lock_step(
        &self,
        request: &LockRequest,
        known: &KnownRefs,
    ) -> Result<(Step, Lock, ObjectId, Vec<HeldLock>, Vec<HeldLock>), LedgerError> {
        let now = self.now();
        let mut held = Vec::new();
        let mut taken_over = Vec::new();
        let mut in_the_way = Vec::new();
        for scope in &request.scopes {
            let name = lock_ref(&request.deployment, &request.target, scope);
            let object = self.locks_known(known).get(&name);
            if let Some(object) = object {
                let lock = self.read_lock(&name, object);
                let has_ended = request.replaces.is_some() && request.replaces == lock.session;
                let is_free = has_ended || abandoned(&lock, now);
                let found = HeldLock { scope: scope.clone(), object: object.clone(), lock };
                if is_free { taken_over.push(found) } else { held.push(found) }
            }
            in_the_way.push((name, object.cloned()));
        }
        let second = in_whole_seconds(now);
        let lock = Lock {
            acquired_at: second,
            expires_at: expiry(second, request.lease),
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

    /// The ends of the chains of what a run intends, as far as they are known.
    fn ends_of(&self, request: &LockRequest, known: &KnownRefs) -> BTreeMap<ComponentName, ObjectId> {
        let refs = if self.remote().is_some() { &known.remote } else { &known.local };
        let end = |component: &ComponentName| {
            let latest = latest_ref(&request.deployment, &request.target, component);
            Some((component.clone(), refs.get(&latest)?.clone()))
        };
        request.lock.intends.keys().filter_map(end).collect()
    }

    /// Writes a lock's object. It tags an empty file: a lock is not about any commit, and a commit might not be on the
    /// remote yet.
    pub(super) fn write_lock(&self, request: &LockRequest, lock: &Lock) -> Result<ObjectId, LedgerError> {
        let nothing = self.objects.write_blob(b"")?;
        let nonce = uuid::Uuid::now_v7().simple().to_string();
        let name = format!("atmos/locks/{}/{}/{nonce}", request.deployment, request.target);
        let message = codec::encode_lock(lock, &nonce);
        Ok(self.objects.write_tag(&nothing, "blob", &name, &self.signature(), &message)?)
    }

    /// Takes locks away from any holder, if they still are the ones that were seen. What a run may
    /// have applied under them is recorded as interrupted.
    pub fn unlock(
        &self,
        deployment: &DeploymentName,
        target: &TargetName,
        locks: &[HeldLock],
        snapshot: &Snapshot,
    ) -> Result<bool, LedgerError> {
        let mut step = Step::default();
        self.add_interrupted(&mut step, deployment, target, locks, snapshot)?;
        for held in locks {
            step.delete(lock_ref(deployment, target, &held.scope), held.object.clone());
        }
        Ok(matches!(self.carry_out(&step, "atmos: unlock", &[])?, StepOutcome::Accepted))
    }

    /// The locks that count: the remote's, where there is one.
    pub(super) fn locks_known<'k>(&self, known: &'k KnownRefs) -> &'k BTreeMap<String, ObjectId> {
        if self.remote().is_some() { &known.remote } else { &known.local }
    }
}

/// Whether kept records are being published under all of these locks, which does not take long: by
/// this process's own clock, since such locks were first met. What a lock says of its end may be of
/// another clock, or untrue.
fn is_brief(held: &[HeldLock], since: &mut Option<Instant>) -> bool {
    let is_publication = |held: &HeldLock| held.lock.reason.as_deref() == Some(PUBLISHING);
    if !held.iter().all(is_publication) {
        return false;
    }
    since.get_or_insert_with(Instant::now).elapsed() < super::pending::PUBLICATION_LEASE + CLOCKS_APART
}

/// Whether nobody works under this lock any more, so that it may be taken over.
#[must_use]
pub fn abandoned(lock: &Lock, now: Timestamp) -> bool {
    lock.expired(now) || Holder::liveness(lock) == Liveness::Dead
}

/// When a lease that starts now ends.
pub(super) fn expiry(now: Timestamp, lease: Option<Duration>) -> Option<Timestamp> {
    now.checked_add(jiff::SignedDuration::try_from(lease?).ok()?).ok()
}

fn target_of(request: &LockRequest) -> String {
    format!("the lock of {}/{}", request.deployment, request.target)
}
