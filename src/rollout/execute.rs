//! The execution of a rollout command: decide, get the approval, acquire locks, decide
//! again on fresh state, run, record.

use std::collections::BTreeMap;
use std::process::ExitCode;

use super::approve::{Asking, Granted};
use super::command::RolloutCommand;
use super::decide::Decided;
use super::gather::{Gathered, check_built};
use super::locking::Locked;
use super::prepare::Prepared;
use super::ready::{Examined, Ready};
use super::report::shown;
use super::{Options, Surroundings};
use crate::component::Mode;
use crate::context::Context;
use crate::deployment::approval::Covered;
use crate::deployment::definition::ApprovalMethod;
use crate::deployment::rollout_plan::RolloutPlan;
use crate::deployment::rollout_report::{RolloutEvent, WouldBeRefused};
use crate::error::{Code, CommandError};
use crate::execution;
use crate::ledger::{Freshness, LedgerError, SESSION_VARIABLE, Scope, Snapshot};
use crate::project::rules::Certainty;
use crate::render::document::error::Hint;

/// The most new decisions after the ledger moved between decision and locks (a lost race).
const DECISIONS: usize = 5;

pub(super) fn execute(
    options: &Options,
    context: &Context,
    prepared: &Prepared<'_>,
    surroundings: Surroundings,
) -> Result<ExitCode, CommandError> {
    let Surroundings { events, cancellation, token } = surroundings;
    let run = RolloutCommand::new(options, context, prepared, events, cancellation, token);
    let result = if options.plan { run.dry_run() } else { run.for_real() };
    context.say_warnings(&prepared.ledger);
    result
}

impl<'u, 'r> RolloutCommand<'u, 'r> {
    /// Shows the plan of a dry run. Nothing is locked, applied or recorded.
    fn dry_run(&self) -> Result<ExitCode, CommandError> {
        let scope = self.prepared.scope();
        let freshness = self.look_at_the_remote(&scope)?;
        self.context.say_freshness(&self.prepared.ledger, &freshness);
        let snapshot = self.prepared.ledger.read(&scope)?;
        // A stale mirror is good enough for a dry run, and its age was printed.
        let decided = self.decide(&snapshot, Certainty::Provisional)?;
        for WouldBeRefused { message, .. } in self.would_be_refused(&decided.plan) {
            self.context.warn(&format!("a rollout would be refused now: {message}"));
        }
        let plan = &decided.plan;
        let definitions = self.definitions(plan)?;
        self.check_tools(plan, &definitions)?;
        let missing = self.look_ahead(&decided, &definitions, &snapshot)?;
        self.say_missing(plan, &missing);
        let run_id = &self.prepared.run.id;
        let gathered = self.gather(&decided, definitions, &snapshot, run_id)?;
        self.insist_on_digest(plan, &gathered.digests)?;
        self.announce(&decided, &gathered, &snapshot, true);
        let checkouts = self.check_out(plan, &gathered.definitions)?;
        let digest = gathered.digests.plan.clone();
        // A dry run plans all components, also those that a retried job would skip.
        let gathered = Gathered { done: BTreeMap::new(), ..gathered };
        let rollout = self.rollout(&decided, gathered, Mode::Plan, run_id, None)?;
        self.check_artifacts(plan, &rollout)?;
        let outcome = execution::run(rollout, checkouts, None, &self.cancellation, &self.events)?;
        self.finish(plan, &digest, None, outcome, false)
    }

    /// Refreshes the ledger for a dry run. In CI an unreachable remote is an error, unless
    /// `--offline` is given: reviewers take a job's plan as current.
    fn look_at_the_remote(&self, scope: &Scope) -> Result<Freshness, CommandError> {
        let ledger = &self.prepared.ledger;
        if self.context.job().is_none() || self.context.global().offline {
            return Ok(ledger.refresh_with_rules(scope));
        }
        ledger.refresh_or_fail(scope).map_err(|error| {
            CommandError::from(error).hint(Hint::note(
                "A plan of a job says what the remote knows: try again when it answers. Input `fetch: false` plans with \
                 what is checked out, and says so",
            ))
        })?;
        Ok(Freshness::Current)
    }

    fn for_real(&self) -> Result<ExitCode, CommandError> {
        // An invalid lease is refused before anything is fetched.
        self.lease()?;
        let ledger = &self.prepared.ledger;
        let scope = self.prepared.scope();
        ledger.insist_on_history();
        let mut snapshot = ledger.read(&scope)?;
        if self.context.publish_left_behind(ledger, &snapshot.pending, &Freshness::Current) {
            snapshot = ledger.read(&scope)?;
        }
        let run_id = &self.prepared.run.id;
        let mut examined = if let Some(examined) = self.examine_mirror(&snapshot) {
            examined
        } else {
            ledger.refresh_or_fail(&scope)?;
            snapshot = ledger.read(&scope)?;
            self.examine(self.allowed(&snapshot)?, &snapshot)?
        };
        for _ in 0..DECISIONS {
            let ready = self.make_ready(examined, &snapshot, run_id)?;
            let locked = self.lock(&ready, &snapshot, run_id)?;
            let fresh = self.allowed(&locked.fresh)?;
            match self.settle(ready, fresh, locked, run_id)? {
                Settled::Ended(code) => return Ok(code),
                Settled::Moved { now, fresh } => {
                    examined = self.examine(*now, &fresh)?;
                    snapshot = fresh;
                }
            }
        }
        let (deployment, target) = (&self.prepared.checkout.name, &self.prepared.request.target);
        Err(LedgerError::Contended(format!("{deployment}/{target}")).into())
    }

    /// Decides on the mirror, which saves a fetch where it succeeds. Invariant: a mirror, which may
    /// be stale, neither refuses nor builds anything, and only the decision under the locks counts.
    fn examine_mirror(&self, snapshot: &Snapshot) -> Option<Examined> {
        let decided = self.prepared.decide(self.context, snapshot, Certainty::Provisional).ok()?.ok()?;
        if self.is_bound(&decided) || !decided.plan.obstacles.is_empty() {
            return None;
        }
        self.examine(decided, snapshot).ok().filter(|examined| examined.missing.is_empty())
    }

    /// Checks that everything is there that the plan's components need, besides their images.
    fn examine(&self, decided: Decided, snapshot: &Snapshot) -> Result<Examined, CommandError> {
        let definitions = self.definitions(&decided.plan)?;
        self.check_tools(&decided.plan, &definitions)?;
        let missing = self.look_ahead(&decided, &definitions, snapshot)?;
        Ok(Examined { decided, definitions, missing })
    }

    /// Whether a rollout is bound to exactly one plan: by an approval, or by `--digest`.
    fn is_bound(&self, decided: &Decided) -> bool {
        decided.plan.approval.is_some() || self.prepared.expected.is_some()
    }

    /// Builds missing images and obtains the approval. Before both the remote was fetched, because
    /// it may have the images, and an approver must not see a stale plan.
    fn make_ready(
        &self,
        examined: Examined,
        snapshot: &Snapshot,
        run_id: &str,
    ) -> Result<Ready, CommandError> {
        let Examined { decided, definitions, missing } = examined;
        self.ensure_images(&decided, &missing)?;
        let mut granted = None;
        if self.is_bound(&decided) {
            let gathered = self.gather(&decided, definitions.clone(), snapshot, run_id)?;
            self.insist_on_digest(&decided.plan, &gathered.digests)?;
            let wanted = gathered.to_be_approved(&decided.plan);
            if let Some(method) = decided.plan.approval.filter(|_| !wanted.is_empty()) {
                check_built(&decided.plan, &gathered.digests)?;
                self.announce(&decided, &gathered, snapshot, false);
                let given = self.asking(&decided, &gathered, snapshot, wanted, method).obtain()?;
                (self.events)(RolloutEvent::Approved(shown(&given.approval)));
                granted = Some(given);
            }
        }
        Ok(Ready { decided, definitions, granted })
    }

    fn asking<'a>(
        &'a self,
        decided: &'a Decided,
        gathered: &'a Gathered,
        snapshot: &'a Snapshot,
        wanted: Vec<Covered>,
        method: ApprovalMethod,
    ) -> Asking<'a, 'u, 'r> {
        let mut command = self.prepared.typed.clone();
        command.set("digest", gathered.digests.plan.as_str()).set("approve", "why");
        let elsewhere = Hint::command("To approve this plan on the command line", command.to_string());
        let mut ahead = self.prepared.typed.clone();
        ahead.approve().set("digest", gathered.digests.plan.as_str());
        let ahead = Hint::command(
            "Or a person who may approve it does so ahead of it",
            format!("{ahead} --reason 'why'"),
        );
        Asking { run: self, decided, gathered, snapshot, wanted, method, elsewhere: vec![elsewhere, ahead] }
    }

    /// Runs the plan under the locks if the decision still holds there; otherwise releases them.
    fn settle(
        &self,
        ready: Ready,
        now: Decided,
        locked: Locked<'_, '_>,
        run_id: &str,
    ) -> Result<Settled, CommandError> {
        let Locked { mut session, fresh, mut checkouts } = locked;
        let Ready { decided, mut definitions, granted } = ready;
        let same = same_work(&now.plan, &decided.plan);
        if !same && !covered(&now.plan, &decided.plan) {
            session.release()?;
            return match granted {
                Some(_) => Err(outdated()),
                None => Ok(Settled::Moved { now: Box::new(now), fresh }),
            };
        }
        if !same {
            definitions = self.definitions(&now.plan)?;
            checkouts = self.check_out(&now.plan, &definitions)?;
        }
        let gathered = self.gather(&now, definitions, &fresh, run_id)?;
        self.insist_on_images(&now, &gathered)?;
        self.insist_on_digest(&now.plan, &gathered.digests)?;
        self.insist_on_published(&now.plan, &gathered, &fresh)?;
        let wanted = gathered.to_be_approved(&now.plan);
        if let Some(method) = now.plan.approval.filter(|_| !wanted.is_empty()) {
            let Some(granted) = &granted else {
                // Only the state or rules that were read under the locks require an approval.
                session.release()?;
                return Ok(Settled::Moved { now: Box::new(now), fresh });
            };
            let asking = self.asking(&now, &gathered, &fresh, wanted, method);
            // The approval may have been revoked or have expired while
            // this run waited for the locks.
            let counts = granted.covers(&asking.wanted)
                && granted.approval.expires_at.is_none_or(|expiry| expiry > self.prepared.ledger.now())
                && (granted.is_new || asking.given_before()?.is_some_and(|found| found.id == granted.id));
            if !counts {
                return Err(outdated());
            }
        } else if granted.is_none() && self.options.approve.is_some() {
            let target = &now.plan.target;
            self.context.warn(&format!("{target} needs no approval; --approve is not recorded"));
        }
        self.announce(&now, &gathered, &fresh, false);
        (self.events)(RolloutEvent::LockAcquired);
        self.act(&now, gathered, Locked { session, fresh, checkouts }, run_id, granted.as_ref())
            .map(Settled::Ended)
    }

    /// The decision, or the refusal as an error. Temporary obstacles are part of the decision.
    pub(super) fn decide(&self, snapshot: &Snapshot, certainty: Certainty) -> Result<Decided, CommandError> {
        let decided = self.prepared.decide(self.context, snapshot, certainty)?;
        decided.map_err(|refusal| self.prepared.refusal(&refusal, self.context))
    }

    /// The decision; temporary obstacles (a freeze, a hold) are refusals as well.
    fn allowed(&self, snapshot: &Snapshot) -> Result<Decided, CommandError> {
        let decided = self.decide(snapshot, Certainty::Binding)?;
        match decided.plan.obstacles.first() {
            Some(obstacle) => Err(self.prepared.refusal(obstacle, self.context)),
            None => Ok(decided),
        }
    }

    /// Runs the components under the locks.
    fn act(
        &self,
        decided: &Decided,
        gathered: Gathered,
        locked: Locked<'_, '_>,
        run_id: &str,
        granted: Option<&Granted>,
    ) -> Result<ExitCode, CommandError> {
        let Locked { session, checkouts, .. } = locked;
        let plan = &decided.plan;
        let digest = gathered.digests.plan.clone();
        let mut rollout = self.rollout(decided, gathered, Mode::Apply, run_id, granted)?;
        self.check_artifacts(plan, &rollout)?;
        if let Some(lock) = session.taken_over() {
            rollout.metadata.insert("lock_taken_over_from".to_owned(), lock.run_id.clone());
        }
        if let Some(id) = session.id() {
            // A later run finds orphaned processes by this variable, should this one be killed.
            rollout.environment.set(SESSION_VARIABLE, id);
        }
        let outcome = execution::run(rollout, checkouts, Some(session), &self.cancellation, &self.events)?;
        self.note_health(plan, &outcome);
        let log_is_noted = self.note_logs(plan, &outcome);
        self.finish(plan, &digest, granted.map(|granted| &granted.approval), outcome, log_is_noted)
    }
}

/// The outcome of a plan under its locks.
enum Settled {
    Ended(ExitCode),
    /// Lost race: the ledger or the rules have moved since the decision. Holds the
    /// new decision and its snapshot.
    Moved {
        now: Box<Decided>,
        fresh: Snapshot,
    },
}

/// The refusal of a plan that differs from the approved one: approvals are bound to one plan.
fn outdated() -> CommandError {
    let message = "What was approved is no longer what would be rolled out";
    CommandError::new(Code::ApprovalOutdated, message)
        .hint(Hint::note("Look at the new plan with --plan, and approve that"))
}

/// Whether two plans do the same: the same components at the same commits, from the same states.
fn same_work(left: &RolloutPlan, right: &RolloutPlan) -> bool {
    left.components == right.components && left.kind == right.kind
}

/// Whether the locks that were acquired for `locked` cover `plan`.
fn covered(plan: &RolloutPlan, locked: &RolloutPlan) -> bool {
    let names: Vec<_> = locked.components.iter().map(|component| &component.component).collect();
    plan.components.iter().all(|component| names.contains(&&component.component))
}
