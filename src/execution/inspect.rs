//! The inspection of running components without changing them: health and drift.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::cancellation::Cancellation;
use crate::component::{self, Stream};
use crate::deployment::health::{Health, HealthStatus};
use crate::deployment::observation::DriftFinding;
use crate::deployment::rollout_plan::ComponentPlan;
use crate::deployment::{CommitId, ComponentName};
use crate::text::error_chain;

use super::gate::Gate;
use super::job::{Job, OwnOutputs};
use super::run_error::RunError;
use super::shared::Shared;
use super::{Checkouts, EventSink, Rollout, StartError, runtime};

/// The kinds of inspection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Looks {
    pub health: bool,
    pub drift: bool,
}

/// The findings of one component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspected {
    pub component: ComponentName,
    pub commit: CommitId,
    /// Absent where the component has no health check, or none was requested.
    pub health: Option<Health>,
    /// Absent where drift was not requested; otherwise the finding, or why there is none.
    pub drift: Option<Result<DriftFinding, String>>,
}

/// Inspects the components of a plan in parallel. The rollout's mode is that of a dry run. The
/// components in `unplannable` cannot be planned, for the given reasons.
///
/// # Errors
///
/// Fails before anything is inspected. A check that fails is a finding.
pub fn inspect(
    rollout: Rollout,
    checkouts: &Checkouts,
    looks: Looks,
    unplannable: &BTreeMap<ComponentName, String>,
    cancellation: &Cancellation,
) -> Result<Vec<Inspected>, StartError> {
    let runtime = runtime()?;
    let slots = Arc::new(Semaphore::new(rollout.parallelism.get().min(Semaphore::MAX_PERMITS)));
    let plans = rollout.plan.components.clone();
    let no_events: EventSink = Arc::new(|_| {});
    let shared =
        Arc::new(Shared::new(rollout, checkouts.paths(), None, Gate::default().passage(), no_events)?);
    let mut inspected = runtime.block_on(async {
        let mut tasks = JoinSet::new();
        for (at, plan) in plans.into_iter().enumerate() {
            let (shared, slots) = (Arc::clone(&shared), Arc::clone(&slots));
            let cancellation = cancellation.clone();
            let unplannable = unplannable.get(&plan.component).cloned();
            tasks.spawn(async move {
                // The semaphore is never closed.
                let _slot = slots.acquire_owned().await;
                let here = Looks { drift: looks.drift && unplannable.is_none(), ..looks };
                let mut inspected = look(&shared, &plan, here, &cancellation).await;
                if looks.drift && component::knows_drift(plan.kind) {
                    inspected.drift = unplannable.map(Err).or(inspected.drift);
                }
                (at, inspected)
            });
        }
        tasks.join_all().await
    });
    inspected.sort_by_key(|(at, _)| *at);
    Ok(inspected.into_iter().map(|(_, seen)| seen).collect())
}

async fn look(shared: &Shared, plan: &ComponentPlan, looks: Looks, cancellation: &Cancellation) -> Inspected {
    let mut inspected = Inspected {
        component: plan.component.clone(),
        commit: plan.commit.clone(),
        health: None,
        drift: None,
    };
    if let Err(error) = look_at(shared, plan, looks, cancellation, &mut inspected).await {
        let reason = error_chain(&error);
        inspected.health = looks.health.then(|| Health::new(HealthStatus::Unknown, reason.clone()));
        inspected.drift = looks.drift.then_some(Err(reason));
    }
    inspected
}

async fn look_at(
    shared: &Shared,
    plan: &ComponentPlan,
    looks: Looks,
    cancellation: &Cancellation,
    inspected: &mut Inspected,
) -> Result<(), RunError> {
    let log = |_: Stream, line: &str| tracing::debug!(component = %plan.component, line);
    let job = Job::new(shared, plan, &log, cancellation)?;
    // Health checks do not need the component's resolved variables.
    if looks.health {
        let found = health(&job).await;
        let unknown = |error| Some(Health::new(HealthStatus::Unknown, error_chain(&error)));
        inspected.health = found.unwrap_or_else(unknown);
    }
    if looks.drift && component::knows_drift(plan.kind) {
        inspected.drift = Some(drift(&job).await.map_err(|error| error_chain(&error)));
    }
    Ok(())
}

async fn health(job: &Job<'_>) -> Result<Option<Health>, RunError> {
    let Some(check) = job.health_check(OwnOutputs::Recorded).await? else { return Ok(None) };
    let prepared = match job.prepare().await {
        Ok(prepared) => prepared,
        Err(_) => job.prepare_as_written()?,
    };
    let health = component::check_health(job.component_run(&prepared), &check.probe).await;
    health.map(Some).map_err(RunError::Component)
}

async fn drift(job: &Job<'_>) -> Result<DriftFinding, RunError> {
    let prepared = job.prepare().await?;
    component::check_drift(job.component_run(&prepared)).await.map_err(RunError::Component)
}
