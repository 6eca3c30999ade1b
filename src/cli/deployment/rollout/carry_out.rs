//! From the request to the result: decide, agree, lock, decide again on what is true now, act, record.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::Args;
use super::approve;
use super::prepare::{Prepared, definition_at};
use super::refusal::not_acquired;
use super::signals;
use crate::cancellation::Cancellation;
use crate::cli::context::Context;
use crate::cli::error::{CommandError, exit};
use crate::component::{Environment, Masks, Mode, PreflightError, TerraformSettings, preflight};
use crate::deployment::approval::Approval;
use crate::deployment::definition::ApprovalMethod;
use crate::deployment::lock::{HeldLock, Lock, LockScope};
use crate::deployment::record::{LedgerRecord, RecordStatus};
use crate::deployment::rollout_plan::{RolloutPlan, dependencies};
use crate::deployment::rollout_report::{
    self, PlannedComponent, PlannedRollout, RolloutEvent, RolloutReport, RolloutResult,
};
use crate::deployment::{CommitId, ComponentKind, ComponentName, Deployment};
use crate::ledger::{AcquireError, Holder, LedgerError, LockRequest, Session, Snapshot};
use crate::render;
use crate::render::document::error::Hint;
use crate::render::rollout::Progress;
use crate::rollout::{self, Checkouts, EventSink, Rollout, RolloutOutcome};

/// How long a lock lives without being renewed.
const LEASE: Duration = Duration::from_mins(5);
/// How often a plan is made anew because the ledger moved between deciding and locking.
const DECISIONS: usize = 5;

pub(super) fn carry_out(
    args: &Args,
    context: &Context,
    prepared: &Prepared<'_>,
) -> Result<ExitCode, CommandError> {
    let cancellation = signals::cancellation(context);
    let run = Undertaking { args, context, prepared, events: event_sink(context), cancellation };
    let result = if args.plan { run.dry_run() } else { run.for_real() };
    context.say_warnings(&prepared.ledger);
    result
}

/// Turns events into lines of progress on stderr.
fn event_sink(context: &Context) -> EventSink {
    let streams = context.progress_streams();
    let form = if streams.stderr_is_terminal() { render::Form::Terminal } else { render::Form::Pipe };
    let progress = Mutex::new(Progress::new(form, context.global().verbose));
    let clock = context.clock();
    Arc::new(move |event: RolloutEvent| {
        let lines = progress.lock().unwrap_or_else(PoisonError::into_inner).lines(&event, &clock);
        if !lines.is_empty() {
            streams.note(&lines);
        }
    })
}

/// One rollout on its way.
struct Undertaking<'u, 'r> {
    args: &'u Args,
    context: &'u Context,
    prepared: &'u Prepared<'r>,
    events: EventSink,
    cancellation: Cancellation,
}

impl<'u, 'r> Undertaking<'u, 'r> {
    /// Shows what would be done. Nothing is locked, applied or recorded.
    fn dry_run(&self) -> Result<ExitCode, CommandError> {
        let scope = self.prepared.scope();
        let freshness = self.prepared.ledger.refresh(&scope);
        self.context.say_freshness(&self.prepared.ledger, &freshness);
        let snapshot = self.prepared.ledger.read(&scope)?;
        let plan = self.allowed(&snapshot)?;
        let definitions = self.definitions(&plan)?;
        self.check_tools(&plan, &definitions)?;
        self.announce(&plan, true);
        let mut checkouts = self.check_out(&plan)?;
        let rollout =
            self.rollout(&plan, definitions, Mode::Plan, &self.prepared.run.id, None, BTreeMap::new())?;
        let outcome = rollout::run(rollout, &checkouts, None, &self.cancellation, &self.events)?;
        self.finish(&plan, None, outcome, &mut checkouts)
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
        let mut definitions = self.definitions(&plan)?;
        self.check_tools(&plan, &definitions)?;
        self.announce(&plan, false);
        let approval = approve::obtain(self.args, self.context, self.prepared, &plan)?;
        if let Some(approval) = &approval {
            (self.events)(RolloutEvent::Approved(shown(approval)));
        }
        for _ in 0..DECISIONS {
            let (mut session, fresh) = self.lock(&plan, &snapshot, &run_id, approval.as_ref())?;
            let decided = self.prepared.decide(&fresh)?;
            let same = matches!(&decided, Ok(decided) if same_work(decided, &plan));
            if same || (approval.is_none() && decided.as_ref().is_ok_and(|decided| covered(decided, &plan))) {
                if let Ok(decided) = decided {
                    plan = decided;
                }
                if !same {
                    definitions = self.definitions(&plan)?;
                }
                return self.act(&plan, definitions, session, &fresh, &run_id, approval);
            }
            // The ledger has moved since: let go, and decide on what is true now.
            session.release()?;
            plan = decided.map_err(|refusal| self.prepared.refusal(&refusal, self.context))?;
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
            self.context
                .streams()
                .note(&format!("  Published what earlier runs had left behind: {published} records\n"));
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

    /// Takes the locks of the plan's components and reads the ledger as it is under them.
    fn lock(
        &self,
        plan: &RolloutPlan,
        snapshot: &Snapshot,
        run_id: &str,
        approval: Option<&Approval>,
    ) -> Result<(Session<'u, 'r>, Snapshot), CommandError> {
        let ledger = &self.prepared.ledger;
        let request = self.lock_request(plan, run_id);
        let commits: Vec<_> = distinct_commits(plan).into_iter().cloned().collect();
        let acquired = ledger.acquire(
            &request,
            snapshot,
            &mut |ledger| {
                approval
                    .map(|approval| ledger.approval_update(&plan.deployment, approval, &commits))
                    .transpose()
                    .map(|update| update.into_iter().collect())
            },
            &mut |held| self.tell_waiting(held),
        );
        let acquired = acquired.map_err(|error: AcquireError| {
            not_acquired(&plan.deployment, &plan.target, error, &self.context.clock())
        })?;
        crate::ledger::failpoint("locked");
        (self.events)(RolloutEvent::LockAcquired);
        // From here on the session lets go of the locks, whatever happens.
        let mut session = Session::new(ledger, request, acquired);
        let scope = self.prepared.scope();
        ledger.refresh_or_fail(&scope)?;
        let fresh = ledger.read(&scope)?;
        session.begin_from(&fresh);
        Ok((session, fresh))
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
        session: Session<'_, '_>,
        fresh: &Snapshot,
        run_id: &str,
        approval: Option<Approval>,
    ) -> Result<ExitCode, CommandError> {
        let done = self.recorded_by(run_id, plan, fresh);
        let mut checkouts = self.check_out(plan)?;
        let mut rollout = self.rollout(plan, definitions, Mode::Apply, run_id, approval.clone(), done)?;
        if let Some(lock) = session.taken_over() {
            rollout.metadata.insert("lock_taken_over_from".to_owned(), lock.run_id.clone());
        }
        let outcome = rollout::run(rollout, &checkouts, Some(session), &self.cancellation, &self.events)?;
        self.finish(plan, approval.as_ref(), outcome, &mut checkouts)
    }

    /// The components that this very run has recorded before it was interrupted.
    fn recorded_by(
        &self,
        run_id: &str,
        plan: &RolloutPlan,
        fresh: &Snapshot,
    ) -> BTreeMap<ComponentName, LedgerRecord> {
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

    /// The deployment as every commit of the plan declares it. Commits that are not here are fetched.
    fn definitions(&self, plan: &RolloutPlan) -> Result<BTreeMap<CommitId, Deployment>, CommandError> {
        let Prepared { repository, project, ledger, .. } = self.prepared;
        let mut definitions = BTreeMap::new();
        for commit in distinct_commits(plan) {
            if !repository.objects()?.contains(&commit.0) {
                ledger.fetch_commit(commit)?;
            }
            let definition =
                definition_at(self.context, repository, project, &plan.deployment, commit, &plan.target)?;
            definitions.insert(commit.clone(), definition);
        }
        Ok(definitions)
    }

    /// Finds out what is missing before anything is applied.
    fn check_tools(
        &self,
        plan: &RolloutPlan,
        definitions: &BTreeMap<CommitId, Deployment>,
    ) -> Result<(), CommandError> {
        let mut components = Vec::new();
        for planned in &plan.components {
            let definition = definitions.get(&planned.commit);
            match definition.and_then(|deployment| deployment.component(&planned.component)) {
                Some(component) => components.push(component),
                None => {
                    return Err(CommandError::new(
                        exit::USAGE,
                        "unknown_component",
                        format!(
                            "commit {} has no component called {}",
                            planned.commit.short(),
                            planned.component
                        ),
                    )
                    .hint(Hint::note(
                        "Configuration comes from the commit that is deployed: commit it first",
                    )));
                }
            }
        }
        preflight(components, &self.terraform(), &self.environment()).map_err(|error| {
            let shown = CommandError::new(exit::USAGE, "preflight", error.to_string());
            match error {
                PreflightError::MissingTool(missing) => shown.hint(Hint::note(missing.hint)),
                PreflightError::Unsupported { .. } => shown,
            }
        })
    }

    fn check_out(&self, plan: &RolloutPlan) -> Result<Checkouts, CommandError> {
        let needs_files = |kind| !matches!(kind, ComponentKind::Nixpack);
        let commits = plan
            .components
            .iter()
            .filter(|component| needs_files(component.kind))
            .map(|component| &component.commit);
        let root = self.private_folder().join("workdir");
        let name = format!("{}-{}", plan.deployment, plan.target);
        Checkouts::create(self.prepared.repository, &root, &name, commits)
            .map_err(|error| CommandError::new(exit::FAILED, "checkout", error.to_string()))
    }

    /// `.atmos` in the checkout; in a bare repository, beside its objects.
    fn private_folder(&self) -> PathBuf {
        let repository = self.prepared.repository;
        repository
            .work_tree()
            .map_or_else(|| repository.common_dir().join("atmos"), |root| root.join(".atmos"))
    }

    fn environment(&self) -> Environment {
        self.context
            .environment()
            .iter()
            .cloned()
            .collect::<Vec<(OsString, OsString)>>()
            .into_iter()
            .collect()
    }

    fn terraform(&self) -> TerraformSettings {
        let config = &self.prepared.project.config;
        TerraformSettings {
            program: config.command(ComponentKind::Terraform).to_owned(),
            base_path: PathBuf::from(config.components_directory(ComponentKind::Terraform)),
            ..TerraformSettings::default()
        }
    }

    /// Everything that the act needs.
    fn rollout(
        &self,
        plan: &RolloutPlan,
        definitions: BTreeMap<CommitId, Deployment>,
        mode: Mode,
        run_id: &str,
        approval: Option<Approval>,
        done: BTreeMap<ComponentName, LedgerRecord>,
    ) -> Result<Rollout, CommandError> {
        let (images, build_ids) = self.images(plan)?;
        let mut metadata = self.prepared.metadata.clone();
        if plan.promotion_check_skipped {
            metadata.insert("promotion_check".to_owned(), "skipped".to_owned());
        }
        Ok(Rollout {
            dependencies: dependencies(self.prepared.components(), &plan.components),
            plan: plan.clone(),
            definitions,
            mode,
            run_id: run_id.to_owned(),
            deployed_by: self.prepared.run.actor.clone(),
            metadata,
            approval,
            context: self.prepared.context.clone(),
            branch: self.prepared.repository.branch(),
            images,
            build_ids,
            done,
            environment: self.environment(),
            template_environment: self.template_environment(),
            masks: Masks::default(),
            in_ci: self.context.in_ci(),
            terraform: self.terraform(),
            state: self.private_folder().join("state"),
            parallelism: self.args.parallelism.unwrap_or_else(|| {
                std::thread::available_parallelism().unwrap_or(std::num::NonZeroUsize::MIN)
            }),
            fail_fast: self.args.fail_fast,
        })
    }

    /// The variables that templates may read, by the project's list.
    fn template_environment(&self) -> BTreeMap<String, String> {
        let allowed = &self.prepared.project.config.deployments.template_env;
        let value = |name: &String| Some((name.clone(), self.context.variable(name)?.to_owned()));
        allowed.iter().filter_map(value).collect()
    }

    /// The images by digest: those that were recorded with what is promoted, else those that were built of the commit.
    #[allow(clippy::type_complexity, reason = "taken apart by its only caller")]
    fn images(
        &self,
        plan: &RolloutPlan,
    ) -> Result<(BTreeMap<String, String>, BTreeMap<ComponentName, String>), CommandError> {
        let mut images: BTreeMap<_, _> =
            plan.components.iter().flat_map(|component| component.artifacts.clone()).collect();
        let built: Vec<_> = plan
            .components
            .iter()
            .filter(|component| component.kind == ComponentKind::Nixpack)
            .filter(|component| !images.contains_key(component.component.as_str()))
            .map(|component| (component.component.clone(), component.commit.clone()))
            .collect();
        let mut build_ids = BTreeMap::new();
        for (component, build) in self.prepared.ledger.built_images(&plan.deployment, &built)? {
            images.insert(component.to_string(), build.image);
            build_ids.extend(build.build_id.map(|id| (component, id)));
        }
        Ok((images, build_ids))
    }

    fn announce(&self, plan: &RolloutPlan, dry_run: bool) {
        for (component, reason) in &plan.left_out {
            self.context.warn(&format!("{component} is left out: {reason}"));
        }
        if plan.promotion_check_skipped {
            self.context.warn("the promotion path does not allow this; --skip-promotion-check is recorded");
        }
        let component = |plan: &crate::deployment::rollout_plan::ComponentPlan| PlannedComponent {
            component: plan.component.clone(),
            kind: plan.kind,
            previous_commit: plan.previous_commit.clone(),
            commit: plan.commit.clone(),
            deployed_at: plan.source_deployed_at,
        };
        (self.events)(RolloutEvent::Planned(PlannedRollout {
            deployment: plan.deployment.clone(),
            target: plan.target.clone(),
            kind: plan.kind.clone(),
            dry_run,
            approval: plan.approval,
            components: plan.components.iter().map(component).collect(),
        }));
    }

    /// Prints the result, and turns it into an exit code.
    fn finish(
        &self,
        plan: &RolloutPlan,
        approval: Option<&Approval>,
        outcome: RolloutOutcome,
        checkouts: &mut Checkouts,
    ) -> Result<ExitCode, CommandError> {
        let succeeded = outcome.succeeded();
        let result = match (outcome.cancelled && !succeeded, succeeded) {
            (true, _) => RolloutResult::Cancelled,
            (false, true) => RolloutResult::Success,
            (false, false) => RolloutResult::Failed,
        };
        let report = RolloutReport {
            deployment: plan.deployment.clone(),
            target: plan.target.clone(),
            kind: plan.kind.clone(),
            dry_run: self.args.plan,
            result,
            approval: approval.map(shown),
            components: outcome.components,
            duration: outcome.duration,
            unpublished: outcome.unpublished.as_ref().map_or(0, |unpublished| unpublished.kept),
        };
        if self.args.keep_workdir || result != RolloutResult::Success {
            for folder in checkouts.keep() {
                self.context.streams().note(&format!("  Kept for a look: {}\n", folder.display()));
            }
        }
        (self.events)(RolloutEvent::Finished(report.clone()));
        self.context
            .print(&render::document::rollout::RolloutResult::from(&report), render::rollout::text)?;
        let code = match (result, outcome.unpublished) {
            (RolloutResult::Cancelled, _) => exit::INTERRUPTED,
            (_, Some(unpublished)) => return Err(self.not_published(plan, unpublished)),
            (RolloutResult::Success, None) => return Ok(ExitCode::SUCCESS),
            (RolloutResult::Failed | RolloutResult::Refused, None) => exit::FAILED,
        };
        Ok(ExitCode::from(code))
    }

    /// The components ran and the remote does not know: said in so many words.
    fn not_published(&self, plan: &RolloutPlan, unpublished: crate::ledger::Unpublished) -> CommandError {
        let kept = unpublished.kept;
        let remote = self.prepared.ledger.remote().unwrap_or("the remote");
        let records = if kept == 1 { "1 record is".to_owned() } else { format!("{kept} records are") };
        CommandError::from(unpublished.source)
            .details([format!(
                "The components were applied. {records} kept in this repository under refs/atmos/pending and \
                 not on {remote} yet."
            )])
            .hint(Hint::command(
                "The next command that reaches the remote publishes what is kept, for example",
                format!("atmos deployment status {} --target {}", plan.deployment, plan.target),
            ))
            .after_document()
    }
}

fn shown(approval: &Approval) -> rollout_report::Approval {
    rollout_report::Approval {
        method: ApprovalMethod::Manual,
        approved_by: approval.approved_by.clone(),
        approved_at: approval.approved_at,
    }
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

/// The commits of a plan, each once.
fn distinct_commits(plan: &RolloutPlan) -> Vec<&CommitId> {
    let mut commits: Vec<_> = plan.components.iter().map(|component| &component.commit).collect();
    commits.sort();
    commits.dedup();
    commits
}
