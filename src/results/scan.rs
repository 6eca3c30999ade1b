//! Scanners' findings by severity: SARIF, Grype's JSON, Trivy's JSON.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::ResultsError;

/// How bad a finding is.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The scanner does not say, or does not matter.
    Unknown,
    Low,
    Medium,
    High,
    Critical,
}

/// How many findings there are of each severity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default)]
pub struct ScanSummary {
    pub critical: usize,
    pub high: usize,
    pub medium: usize,
    pub low: usize,
    pub unknown: usize,
}

/// The summary of a scanner's report.
pub(super) struct Scan {
    pub format: &'static str,
    pub tool: Option<String>,
    pub summary: ScanSummary,
}

impl ScanSummary {
    fn add(&mut self, severity: Severity) {
        let count = match severity {
            Severity::Critical => &mut self.critical,
            Severity::High => &mut self.high,
            Severity::Medium => &mut self.medium,
            Severity::Low => &mut self.low,
            Severity::Unknown => &mut self.unknown,
        };
        *count += 1;
    }

    /// The sum of both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self {
            critical: self.critical + other.critical,
            high: self.high + other.high,
            medium: self.medium + other.medium,
            low: self.low + other.low,
            unknown: self.unknown + other.unknown,
        }
    }

    /// The number of findings of at least this severity.
    #[must_use]
    pub fn at_least(&self, severity: Severity) -> usize {
        let counts = [
            (Severity::Unknown, self.unknown),
            (Severity::Low, self.low),
            (Severity::Medium, self.medium),
            (Severity::High, self.high),
            (Severity::Critical, self.critical),
        ];
        counts.into_iter().filter(|(known, _)| *known >= severity).map(|(_, count)| count).sum()
    }
}

/// Parses the report of any supported scanner.
pub(super) fn read(content: &Value) -> Result<Scan, ResultsError> {
    if content["runs"].is_array() && content["version"].is_string() {
        sarif(content)
    } else if content["matches"].is_array() {
        grype(content)
    } else if content["SchemaVersion"].is_number() {
        trivy(content)
    } else {
        Err(ResultsError::UnknownScan)
    }
}

/// A severity by the word that most scanners use.
fn by_word(word: &str) -> Severity {
    match word.to_ascii_lowercase().as_str() {
        "critical" => Severity::Critical,
        "high" => Severity::High,
        "medium" | "moderate" => Severity::Medium,
        "low" | "negligible" => Severity::Low,
        _ => Severity::Unknown,
    }
}

fn grype(content: &Value) -> Result<Scan, ResultsError> {
    let mut summary = ScanSummary::default();
    for found in content["matches"].as_array().into_iter().flatten() {
        let Some(severity) = found["vulnerability"]["severity"].as_str() else {
            return Err(shape("Grype", "a match has no vulnerability.severity"));
        };
        summary.add(by_word(severity));
    }
    let tool = text(&content["descriptor"]["name"]).unwrap_or_else(|| "grype".to_owned());
    Ok(Scan { format: "grype", tool: Some(with_version(&tool, &content["descriptor"]["version"])), summary })
}

fn trivy(content: &Value) -> Result<Scan, ResultsError> {
    let mut summary = ScanSummary::default();
    let results = match &content["Results"] {
        Value::Null => &[],
        Value::Array(results) => results.as_slice(),
        _ => return Err(shape("Trivy", "its Results are no list")),
    };
    for result in results {
        let found = match &result["Vulnerabilities"] {
            Value::Null => &[],
            Value::Array(found) => found.as_slice(),
            _ => return Err(shape("Trivy", "its Vulnerabilities are no list")),
        };
        for found in found {
            let Some(severity) = found["Severity"].as_str() else {
                return Err(shape("Trivy", "a vulnerability has no Severity"));
            };
            summary.add(by_word(severity));
        }
    }
    let tool = with_version("trivy", &content["Trivy"]["Version"]);
    Ok(Scan { format: "trivy", tool: Some(tool), summary })
}

fn sarif(content: &Value) -> Result<Scan, ResultsError> {
    let mut summary = ScanSummary::default();
    let mut tool = None;
    for run in content["runs"].as_array().into_iter().flatten() {
        let driver = &run["tool"]["driver"];
        let Some(name) = text(&driver["name"]) else {
            return Err(shape("SARIF", "a run has no tool.driver.name"));
        };
        tool.get_or_insert_with(|| with_version(&name, &driver["version"]));
        let results = match &run["results"] {
            Value::Null => &[],
            Value::Array(results) => results.as_slice(),
            _ => return Err(shape("SARIF", "the results of a run are no list")),
        };
        for result in results {
            if !result.is_object() {
                return Err(shape("SARIF", "a result is no object"));
            }
            // A result that is suppressed, or did not fail, is no finding.
            let is_kept = result["suppressions"].as_array().is_some_and(|kept| !kept.is_empty());
            let passed = result["kind"].as_str().is_some_and(|kind| kind != "fail");
            if !is_kept && !passed {
                summary.add(sarif_severity(result, rule_of(result, driver)));
            }
        }
    }
    Ok(Scan { format: "sarif", tool, summary })
}

/// The rule of a result, by its index or by its id.
fn rule_of<'r>(result: &Value, driver: &'r Value) -> Option<&'r Value> {
    let rules = driver["rules"].as_array()?;
    let index = result["ruleIndex"].as_u64().or_else(|| result["rule"]["index"].as_u64());
    let by_place = index.and_then(|index| rules.get(usize::try_from(index).ok()?));
    let id = result["ruleId"].as_str().or_else(|| result["rule"]["id"].as_str());
    by_place.or_else(|| rules.iter().find(|rule| rule["id"].as_str() == id && id.is_some()))
}

/// By the score that scanners agree on, else by SARIF's own level.
fn sarif_severity(result: &Value, rule: Option<&Value>) -> Severity {
    let score = |of: &Value| {
        let score = &of["properties"]["security-severity"];
        score.as_f64().or_else(|| score.as_str()?.parse::<f64>().ok())
    };
    if let Some(score) = score(result).or_else(|| score(rule?)) {
        return match score {
            score if score >= 9.0 => Severity::Critical,
            score if score >= 7.0 => Severity::High,
            score if score >= 4.0 => Severity::Medium,
            score if score > 0.0 => Severity::Low,
            _ => Severity::Unknown,
        };
    }
    let level = result["level"].as_str();
    let level = level.or_else(|| rule?["defaultConfiguration"]["level"].as_str()).unwrap_or("warning");
    match level {
        "error" => Severity::High,
        "warning" => Severity::Medium,
        "note" => Severity::Low,
        _ => Severity::Unknown,
    }
}

fn text(value: &Value) -> Option<String> {
    value.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

fn with_version(tool: &str, version: &Value) -> String {
    text(version).map_or_else(|| tool.to_owned(), |version| format!("{tool} {version}"))
}

fn shape(tool: &'static str, reason: &str) -> ResultsError {
    ResultsError::Scan { tool, reason: reason.to_owned() }
}
