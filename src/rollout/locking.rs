//! Acquisition of a rollout's locks, and the snapshot under them.

use std::collections::BTreeMap;
use std::ops::{ControlFlow, RangeInclusive};
use std::time::Duration;

use super::command::RolloutCommand;
use super::inputs::distinct_commits;
use super::ready::Ready;
use super::refusal::not_acquired;
use crate::deployment::lease::LEASE;
use crate::deployment::lock::{HeldLock, Lock, LockScope};
use crate::deployment::rollout_plan::RolloutPlan;
use crate::deployment::rollout_report::RolloutEvent;
use crate::error::{Code, CommandError};
use crate::execution::Checkouts;
use crate::ledger::{Holder, LockRequest, Session, Snapshot, lock_session};
use crate::project::left_at_work;
use crate::project::rules::Certainty;
use crate::render::document::error::Hint;

/// The variable that sets the lease of locks, and its range in seconds.
const LEASE_VARIABLE: &str = "ATMOS_LOCK_LEASE";
const LEASE_SECONDS: RangeInclusive<u64> = 1..=86_400;

/// A session, and the snapshot that was read under its locks.
pub(super) struct Locked<'u, 'r> {
    pub(super) session: Session<'u, 'r>,
    pub(super) fresh: Snapshot,
    /// Checkouts of the commits of the plan for which the locks were acquired.
    pub(super) checkouts: Checkouts,
}

impl<'u, 'r> RolloutCommand<'u, 'r> {
    /// Acquires the locks of the plan's components and reads a snapshot under them. Checks the
    /// plan's commits out meanwhile, because the decision under the locks rarely changes them.
    pub(super) fn lock(
        &self,
        ready: &Ready,
        snapshot: &Snapshot,
        run_id: &str,
    ) -> Result<Locked<'u, 'r>, CommandError> {
        self.not_cancelled()?;
        let plan = &ready.decided.plan;
        let (checkouts, (session, fresh)) = self.check_out_during(plan, &ready.definitions, |begin| {
            let mut session = self.acquire(ready, snapshot, run_id, begin)?;
            let (ledger, scope) = (&self.prepared.ledger, self.prepared.scope());
            session.refresh(&scope)?;
            let mut fresh = ledger.read(&scope)?;
            session.begin_from(&fresh);
            if session.record_interrupted(&fresh)? {
                session.refresh(&scope)?;
                fresh = ledger.read(&scope)?;
                session.begin_from(&fresh);
            }
            Ok((session, fresh))
        })?;
        Ok(Locked { session, fresh, checkouts })
    }

    /// Acquires the locks of the plan's components. Calls `free` once no other run holds them.
    fn acquire(
        &self,
        ready: &Ready,
        snapshot: &Snapshot,
        run_id: &str,
        free: &mut dyn FnMut(),
    ) -> Result<Session<'u, 'r>, CommandError> {
        let ledger = &self.prepared.ledger;
        let plan = &ready.decided.plan;
        let approval = ready.granted.as_ref().filter(|granted| granted.is_new);
        let approval = approval.map(|granted| &granted.approval);
        let request = self.lock_request(plan, run_id)?;
        let commits: Vec<_> = distinct_commits(plan).into_iter().cloned().collect();
        if let Some(commit) = commits.first() {
            ledger.check_signing(commit)?;
        }
        let mut told = false;
        let acquired = ledger.acquire(
            &request,
            snapshot,
            &mut |ledger| {
                free();
                approval
                    .map(|approval| ledger.approval_update(&plan.deployment, approval, &commits))
                    .transpose()
                    .map(|update| update.into_iter().collect())
            },
            &mut |held, asked| {
                if !std::mem::replace(&mut told, true) {
                    self.tell_waiting(held, run_id);
                }
                for asked in asked {
                    (self.events)(left_at_work::event(asked));
                }
                if self.cancellation.is_cancelled() {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                }
            },
        );
        if acquired.is_err() {
            self.not_cancelled()?;
        }
        let acquired = acquired
            .map_err(|error| not_acquired(&plan.deployment, &plan.target, error, &self.context.clock()))?;
        crate::ledger::failpoint("locked");
        // From here on, dropping the session releases the locks.
        Ok(Session::new(ledger, request, acquired))
    }

    /// Refuses to go on after a cancellation, before the locks are held.
    pub(super) fn not_cancelled(&self) -> Result<(), CommandError> {
        if !self.cancellation.is_cancelled() {
            return Ok(());
        }
        let message = "The rollout was cancelled before anything was applied";
        Err(CommandError::new(Code::Cancelled, message))
    }

    /// Prints whose locks this run waits for, and for which plan, on fresh state.
    fn tell_waiting(&self, held: &[HeldLock], run_id: &str) {
        let announced = self.prepared.ledger.read(&self.prepared.scope()).map_err(CommandError::from);
        let announced = announced.and_then(|snapshot| {
            let decided = self.decide(&snapshot, Certainty::Provisional)?;
            let definitions = self.definitions(&decided.plan)?;
            let gathered = self.gather(&decided, definitions, &snapshot, run_id)?;
            self.announce(&decided, &gathered, &snapshot, false);
            Ok(())
        });
        if announced.is_err() {
            // Errors of this preview are ignored: only the decision under the locks counts.
            tracing::debug!("what is waited for cannot be told");
        }
        if let Some(held) = held.first() {
            (self.events)(RolloutEvent::LockWaiting {
                holder: held.lock.holder.clone(),
                run_id: held.lock.run_id.clone(),
                since: held.lock.acquired_at,
            });
        }
    }

    /// The lease of the locks.
    ///
    /// # Errors
    ///
    /// Fails where the variable is no number of seconds in its range.
    pub(super) fn lease(&self) -> Result<Duration, CommandError> {
        let Some(text) = self.context.variable(LEASE_VARIABLE) else { return Ok(LEASE) };
        let seconds = text.parse().ok().filter(|seconds| LEASE_SECONDS.contains(seconds));
        let (least, most) = (LEASE_SECONDS.start(), LEASE_SECONDS.end());
        seconds.map(Duration::from_secs).ok_or_else(|| {
            CommandError::usage(format!(
                "{LEASE_VARIABLE} is a whole number of seconds from {least} to {most}, not {text:?}"
            ))
            .hint(Hint::command(
                format!("To do with the {} seconds of a lease", LEASE.as_secs()),
                format!("unset {LEASE_VARIABLE}"),
            ))
        })
    }

    fn lock_request(&self, plan: &RolloutPlan, run_id: &str) -> Result<LockRequest, CommandError> {
        let holder = Holder::current();
        let run = &self.prepared.run;
        Ok(LockRequest {
            deployment: plan.deployment.clone(),
            target: plan.target.clone(),
            scopes: plan
                .components
                .iter()
                .map(|component| LockScope::Component(component.component.clone()))
                .collect(),
            lock: Lock {
                holder: run.actor.clone(),
                run_id: run_id.to_owned(),
                run_url: run.url.clone(),
                host: holder.host,
                process: Some(holder.process),
                process_started: holder.started,
                user: Some(holder.user),
                session: Some(lock_session()),
                intends: plan
                    .components
                    .iter()
                    .map(|component| (component.component.clone(), component.commit.clone()))
                    .collect(),
                // Set when it is taken.
                follows: BTreeMap::new(),
                reason: None,
                // Set when it is taken.
                acquired_at: self.context.now(),
                expires_at: None,
                lease: None,
            },
            lease: Some(self.lease()?),
            wait: self.options.lock_timeout,
            replaces: None,
            ends_orphans: true,
        })
    }
}
