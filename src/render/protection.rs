//! `protect` as text.

use super::document::protection::{ProtectionResult, RuleFound};
use super::escape::escape;
use super::style::{BAD, GOOD, WARN};
use super::{Presentation, styled};

/// The changes that were made, or would be made, and the parts that the platform cannot protect.
#[must_use]
pub fn text(result: &ProtectionResult, _: &Presentation) -> String {
    let mut text = String::new();
    for rule in &result.rules {
        let (mark, style, done) = match (rule.found, result.dry_run) {
            _ if rule.remedy.is_some() => ("✗", BAD, "Differs"),
            (RuleFound::InPlace, _) => ("✓", GOOD, "In place"),
            (RuleFound::Missing, false) => ("✓", GOOD, "Created"),
            (RuleFound::Differs, false) => ("✓", GOOD, "Corrected"),
            (RuleFound::Missing, true) => ("+", WARN, "Would create"),
            (RuleFound::Differs, true) => ("~", WARN, "Would correct"),
        };
        push!(text, "{} {done}: {}\n", styled(mark, style), escape(&rule.description));
        if let Some(remedy) = &rule.remedy {
            push!(text, "  {}\n", escape(remedy));
        }
    }
    if !result.unprotected.is_empty() {
        push!(text, "\n{}\n", styled(&format!("{} cannot protect:", result.platform), WARN));
    }
    for sentence in &result.unprotected {
        push!(text, "  - {}\n", escape(sentence));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::document::protection::RuleItem;
    use super::super::fixtures::{json, plain, terminal};
    use super::*;

    #[test]
    fn what_is_done_and_what_is_not_protected() {
        let description = || "protected tags atmos/*".to_owned();
        let rule = |found| RuleItem { description: description(), found, remedy: None };
        let mut result = ProtectionResult {
            platform: "GitLab".to_owned(),
            dry_run: false,
            rules: [RuleFound::InPlace, RuleFound::Differs, RuleFound::Missing].map(rule).to_vec(),
            unprotected: vec!["refs/atmos/*: anyone who may push may write them.".to_owned()],
        };
        let remedy = Some("Set it by hand".to_owned());
        result.rules.push(RuleItem { description: description(), found: RuleFound::Differs, remedy });
        insta::assert_snapshot!("protect", plain(&text(&result, &terminal())));
        insta::assert_snapshot!("protect_json", json(&result));
        result.dry_run = true;
        insta::assert_snapshot!("protect_dry_run", plain(&text(&result, &terminal())));
    }
}
