//! The outputs of a job: `$GITHUB_OUTPUT`, or a dotenv report.

use std::collections::BTreeSet;
use std::path::Path;

use super::notices::Notices;
use super::outcome::Outcome;
use crate::ci::System;
use crate::ci::outputs::{Output, append_github, dotenv};
use crate::ci::replaced_file::replace;
use crate::context::Context;
use crate::deployment::rollout_report::{ComponentResult, RolloutReport};
use crate::deployment::{CommitId, RecordId};
use crate::render::document;

/// The variable with the path of the dotenv report, and its default on GitLab.
const DOTENV: (&str, &str) = ("ATMOS_DOTENV", "atmos.env");

/// The outputs of a verb, without empty ones.
pub fn of(outcome: &Outcome, summary_file: Option<&Path>) -> Vec<Output> {
    let mut outputs = vec![Output { name: "result", value: outcome.ending().as_str().to_owned() }];
    let mut add = |name, value: Option<String>| outputs.extend(value.map(|value| Output { name, value }));
    if let Some(report) = &outcome.rollout.report {
        let all = &report.components;
        add("commit", only(all.iter().map(|component| &component.commit)));
        add("previous-commit", only(all.iter().filter_map(|component| component.previous_commit.as_ref())));
        add("changed", Some(changes_something(report).to_string()));
        let records = all.iter().filter_map(|component| component.record.as_ref()).map(RecordId::tag_name);
        add("deployment-ids", serde_json::to_string(&records.collect::<Vec<_>>()).ok());
    }
    add("digest", outcome.digest().map(str::to_owned));
    add("matrix", (outcome.verb.as_deref() == Some("matrix")).then(|| outcome.stdout.trim().to_owned()));
    add("summary-file", summary_file.map(|file| file.to_string_lossy().into_owned()));
    let of_error = || outcome.error().and_then(|error| document::json(error).ok());
    let json = outcome.document.clone().or_else(of_error).and_then(|text| {
        // Serialised again, on one line.
        serde_json::from_str::<serde_json::Value>(&text).ok().map(|document| document.to_string())
    });
    add("json", json);
    outputs
}

/// Writes the outputs where the platform reads them; `home` is the job's own folder.
pub fn write(
    context: &Context,
    system: Option<System>,
    home: &Path,
    outputs: &[Output],
    notices: &mut Notices,
) {
    let outputs: Vec<_> = outputs
        .iter()
        .map(|output| Output { value: context.masks().apply(output.value.clone()), ..*output })
        .collect();
    let dotenv_file = context.variable(DOTENV.0).or((system == Some(System::GitLabCi)).then_some(DOTENV.1));
    if let Some(file) = context.variable("GITHUB_OUTPUT").filter(|_| system == Some(System::GitHubActions))
        && let Err(error) = append_github(Path::new(file), &outputs)
    {
        notices.add(format!("the outputs cannot be written to $GITHUB_OUTPUT: {error}"));
    }
    let Some(file) = dotenv_file else { return };
    let report = dotenv(&outputs);
    if !report.omitted.is_empty() {
        let omitted = report.omitted.join(", ");
        notices.add(format!("a dotenv report has 5 KB at most, and {omitted} did not fit"));
    }
    let path = home.join(file);
    // A checkout may have put a symbolic link in its place in the job's own folder.
    let written = if path.starts_with(home) {
        replace(home, &path, &report.text)
    } else {
        std::fs::write(path, report.text)
    };
    if let Err(error) = written {
        notices.add(format!("the outputs cannot be written to {file}: {error}"));
    }
}

/// The only distinct commit; `None` where they differ.
fn only<'c>(commits: impl Iterator<Item = &'c CommitId>) -> Option<String> {
    let commits: BTreeSet<_> = commits.collect();
    let mut commits = commits.into_iter();
    commits.next().filter(|_| commits.next().is_none()).map(ToString::to_string)
}

/// Whether the rollout changes a component, or a dry run would.
fn changes_something(report: &RolloutReport) -> bool {
    report.components.iter().any(|component| {
        let moves = component.previous_commit.as_ref() != Some(&component.commit);
        let acts = matches!(component.status, ComponentResult::Success | ComponentResult::Planned);
        acts && (moves || component.changes.is_some_and(|changes| !changes.is_empty()))
    })
}
