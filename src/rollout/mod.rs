//! Rollouts: a request becomes a plan, which is approved, locked, decided again on fresh state, and
//! executed.

mod approve;
mod approve_ahead;
mod approve_question;
mod command;
mod command_line;
mod decide;
mod digest;
mod done;
mod execute;
mod gather;
mod images;
mod inputs;
mod inspect;
mod locking;
mod missing_images;
mod next_steps;
mod options;
mod preflight;
mod prepare;
mod ready;
mod refusal;
mod registry;
mod report;
mod required_sboms;
mod sensitive;
mod stacks;
mod surroundings;
mod tools;
mod vendoring;

pub use approve_ahead::approve_ahead;
pub use inspect::{Findings, inspect};
pub use options::Options;
pub use surroundings::Surroundings;

use std::process::ExitCode;

use crate::context::Context;
use crate::error::CommandError;

/// Rolls out, or shows the plan of a dry run.
///
/// # Errors
///
/// Fails where the rollout was refused, lost a race for the locks, or failed before any component
/// ran. A failed component is part of the result.
pub fn run(
    options: &Options,
    context: &Context,
    surroundings: Surroundings,
) -> Result<ExitCode, CommandError> {
    let repository = context.repository()?;
    let project = context.project(&repository)?;
    let prepared = prepare::prepare(options, context, &repository, &project)?;
    execute::execute(options, context, &prepared, surroundings)
}
