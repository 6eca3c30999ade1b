//! What is said of processes that a killed run has left at work.

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::deployment::lock::HeldLock;
use crate::deployment::rollout_report::RolloutEvent;
use crate::error::CommandError;
use crate::ledger::{LeftAtWork, left_at_work};
use crate::render::Clock;
use crate::render::document::error::Hint;

/// What the holders of these locks have left at work, by run. The locks of a run name the same
/// processes.
pub fn left(held: &[HeldLock]) -> Vec<LeftAtWork> {
    let mut seen = BTreeSet::new();
    held.iter()
        .filter(|held| seen.insert(&held.lock.session))
        .map(|held| LeftAtWork { run_id: held.lock.run_id.clone(), processes: left_at_work(&held.lock) })
        .filter(|left| !left.processes.is_empty())
        .collect()
}

/// The event of processes that were asked to end.
pub fn event(asked: LeftAtWork) -> RolloutEvent {
    RolloutEvent::LeftAtWork {
        since: since(&asked),
        processes: asked.processes.iter().map(|orphan| orphan.process).collect(),
        run_id: asked.run_id,
    }
}

/// A line of what a run has left at work.
pub fn described(left: &LeftAtWork, clock: &Clock) -> String {
    let since = since(left).map(|since| format!(" since {}", clock.relative_and_exact(since)));
    let what = if left.processes.len() == 1 { "process" } else { "processes" };
    let (run, ids) = (&left.run_id, ids(std::slice::from_ref(left)).join(", "));
    format!(
        "run {run} was killed, and what it started is still at work{}: {what} {ids}",
        since.unwrap_or_default()
    )
}

/// An error with the processes that are in the way, where there are such, and what to do about
/// them. Returns whether there were.
pub fn explained(error: CommandError, held: &[HeldLock], clock: &Clock) -> (CommandError, bool) {
    let left = left(held);
    if left.is_empty() {
        return (error, false);
    }
    let ids = ids(&left);
    let error = error
        .details(left.iter().map(|left| described(left, clock)))
        .hint(Hint::command("To see what they do", format!("ps -fp {}", ids.join(","))))
        .hint(Hint::command(
            "To end them at once, whatever they leave half done",
            format!("kill -KILL {}", ids.join(" ")),
        ));
    (error, true)
}

fn since(left: &LeftAtWork) -> Option<Timestamp> {
    left.processes.iter().filter_map(|orphan| orphan.started).min()
}

fn ids(left: &[LeftAtWork]) -> Vec<String> {
    let processes = left.iter().flat_map(|left| &left.processes);
    processes.map(|orphan| orphan.process.to_string()).collect()
}
