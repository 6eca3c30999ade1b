//! Errors of a component's run.

use std::io;
use std::time::Duration;

use super::checkout::FolderError;
use super::command::outputs::OutputsError;
use super::process::ProcessError;
use super::reason::reason;
use super::terraform::ModuleError;

/// A component's run that failed or was cancelled.
#[derive(Debug, thiserror::Error)]
pub enum ComponentError {
    #[error("the component has no settings.command.apply")]
    NoCommand,
    #[error("the images {first:?} and {second:?} would both be passed as {variable}")]
    AmbiguousVariable { first: String, second: String, variable: String },
    #[error(transparent)]
    Folder(#[from] FolderError),
    #[error(transparent)]
    Module(#[from] ModuleError),
    #[error(transparent)]
    Process(#[from] ProcessError),
    #[error("the outputs that the command wrote cannot be read")]
    Outputs(#[from] OutputsError),
    #[error("{program} answered with something that is not the JSON it should be")]
    Answer { program: String, source: serde_json::Error },
    #[error("it did not end within {} and was stopped", shown(*after))]
    TimedOut { after: Duration, tail: Vec<String> },
    /// A lost race: the state changed between the plan and its apply.
    #[error("what was planned is out of date: the state has changed since, so nothing was applied")]
    StalePlan { tail: Vec<String> },
    #[error("cannot {action}")]
    Files { action: String, source: io::Error },
}

/// A duration in readable form.
fn shown(duration: Duration) -> String {
    let seconds = duration.as_secs();
    if seconds >= 60 && seconds.is_multiple_of(60) {
        format!("{} min", seconds / 60)
    } else {
        format!("{} s", duration.as_secs_f64())
    }
}

impl ComponentError {
    /// Whether the run was cancelled rather than failed by itself.
    #[must_use]
    pub const fn is_cancelled(&self) -> bool {
        matches!(self, Self::Process(ProcessError::Cancelled { .. }))
    }

    /// Whether another attempt might succeed, since something ran and failed.
    #[must_use]
    pub(super) const fn may_pass(&self) -> bool {
        matches!(
            self,
            Self::Process(ProcessError::Failed { .. } | ProcessError::TimedOut { .. })
                | Self::TimedOut { .. }
                | Self::StalePlan { .. }
        )
    }

    /// The exit code of the failed child, if there was one and it was not killed.
    #[must_use]
    pub fn exit_code(&self) -> Option<i32> {
        match self {
            Self::Process(ProcessError::Failed { status, .. }) => status.code(),
            _ => None,
        }
    }

    /// The last lines that the child printed, secrets masked.
    #[must_use]
    pub fn tail(&self) -> &[String] {
        match self {
            Self::Process(error) => error.tail(),
            Self::TimedOut { tail, .. } | Self::StalePlan { tail } => tail,
            _ => &[],
        }
    }

    /// The lines in which the child explains its failure, secrets masked.
    #[must_use]
    pub fn reason(&self) -> Vec<String> {
        reason(self.tail())
    }

    /// Wraps an I/O error with the failed action: "write the variables file".
    pub(super) fn files(action: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let action = action.into();
        |source| Self::Files { action, source }
    }
}
