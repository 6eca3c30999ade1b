//! The act of a rollout: components run in dependency order from checkouts of their commits, and each is recorded as it
//! ends.
//!
//! The scheduler and the components work on threads of their own; the calling thread holds the ledger's session and
//! publishes ([`publisher`]). What happens is told as events.

mod checkouts;
mod publisher;
mod worker;

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use crate::cancellation::Cancellation;
use crate::component::{Environment, Masks, Mode, TerraformSettings};
use crate::deployment::approval::Approval;
use crate::deployment::definition::Values;
use crate::deployment::graph::Graph;
use crate::deployment::record::LedgerRecord;
use crate::deployment::rollout_plan::{ComponentPlan, RolloutPlan};
use crate::deployment::rollout_report::{ComponentReport, ComponentResult, RolloutEvent};
use crate::deployment::{CommitId, ComponentName, Deployment};
use crate::git::GitError;
use crate::ledger::{Session, Unpublished};
use crate::scheduler::{Completion, Limits, Outcome, Scheduler, SkipReason};

pub use checkouts::{CheckoutError, Checkouts};
use worker::{Ended, Worker};

/// Takes what happens, in the order in which it happens.
pub type EventSink = Arc<dyn Fn(RolloutEvent) + Send + Sync>;

/// Everything that a rollout needs to know. Nothing is read from the process.
pub struct Rollout {
    pub plan: RolloutPlan,
    /// What each component of the plan needs of the others.
    pub dependencies: Graph<ComponentName>,
    /// The deployment as each commit of the plan declares it: configuration comes from what is deployed.
    pub definitions: BTreeMap<CommitId, Deployment>,
    pub mode: Mode,
    pub run_id: String,
    pub deployed_by: String,
    /// `--metadata`, and what the rollout itself has to say.
    pub metadata: BTreeMap<String, String>,
    pub approval: Option<Approval>,
    /// `--context`.
    pub context: Values,
    pub branch: Option<String>,
    /// The images of the components, by digest: component to `registry/name@sha256:…`.
    pub images: BTreeMap<String, String>,
    /// The builds that these images come from.
    pub build_ids: BTreeMap<ComponentName, String>,
    /// Components whose commit this run has recorded as successful already.
    pub done: BTreeMap<ComponentName, LedgerRecord>,
    pub environment: Environment,
    /// The variables that templates may read.
    pub template_environment: BTreeMap<String, String>,
    pub masks: Masks,
    pub in_ci: bool,
    pub terraform: TerraformSettings,
    /// Where local Terraform state is kept.
    pub state: PathBuf,
    pub parallelism: NonZeroUsize,
    pub fail_fast: bool,
}

/// How a rollout went.
#[derive(Debug)]
pub struct RolloutOutcome {
    /// In dependency order.
    pub components: Vec<ComponentReport>,
    pub cancelled: bool,
    pub duration: Duration,
    /// Why records have not reached the remote, where they have not.
    pub unpublished: Option<Unpublished>,
}

impl RolloutOutcome {
    /// Whether every component is what it was to be.
    #[must_use]
    pub fn succeeded(&self) -> bool {
        self.components
            .iter()
            .all(|component| matches!(component.status, ComponentResult::Success | ComponentResult::Planned))
    }
}

/// Runs the components of a plan. With a session, each is recorded as it ends and the locks are let go with the last
/// record; without one (a dry run) nothing is recorded.
pub fn run(
    rollout: Rollout,
    checkouts: &Checkouts,
    session: Option<Session<'_, '_>>,
    cancellation: &Cancellation,
    events: &EventSink,
) -> Result<RolloutOutcome, GitError> {
    let began = Instant::now();
    let plan = rollout.plan.clone();
    let done = rollout.done.clone();
    let (sender, receiver) = mpsc::channel();
    let limits = Limits { parallelism: rollout.parallelism, fail_fast: rollout.fail_fast };
    let graph = remaining(&rollout.dependencies, &done);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let worker =
        Worker::new(rollout, checkouts.paths(), session.is_some().then_some(sender), Arc::clone(events));
    let (completions, published) = thread::scope(|scope| {
        let running = scope.spawn(|| {
            // Cycles were refused with the configuration; what is left of one runs nothing.
            let Ok(scheduler) = Scheduler::new(&graph, limits) else { return Vec::new() };
            runtime.block_on(scheduler.run(worker, cancellation.clone(), |_| {}))
        });
        let published = match session {
            Some(session) => publisher::publish_until_closed(session, &receiver, events),
            None => publisher::Published::default(),
        };
        (running.join(), published)
    });
    let completions = completions.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    let cancelled = cancellation.is_cancelled();
    let mut ended: BTreeMap<_, _> =
        completions.into_iter().map(|completion| (completion.component.clone(), completion)).collect();
    // They have succeeded, and what needs them was not started because the remote does not know.
    let unrecorded = ended
        .values()
        .filter(|completion| {
            matches!(&completion.outcome, Outcome::Failed(ended) if ended.report.status == ComponentResult::Success)
        })
        .map(|completion| completion.component.clone())
        .collect();
    let components = plan
        .components
        .iter()
        .map(|planned| {
            let mut report = report_of(planned, ended.remove(&planned.component), &done, &unrecorded);
            if let Some(record) =
                published.records.iter().find(|record| record.id.component == planned.component)
            {
                report.record = Some(record.id.clone());
            }
            report
        })
        .collect();
    Ok(RolloutOutcome { components, cancelled, duration: began.elapsed(), unpublished: published.failure })
}

/// What is still to be done of a graph.
fn remaining(
    dependencies: &Graph<ComponentName>,
    done: &BTreeMap<ComponentName, LedgerRecord>,
) -> Graph<ComponentName> {
    let mut graph = Graph::default();
    for node in dependencies.nodes().filter(|node| !done.contains_key(node)) {
        graph.insert(node.clone(), dependencies.needs(node).filter(|need| !done.contains_key(need)).cloned());
    }
    graph
}

/// The report of one component, however it ended.
fn report_of(
    planned: &ComponentPlan,
    completion: Option<Completion<Ended, Ended>>,
    done: &BTreeMap<ComponentName, LedgerRecord>,
    unrecorded: &BTreeSet<ComponentName>,
) -> ComponentReport {
    let base = ComponentReport {
        component: planned.component.clone(),
        kind: planned.kind,
        previous_commit: planned.previous_commit.clone(),
        commit: planned.commit.clone(),
        status: ComponentResult::Skipped,
        record: None,
        duration: Duration::ZERO,
        changes: None,
        error: None,
        notice: None,
    };
    match completion.map(|completion| completion.outcome) {
        Some(Outcome::Succeeded(ended) | Outcome::Failed(ended)) => ended.report,
        Some(Outcome::Cancelled) => ComponentReport { status: ComponentResult::Cancelled, ..base },
        Some(Outcome::Skipped { because }) => {
            ComponentReport { error: Some(skip_reason(&because, unrecorded)), ..base }
        }
        None => match done.get(&planned.component) {
            Some(record) => ComponentReport {
                status: ComponentResult::Success,
                record: Some(record.id.clone()),
                notice: Some("already deployed by this run".to_owned()),
                ..base
            },
            None => base,
        },
    }
}

fn skip_reason(because: &SkipReason, unrecorded: &BTreeSet<ComponentName>) -> String {
    match because {
        SkipReason::Blocked(component) if unrecorded.contains(component) => {
            format!("{component}, which it depends on, is not recorded on the remote")
        }
        SkipReason::Blocked(component) => format!("{component}, which it depends on, did not succeed"),
        SkipReason::FailFast(component) => format!("{component} failed, and --fail-fast stops there"),
        SkipReason::Cancelled => "the rollout was cancelled".to_owned(),
    }
}
