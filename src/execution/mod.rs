//! The execution of a rollout: components run in dependency order from checkouts of their commits,
//! and each is recorded as it ends.
//!
//! The scheduler and the components run on an async runtime; the calling thread owns the ledger's
//! session and publishes ([`publisher`]). Progress is sent as events.

mod checkouts;
mod gate;
mod inspect;
mod job;
mod log_tail;
mod outputs;
mod publisher;
mod recording;
mod run_error;
mod shared;
mod start_error;
mod worker;

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use crate::cancellation::Cancellation;
use crate::component::{Environment, HelmfileSettings, Masks, Mode, TerraformSettings};
use crate::deployment::approval::Approval;
use crate::deployment::definition::Values;
use crate::deployment::graph::Graph;
use crate::deployment::overrides::ContextOverrides;
use crate::deployment::rollout_plan::{ComponentPlan, RolloutPlan};
use crate::deployment::rollout_report::{ComponentReport, ComponentResult, RolloutEvent};
use crate::deployment::stack_layer::StackLayers;
use crate::deployment::{CommitId, ComponentName, Deployment, RecordId};
use crate::ledger::{LedgerError, Session};
use crate::scheduler::{Completion, Event, Limits, Outcome, Scheduler, SkipReason};

pub use checkouts::{CheckoutError, Checkouts};
use gate::Gate;
pub use inspect::{Inspected, Looks, inspect};
pub use start_error::StartError;
use worker::Worker;

/// Receives the events of a rollout in their order.
pub type EventSink = Arc<dyn Fn(RolloutEvent) + Send + Sync>;

/// The components that have succeeded and whose records could not be made durable.
type Unrecorded = Arc<Mutex<BTreeSet<ComponentName>>>;

/// The inputs of a rollout. Nothing else is read from the process or its environment.
#[expect(clippy::struct_excessive_bools, reason = "settings that do not depend on each other")]
pub struct Rollout {
    pub plan: RolloutPlan,
    /// The dependencies between the plan's components.
    pub dependencies: Graph<ComponentName>,
    /// The deployment as each commit of the plan declares it: a component is configured by the
    /// commit that it runs from, not by the checkout.
    pub definitions: BTreeMap<CommitId, Deployment>,
    /// The stacks that these import, at each commit.
    pub stacks: BTreeMap<CommitId, Arc<dyn StackLayers>>,
    /// Components that their stacks disable. They are skipped, and their dependents do not wait.
    pub disabled: BTreeSet<ComponentName>,
    pub mode: Mode,
    pub run_id: String,
    pub deployed_by: String,
    /// `--metadata`, and the rollout's own entries.
    pub metadata: BTreeMap<String, String>,
    pub provenance: Provenance,
    /// Each component's inputs, for its record.
    pub recorded: BTreeMap<ComponentName, RecordedInputs>,
    /// `--context` of each component: of this rollout, or of the last one for an inspection.
    pub overrides: BTreeMap<ComponentName, ContextOverrides>,
    pub branch: Option<String>,
    /// The images of the components, by digest: component to `registry/name@sha256:…`.
    pub images: BTreeMap<String, String>,
    /// The builds that made these images.
    pub build_ids: BTreeMap<ComponentName, String>,
    /// Components that this run has recorded as successful with the same inputs (a retried job).
    pub done: BTreeMap<ComponentName, AlreadyDone>,
    pub environment: Environment,
    /// The variables that templates may read.
    pub template_environment: BTreeMap<String, String>,
    pub masks: Masks,
    /// Whether records and notes contain the errors of failed components.
    pub keeps_errors: bool,
    /// Names of outputs whose values are redacted.
    pub redacted: Vec<String>,
    pub in_ci: bool,
    pub terraform: TerraformSettings,
    pub helmfile: HelmfileSettings,
    /// The folder of local Terraform state.
    pub state: PathBuf,
    /// The folder of Terraform's plugin cache.
    pub plugin_cache: PathBuf,
    pub parallelism: NonZeroUsize,
    pub fail_fast: bool,
    /// Whether the checkouts are kept after a success as well.
    pub keep_checkouts: bool,
}

/// The origin of a rollout, for its records.
#[derive(Debug, Clone, Default)]
pub struct Provenance {
    pub run_url: Option<String>,
    /// The source of the promotion rules that bind it: a commit,
    /// `uncommitted`, or `stale <commit>`.
    pub rules: Option<String>,
    /// The reason that the request gives.
    pub reason: Option<String>,
    /// The approval that permits it, with its identity.
    pub approval: Option<(String, Approval)>,
}

/// A component's inputs, as its record stores them.
#[derive(Debug, Clone, Default)]
pub struct RecordedInputs {
    pub digest: Option<String>,
    pub sources: BTreeMap<String, String>,
    pub context_overrides: BTreeMap<String, String>,
    pub workspace: Option<String>,
    pub stack: Option<String>,
}

/// A component that is not run again, with the record of its success.
#[derive(Debug, Clone)]
pub struct AlreadyDone {
    pub id: RecordId,
    pub notice: String,
}

/// The result of a rollout.
#[derive(Debug)]
pub struct RolloutOutcome {
    /// In dependency order.
    pub components: Vec<ComponentReport>,
    pub cancelled: bool,
    pub duration: Duration,
    /// The number of records that have not reached the remote and stay pending.
    pub unpublished: usize,
    /// The error that kept them from it, or that ended the rollout early.
    pub failure: Option<LedgerError>,
    /// The number of records that have reached the remote.
    pub recorded: usize,
    pub pushes: usize,
    /// Warnings of the ledger.
    pub warnings: Vec<String>,
    /// The checkouts that are kept for debugging.
    pub kept: Vec<PathBuf>,
}

impl RolloutOutcome {
    /// Whether every component has succeeded or was skipped on purpose.
    #[must_use]
    pub fn succeeded(&self) -> bool {
        self.components.iter().all(|component| match component.status {
            ComponentResult::Success | ComponentResult::Planned => true,
            // Disabled, as opposed to blocked by a failure.
            ComponentResult::Skipped => component.error.is_none() && component.notice.is_some(),
            ComponentResult::Failed | ComponentResult::Cancelled => false,
        })
    }
}

/// The async runtime of the components.
fn runtime() -> Result<tokio::runtime::Runtime, StartError> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(StartError::Threads)
}

/// Runs the components of a plan. With a session, each is recorded as it ends, and the last push
/// releases the locks; without one (a dry run) nothing is recorded.
///
/// # Errors
///
/// Fails before anything runs. A failed component or publication is part of the outcome.
pub fn run(
    rollout: Rollout,
    checkouts: Checkouts,
    session: Option<Session<'_, '_>>,
    asked: &Cancellation,
    events: &EventSink,
) -> Result<RolloutOutcome, StartError> {
    let began = Instant::now();
    let plan = rollout.plan.clone();
    let (sender, receiver) = mpsc::channel();
    let limits = Limits { parallelism: rollout.parallelism, fail_fast: rollout.fail_fast };
    let mut reports = reports_in_advance(&rollout);
    let graph = remaining(&rollout.dependencies, |name| reports.contains_key(name));
    for report in plan.components.iter().filter_map(|planned| reports.get(&planned.component)) {
        events(RolloutEvent::ComponentFinished(report.clone()));
    }
    let runtime = runtime()?;
    let keep = rollout.keep_checkouts;
    let unrecorded = Arc::default();
    let skips = Skips { plan: plan.components.iter().map(by_name).collect(), unrecorded: &unrecorded };
    let gate = Gate::default();
    let (ending, cancellation) = asked.derived(runtime.handle());
    let worker = Worker::new(
        rollout,
        checkouts.paths(),
        session.is_some().then(|| sender.clone()),
        gate.passage(),
        Arc::clone(events),
        Arc::clone(&unrecorded),
    )?;
    let (scheduled, published) = thread::scope(|scope| {
        let closing = Closing(sender.clone());
        let running = scope.spawn(|| {
            let _closing = closing;
            // Unreachable: cycles are refused when the configuration is loaded.
            let Ok(scheduler) = Scheduler::new(&graph, limits) else { return Default::default() };
            // Only skips: the worker itself sends the events of components that run.
            let tell = |event: Event<'_>| {
                if let Event::Skipped { component, because, .. } = event
                    && let Some(report) = skips.report(component, because)
                {
                    events(RolloutEvent::ComponentFinished(report));
                }
            };
            let completions = runtime.block_on(scheduler.run(worker, cancellation.clone(), tell));
            // Removed in this thread, while the last records are published.
            let all_well = completions.iter().all(|ended| matches!(ended.outcome, Outcome::Succeeded(_)));
            let kept = if keep || !all_well {
                checkouts.keep()
            } else {
                drop(checkouts);
                Vec::new()
            };
            (completions, kept)
        });
        let published = match session {
            Some(session) => {
                let surroundings = publisher::Surroundings {
                    messages: receiver,
                    teller: sender,
                    gate: &gate,
                    canceller: &ending,
                    events,
                };
                publisher::publish_until_closed(session, surroundings)
            }
            None => publisher::Published::default(),
        };
        (running.join(), published)
    });
    let (completions, kept) = scheduled.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    let was_cancelled = asked.is_cancelled();
    for Completion { component, outcome, .. } in completions {
        let report = match outcome {
            Outcome::Succeeded(ended) | Outcome::Failed(ended) => Some(ended.report),
            Outcome::Skipped { because } => skips.report(&component, &because),
            Outcome::Cancelled => None,
        };
        reports.extend(report.map(|report| (component, report)));
    }
    let arrived = published.records.len();
    let mut recorded: BTreeMap<_, _> =
        published.records.into_iter().map(|record| (record.id.component.clone(), record.id)).collect();
    let components = plan
        .components
        .iter()
        .map(|planned| {
            let mut report = reports
                .remove(&planned.component)
                .unwrap_or_else(|| report(planned, ComponentResult::Cancelled));
            if let Some(record) = recorded.remove(&planned.component) {
                report.record = Some(record);
            }
            report
        })
        .collect();
    Ok(RolloutOutcome {
        components,
        cancelled: was_cancelled,
        duration: began.elapsed(),
        unpublished: published.kept,
        failure: published.failure,
        recorded: arrived,
        pushes: published.pushes,
        warnings: published.warnings,
        kept,
    })
}

/// Tells the publisher, however the scheduler ends, that no component runs any more.
struct Closing(mpsc::Sender<publisher::Message>);

impl Drop for Closing {
    fn drop(&mut self) {
        // Without a session, the publisher is not there.
        let _ = self.0.send(publisher::Message::Closed);
    }
}

/// Reports of the components that are not run: disabled by their stacks,
/// or already recorded by this run.
fn reports_in_advance(rollout: &Rollout) -> BTreeMap<ComponentName, ComponentReport> {
    let in_advance = |planned: &ComponentPlan| {
        let name = &planned.component;
        let report = if rollout.disabled.contains(name) {
            let notice = Some("disabled by its stacks (metadata.enabled: false)".to_owned());
            ComponentReport { notice, ..report(planned, ComponentResult::Skipped) }
        } else {
            let done = rollout.done.get(name)?;
            ComponentReport {
                record: Some(done.id.clone()),
                notice: Some(done.notice.clone()),
                already_deployed: true,
                rollback_of: None,
                ..report(planned, ComponentResult::Success)
            }
        };
        Some((name.clone(), report))
    };
    rollout.plan.components.iter().filter_map(in_advance).collect()
}

/// The graph without the components that are left out. Dependencies through them become direct, so
/// that the order of the others stays.
fn remaining(
    dependencies: &Graph<ComponentName>,
    is_left_out: impl Fn(&ComponentName) -> bool,
) -> Graph<ComponentName> {
    let mut graph = Graph::default();
    for node in dependencies.nodes().filter(|node| !is_left_out(node)) {
        let mut needs = BTreeSet::new();
        let mut seen = BTreeSet::new();
        let mut open: Vec<_> = dependencies.needs(node).collect();
        while let Some(need) = open.pop() {
            if !is_left_out(need) {
                needs.insert(need.clone());
            } else if seen.insert(need) {
                open.extend(dependencies.needs(need));
            }
        }
        graph.insert(node.clone(), needs);
    }
    graph
}

/// A report with nothing but a status.
fn report(planned: &ComponentPlan, status: ComponentResult) -> ComponentReport {
    ComponentReport {
        component: planned.component.clone(),
        kind: planned.kind,
        previous_commit: planned.previous_commit.clone(),
        commit: planned.commit.clone(),
        rollback_of: planned.rollback_of.clone().filter(|_| planned.goes_back()),
        status,
        record: None,
        duration: Duration::ZERO,
        changes: None,
        health: None,
        error: None,
        reason: Vec::new(),
        already_deployed: false,
        overridden: Vec::new(),
        notice: None,
        outputs: Values::new(),
        log: Vec::new(),
    }
}

fn by_name(planned: &ComponentPlan) -> (&ComponentName, &ComponentPlan) {
    (&planned.component, planned)
}

/// Reports of skipped components, with the reason.
struct Skips<'p> {
    plan: BTreeMap<&'p ComponentName, &'p ComponentPlan>,
    /// Succeeded without a durable record. Invariant: a dependent never starts before the
    /// record of its dependency is durable.
    unrecorded: &'p Unrecorded,
}

impl Skips<'_> {
    fn report(&self, component: &ComponentName, because: &SkipReason) -> Option<ComponentReport> {
        let error = Some(self.reason(because));
        Some(ComponentReport { error, ..report(self.plan.get(component)?, ComponentResult::Skipped) })
    }

    fn reason(&self, because: &SkipReason) -> String {
        let is_unrecorded =
            |component| self.unrecorded.lock().unwrap_or_else(PoisonError::into_inner).contains(component);
        match because {
            SkipReason::Blocked(component) if is_unrecorded(component) => {
                format!("{component}, which it depends on, could not be recorded")
            }
            SkipReason::Blocked(component) => format!("{component}, which it depends on, did not succeed"),
            SkipReason::FailFast(component) => format!("{component} failed, and --fail-fast stops there"),
            SkipReason::Cancelled => "the rollout was cancelled".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_still_keeps_the_order_of_the_others() {
        let name = |text: &str| text.parse::<ComponentName>().unwrap();
        let mut graph = Graph::default();
        for (node, needs) in [("a", &["b", "c"][..]), ("b", &["d"]), ("c", &[]), ("d", &["c"])] {
            graph.insert(name(node), needs.iter().map(|need| name(need)));
        }
        let remaining = remaining(&graph, |component| ["b", "d"].contains(&component.as_str()));
        assert_eq!(remaining.nodes().map(ToString::to_string).collect::<Vec<_>>(), ["a", "c"]);
        assert_eq!(remaining.needs(&name("a")).map(ToString::to_string).collect::<Vec<_>>(), ["c"]);
        assert_eq!(remaining.needs(&name("c")).count(), 0);
    }
}
