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
            push!(text, "{}\nShowing {shown}{more}\n", table.render(presentation.form));
        }
        Form::Pipe => text.push_str(&table.render(presentation.form)),
    }
    text
}

/// A rollback that happened; one that failed is a failure.
fn is_rollback(record: &HistoryRecord) -> bool {
    record.rollback_of.is_some() && record.status == crate::deployment::RecordStatus::Success
}

/// Where the record came from, who approved it and why, and what its metadata say.
fn details(record: &HistoryRecord) -> String {
    let promoted = record.promoted_from.as_ref().map(|from| format!("Promoted from {from}"));
    let rollback = record.rollback_of.as_ref().map(|commit| format!("Rollback of {}", short(commit)));
    let late = record.late_of.as_ref().map(|_| "late".to_owned());
    let approver = record.metadata.get("approver").map(|approver| format!("approved by {approver}"));
    let overrides: Vec<_> =
        record.context_overrides.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let overrides = (!overrides.is_empty()).then(|| format!("with {}", overrides.join(" ")));
    let metadata = record.metadata.iter().filter_map(|(key, value)| match key.as_str() {
        "pr" => Some(format!("PR {value}")),
        // Shown above; the time says little beside the approver and is in the documents.
        "approver" | "approval_timestamp" => None,
        "reason" if record.reason.as_ref() == Some(value) => None,
        "jira" | "incident" | "issue" | "reason" => Some(value.clone()),
        _ => Some(format!("{key}: {value}")),
    });
    [record.error.clone(), promoted, rollback, late, approver, record.reason.clone(), overrides]
        .into_iter()
        .flatten()
        .chain(metadata)
        .collect::<Vec<_>>()
        .join(", ")
}

/// A commit that others may have abbreviated, as short as every other commit.
pub(super) fn short(commit: &str) -> String {
    if commit.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        commit.chars().take(7).collect()
    } else {
        commit.to_owned()
    }
}

#[cfg(test)]
mod tests {

    use super::super::document::yaml;
    use super::super::fixtures::{json, pipe, plain, terminal};
    use super::*;
    use crate::deployment::RecordStatus;
    use crate::deployment::fixtures::{record, target_name};
    use crate::deployment::record::RecordDetails;

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
        late.record.details = Box::new(RecordDetails {
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
        });
        DeploymentHistory {
            deployment: "payment-service".parse().unwrap(),
            target: target_name("prod"),
            records: [promoted, rollback, failed, late].map(HistoryRecord::from).to_vec(),
            truncated: true,
        }
    }

    #[test]
    fn records_newest_first() {
        insta::assert_snapshot!("history", plain(&text(&history(), &terminal())));
        insta::assert_snapshot!("history_pipe", text(&history(), &pipe()));
    }

    #[test]
    fn documents_say_everything() {
        insta::assert_snapshot!("history_json", json(&history()));
        insta::assert_snapshot!("history_yaml", yaml(&history()).unwrap());
    }

    #[test]
    fn no_records() {
        let none = DeploymentHistory { records: Vec::new(), truncated: false, ..history() };
        assert!(text(&none, &terminal()).ends_with("\n\nNo deployments.\n"));
        assert_eq!(text(&none, &pipe()), "Date\tCommit\tComponent\tBy\tStatus\tDetails\n");
    }
}
