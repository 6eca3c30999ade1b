//! `test` as text.

use std::time::Duration;

use super::attach::tests;
use super::document::test::{TestResult, TestedComponent};
use super::escape::escape;
use super::style::{BAD, DETAIL, GOOD};
use super::{Presentation, styled, time};

/// The result of one component: `✓ api  12 tests, 2 skipped (3.4s)`, and its failures.
#[must_use]
pub fn line(component: &TestedComponent) -> String {
    let mark = if component.succeeded { styled("✓", GOOD) } else { styled("✗", BAD) };
    let took = time::duration(Duration::try_from_secs_f64(component.duration_seconds).unwrap_or_default());
    let error = component.error.as_ref().map(|error| format!(": {}", escape(error))).unwrap_or_default();
    let name = escape(component.component.as_str());
    let mut text = format!("{mark} {name}  {} ({took}){error}\n", tests(&component.summary));
    for failure in &component.summary.failures {
        push!(text, "    {} {}: {}\n", styled("✗", BAD), escape(&failure.name), escape(&failure.message));
    }
    text
}

/// A line of a test's output.
#[must_use]
pub fn output(component: &str, line: &str) -> String {
    format!("    {} {}\n", styled(&format!("{} |", escape(component)), DETAIL), escape(line))
}

/// The total of the passed tests, and the commit of the note.
#[must_use]
pub fn text(result: &TestResult, _: &Presentation) -> String {
    let sum = |count: fn(&TestedComponent) -> usize| result.components.iter().map(count).sum::<usize>();
    let (all, passed) = (sum(|one| one.summary.tests), sum(|one| one.summary.passed));
    format!(
        "{passed} of {} passed\nAttached test-results to commit {}\n",
        super::count(all, "test"),
        result.commit.short()
    )
}
