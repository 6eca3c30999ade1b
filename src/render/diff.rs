//! `diff` as text.

use serde_json::Value;

use super::document::diff::{DeploymentDiff, File, Side};
use super::escape::{escape, lines};
use super::status::marked;
use super::style::{BAD, DETAIL, GOOD, HEADING, WARN};
use super::table::{pad, widest};
use super::{Presentation, count, styled};
use crate::deployment::CommitId;
use crate::deployment::diff::{Change, Drift, FileChange, SideName};

/// The differences between two targets or commits.
#[must_use]
pub fn text(diff: &DeploymentDiff, presentation: &Presentation) -> String {
    let (from, to) = (label(&diff.from), label(&diff.to));
    let name = marked(diff.deployment.as_str(), diff.removed);
    let mut text = styled(&format!("{name}: {from} vs {to}"), HEADING);
    text.push('\n');

    let mut commits = side_lines([(&from, &diff.from), (&to, &diff.to)], presentation);
    if diff.commits_behind > 0 {
        commits.push(format!("Commits behind: {}", diff.commits_behind));
    }
    if diff.commits_ahead > 0 {
        commits.push(format!("Commits ahead: {}", diff.commits_ahead));
    }
    section(&mut text, "Commit Diff", &commits);
    section(&mut text, "Component Changes", &component_lines(diff));
    section(&mut text, "Configuration Changes", &configuration_lines(diff));

    let commits = count(diff.commits_ahead + diff.commits_behind, "commit");
    section(&mut text, &format!("File Changes ({commits})"), &commit_lines(diff));
    if let Some(files) = &diff.files {
        let (added, removed) = files
            .iter()
            .fold((0, 0), |(added, removed), file| (added + file.lines_added, removed + file.lines_removed));
        let title = format!("Files ({} changed, +{added}/-{removed} lines)", count(files.len(), "file"));
        section(&mut text, &title, &file_lines(files));
    }

    let drift = match diff.drift {
        Drift::NotChecked => Drift::NotChecked.as_words().to_owned(),
        Drift::None => styled("✓ No drift detected", GOOD),
        Drift::Found => styled("✗ Drift detected", BAD),
    };
    section(&mut text, "Infrastructure Drift", &[drift]);
    text
}

/// The label of a side: its target, by default its commit.
fn label(side: &Side) -> String {
    match (&side.target, &side.commit) {
        (Some(target), _) => marked(target.as_str(), side.removed),
        (None, Some(commit)) => commit.short().to_owned(),
        (None, None) => "-".to_owned(),
    }
}

/// A section with its title; `none` where it has no lines.
fn section(text: &mut String, title: &str, lines: &[String]) {
    push!(text, "\n{}\n", styled(&format!("{title}:"), HEADING));
    for line in lines {
        push!(text, "  {line}\n");
    }
    if lines.is_empty() {
        text.push_str("  none\n");
    }
}

fn side_lines(sides: [(&String, &Side); 2], presentation: &Presentation) -> Vec<String> {
    let width = widest(sides.iter().map(|(label, _)| label.as_str())) + 1;
    sides
        .iter()
        .map(|(label, side)| {
            let commit = side.commit.as_ref().map_or("nothing deployed", CommitId::short);
            let deployed =
                side.deployed_at.map(|at| format!(" (deployed {})", presentation.clock.relative(at)));
            format!("{} {commit}{}", pad(&format!("{label}:"), width), deployed.unwrap_or_default())
        })
        .collect()
}

fn component_lines(diff: &DeploymentDiff) -> Vec<String> {
    let rows = diff.components.iter().map(|component| {
        let short = |commit: &Option<CommitId>| commit.as_ref().map_or("-", CommitId::short).to_owned();
        let change = format!("{} → {}", short(&component.from), short(&component.to));
        let name = marked(component.component.as_str(), component.removed);
        (escape(&name).into_owned(), change, component.change)
    });
    change_lines(rows.collect())
}

fn configuration_lines(diff: &DeploymentDiff) -> Vec<String> {
    let rows = diff.configuration.iter().map(|value| {
        let side = |side, found: Option<&Value>| {
            let overridden = if value.overridden.contains(&side) { " (--context)" } else { "" };
            shown(found) + overridden
        };
        let from = side(SideName::From, value.from.as_ref());
        let change = format!("{from} → {}", side(SideName::To, value.to.as_ref()));
        (escape(&value.path).into_owned(), change, value.change)
    });
    change_lines(rows.collect())
}

/// The commits, each with its side where both sides have their own, and the number of further ones.
fn commit_lines(diff: &DeploymentDiff) -> Vec<String> {
    let diverged = diff.commits_ahead > 0 && diff.commits_behind > 0;
    let mut lines: Vec<_> = diff
        .commits
        .iter()
        .map(|commit| {
            let side = match commit.only_in {
                SideName::From => &diff.from,
                SideName::To => &diff.to,
            };
            let only_in = if diverged { format!(", only in {}", label(side)) } else { String::new() };
            format!("{} ({}{only_in})", escape(&commit.summary), commit.commit.short())
        })
        .collect();
    let more = (diff.commits_ahead + diff.commits_behind).saturating_sub(lines.len());
    if more > 0 {
        lines.push(styled(&format!("… and {more} more"), DETAIL));
    }
    lines
}

/// Aligned lines of the form `api:  abc123d → def456a  (changed)`.
fn change_lines(rows: Vec<(String, String, Change)>) -> Vec<String> {
    let names = widest(rows.iter().map(|(name, ..)| name.as_str())) + 1;
    let changes = widest(rows.iter().map(|(_, change, _)| change.as_str()));
    rows.into_iter()
        .map(|(name, values, change)| {
            let (arrow, style) = match change {
                Change::NoChange | Change::OtherCommit => ("", DETAIL),
                Change::Increased => ("↑ ", WARN),
                Change::Decreased => ("↓ ", WARN),
                Change::Added => ("", GOOD),
                Change::Removed => ("", BAD),
                Change::Changed => ("", WARN),
            };
            let change = styled(&format!("({arrow}{})", change.as_words()), style);
            format!("{} {}  {change}", pad(&format!("{name}:"), names), pad(&values, changes))
        })
        .collect()
}

/// A configuration value: text without quotes, unless it would look like another type.
pub(super) fn shown(value: Option<&Value>) -> String {
    match value {
        None => "-".to_owned(),
        Some(Value::String(text)) if !text.is_empty() && serde_json::from_str::<Value>(text).is_err() => {
            escape(text).into_owned()
        }
        Some(value) => escape(&value.to_string()).into_owned(),
    }
}

fn file_lines(files: &[File]) -> Vec<String> {
    let paths: Vec<_> = files
        .iter()
        .map(|file| match &file.previous_path {
            Some(previous) => format!("{} → {}", escape(previous), escape(&file.path)),
            None => escape(&file.path).into_owned(),
        })
        .collect();
    let width = widest(paths.iter().map(String::as_str));
    let mut shown = Vec::new();
    for (file, path) in files.iter().zip(&paths) {
        let change = match file.change {
            FileChange::Added => " (added)",
            FileChange::Deleted => " (deleted)",
            FileChange::Modified | FileChange::Renamed => "",
        };
        shown.push(format!("{}  +{}/-{}{change}", pad(path, width), file.lines_added, file.lines_removed));
        for line in lines(file.hunks.as_deref().unwrap_or_default()) {
            let style = match line.chars().next() {
                Some('+') => GOOD,
                Some('-') => BAD,
                Some('@') => DETAIL,
                _ => super::style::PLAIN,
            };
            shown.push(format!("  {}", styled(&line, style)));
        }
    }
    shown
}

#[cfg(test)]
mod tests {

    use super::super::fixtures::{json, plain, terminal};
    use super::*;
    use crate::deployment::ComponentKind;
    use crate::deployment::diff::{
        CommitSummary, ComponentDifference, ConfigurationDifference, DiffSide, DiffView, FileDifference,
    };
    use crate::deployment::fixtures::{commit, component_name, target_name, time};

    fn view() -> DiffView {
        let side = |target, short, at| DiffSide {
            target: Some(target_name(target)),
            commit: Some(commit(short)),
            deployed_at: Some(time(at)),
        };
        let component = |name, from: Option<&str>, to: Option<&str>| ComponentDifference {
            component: component_name(name),
            kind: Some(ComponentKind::Nixpack),
            from: from.map(commit),
            to: to.map(commit),
            is_same: name == "web",
            removed: name == "web",
        };
        let value = |path: &str, from, to| ConfigurationDifference {
            path: path.to_owned(),
            from,
            to,
            overridden: if path.ends_with("level") { vec![SideName::To] } else { Vec::new() },
        };
        DiffView {
            deployment: "payment-service".parse().unwrap(),
            from: side("prod", "abc123d", "2025-01-22T12:00:00Z"),
            to: side("staging", "def456a", "2025-01-22T13:30:00Z"),
            commits_ahead: 0,
            commits_behind: 2,
            commits: vec![
                CommitSummary {
                    commit: commit("def456a"),
                    summary: "feat: increase worker CPU".to_owned(),
                    only_in: SideName::To,
                },
                CommitSummary {
                    commit: commit("cde345b"),
                    summary: "fix: \u{1b}[31mtimeout".to_owned(),
                    only_in: SideName::To,
                },
            ],
            components: vec![
                component("api", Some("abc123d"), Some("def456a")),
                component("ecs/worker", None, Some("def456a")),
                component("database", Some("abc123d"), Some("abc123d")),
                component("web", Some("abc123d"), Some("def456a")),
            ],
            configuration: vec![
                value("api.context.cpu", Some(serde_json::json!(2048)), Some(serde_json::json!(2048))),
                value("worker.context.cpu", Some(serde_json::json!(1024)), Some(serde_json::json!(2048))),
                value("worker.context.replicas", Some(serde_json::json!(8)), Some(serde_json::json!(4))),
                value("worker.context.level", Some(serde_json::json!("warn")), Some(serde_json::json!("8"))),
                value("worker.context.new", None, Some(serde_json::json!({"a": [1]}))),
            ],
            files: None,
            drift: Drift::NotChecked,
        }
    }

    fn files() -> Vec<FileDifference> {
        let file = |path: &str, change, hunks: Option<&str>| FileDifference {
            path: path.to_owned(),
            previous_path: None,
            change,
            lines_added: 2,
            lines_removed: 1,
            hunks: hunks.map(str::to_owned),
        };
        vec![
            file(
                "services/api/main.go",
                FileChange::Modified,
                Some("@@ -1,2 +1,3 @@ func main() {\n-\told()\n+\tnew()\n+\u{1b}[2J\n context\n"),
            ),
            FileDifference {
                previous_path: Some("a.tf".to_owned()),
                ..file("components/terraform/b.tf", FileChange::Renamed, None)
            },
        ]
    }

    #[test]
    fn two_targets_as_in_the_specification() {
        let diff = DeploymentDiff::from(&view());
        insta::assert_snapshot!("diff", plain(&text(&diff, &terminal())));
        insta::assert_snapshot!("diff_json", json(&diff));
    }

    #[test]
    fn files_and_code() {
        let diff = DeploymentDiff::from(&DiffView { files: Some(files()), ..view() });
        insta::assert_snapshot!("diff_code", plain(&text(&diff, &terminal())));
    }

    #[test]
    fn a_target_where_nothing_runs() {
        let nothing = DiffSide { target: Some(target_name("prod")), commit: None, deployed_at: None };
        let diff = DeploymentDiff::from(&DiffView {
            from: nothing,
            commits: Vec::new(),
            commits_behind: 0,
            components: Vec::new(),
            configuration: Vec::new(),
            ..view()
        });
        insta::assert_snapshot!("diff_nothing", plain(&text(&diff, &terminal())));
    }
}
