//! The outputs of a job for later jobs, when its verb has ended.

use std::path::Path;

use super::annotate::annotate;
use super::notices::Notices;
use super::outcome::Outcome;
use super::overview::Overview;
use super::{outputs, summary};
use crate::ci::Job;
use crate::context::Context;

/// Writes the outputs for people and later steps, and prints which reports failed.
pub fn hand_on(
    context: &Context,
    job: Option<&Job>,
    home: &Path,
    outcome: &Outcome,
    overview: Option<&Overview>,
    mut notices: Notices,
) {
    let system = job.map(|job| job.system);
    annotate(context, system, outcome);
    let summary_file = summary::write(context, system, outcome, overview, &mut notices);
    outputs::write(context, system, home, &outputs::of(outcome, summary_file.as_deref()), &mut notices);
    notices.say(context, system);
}
