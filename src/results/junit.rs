//! JUnit reports.

use std::fmt::Write as _;
use std::time::Duration;

use junit_parser::{TestCase, TestStatus, TestSuite, TestSuites};
use serde::{Deserialize, Serialize};

use crate::text::error_chain;

use super::ResultsError;
use super::junit_numbers::mended;

/// The maximum number of failed tests that a summary names. The report has them all.
const MOST_NAMED: usize = 100;
/// The maximum length of a failure's message in a summary, in characters.
const LONGEST_MESSAGE: usize = 500;
/// The maximum depth of nested suites.
const DEEPEST: usize = 200;

/// How tests went.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default)]
pub struct TestSummary {
    pub tests: usize,
    pub passed: usize,
    /// What the tests found wrong.
    pub failed: usize,
    /// What went wrong with the tests themselves.
    pub errors: usize,
    pub skipped: usize,
    pub duration_seconds: f64,
    /// The first hundred of those that did not pass.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub failures: Vec<FailedTest>,
}

/// A test that did not pass.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct FailedTest {
    pub suite: String,
    pub name: String,
    pub message: String,
}

impl TestSummary {
    /// Whether nothing failed.
    #[must_use]
    pub const fn succeeded(&self) -> bool {
        self.failed == 0 && self.errors == 0
    }
}

/// Counts the tests of a report.
pub(super) fn summarise(text: &str) -> Result<TestSummary, ResultsError> {
    let mut summary = TestSummary::default();
    for suite in &parse(text)?.suites {
        summary.add(suite);
    }
    Ok(summary)
}

/// Reads a report. Entities are not resolved: a document can declare as many as it likes.
fn parse(text: &str) -> Result<TestSuites, ResultsError> {
    if deepest_suite(text) > DEEPEST {
        return Err(ResultsError::Junit("its suites are nested too deeply".to_owned()));
    }
    let mended = mended(text).map_err(|error| ResultsError::Junit(error.to_string()))?;
    junit_parser::from_reader(std::io::Cursor::new(mended))
        .map_err(|error| ResultsError::Junit(error_chain(&error)))
}

/// Returns the depth of nested suites. The parser reads them by recursion.
fn deepest_suite(text: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    for (at, _) in text.match_indices('<') {
        let rest = &text[at..];
        if rest.starts_with("</testsuite") {
            depth = depth.saturating_sub(1);
        } else if rest.starts_with("<testsuite") {
            let is_empty = rest.find('>').is_some_and(|end| rest[..end].ends_with('/'));
            depth += usize::from(!is_empty);
            deepest = deepest.max(depth);
        }
    }
    deepest
}

impl TestSummary {
    fn add(&mut self, suite: &TestSuite) {
        for case in &suite.cases {
            self.count(suite, case);
        }
        for inner in &suite.suites {
            self.add(inner);
        }
    }

    fn count(&mut self, suite: &TestSuite, case: &TestCase) {
        self.tests += 1;
        self.duration_seconds += case.time;
        let message = match &case.status {
            TestStatus::Success => {
                self.passed += 1;
                return;
            }
            TestStatus::Skipped(_) => {
                self.skipped += 1;
                return;
            }
            TestStatus::Failure(failure) => {
                self.failed += 1;
                if failure.message.is_empty() { &failure.text } else { &failure.message }
            }
            TestStatus::Error(error) => {
                self.errors += 1;
                if error.message.is_empty() { &error.text } else { &error.message }
            }
        };
        if self.failures.len() < MOST_NAMED {
            self.failures.push(FailedTest {
                suite: suite.name.clone(),
                name: case.name.clone(),
                message: message.trim().chars().take(LONGEST_MESSAGE).collect(),
            });
        }
    }
}

/// One report of several, each of a component, whose suites get its name in front.
pub fn write_report<'a>(
    reports: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Result<String, ResultsError> {
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n");
    for (component, report) in reports {
        for suite in &parse(report)?.suites {
            write_suite(&mut xml, component, suite);
        }
    }
    xml.push_str("</testsuites>\n");
    Ok(xml)
}

/// The report of a command that wrote none: one test, which is the command.
#[must_use]
pub fn report_of_command(command: &str, duration: Duration, failure: Option<&str>) -> String {
    let mut xml = String::from("<testsuites><testsuite name=\"command\">");
    // Writing to a string cannot fail.
    let _ = write!(xml, "<testcase name=\"{}\" time=\"{:.3}\">", escape(command), duration.as_secs_f64());
    if let Some(failure) = failure {
        let message = failure.lines().next().unwrap_or_default();
        let _ = write!(xml, "<failure message=\"{}\">{}</failure>", escape(message), escape(failure));
    }
    xml.push_str("</testcase></testsuite></testsuites>\n");
    xml
}

fn write_suite(xml: &mut String, component: &str, suite: &TestSuite) {
    let mut counted = TestSummary::default();
    for case in &suite.cases {
        counted.count(suite, case);
    }
    let name =
        if suite.name.is_empty() { component.to_owned() } else { format!("{component}: {}", suite.name) };
    // Writing to a string cannot fail.
    let _ = writeln!(
        xml,
        "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{}\" errors=\"{}\" skipped=\"{}\" time=\"{:.3}\">",
        escape(&name),
        counted.tests,
        counted.failed,
        counted.errors,
        counted.skipped,
        counted.duration_seconds
    );
    for case in &suite.cases {
        let class = case.classname.as_ref().map(|class| format!(" classname=\"{}\"", escape(class)));
        let (name, class) = (escape(&case.original_name), class.unwrap_or_default());
        let _ = write!(xml, "    <testcase name=\"{name}\"{class} time=\"{:.3}\">", case.time);
        let (element, message, text) = match &case.status {
            TestStatus::Success => ("", "", ""),
            TestStatus::Skipped(skipped) => ("skipped", skipped.message.as_str(), skipped.text.as_str()),
            TestStatus::Failure(failure) => ("failure", failure.message.as_str(), failure.text.as_str()),
            TestStatus::Error(error) => ("error", error.message.as_str(), error.text.as_str()),
        };
        if !element.is_empty() {
            let _ = write!(xml, "<{element} message=\"{}\">{}</{element}>", escape(message), escape(text));
        }
        for (element, text) in [("system-out", &case.system_out), ("system-err", &case.system_err)] {
            if let Some(text) = text {
                let _ = write!(xml, "<{element}>{}</{element}>", escape(text));
            }
        }
        xml.push_str("</testcase>\n");
    }
    xml.push_str("  </testsuite>\n");
    for inner in &suite.suites {
        write_suite(xml, component, inner);
    }
}

/// Escapes a text for XML, without the control characters that XML cannot have.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\n' | '\t' => escaped.push(character),
            other if other.is_control() => {}
            other => escaped.push(other),
        }
    }
    escaped
}
