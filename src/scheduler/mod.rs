//! Schedules components: one dependency graph, a ready queue, a concurrency limit.
//!
//! A component starts as soon as all its dependencies have succeeded and a slot is free; there are
//! no waves that wait for their slowest member. The scheduler does not know what a component does:
//! an [`Executor`] runs it.

mod outcome;
mod plan;

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::{Id, JoinSet};

use crate::cancellation::{Cancellation, CancellationLevel};
use crate::deployment::ComponentName;
use crate::deployment::graph::{Cycle, Graph};

pub use outcome::{Completion, Event, Execution, Outcome, SkipReason, Status};
use plan::Plan;

/// An executor of components.
pub trait Executor<T, E>: Send + Sync + 'static {
    /// Runs one component to its end.
    /// When this returns success, the component's dependents can start, and its slot is free for
    /// another component. An executor that only waits for a succeeded component to be recorded
    /// frees the slot earlier.
    fn execute(
        &self,
        component: ComponentName,
        slot: Slot,
        cancellation: Cancellation,
    ) -> impl Future<Output = Execution<T, E>> + Send;
}

impl<T, E, F, R> Executor<T, E> for F
where
    F: Fn(ComponentName, Slot, Cancellation) -> R + Send + Sync + 'static,
    R: Future<Output = Execution<T, E>> + Send,
{
    fn execute(
        &self,
        component: ComponentName,
        slot: Slot,
        cancellation: Cancellation,
    ) -> impl Future<Output = Execution<T, E>> + Send {
        self(component, slot, cancellation)
    }
}

/// A slot: the right to run, one of `parallelism`.
///
/// Dropping it early has no effect: the reaction to a failure is decided before anything else may
/// start.
#[derive(Debug, Clone)]
pub struct Slot {
    permit: Arc<Mutex<Option<OwnedSemaphorePermit>>>,
}

impl Slot {
    fn new(permit: OwnedSemaphorePermit) -> Self {
        Self { permit: Arc::new(Mutex::new(Some(permit))) }
    }

    /// Frees the slot for another component.
    pub fn free(&self) {
        drop(self.permit.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}

/// The limits of a schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The maximum number of components that run at the same time.
    pub parallelism: NonZeroUsize,
    /// Whether the first failure prevents further starts; running components may finish.
    pub fail_fast: bool,
}

/// A schedule of components in dependency order.
#[derive(Debug)]
pub struct Scheduler {
    plan: Plan,
    limits: Limits,
}

/// A running component.
struct Running {
    component: usize,
    started: Instant,
    slot: Slot,
}

impl Scheduler {
    /// A schedule of the graph's components. Dependencies outside of the graph count as met.
    pub fn new(graph: &Graph<ComponentName>, limits: Limits) -> Result<Self, Cycle<ComponentName>> {
        Ok(Self { plan: Plan::new(graph)?, limits })
    }

    /// Runs every component that can run and returns one completion for each, in order of their
    /// completion.
    ///
    /// Dropping the future aborts the running components.
    pub async fn run<T, E>(
        mut self,
        executor: impl Executor<T, E>,
        cancellation: Cancellation,
        mut on_event: impl FnMut(Event<'_>),
    ) -> Vec<Completion<T, E>>
    where
        T: Send + 'static,
        E: Send + 'static,
    {
        let began = Instant::now();
        let executor = Arc::new(executor);
        let slots = Arc::new(Semaphore::new(self.limits.parallelism.get().min(Semaphore::MAX_PERMITS)));
        let mut tasks: JoinSet<Execution<T, E>> = JoinSet::new();
        let mut running: HashMap<Id, Running> = HashMap::new();
        let mut completions = Vec::with_capacity(self.plan.len());
        // The reason that nothing new starts any more.
        let mut stopped: Option<SkipReason> = None;

        loop {
            if stopped.is_none() && cancellation.is_cancelled() {
                stopped = Some(SkipReason::Cancelled);
            }
            let may_start = stopped.is_none() && self.plan.has_ready();
            if !may_start && tasks.is_empty() {
                break;
            }
            tokio::select! {
                biased;
                Some(joined) = tasks.join_next_with_id(), if !tasks.is_empty() => {
                    let (id, execution) = match joined {
                        Ok(joined) => joined,
                        // Tasks are never aborted while this loop runs, so the task panicked:
                        // propagate the panic.
                        Err(error) => std::panic::resume_unwind(error.into_panic()),
                    };
                    let Some(Running { component, started, slot }) = running.remove(&id) else { continue };
                    let duration = started.elapsed();
                    let name = self.plan.name(component).clone();
                    let outcome = Outcome::from(execution);
                    on_event(Event::Finished {
                        component: &name,
                        status: outcome.status(),
                        at: began.elapsed(),
                        duration,
                    });
                    let blocked = if outcome.status() == Status::Succeeded {
                        self.plan.succeeded(component);
                        Vec::new()
                    } else {
                        self.plan.block_dependents(component)
                    };
                    if self.limits.fail_fast && outcome.status() == Status::Failed {
                        stopped.get_or_insert_with(|| SkipReason::FailFast(name.clone()));
                    }
                    slot.free();
                    completions.push(Completion { component: name.clone(), outcome, duration });
                    for dependent in blocked {
                        let because = SkipReason::Blocked(name.clone());
                        self.skip(dependent, because, began, &mut on_event, &mut completions);
                    }
                }
                _ = cancellation.above(CancellationLevel::None), if may_start => {}
                permit = Arc::clone(&slots).acquire_owned(), if may_start => {
                    // The semaphore is never closed.
                    let (Ok(permit), Some(component)) = (permit, self.plan.take_ready()) else { continue };
                    let name = self.plan.name(component).clone();
                    on_event(Event::Started { component: &name, at: began.elapsed() });
                    let executor = Arc::clone(&executor);
                    let cancellation = cancellation.clone();
                    let slot = Slot::new(permit);
                    let its_slot = slot.clone();
                    let handle =
                        tasks.spawn(async move { executor.execute(name, its_slot, cancellation).await });
                    running.insert(handle.id(), Running { component, started: Instant::now(), slot });
                }
            }
        }

        if let Some(because) = stopped {
            for component in self.plan.take_unstarted() {
                self.skip(component, because.clone(), began, &mut on_event, &mut completions);
            }
        }
        completions
    }

    fn skip<T, E>(
        &self,
        component: usize,
        because: SkipReason,
        began: Instant,
        on_event: &mut impl FnMut(Event<'_>),
        completions: &mut Vec<Completion<T, E>>,
    ) {
        let component = self.plan.name(component).clone();
        on_event(Event::Skipped { component: &component, because: &because, at: began.elapsed() });
        completions.push(Completion {
            component,
            outcome: Outcome::Skipped { because },
            duration: Duration::ZERO,
        });
    }
}

#[cfg(test)]
mod tests;
