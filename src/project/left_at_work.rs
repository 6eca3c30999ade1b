//! Messages about orphaned processes of a killed run.

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::deployment::lock::HeldLock;
use crate::deployment::rollout_report::RolloutEvent;
use crate::error::CommandError;
use crate::ledger::{LeftAtWork, left_at_work};
use crate::render::Clock;
use crate::render::document::error::Hint;

/// The orphaned processes of these locks' holders, by run. The locks of a run name the same
/// processes.
pub fn left(held: &[HeldLock]) -> Vec<LeftAtWork> {
    let mut seen = BTreeSet::new();
    held.iter()
        .filter(|held| seen.insert(&held.lock.session))
        .map(|held| LeftAtWork { run_id: held.lock.run_id.clone(), processes: left_at_work(&held.lock) })
        .filter(|left| !left.processes.is_empty())
        .collect()
}

/// The event that processes were asked to terminate.
pub fn event(asked: LeftAtWork) -> RolloutEvent {
    RolloutEvent::LeftAtWork {
        since: since(&asked),
        processes: asked.processes.iter().map(|orphan| orphan.process).collect(),
        run_id: asked.run_id,
    }
}

/// A line about the orphaned processes of a run.
pub fn described(left: &LeftAtWork, clock: &Clock) -> String {
    let since = since(left).map(|since| format!(" since {}", clock.relative_and_exact(since)));
    let what = if left.processes.len() == 1 { "process" } else { "processes" };
    let (run, ids) = (&left.run_id, ids(std::slice::from_ref(left)).join(", "));
    format!(
        "run {run} was killed, and what it started is still at work{}: {what} {ids}",
        since.unwrap_or_default()
    )
}

/// Adds to an error the orphaned processes that block the run, if any, and the hint how to end
/// them. Returns whether there were any.
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
