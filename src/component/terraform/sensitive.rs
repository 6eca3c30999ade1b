//! The variables that a module declares sensitive.

use std::collections::BTreeSet;

use hcl_edit::expr::Expression;
use hcl_edit::structure::Body;
use serde_json::Value;

use super::module::objects;

/// The variables that a file of a module declares with `sensitive = true`. `None` if the file
/// cannot be parsed as Terraform would. `name` is the file's name, which determines its syntax.
#[must_use]
pub fn sensitive_variables(name: &str, text: &str) -> Option<BTreeSet<String>> {
    if name.ends_with(".json") { from_json(text) } else { from_hcl(text) }
}

fn from_hcl(text: &str) -> Option<BTreeSet<String>> {
    let body: Body = crate::text::unmarked(text).parse().ok()?;
    let sensitive = body.get_blocks("variable").filter(|block| {
        let attribute = block.body.get_attribute("sensitive");
        attribute.is_some_and(|attribute| may_be_true(&attribute.value))
    });
    Some(sensitive.filter_map(|block| Some(block.labels.first()?.as_str().to_owned())).collect())
}

/// Terraform accepts a boolean, or one in a text. Anything else is an error in Terraform, and
/// counts as sensitive here.
fn may_be_true(value: &Expression) -> bool {
    match value {
        Expression::Bool(sensitive) => *sensitive.value(),
        Expression::String(text) => text.as_str() != "false",
        _ => true,
    }
}

/// JSON syntax: `{"variable": {"name": {"sensitive": true}}}`, with a list of objects allowed for
/// any object.
fn from_json(text: &str) -> Option<BTreeSet<String>> {
    let document: Value = serde_json::from_str(crate::text::unmarked(text)).ok()?;
    let variables = objects(&document).filter_map(|root| root.get("variable")).flat_map(objects).flatten();
    let is_sensitive = |declared: &Value| {
        objects(declared)
            .filter_map(|variable| variable.get("sensitive"))
            .any(|sensitive| !matches!(sensitive, Value::Bool(false) | Value::Null) && sensitive != "false")
    };
    Some(variables.filter(|(_, declared)| is_sensitive(declared)).map(|(name, _)| name.clone()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(name: &str, text: &str) -> Vec<String> {
        sensitive_variables(name, text).unwrap().into_iter().collect()
    }

    #[test]
    fn sensitive_variables_are_found_in_both_syntaxes() {
        let hcl = r#"
            variable "password" {
              type      = string
              sensitive = true
            }
            variable "quoted" { sensitive = "true" }
            variable "open" { sensitive = false }
            variable name {}
            # variable "comment" { sensitive = true }
            output "sensitive_output" {
              value     = "x"
              sensitive = true
            }
        "#;
        assert_eq!(names("variables.tf", hcl), ["password", "quoted"]);
        assert_eq!(names("variables.tofu", &format!("\u{feff}{hcl}")), ["password", "quoted"]);
        let json = r#"{"variable": [{"token": {"sensitive": true}, "open": {"sensitive": false}},
            {"key": [{"type": "string"}, {"sensitive": "true"}], "plain": {}}], "output": {"x": {"sensitive": true}}}"#;
        assert_eq!(names("variables.tf.json", json), ["key", "token"]);
    }

    #[test]
    fn a_file_that_cannot_be_read_is_not_taken_for_one_without_secrets() {
        assert_eq!(sensitive_variables("a.tf", "variable \"a\" {"), None);
        assert_eq!(sensitive_variables("a.tofu.json", "{"), None);
    }
}
