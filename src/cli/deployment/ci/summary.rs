//! The summary of the step.

use std::path::{Path, PathBuf};

use super::notices::Notices;
use super::outcome::Outcome;
use crate::ci::System;
use crate::ci::summary::append;
use crate::cli::context::Context;

/// Writes the summary to where the platform shows it. Returns where it can be read by later steps.
pub(super) fn write(
    context: &Context,
    system: Option<System>,
    outcome: &Outcome,
    notices: &mut Notices,
) -> Option<PathBuf> {
    let verb = outcome.verb.as_deref().unwrap_or("ci");
    let markdown =
        context.masks().apply(format!("### atmos deployment {verb}: {}\n", outcome.ending().as_str()));
    let step = context.variable("GITHUB_STEP_SUMMARY").filter(|_| system == Some(System::GitHubActions))?;
    if let Err(error) = append(Path::new(step), &markdown) {
        notices.add(format!("the summary cannot be written to $GITHUB_STEP_SUMMARY: {error}"));
    }
    None
}
