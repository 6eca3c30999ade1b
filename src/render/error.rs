//! An error as text: the refusal with its reason, then remedies, as in the specification's "Error
//! Messages" (`cli-integration.md`).

use super::document::error::{Error, Hint, Step};
use super::escape::{escape, lines};
use super::style::{BAD, ID};
use super::styled;

/// The error, its details, and its hints.
#[must_use]
pub fn text(error: &Error) -> String {
    let mut text = format!("{} {}\n", styled("Error:", BAD.bold()), escape(&error.message));
    for line in error.details.iter().flat_map(|detail| lines(detail)) {
        push!(text, "{line}\n");
    }
    text + &hints(&error.hints)
}

/// Hints, each after an empty line.
#[must_use]
pub fn hints(hints: &[Hint]) -> String {
    hints.iter().flat_map(|hint| ["\n".to_owned(), hint_lines(hint)]).collect()
}

fn hint_lines(hint: &Hint) -> String {
    match hint.steps.as_slice() {
        [] => format!("{}\n", escape(&hint.text)),
        [Step { text: None, command }] => format!("{}:\n  {}\n", escape(&hint.text), shown(command)),
        steps => {
            let steps: Vec<_> = steps
                .iter()
                .enumerate()
                .map(|(at, step)| {
                    let number = at + 1;
                    match &step.text {
                        Some(text) => {
                            format!("  {number}. {}:\n     {}\n", escape(text), shown(&step.command))
                        }
                        None => format!("  {number}. {}\n", shown(&step.command)),
                    }
                })
                .collect();
            format!("{}:\n{}", escape(&hint.text), steps.join("\n"))
        }
    }
}

fn shown(command: &str) -> String {
    styled(&escape(command), ID)
}

#[cfg(test)]
mod tests {

    use super::super::fixtures::{json, plain};
    use super::*;
    use crate::deployment::fixtures::{deployment, target_name};
    use crate::deployment::promotion::check_path;

    fn refusal(targets: &[(&str, &[&str])]) -> Error {
        let deployment = deployment(&["api"], targets);
        let refusal = check_path(&deployment, &target_name("dev"), &target_name("prod")).unwrap_err();
        let line = |rest: &str| format!("atmos deployment rollout {} --target {rest}", deployment.name);
        let promote = |from: &str, to: &str| line(&format!("{to} --promote-from {from}"));
        Error::promotion_path(&refusal, &promote, line("prod --skip-promotion-check"), ("promotion_path", 3))
    }

    #[test]
    fn a_skipped_target_in_the_words_of_the_specification() {
        let error = refusal(&[("dev", &[]), ("staging", &["dev"]), ("prod", &["staging"])]);
        let expected = "\
Error: Cannot promote directly from dev to prod
Promotion path requires: dev → staging → prod

To deploy to prod:
  1. Promote to staging first:
     atmos deployment rollout payment-service --target staging --promote-from dev

  2. Then promote to prod:
     atmos deployment rollout payment-service --target prod --promote-from staging

Or skip promotion validation (not recommended):
  atmos deployment rollout payment-service --target prod --skip-promotion-check
";
        assert_eq!(plain(&text(&error)), expected);
        insta::assert_snapshot!("error_json", json(&error));
    }

    #[test]
    fn without_a_way_the_allowed_sources_are_named() {
        let error = refusal(&[("dev", &[]), ("qa", &[]), ("prod", &["qa"])]);
        insta::assert_snapshot!("error_no_path", plain(&text(&error)));
    }

    #[test]
    fn details_keep_their_lines_and_nothing_else() {
        let error = Error {
            code: "configuration".to_owned(),
            message: "unknown key\n\u{1b}[31m".to_owned(),
            details: vec!["  |\n3 | \u{1b}[2Jstagng: dev\n  | ^^^^^^".to_owned()],
            hints: vec![Hint::note("did you mean 'staging'?")],
            locations: Vec::new(),
            exit_code: 2,
        };
        insta::assert_snapshot!("error_details", plain(&text(&error)));
    }
}
