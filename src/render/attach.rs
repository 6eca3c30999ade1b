//! `attach` and `scan` as text.

use super::document::attach::{AttachResult, Attached};
use super::escape::escape;
use super::style::GOOD;
use super::{Presentation, count, styled};
use crate::deployment::count::plural;
use crate::results::{ScanSummary, TestSummary};

/// The note that was stored, and its commit.
#[must_use]
pub fn text(result: &AttachResult, _: &Presentation) -> String {
    let of = result.component.as_ref().map(|name| format!(" of {}", escape(name.as_str())));
    let at_a_glance = match &result.attached {
        Attached::Sbom { components, dependencies } => {
            format!(
                "{}, {}",
                count(*components, "component"),
                plural(*dependencies, "dependency", "dependencies")
            )
        }
        Attached::Tests(summary) => tests(summary),
        Attached::Scan { vulnerabilities, .. } => self::vulnerabilities(vulnerabilities),
    };
    format!(
        "{} Attached {}{} to commit {}: {at_a_glance}\n",
        styled("✓", GOOD),
        result.namespace,
        of.unwrap_or_default(),
        result.commit.short(),
    )
}

/// `12 tests, 1 failed, 2 skipped`.
#[must_use]
pub fn tests(summary: &TestSummary) -> String {
    let mut parts = vec![count(summary.tests, "test")];
    for (number, word) in
        [(summary.failed, "failed"), (summary.errors, "with errors"), (summary.skipped, "skipped")]
    {
        if number > 0 {
            parts.push(format!("{number} {word}"));
        }
    }
    parts.join(", ")
}

/// `0 critical, 1 high, 2 medium, 5 low`: critical, medium and low ones always, high and unknown
/// ones only where there are any, as in the specification.
#[must_use]
pub fn vulnerabilities(summary: &ScanSummary) -> String {
    let ScanSummary { critical, high, medium, low, unknown } = *summary;
    let mut parts = vec![format!("{critical} critical")];
    if high > 0 {
        parts.push(format!("{high} high"));
    }
    parts.extend([format!("{medium} medium"), format!("{low} low")]);
    if unknown > 0 {
        parts.push(format!("{unknown} of unknown severity"));
    }
    parts.join(", ")
}
