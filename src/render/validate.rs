//! `validate` as text.

use std::collections::BTreeSet;

use super::document::validate::{
    Check, Problem, Promotion, Severity, Summary, ValidatedDeployment, ValidationReport,
};
use super::escape::{escape, lines};
use super::style::{BAD, GOOD, HEADING, WARN};
use super::{Presentation, styled};
use crate::deployment::TargetName;

/// The problems of each deployment, by check.
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
        let has_remarks = deployment.problems.iter().any(|problem| checked(problem) == check);
        // A check of a file that is no deployment was not made.
        let is_known = !unreadable && (deployment.summary.is_some() || !check.needs_the_deployment());
        if failed {
            text.push_str(&styled(&format!("✗ {}", words(check).1), BAD));
            text.push('\n');
        } else if !check.is_always_shown() && has_remarks {
            push!(text, "{} {}\n", styled("!", WARN), words(check).1);
        } else if check.is_always_shown() && is_known {
            push!(text, "{} {}\n", styled("✓", GOOD), words(check).0);
        }
        for problem in deployment.problems.iter().filter(|problem| checked(problem) == check) {
            text.push_str(&problem_lines(problem));
        }
    }
    if let Some(summary) = &deployment.summary {
        text.push_str(&summary_lines(&deployment.deployment, summary));
    }
    text
}

fn is_error(problem: &Problem, check: Check) -> bool {
    checked(problem) == check && problem.severity == Severity::Error
}

/// The check that found a problem.
fn checked(problem: &Problem) -> Check {
    problem.check.unwrap_or(Check::Configuration)
}

/// The texts of a check that passes, and of one that fails.
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
        Check::Settings => ("Components configured", "Components are not configured as they have to be"),
        Check::Outputs => ("Outputs are there", "Not all outputs are there when they are needed"),
        Check::Images => ("Images can be built", "Not all images can be built and pushed"),
        Check::Programs => ("Programs are there", "Not all programs are on this machine"),
    }
}

/// The problem with its source line, if there is one, else `deployments/api.yaml:12:5: error: …`,
/// which editors can jump to.
fn problem_lines(problem: &Problem) -> String {
    if let Some(rendered) = &problem.rendered {
        let mut text = String::new();
        for line in lines(rendered) {
            push!(text, "  {line}\n");
        }
        return text;
    }
    let mut place = String::new();
    if let Some(file) = &problem.file {
        place.push_str(&escape(file));
        for number in [problem.line, problem.column].into_iter().flatten() {
            push!(place, ":{number}");
        }
        place.push_str(": ");
    }
    let severity = match problem.severity {
        Severity::Error => styled("error", BAD),
        Severity::Warning => styled("warning", WARN),
    };
    let mut text = format!("  {place}{severity}: {}\n", escape(&problem.message));
    if let Some(hint) = &problem.hint {
        push!(text, "    hint: {}\n", escape(hint));
    }
    text
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
            push!(path, " → {}", last.to);
        }
        paths.push(path);
    }
    paths
}

#[cfg(test)]
mod tests {

    use super::super::fixtures::{json, plain, terminal};
    use super::*;
    use crate::deployment::fixtures::deployment;

    fn problem(check: impl Into<Option<Check>>, severity: Severity, hint: Option<&str>) -> Problem {
        Problem {
            severity,
            check: check.into(),
            message: "promotion source 'stagng' does not exist".to_owned(),
            file: Some("deployments/payment-service.yaml".to_owned()),
            line: Some(12),
            column: Some(14),
            hint: hint.map(str::to_owned),
            rendered: None,
        }
    }

    fn report(problems: Vec<Problem>, targets: &[(&str, &[&str])]) -> ValidationReport {
        let deployment = deployment(&["api", "worker", "database"], targets);
        ValidationReport::new(vec![ValidatedDeployment::new(
            "payment-service".to_owned(),
            Some(&deployment),
            problems,
        )])
    }

    const CHAIN: &[(&str, &[&str])] = &[("dev", &[]), ("staging", &["dev"]), ("prod", &["staging"])];

    #[test]
    fn a_valid_deployment_as_in_the_specification() {
        let report = report(Vec::new(), CHAIN);
        assert!(report.valid);
        insta::assert_snapshot!("validate", plain(&text(&report, &terminal())));
    }

    #[test]
    fn problems_stand_below_their_check() {
        let report = report(
            vec![
                problem(Check::Promotion, Severity::Error, Some("did you mean 'staging'?")),
                problem(Check::Labels, Severity::Warning, None),
            ],
            CHAIN,
        );
        assert!(!report.valid);
        insta::assert_snapshot!("validate_problems", plain(&text(&report, &terminal())));
        insta::assert_snapshot!("validate_problems_json", json(&report));
    }

    #[test]
    fn nothing_else_is_claimed_of_a_file_that_cannot_be_read() {
        let excerpt =
            "error: unknown key\n --> deployments/broken.yaml:3:1\n  |\n3 | \u{1b}[2Jnmae: x\n  | ^^^^";
        let broken = Problem { rendered: Some(excerpt.to_owned()), ..problem(None, Severity::Error, None) };
        let report =
            ValidationReport::new(vec![ValidatedDeployment::new("broken".to_owned(), None, vec![broken])]);
        insta::assert_snapshot!("validate_unreadable", plain(&text(&report, &terminal())));
    }

    #[test]
    fn every_promotion_is_in_one_path() {
        let report = report(
            Vec::new(),
            &[("dev", &[]), ("qa", &["dev"]), ("staging", &["dev", "qa"]), ("prod", &["staging"])],
        );
        let paths = "Promotion paths: dev → qa → staging → prod, dev → staging";
        assert!(text(&report, &terminal()).contains(paths));
    }
}
