//! The outcome of a job's verb, for all its reports.

use std::process::ExitCode;

use crate::context::Context;
use crate::deployment::TargetName;
use crate::deployment::fan_in::FanIn;
use crate::deployment::rollout_report::{PlannedRollout, RolloutEvent, RolloutReport};
use crate::error::{CommandError, exit};
use crate::render::document::error::Error;

/// The outcome of a verb.
pub struct Outcome {
    /// The words of the verb; absent where the inputs did not name one.
    pub verb: Option<String>,
    pub result: Result<ExitCode, CommandError>,
    /// The verb's stdout.
    pub stdout: String,
    /// Its document as JSON.
    pub document: Option<String>,
    pub rollout: Seen,
    /// The components that the rollout was limited to.
    pub only: Vec<String>,
}

/// The observed events of a rollout, or the result of a fan-out's jobs.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// Absent where the rollout ended before its plan.
    pub planned: Option<PlannedRollout>,
    /// Absent where the rollout was not carried out to its end.
    pub report: Option<RolloutReport>,
    /// The result of a fan-out's jobs on a target, if requested.
    pub fan_in: Option<(TargetName, FanIn)>,
}

/// The kind of an ending: the output `result`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    Success,
    Failed,
    Refused,
    Locked,
    Findings,
    Cancelled,
}

impl Ending {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failed => "failed",
            Self::Refused => "refused",
            Self::Locked => "locked",
            Self::Findings => "findings",
            Self::Cancelled => "cancelled",
        }
    }
}

impl Seen {
    /// The message that a target is complete: nothing is left to roll out.
    pub fn complete(&self) -> Option<String> {
        let (target, fan_in) = self.fan_in.as_ref()?;
        fan_in.is_complete().then(|| format!("{target}: {fan_in}"))
    }

    /// Keeps the events that reports need.
    pub fn take(&mut self, event: RolloutEvent) {
        match event {
            RolloutEvent::Planned(planned) => self.planned = Some(planned),
            RolloutEvent::Finished(report) => self.report = Some(report),
            _ => {}
        }
    }
}

impl Outcome {
    /// The outcome of a job whose inputs name no valid verb.
    pub fn without_a_verb(error: CommandError) -> Self {
        Self {
            verb: None,
            result: Err(error),
            stdout: String::new(),
            document: None,
            rollout: Seen::default(),
            only: Vec::new(),
        }
    }

    pub fn ending(&self) -> Ending {
        let code = match &self.result {
            Ok(code) => *code,
            Err(error) => error.exit_code(),
        };
        let is = |known: u8| code == ExitCode::from(known);
        if code == ExitCode::SUCCESS {
            Ending::Success
        } else if is(exit::REFUSED) {
            Ending::Refused
        } else if is(exit::LOCKED) {
            Ending::Locked
        } else if is(exit::FINDINGS) {
            Ending::Findings
        } else if is(exit::INTERRUPTED) {
            Ending::Cancelled
        } else {
            Ending::Failed
        }
    }

    /// Shows the error, if there is one. Returns the exit code of the process.
    pub fn show(&self, context: &Context) -> ExitCode {
        match &self.result {
            Ok(code) => *code,
            Err(error) => error.report(context.streams(), context.global().document_format()),
        }
    }

    /// The error of a failed verb.
    pub fn error(&self) -> Option<&Error> {
        self.result.as_ref().err()?.shown()
    }

    /// The digest of the rollout or its plan.
    pub fn digest(&self) -> Option<&str> {
        let planned = self.rollout.planned.as_ref().map(|planned| planned.digest.as_str());
        self.rollout.report.as_ref().map(|report| report.digest.as_str()).or(planned)
    }
}
