//! `history` as text.

use std::collections::HashMap;
use std::time::Duration;

use indexmap::{IndexMap, IndexSet};
use jiff::Timestamp;

use super::document::history::{DeploymentHistory, HistoryRecord, Rollout};
use super::style::{ID, WARN};
use super::table::{Cell, Table};
use super::time::duration_in_seconds;
use super::{Form, Presentation, count, status_style};
use crate::deployment::RecordStatus;

/// The maximum number of named components; with more, their number follows.
const NAMED_COMPONENTS: usize = 4;

/// The subject of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum View {
    /// A rollout with its components.
    Rollouts,
    /// The record of one component.
    Records,
}

/// The history, newest first.
#[must_use]
pub fn text(history: &DeploymentHistory, view: View, presentation: &Presentation) -> String {
    let rows = match view {
        View::Rollouts => rollout_rows(history),
        View::Records => history.records.iter().map(|record| Row::of(vec![record])).collect(),
    };
    let mut text = presentation.title(&title(history));
    match presentation.form {
        Form::Terminal if rows.is_empty() => text.push_str("No deployments.\n"),
        Form::Terminal => {
            let more = if history.truncated { " (use --limit to show more)" } else { "" };
            let shown = match view {
                View::Rollouts => count(rows.len(), "rollout"),
                View::Records => count(rows.len(), "record"),
            };
            let table = table(history, view, &rows, presentation);
            push!(text, "{}\nShowing {shown}{more}\n", table.render(presentation.form));
        }
        Form::Pipe => text.push_str(&table(history, view, &rows, presentation).render(presentation.form)),
    }
    text
}

fn title(history: &DeploymentHistory) -> String {
    match (&history.deployment, &history.target) {
        (Some(deployment), Some(target)) => format!("{deployment} → {target} deployment history"),
        (Some(deployment), None) => format!("{deployment} deployment history"),
        (None, Some(target)) => format!("{target} deployment history"),
        (None, None) => "Deployment history".to_owned(),
    }
}

/// One row per rollout, with its records.
fn rollout_rows(history: &DeploymentHistory) -> Vec<Row<'_>> {
    let by_name: HashMap<_, _> =
        history.records.iter().map(|record| (record.record.as_str(), record)).collect();
    let of = |rollout: &Rollout| {
        let names = rollout.components.iter().map(|component| component.record.as_str());
        let records = names.filter_map(|name| by_name.get(name).copied()).collect();
        Row { duration_seconds: rollout.duration_seconds, ..Row::of(records) }
    };
    history.rollouts.iter().map(of).collect()
}

/// The table. In a pipe, the columns do not depend on the arguments, and times have seconds.
fn table(history: &DeploymentHistory, view: View, rows: &[Row<'_>], presentation: &Presentation) -> Table {
    let in_pipe = presentation.form == Form::Pipe;
    let (with_deployment, with_target) =
        (in_pipe || history.deployment.is_none(), in_pipe || history.target.is_none());
    let of_component = if view == View::Rollouts { "Components" } else { "Component" };
    let mut header = vec!["Date"];
    header.extend(with_deployment.then_some("Deployment"));
    header.extend(with_target.then_some("Target"));
    header.extend(["Commit", of_component, "By", "Status", "Duration", "Details"]);
    let mut table = Table::new(header);
    let with_seconds = in_pipe || need_seconds(rows, presentation);
    let names_shown = if in_pipe { usize::MAX } else { NAMED_COMPONENTS };
    for row in rows {
        let Some(newest) = row.newest() else { continue };
        let at = newest.timestamp;
        let clock = &presentation.clock;
        let mut cells: Vec<Cell> =
            vec![if with_seconds { clock.second(at) } else { clock.minute(at) }.into()];
        cells.extend(with_deployment.then(|| newest.deployment.as_str().into()));
        cells.extend(with_target.then(|| newest.target.as_str().into()));
        let took = row.duration_seconds.map(|seconds| duration_in_seconds(Duration::from_secs(seconds)));
        cells.extend([
            Cell::styled(several(&row.distinct(|record| Some(record.git_sha.short())), 2), ID),
            several(&row.distinct(|record| Some(record.component.as_str())), names_shown).into(),
            row.distinct(|record| record.deployed_by.as_deref()).join(", ").into(),
            row.status(),
            took.unwrap_or_default().into(),
            row.details().into(),
        ]);
        table.row(cells);
    }
    table
}

/// Whether two rows with different times would show the same minute.
fn need_seconds(rows: &[Row<'_>], presentation: &Presentation) -> bool {
    let mut shown: HashMap<String, Timestamp> = HashMap::new();
    rows.iter().filter_map(Row::newest).any(|record| {
        let minute = presentation.clock.minute(record.timestamp);
        shown.insert(minute, record.timestamp).is_some_and(|other| other != record.timestamp)
    })
}

/// The first of several names, and their number if some are left out.
fn several(names: &[&str], shown: usize) -> String {
    if names.len() <= shown {
        return names.join(", ");
    }
    format!("{}, … ({})", names[..shown.min(names.len())].join(", "), names.len())
}

/// One row: records that are shown together, oldest first.
struct Row<'r> {
    records: Vec<&'r HistoryRecord>,
    duration_seconds: Option<u64>,
}

impl<'r> Row<'r> {
    fn of(records: Vec<&'r HistoryRecord>) -> Self {
        let duration_seconds = records.first().and_then(|record| record.duration_seconds);
        Self { records, duration_seconds }
    }

    fn newest(&self) -> Option<&'r HistoryRecord> {
        self.records.last().copied()
    }

    /// The distinct values of a field of the records.
    fn distinct(&self, of: impl Fn(&'r HistoryRecord) -> Option<&'r str>) -> Vec<&'r str> {
        let said: IndexSet<_> = self.records.iter().filter_map(|record| of(record)).collect();
        said.into_iter().collect()
    }

    /// The worst status of the records; `rollback` where all are successful rollbacks.
    fn status(&self) -> Cell {
        let worst = self.records.iter().map(|record| record.status).max_by_key(|status| status.severity());
        let worst = worst.unwrap_or(RecordStatus::Success);
        if worst == RecordStatus::Success && self.records.iter().all(|record| record.rollback_of.is_some()) {
            return Cell::styled("rollback", WARN);
        }
        Cell::styled(worst.as_str(), status_style(worst))
    }

    /// Further details of the records: once where all have the same, otherwise with the names of
    /// their components.
    fn details(&self) -> String {
        let mut said: IndexMap<String, Vec<&str>> = IndexMap::new();
        for record in &self.records {
            let how =
                record.status != RecordStatus::Success && self.records.len() > 1 && record.error.is_none();
            let how = how.then(|| record.status.as_verb().to_owned());
            for detail in how.into_iter().chain(details(record)) {
                said.entry(detail).or_default().push(record.component.as_str());
            }
        }
        let shown = said.into_iter().map(|(detail, by)| {
            if by.len() == self.records.len() { detail } else { format!("{detail} ({})", by.join(", ")) }
        });
        shown.collect::<Vec<_>>().join(", ")
    }
}

/// The error, origin, approver, reason, overrides, metadata and run of a record.
fn details(record: &HistoryRecord) -> Vec<String> {
    let promoted = record.promoted_from.as_ref().map(|from| format!("Promoted from {from}"));
    let rollback = record.rollback_of.as_ref().map(|commit| format!("Rollback of {}", short(commit)));
    let late = record.late_of.as_ref().map(|_| "late".to_owned());
    let outside = record.outside_of_chain.then(|| "outside of the chain".to_owned());
    let only_here = record.only_here.then(|| "only in this checkout".to_owned());
    let approver = record.metadata.get("approver").map(|approver| format!("approved by {approver}"));
    let overrides: Vec<_> =
        record.context_overrides.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let overrides = (!overrides.is_empty()).then(|| format!("with {}", overrides.join(" ")));
    let metadata = record.metadata.iter().filter_map(|(key, value)| match key.as_str() {
        "pr" => Some(format!("PR {value}")),
        // The approver is shown above; the time is of little use beside it, and is in the
        // documents.
        "approver" | "approval_timestamp" => None,
        "reason" if record.reason.as_ref() == Some(value) => None,
        "jira" | "incident" | "issue" | "reason" => Some(value.clone()),
        _ => Some(format!("{key}: {value}")),
    });
    // The generated id of a local run is of no use to people.
    let run = record.run_url.clone().or_else(|| record.run_id.clone().filter(|id| !id.starts_with("local:")));
    let run = run.map(|run| format!("run {run}"));
    [
        record.error.clone(),
        promoted,
        rollback,
        late,
        outside,
        only_here,
        approver,
        record.reason.clone(),
        overrides,
    ]
    .into_iter()
    .flatten()
    .chain(metadata)
    .chain(run)
    .collect()
}

/// A commit, which may have been abbreviated by other tools, in the usual short form.
pub(super) fn short(commit: &str) -> String {
    if commit.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        commit.chars().take(7).collect()
    } else {
        commit.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::document::yaml;
    use super::super::fixtures::{json, pipe, plain, terminal};
    use super::*;
    use crate::deployment::fixtures::{commit, record, target_name};
    use crate::deployment::record::{LedgerRecord, RecordDetails};

    fn history() -> DeploymentHistory {
        let mut promoted =
            record("prod", "ecs/api", "abc123d", RecordStatus::Success, "2025-01-22T12:00:00Z");
        promoted.record.promoted_from = Some(target_name("staging"));
        promoted.record.metadata.insert("pr".to_owned(), "#482".to_owned());
        let mut rollback = record("prod", "api", "9f0789b", RecordStatus::Success, "2025-01-18T14:30:00Z");
        rollback.record.rollback_of = Some("1a2012c".repeat(5) + "1a2012");
        rollback.record.metadata.insert("incident".to_owned(), "INCIDENT-42\n\u{1b}[31m".to_owned());
        let mut failed = record("prod", "api", "def456a", RecordStatus::Failed, "2025-01-17T09:15:00Z");
        failed.record.deployed_by = None;
        failed.record.rollback_of = Some("old".to_owned());
        failed.record.unknown.insert("record".to_owned(), "from the future".into());
        let mut late = record("prod", "api", "cafe123", RecordStatus::Success, "2025-01-16T08:00:00Z");
        let map = |entries: &[(&str, &str)]| {
            entries.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
        };
        let text = |text: &str| Some(text.to_owned());
        late.record.metadata =
            map(&[("approver", "grace@example.com"), ("reason", "hotfix"), ("pr", "#481")]);
        late.record.context_overrides = map(&[("cpu", "2"), ("tags.team", "payments")]);
        late.record.sources = map(&[("vendor/vpc", "sha256:02")]);
        late.record.details = RecordDetails {
            number: Some(3),
            error: text("Error: cannot apply"),
            duration_seconds: Some(75),
            run_url: text("https://ci.example.com/runs/1"),
            digest: text("v1:sha256:03"),
            rules: text("uncommitted"),
            approvals: vec!["sha256:05".to_owned()],
            approvals_of: text("seen"),
            gate_override: text("incident 42"),
            reason: text("hotfix"),
            workspace: text("prod-eu"),
            stack: text("prod"),
            late_of: text("0bec7"),
            published_by: text("ada@example.com"),
            original: text("object 08\n"),
            retired: text("true"),
            renamed_from: text("worker"),
            imported_from: text("elsewhere"),
            repository: text("https://example.com/payments.git"),
        };
        of(vec![promoted, rollback, failed, late], 5)
    }

    fn of(records: Vec<LedgerRecord>, total: usize) -> DeploymentHistory {
        let deployment = "payment-service".parse().unwrap();
        DeploymentHistory::new(
            Some(deployment),
            Some(target_name("prod")),
            records,
            &BTreeSet::new(),
            &BTreeSet::new(),
            total,
        )
    }

    /// Two rollouts of several components: a promotion, and before it one that failed partly.
    fn rollouts() -> Vec<LedgerRecord> {
        let run = |component: &str, second: u8, run: &str| {
            let at = format!("2025-01-22T12:00:{second:02}Z");
            let mut found = record("prod", component, "abc123d", RecordStatus::Success, &at);
            found.record.run_id = Some(run.to_owned());
            found.record.details.duration_seconds = Some(5);
            found
        };
        let mut records: Vec<_> = ["web", "worker", "database", "api", "cache"]
            .into_iter()
            .zip([50, 49, 48, 47, 46])
            .map(|(component, second)| run(component, second, "github:7/1"))
            .collect();
        for found in &mut records {
            found.record.promoted_from = Some(target_name("staging"));
            found.record.details.run_url = Some("https://ci.example.com/runs/7".to_owned());
            found.record.details.reason = Some("release 1.1".to_owned());
        }
        let mut failed = run("worker", 20, "local:a");
        failed.record.status = RecordStatus::Failed;
        failed.record.details.error = Some("exit status 1".to_owned());
        let mut cancelled = run("database", 18, "local:a");
        cancelled.record.status = RecordStatus::Cancelled;
        cancelled.record.commit = commit("def456a");
        records.extend([failed, cancelled, run("api", 16, "local:a")]);
        records
    }

    #[test]
    fn records_newest_first() {
        let shown = |presentation: &Presentation| text(&history(), View::Records, presentation);
        insta::assert_snapshot!("history", plain(&shown(&terminal())));
        insta::assert_snapshot!("history_pipe", shown(&pipe()));
    }

    #[test]
    fn one_row_for_each_rollout() {
        let history = of(rollouts(), 8);
        insta::assert_snapshot!("history_rollouts", plain(&text(&history, View::Rollouts, &terminal())));
        insta::assert_snapshot!("history_rollouts_pipe", text(&history, View::Rollouts, &pipe()));
        insta::assert_snapshot!("history_rollouts_json", json(&history));
    }

    #[test]
    fn seconds_are_shown_where_minutes_do_not_tell_rows_apart() {
        let records = rollouts();
        let shown =
            |records: &[LedgerRecord]| plain(&text(&of(records.to_vec(), 8), View::Rollouts, &terminal()));
        assert!(shown(&records).contains("\n2025-01-22 12:00:50  "), "{}", shown(&records));
        assert!(shown(&records[..5]).contains("\n2025-01-22 12:00  "), "{}", shown(&records[..5]));
    }

    #[test]
    fn what_is_not_asked_for_alone_has_a_column() {
        let mut other = record("dev", "api", "abc123d", RecordStatus::Success, "2025-01-22T11:00:00Z");
        other.id.deployment = "inventory".parse().unwrap();
        let mut records = rollouts();
        records.push(other);
        let all = DeploymentHistory::new(None, None, records.clone(), &BTreeSet::new(), &BTreeSet::new(), 9);
        let shown = plain(&text(&all, View::Rollouts, &terminal()));
        assert!(
            shown.starts_with("Deployment history\n\nDate                 Deployment       Target  Commit"),
            "{shown}"
        );
        assert!(shown.contains("inventory        dev     abc123d"), "{shown}");
    }

    #[test]
    fn documents_say_everything() {
        insta::assert_snapshot!("history_json", json(&history()));
        insta::assert_snapshot!("history_yaml", yaml(&history()).unwrap());
    }

    #[test]
    fn no_records() {
        let none = of(Vec::new(), 0);
        assert!(text(&none, View::Rollouts, &terminal()).ends_with("\n\nNo deployments.\n"));
        assert_eq!(
            text(&none, View::Rollouts, &pipe()),
            "Date\tDeployment\tTarget\tCommit\tComponents\tBy\tStatus\tDuration\tDetails\n"
        );
    }
}
