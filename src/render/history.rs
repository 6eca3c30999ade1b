//! `history` as text.

use super::document::history::{DeploymentHistory, HistoryRecord};
use super::style::{ID, WARN};
use super::table::{Cell, Table};
use super::{Form, Presentation, count, status_style};

/// The records of a target, newest first.
#[must_use]
pub fn text(history: &DeploymentHistory, presentation: &Presentation) -> String {
    let mut table = Table::new(["Date", "Commit", "Component", "By", "Status", "Details"]);
    for record in &history.records {
        let status = if is_rollback(record) {
            Cell::styled("rollback", WARN)
        } else {
            Cell::styled(record.status.as_str(), status_style(record.status))
        };
        table.row([
            presentation.clock.minute(record.timestamp).into(),
            Cell::styled(record.git_sha.short(), ID),
            record.component.as_str().into(),
            record.deployed_by.as_deref().unwrap_or_default().into(),
            status,
            details(record).into(),
        ]);
    }
    let title = format!("{} → {} deployment history", history.deployment, history.target);
    let mut text = presentation.title(&title);
    match presentation.form {
        Form::Terminal if history.records.is_empty() => text.push_str("No deployments.\n"),
        Form::Terminal => {
            let more = if history.truncated { " (use --limit to show more)" } else { "" };
            let shown = count(history.records.len(), "deployment");
            text.push_str(&format!("{}\nShowing {shown}{more}\n", table.render(presentation.form)));
        }
        Form::Pipe => text.push_str(&table.render(presentation.form)),
    }
    text
}

/// A rollback that happened; one that failed is a failure.
fn is_rollback(record: &HistoryRecord) -> bool {
    record.rollback_of.is_some() && record.status == crate::deployment::RecordStatus::Success
}

/// What the record says besides: where it came from, and what people wrote down.
fn details(record: &HistoryRecord) -> String {
    let promoted = record.promoted_from.as_ref().map(|from| format!("Promoted from {from}"));
    let rollback = record.rollback_of.as_ref().map(|commit| format!("Rollback of {}", short(commit)));
    let metadata = record.metadata.iter().filter_map(|(key, value)| match key.as_str() {
        "pr" => Some(format!("PR {value}")),
        "approver" => Some(format!("approved by {value}")),
        // Beside the approver it says little; the documents have it.
        "approval_timestamp" => None,
        "jira" | "incident" | "issue" | "reason" => Some(value.clone()),
        _ => Some(format!("{key}: {value}")),
    });
    promoted.into_iter().chain(rollback).chain(metadata).collect::<Vec<_>>().join(", ")
}

/// A commit that others may have abbreviated, as short as every other commit.
pub(super) fn short(commit: &str) -> String {
    if commit.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        commit.chars().take(7).collect()
    } else {
        commit.to_owned()
    }
}
