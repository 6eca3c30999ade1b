//! `validate` as text.

use std::collections::BTreeSet;

use super::document::validate::{
    Check, Problem, Promotion, Severity, Summary, ValidatedDeployment, ValidationReport,
};
use super::escape::escape;
use super::style::{BAD, GOOD, HEADING, WARN};
use super::{Presentation, styled};
use crate::deployment::TargetName;

/// What is wrong with each deployment, check by check.
#[must_use]
pub fn text(report: &ValidationReport, _: &Presentation) -> String {
    if report.deployments.is_empty() {
        return "No deployments.\n".to_owned();
    }
    report.deployments.iter().map(one_deployment).collect::<Vec<_>>().join("\n")
}

fn one_deployment(deployment: &ValidatedDeployment) -> String {
    let mut text = format!("Validating {}...\n\n", escape(&deployment.deployment));
    let unreadable = deployment.problems.iter().any(|problem| is_error(problem, Check::Configuration));
    for check in Check::ALL {
        let failed = deployment.problems.iter().any(|problem| is_error(problem, check));
        if failed {
            text.push_str(&styled(&format!("✗ {}", words(check).1), BAD));
            text.push('\n');
        } else if !unreadable {
            text.push_str(&format!("{} {}\n", styled("✓", GOOD), words(check).0));
        }
        for problem in deployment.problems.iter().filter(|problem| problem.check == check) {
            text.push_str(&problem_lines(problem));
        }
    }
    if let Some(summary) = &deployment.summary {
        text.push_str(&summary_lines(&deployment.deployment, summary));
    }
    text
}

fn is_error(problem: &Problem, check: Check) -> bool {
    problem.check == check && problem.severity == Severity::Error
}

/// What a check says when it passes and when it fails.
const fn words(check: Check) -> (&'static str, &'static str) {
    match check {
        Check::Configuration => {
            ("Deployment configuration is valid", "Deployment configuration is not valid")
        }
        Check::Targets => ("All targets defined", "Not all targets are defined"),
        Check::Components => ("All components exist", "Not all components exist"),
        Check::Promotion => ("Promotion paths valid (no cycles)", "Promotion paths are not valid"),
        Check::Context => ("Context variables valid", "Context variables are not valid"),
        Check::Labels => ("Labels valid", "Labels are not valid"),
    }
}

/// `deployments/api.yaml:12:5: error: …`, which editors can jump to.
fn problem_lines(problem: &Problem) -> String {
    let mut place = String::new();
    if let Some(file) = &problem.file {
        place.push_str(&escape(file));
        for number in [problem.line, problem.column].into_iter().flatten() {
            place.push_str(&format!(":{number}"));
        }
        place.push_str(": ");
    }
    let severity = match problem.severity {
        Severity::Error => styled("error", BAD),
        Severity::Warning => styled("warning", WARN),
    };
    let mut lines = format!("  {place}{severity}: {}\n", escape(&problem.message));
    if let Some(hint) = &problem.hint {
        lines.push_str(&format!("    hint: {}\n", escape(hint)));
    }
    lines
}

fn summary_lines(deployment: &str, summary: &Summary) -> String {
    let listed = |names: Vec<&str>| match names.len() {
        0 => "0".to_owned(),
        number => format!("{number} ({})", escape(&names.join(", "))),
    };
    let targets = listed(summary.targets.iter().map(AsRef::as_ref).collect());
    let components = listed(summary.components.iter().map(AsRef::as_ref).collect());
    let paths = promotion_paths(&summary.promotions);
    let label = if paths.len() > 1 { "Promotion paths" } else { "Promotion path" };
    let paths = if paths.is_empty() { "none".to_owned() } else { paths.join(", ") };
    format!(
        "\n{}\n  Deployment: {}\n  Targets: {targets}\n  Components: {components}\n  {label}: {paths}\n",
        styled("Summary:", HEADING),
        escape(deployment),
    )
}

/// The promotions as the fewest paths of one line each: every promotion is in exactly one of them.
fn promotion_paths(promotions: &[Promotion]) -> Vec<String> {
    let entries: BTreeSet<&TargetName> = promotions
        .iter()
        .map(|promotion| &promotion.from)
        .filter(|from| promotions.iter().all(|promotion| promotion.to != **from))
        .collect();
    let mut left: Vec<&Promotion> = promotions.iter().collect();
    let mut paths = Vec::new();
    while !left.is_empty() {
        let start = left.iter().position(|promotion| entries.contains(&promotion.from)).unwrap_or(0);
        let mut last = left.remove(start);
        let mut path = format!("{} → {}", last.from, last.to);
        while let Some(next) = left.iter().position(|promotion| promotion.from == last.to) {
            last = left.remove(next);
            path.push_str(&format!(" → {}", last.to));
        }
        paths.push(path);
    }
    paths
}
