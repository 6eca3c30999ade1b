//! From the request to the result: decide, agree, lock, decide again on what is true now, act, record.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use super::inputs::distinct_commits;
use super::prepare::Prepared;
use super::refusal::not_acquired;
use super::report::shown;
use super::{Args, Surroundings, approve};
use crate::cancellation::Cancellation;
use crate::cli::context::Context;
use crate::cli::error::{CommandError, exit};
use crate::component::Mode;
use crate::deployment::approval::Approval;
use crate::deployment::count::count;
use crate::deployment::lock::{HeldLock, Lock, LockScope};
use crate::deployment::record::{LedgerRecord, RecordStatus};
use crate::deployment::rollout_plan::RolloutPlan;
use crate::deployment::rollout_report::RolloutEvent;
use crate::deployment::{CommitId, ComponentName, Deployment};
use crate::ledger::{Holder, LedgerError, LockRequest, Session, Snapshot};
use crate::provider::Token;
use crate::render::document::error::Hint;
use crate::rollout::{self, Checkouts, EventSink};

/// How long a lock lives without being renewed.
const LEASE: Duration = Duration::from_mins(5);
/// How often a plan is made anew because the ledger moved between deciding and locking.
const DECISIONS: usize = 5;

pub(super) fn carry_out(
    args: &Args,
    context: &Context,
    prepared: &Prepared<'_>,
    surroundings: Surroundings,
) -> Result<ExitCode, CommandError> {
    let Surroundings { events, cancellation, token } = surroundings;
    let run = Undertaking { args, context, prepared, events, cancellation, token };
    let result = if args.plan { run.dry_run() } else { run.for_real() };
    context.say_warnings(&prepared.ledger);
    result
}

/// One rollout on its way.
pub(super) struct Undertaking<'u, 'r> {
    pub(super) args: &'u Args,
    pub(super) context: &'u Context,
    pub(super) prepared: &'u Prepared<'r>,
    pub(super) events: EventSink,
    pub(super) cancellation: Cancellation,
    /// The token that the platform is asked with.
    pub(super) token: Option<Token>,
}

/// Locks that are held, and what was found under them.
struct Locked<'u, 'r> {
    session: Session<'u, 'r>,
    fresh: Snapshot,
    /// Of the commits of the plan that the locks were taken for.
    checkouts: Checkouts,
}

impl<'u, 'r> Undertaking<'u, 'r> {
    /// Shows what would be done. Nothing is locked, applied or recorded.
    fn dry_run(&self) -> Result<ExitCode, CommandError> {
        let scope = self.prepared.scope();
        let freshness = self.prepared.ledger.refresh(&scope);
        self.context.say_freshness(&self.prepared.ledger, &freshness);
        let snapshot = self.prepared.ledger.read(&scope)?;
        let plan = self.allowed(&snapshot)?;
        approve::insist_on_digest(self.args, &plan)?;
        let definitions = self.definitions(&plan)?;
        self.check_tools(&plan, &definitions)?;
        self.announce(&plan, true);
        let checkouts = self.check_out(&plan, &definitions)?;
        let rollout = self.rollout(&plan, definitions, &snapshot, Mode::Plan, &self.prepared.run.id, None)?;
        self.check_artifacts(&plan, &rollout)?;
        let outcome = rollout::run(rollout, checkouts, None, &self.cancellation, &self.events)?;
        self.finish(&plan, None, outcome)
    }

    fn for_real(&self) -> Result<ExitCode, CommandError> {
        let ledger = &self.prepared.ledger;
        let scope = self.prepared.scope();
        let mut snapshot = ledger.read(&scope)?;
        let run_id = self.take_up_dead_runs(&mut snapshot)?;
        // A decision on what is here saves a question to the remote where it is allowed anyway: once the locks are held,
        // the ledger is read again, and only that decides.
        let mut plan = match self.prepared.decide(&snapshot)? {
            Ok(plan) if plan.approval.is_none() => plan,
            _ => {
                ledger.refresh_or_fail(&scope)?;
                snapshot = ledger.read(&scope)?;
                self.allowed(&snapshot)?
            }
        };
        approve::insist_on_digest(self.args, &plan)?;
        let mut definitions = self.definitions(&plan)?;
        self.check_tools(&plan, &definitions)?;
        self.announce(&plan, false);
        let approval = approve::obtain(self, &plan)?;
        if let Some(approval) = &approval {
            (self.events)(RolloutEvent::Approved(shown(&plan, approval)));
        }
        for _ in 0..DECISIONS {
            let Locked { mut session, fresh, mut checkouts } =
                self.lock(&plan, &definitions, &snapshot, &run_id, approval.as_ref())?;
            let decided = self.prepared.decide(&fresh)?;
            let same = matches!(&decided, Ok(decided) if same_work(decided, &plan));
            let is_bound = approval.is_some() || self.args.digest.is_some();
            if same || (!is_bound && decided.as_ref().is_ok_and(|decided| covered(decided, &plan))) {
                if let Ok(decided) = decided {
                    plan = decided;
                }
                if !same {
                    definitions = self.definitions(&plan)?;
                    checkouts = self.check_out(&plan, &definitions)?;
                }
                let locked = Locked { session, fresh, checkouts };
                return self.act(&plan, definitions, locked, &run_id, approval.as_ref());
            }
            // The ledger has moved since: let go, and decide on what is true now.
            session.release()?;
            plan = decided.map_err(|refusal| self.prepared.refusal(&refusal, self.context))?;
            approve::insist_on_digest(self.args, &plan)?;
            if approval.is_some() {
                return Err(CommandError::new(
                    exit::REFUSED,
                    "approval_outdated",
                    "What was approved is no longer what would be rolled out",
                )
                .hint(Hint::note("Look at the new plan with --plan, and approve that")));
            }
            definitions = self.definitions(&plan)?;
            snapshot = fresh;
        }
        Err(LedgerError::Contended(format!("{}/{}", plan.deployment, plan.target)).into())
    }

    /// The plan, or the refusal as an error.
    fn allowed(&self, snapshot: &Snapshot) -> Result<RolloutPlan, CommandError> {
        self.prepared.decide(snapshot)?.map_err(|refusal| self.prepared.refusal(&refusal, self.context))
    }

    /// Publishes what dead runs of this checkout have left behind. One that was asked for the same as this one is gone
    /// on with: its run id, and so what it has recorded, becomes this one's.
    fn take_up_dead_runs(&self, snapshot: &mut Snapshot) -> Result<String, CommandError> {
        let now = self.context.now();
        let dead = |run: &&crate::ledger::PendingRun| !run.may_be_alive(now);
        let same = |lock: &Lock| lock.request.as_deref() == Some(self.prepared.digest.as_str());
        let pending = snapshot.pending.iter().filter(dead).find(|run| run.lock.as_ref().is_some_and(same));
        let mut run_id = pending.map(|run| run.run_id.clone());
        if snapshot.pending.iter().any(|run| dead(&run)) {
            let published = self.prepared.ledger.publish_pending(&snapshot.pending)?;
            self.context.streams().note(&format!(
                "  Published what earlier runs had left behind: {}\n",
                count(published, "record")
            ));
            *snapshot = self.prepared.ledger.read(&self.prepared.scope())?;
        }
        if run_id.is_none() {
            run_id = self.prepared.ledger.dead_run_of(snapshot, &self.prepared.digest);
        }
        if let Some(run) = &run_id {
            self.context.streams().note(&format!("  Going on with run {run}, which was interrupted\n"));
        }
        Ok(run_id.unwrap_or_else(|| self.prepared.run.id.clone()))
    }

    /// Takes the locks of the plan's components and reads the ledger as it is under them. While the remote is asked, the
    /// plan's commits are checked out: they hardly ever are other ones afterwards.
    fn lock(
        &self,
        plan: &RolloutPlan,
        definitions: &BTreeMap<CommitId, Deployment>,
        snapshot: &Snapshot,
        run_id: &str,
        approval: Option<&Approval>,
    ) -> Result<Locked<'u, 'r>, CommandError> {
        self.not_cancelled()?;
        let (checkouts, (session, fresh)) = self.check_out_during(plan, definitions, |begin| {
            let mut session = self.acquire(plan, snapshot, run_id, approval, begin)?;
            let (ledger, scope) = (&self.prepared.ledger, self.prepared.scope());
            session.refresh(&scope)?;
            let fresh = ledger.read(&scope)?;
            session.begin_from(&fresh);
            Ok((session, fresh))
        })?;
        Ok(Locked { session, fresh, checkouts })
    }

    /// Takes the locks of the plan's components. `free` is told when nobody is seen to hold them.
    fn acquire(
        &self,
        plan: &RolloutPlan,
        snapshot: &Snapshot,
        run_id: &str,
        approval: Option<&Approval>,
        free: &mut dyn FnMut(),
    ) -> Result<Session<'u, 'r>, CommandError> {
        let ledger = &self.prepared.ledger;
        let request = self.lock_request(plan, run_id);
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
            &mut |held| {
                if !std::mem::replace(&mut told, true) {
                    self.tell_waiting(held);
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
        (self.events)(RolloutEvent::LockAcquired);
        // From here on the session lets go of the locks, whatever happens.
        Ok(Session::new(ledger, request, acquired))
    }

    /// Ends a rollout that somebody has cancelled while it did not hold its locks yet.
    fn not_cancelled(&self) -> Result<(), CommandError> {
        if !self.cancellation.is_cancelled() {
            return Ok(());
        }
        let message = "The rollout was cancelled before anything was applied";
        Err(CommandError::new(exit::INTERRUPTED, "cancelled", message))
    }

    fn tell_waiting(&self, held: &[HeldLock]) {
        if let Some(held) = held.first() {
            (self.events)(RolloutEvent::LockWaiting {
                holder: held.lock.holder.clone(),
                run_id: held.lock.run_id.clone(),
                since: held.lock.acquired_at,
            });
        }
    }

    fn lock_request(&self, plan: &RolloutPlan, run_id: &str) -> LockRequest {
        let holder = Holder::current();
        let run = &self.prepared.run;
        let lease = self.context.variable("ATMOS_LOCK_LEASE").and_then(|seconds| seconds.parse().ok());
        LockRequest {
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
                request: Some(self.prepared.digest.clone()),
                reason: None,
                // Set when it is taken.
                acquired_at: self.context.now(),
                expires_at: None,
            },
            lease: Some(lease.map_or(LEASE, Duration::from_secs)),
            wait: self.args.lock_timeout,
        }
    }

    /// Runs the components under the locks.
    fn act(
        &self,
        plan: &RolloutPlan,
        definitions: BTreeMap<CommitId, Deployment>,
        locked: Locked<'_, '_>,
        run_id: &str,
        approval: Option<&Approval>,
    ) -> Result<ExitCode, CommandError> {
        let Locked { session, fresh, checkouts } = locked;
        let mut rollout = self.rollout(plan, definitions, &fresh, Mode::Apply, run_id, approval)?;
        self.check_artifacts(plan, &rollout)?;
        rollout.done = recorded_by(run_id, plan, &fresh);
        if let Some(lock) = session.taken_over() {
            rollout.metadata.insert("lock_taken_over_from".to_owned(), lock.run_id.clone());
        }
        let outcome = rollout::run(rollout, checkouts, Some(session), &self.cancellation, &self.events)?;
        self.note_health(plan, &outcome);
        self.finish(plan, approval, outcome)
    }
}

/// The components that this very run has recorded before it was interrupted.
fn recorded_by(
    run_id: &str,
    plan: &RolloutPlan,
    fresh: &Snapshot,
) -> BTreeMap<ComponentName, Arc<LedgerRecord>> {
    let state = fresh.deployment(&plan.deployment);
    plan.components
        .iter()
        .filter_map(|component| {
            let newest = state.component(&plan.target, &component.component)?.newest.clone()?;
            let own = newest.record.run_id.as_deref() == Some(run_id)
                && newest.record.commit == component.commit
                && newest.record.status == RecordStatus::Success;
            own.then(|| (component.component.clone(), newest))
        })
        .collect()
}

/// Whether two plans do the same: the same components at the same commits, on top of the same.
fn same_work(left: &RolloutPlan, right: &RolloutPlan) -> bool {
    left.components == right.components && left.kind == right.kind
}

/// Whether the locks that were taken for `locked` cover `plan`.
fn covered(plan: &RolloutPlan, locked: &RolloutPlan) -> bool {
    let names: Vec<_> = locked.components.iter().map(|component| &component.component).collect();
    plan.components.iter().all(|component| names.contains(&&component.component))
}
