//! The last output of failed components, as notes on their commits:
//! `refs/notes/atmos/<deployment>/run-log`.
//!
//! Only the newest few of each component on each target are kept: a job that fails every minute
//! would otherwise grow a commit's note without bound.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use crate::deployment::{CommitId, ComponentName, DeploymentName, NoteNamespace, TargetName};

use super::notes::merged;
use super::publication::{NoteEdit, Publication};
use super::{Ledger, LedgerError};

/// The number of logs that are kept of one component on one target at one commit.
const KEPT: usize = 3;

/// The end of a failed component's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RunLog {
    pub target: TargetName,
    pub component: ComponentName,
    /// The failure's record, by its tag.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record: Option<String>,
    pub run_id: String,
    pub recorded_at: Timestamp,
    /// The last lines that it printed, secrets masked.
    pub lines: Vec<String>,
}

impl Ledger<'_> {
    /// Adds logs as notes to their commits.
    ///
    /// # Errors
    ///
    /// Fails where the notes cannot be written, or the remote does not take them.
    pub fn note_run_logs(
        &self,
        deployment: &DeploymentName,
        logs: &[(CommitId, RunLog)],
    ) -> Result<(), LedgerError> {
        let mut lines: BTreeMap<&CommitId, Vec<String>> = BTreeMap::new();
        for (commit, log) in logs {
            // Plain data is always JSON.
            lines.entry(commit).or_default().push(serde_json::to_string(log).unwrap_or_default());
        }
        let edit = |(commit, lines): (&CommitId, Vec<String>)| NoteEdit {
            merge: |older, newer| Ok(newest(older, newer).into_bytes()),
            ..NoteEdit::lines(NoteNamespace::RunLog, commit.clone(), &lines)
        };
        let notes = lines.into_iter().map(edit).collect();
        self.publish(deployment, &Publication { notes, builds: Vec::new() })
    }
}

/// Merges two notes, with the newest logs of each component on each target. Other text stays.
fn newest(older: &[u8], newer: &[u8]) -> String {
    let text = merged(&String::from_utf8_lossy(older), &String::from_utf8_lossy(newer));
    // Times are written in UTC, so their text order is their order in time.
    let key = |line: &str| -> Option<(String, String)> {
        let value: Value = serde_json::from_str(line).ok()?;
        let field = |name: &str| value.get(name)?.as_str();
        let place = format!("{}\n{}", field("target")?, field("component")?);
        Some((place, field("recorded_at")?.to_owned()))
    };
    let mut times: BTreeMap<String, Vec<(String, &str)>> = BTreeMap::new();
    let keyed: Vec<_> = text.lines().map(|line| (line, key(line))).collect();
    for (line, key) in &keyed {
        if let Some((place, time)) = key {
            times.entry(place.clone()).or_default().push((time.clone(), line));
        }
    }
    for logs in times.values_mut() {
        logs.sort_unstable_by(|one, other| other.cmp(one));
        logs.truncate(KEPT);
    }
    let is_kept = |line: &str, key: &Option<(String, String)>| match key {
        Some((place, _)) => times.get(place).is_some_and(|logs| logs.iter().any(|(_, kept)| *kept == line)),
        None => true,
    };
    let kept = keyed.iter().filter(|(line, key)| is_kept(line, key));
    kept.flat_map(|(line, _)| [*line, "\n"]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(component: &str, minute: usize) -> String {
        format!(
            "{{\"target\":\"dev\",\"component\":\"{component}\",\"recorded_at\":\"2025-01-22T12:{minute:02}:00Z\"}}\n"
        )
    }

    #[test]
    fn the_newest_logs_of_each_component_stay_and_what_is_foreign_too() {
        let foreign = "{\"by\":\"hand\"}\n";
        let mut note = log("worker", 0) + foreign;
        for minute in 1..=5 {
            note = newest(note.as_bytes(), log("api", minute).as_bytes());
        }
        let expected: String =
            [foreign.to_owned(), log("api", 3), log("api", 4), log("api", 5), log("worker", 0)].concat();
        let sorted = |text: &str| {
            let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
            lines.sort();
            lines
        };
        assert_eq!(sorted(&note), sorted(&expected));
        // An older log that arrives later does not replace a newer one.
        assert_eq!(sorted(&newest(log("api", 1).as_bytes(), note.as_bytes())), sorted(&expected));
        assert_eq!(newest(note.as_bytes(), note.as_bytes()), note);
    }
}
