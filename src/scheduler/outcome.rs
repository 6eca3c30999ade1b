//! The outcomes of components, and the events of a schedule.

use std::time::Duration;

use crate::deployment::ComponentName;

/// The result of an executor for a component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Execution<T, E> {
    Succeeded(T),
    Failed(E),
    /// Cancelled while running.
    Cancelled,
}

/// The outcome of a component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome<T, E> {
    Succeeded(T),
    Failed(E),
    /// Cancelled while running.
    Cancelled,
    /// Never started.
    Skipped {
        because: SkipReason,
    },
}

/// The reason that a component was never started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SkipReason {
    /// This component failed or was cancelled, and the skipped one depends on it, directly or
    /// transitively.
    Blocked(ComponentName),
    /// This component failed, and the rollout stops at the first failure.
    FailFast(ComponentName),
    /// The run was cancelled before.
    Cancelled,
}

/// An [`Outcome`] without its data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    Succeeded,
    Failed,
    Cancelled,
    Skipped,
}

/// The completion of one component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Completion<T, E> {
    pub component: ComponentName,
    pub outcome: Outcome<T, E>,
    /// From its start to the return of its executor; zero if it was skipped.
    pub duration: Duration,
}

/// The events of a schedule. Every component is either started and finished, or skipped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event<'a> {
    Started {
        component: &'a ComponentName,
        /// Since the schedule began.
        at: Duration,
    },
    Finished {
        component: &'a ComponentName,
        status: Status,
        /// Since the schedule began.
        at: Duration,
        /// Since the component started.
        duration: Duration,
    },
    Skipped {
        component: &'a ComponentName,
        because: &'a SkipReason,
        /// Since the schedule began.
        at: Duration,
    },
}

impl<T, E> Outcome<T, E> {
    /// The outcome without its data.
    #[must_use]
    pub const fn status(&self) -> Status {
        match self {
            Self::Succeeded(_) => Status::Succeeded,
            Self::Failed(_) => Status::Failed,
            Self::Cancelled => Status::Cancelled,
            Self::Skipped { .. } => Status::Skipped,
        }
    }
}

impl<T, E> From<Execution<T, E>> for Outcome<T, E> {
    fn from(execution: Execution<T, E>) -> Self {
        match execution {
            Execution::Succeeded(result) => Self::Succeeded(result),
            Execution::Failed(error) => Self::Failed(error),
            Execution::Cancelled => Self::Cancelled,
        }
    }
}
