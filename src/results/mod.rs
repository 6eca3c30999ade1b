//! Results of tests and scans: files of other tools, parsed only for their counts, and kept whole.
//!
//! Files come from untrusted CI steps: their size is bounded, XML entities are not resolved,
//! and malformed files are refused.

mod junit;
mod junit_numbers;
mod scan;

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::deployment::ComponentName;
use crate::text;

pub use junit::{FailedTest, TestSummary, report_of_command, write_report};
pub use scan::{ScanSummary, Severity};

/// The largest file that is accepted. A note can hold no more (`git-tracking.md`, "Size Limits").
pub const LARGEST: usize = 50 * 1024 * 1024;

/// A file that is not of the expected format.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResultsError {
    #[error("it has {} MB; files of more than 50 MB belong into other storage", .0 / 1_000_000)]
    TooLarge(usize),
    #[error("it is not text")]
    NotText,
    #[error("it is not a JUnit report: {0}")]
    Junit(String),
    #[error("it is not JSON: {0}")]
    NotJson(String),
    #[error("it is none of SARIF, Grype's JSON and Trivy's JSON")]
    UnknownScan,
    #[error("it is not the {tool} file that it looks like: {reason}")]
    Scan { tool: &'static str, reason: String },
}

/// One entry of a note: the summary of the findings, their source, and the file itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ResultsEntry<S> {
    /// Absent where the results are of the deployment as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub component: Option<ComponentName>,
    /// `junit`, `sarif`, `grype`, `trivy`.
    pub format: String,
    /// The tool that wrote the file, as the file names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool: Option<String>,
    pub recorded_at: Timestamp,
    pub recorded_by: String,
    pub summary: S,
    /// The file: JSON as such, everything else as text.
    pub content: Value,
}

impl<S: Serialize> ResultsEntry<S> {
    /// The entry as one line of JSON.
    #[must_use]
    pub fn to_line(&self) -> String {
        // Plain data is always JSON.
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// The component, the time and the author of recorded results.
#[derive(Debug, Clone)]
pub struct Recording {
    pub component: Option<ComponentName>,
    pub recorded_at: Timestamp,
    pub recorded_by: String,
}

/// Reads a JUnit report.
pub fn test_results(file: &[u8], recording: &Recording) -> Result<ResultsEntry<TestSummary>, ResultsError> {
    let text = bounded(file).map(text::of_xml)?.ok_or(ResultsError::NotText)?;
    let summary = junit::summarise(&text)?;
    Ok(recording.entry("junit", None, summary, text.into()))
}

/// Parses the report of a scanner: SARIF, Grype's JSON or Trivy's JSON.
pub fn scan_results(file: &[u8], recording: &Recording) -> Result<ResultsEntry<ScanSummary>, ResultsError> {
    let text = bounded(file).map(text::of_file)?.ok_or(ResultsError::NotText)?;
    let content: Value =
        serde_json::from_str(&text).map_err(|error| ResultsError::NotJson(error.to_string()))?;
    let scan = scan::read(&content)?;
    Ok(recording.entry(scan.format, scan.tool, scan.summary, content))
}

impl Recording {
    fn entry<S>(&self, format: &str, tool: Option<String>, summary: S, content: Value) -> ResultsEntry<S> {
        ResultsEntry {
            component: self.component.clone(),
            format: format.to_owned(),
            tool,
            recorded_at: self.recorded_at,
            recorded_by: self.recorded_by.clone(),
            summary,
            content,
        }
    }
}

fn bounded(file: &[u8]) -> Result<&[u8], ResultsError> {
    if file.len() > LARGEST { Err(ResultsError::TooLarge(file.len())) } else { Ok(file) }
}

/// The sum of scans' findings, and the scanned components.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Scanned {
    pub found: ScanSummary,
    pub components: BTreeSet<ComponentName>,
    /// Whether a scan was of the deployment as a whole.
    pub whole: bool,
}

impl Scanned {
    /// The sum of both.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.components.extend(other.components);
        Self {
            found: self.found.and(other.found),
            components: self.components,
            whole: self.whole && other.whole,
        }
    }
}

/// The vulnerabilities of a commit: for each component those of its newest scan. `None` where
/// nothing was scanned. Foreign lines, as plain `git notes` may attach, are skipped.
#[must_use]
pub fn vulnerabilities(note: &[u8], wanted: impl Fn(Option<&ComponentName>) -> bool) -> Option<Scanned> {
    let text = String::from_utf8_lossy(note);
    let entries =
        text.lines().filter_map(|line| serde_json::from_str::<ResultsEntry<ScanSummary>>(line).ok());
    let mut newest: Vec<ResultsEntry<ScanSummary>> = Vec::new();
    for entry in entries.filter(|entry| wanted(entry.component.as_ref())) {
        match newest.iter_mut().find(|known| known.component == entry.component) {
            Some(known) if known.recorded_at <= entry.recorded_at => *known = entry,
            Some(_) => {}
            None => newest.push(entry),
        }
    }
    if newest.is_empty() {
        return None;
    }
    let mut scanned = Scanned::default();
    for entry in newest {
        scanned.found = scanned.found.and(entry.summary);
        match entry.component {
            Some(component) => drop(scanned.components.insert(component)),
            None => scanned.whole = true,
        }
    }
    Some(scanned)
}

#[cfg(test)]
mod tests;
