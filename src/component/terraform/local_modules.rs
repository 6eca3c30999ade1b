//! Module calls in a Terraform file to modules of the same repository.

use hcl_edit::Span;
use hcl_edit::expr::Expression;
use hcl_edit::structure::{Block, Body};
use serde_json::Value;

use super::module::objects;

/// A module call with its source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Call {
    /// The name of the call.
    pub name: String,
    /// `None` if it is computed: `OpenTofu` accepts expressions that it can evaluate early. Its
    /// folder is unknown here.
    pub source: Option<String>,
    /// The line of the call; unknown in JSON syntax.
    pub line: Option<usize>,
}

/// The paths in a file's `module` blocks, relative to the file's folder. Only a source that starts
/// with `./` or `../` is in the same repository, by Terraform's own rule.
///
/// `None` if the file cannot be parsed as Terraform would.
///
/// `name` is the file's name, which determines its syntax; files that are not part of a module call
/// nothing.
#[must_use]
pub fn local_modules(name: &str, text: &str) -> Option<Vec<String>> {
    let sources: Option<Vec<String>> = calls(name, text)?.into_iter().map(|call| call.source).collect();
    Some(sources?.into_iter().filter(|source| is_local(source)).collect())
}

/// Whether a source is a folder of the same repository, by Terraform's own rule.
pub(super) fn is_local(source: &str) -> bool {
    source.starts_with("./") || source.starts_with("../")
}

/// The module calls in a file. `None` if it cannot be parsed as Terraform would.
pub(super) fn calls(name: &str, text: &str) -> Option<Vec<Call>> {
    let ends = |endings: [&str; 2]| endings.iter().any(|ending| name.ends_with(ending));
    if ends([".tf", ".tofu"]) {
        hcl_calls(crate::text::unmarked(text))
    } else if ends([".tf.json", ".tofu.json"]) {
        json_calls(crate::text::unmarked(text))
    } else {
        Some(Vec::new())
    }
}

fn hcl_calls(text: &str) -> Option<Vec<Call>> {
    let body: Body = text.parse().ok()?;
    let call = |block: &Block| {
        let source = match &block.body.get_attribute("source")?.value {
            Expression::String(path) => Some(path.as_str().to_owned()),
            _ => None,
        };
        let name = block.labels.first().map(|label| label.as_str().to_owned()).unwrap_or_default();
        Some(Call { name, source, line: line_of(block, text) })
    };
    Some(body.get_blocks("module").filter_map(call).collect())
}

/// JSON syntax: `{"module": {"name": {"source": "…"}}}`, with a list of objects allowed for any
/// object.
fn json_calls(text: &str) -> Option<Vec<Call>> {
    let document: Value = serde_json::from_str(text).ok()?;
    let modules = objects(&document).filter_map(|root| root.get("module")).flat_map(objects).flatten();
    let calls = modules.flat_map(|(name, calls)| objects(calls).map(move |call| (name, call)));
    let calls = calls.filter_map(|(name, call)| {
        let source = call.get("source")?.as_str()?;
        let is_computed = source.contains("${") || source.contains("%{");
        Some(Call { name: name.clone(), source: (!is_computed).then(|| source.to_owned()), line: None })
    });
    Some(calls.collect())
}

/// The line on which a block begins.
pub(super) fn line_of(block: &Block, text: &str) -> Option<usize> {
    Some(text.get(..block.span()?.start)?.matches('\n').count() + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_modules_of_the_repository_are_local() {
        let text = r#"
            module "network" { source = "../../modules/network" }
            module "inner" { source = "./inner" }
            module "registry" { source = "terraform-aws-modules/vpc/aws" }
            module "git" { source = "git::https://example.com/x.git//y?ref=1" }
            # module "comment" { source = "./comment" }
            resource "x" "y" { source = "./not-a-module" }
        "#;
        assert_eq!(local_modules("main.tf", text).unwrap(), ["../../modules/network", "./inner"]);
        let json = r#"{"module": [{"a": {"source": "./a"}}, {"b": [{"source": "x/y/z"}]}]}"#;
        assert_eq!(local_modules("main.tf.json", json).unwrap(), ["./a"]);
    }

    #[test]
    fn a_file_that_cannot_be_read_is_not_taken_for_one_without_modules() {
        assert_eq!(local_modules("main.tf", "module \"a\" {"), None);
        assert_eq!(local_modules("main.tf", "module \"a\" {\n  source = local.path\n}\n"), None);
        assert_eq!(local_modules("main.tf.json", "{"), None);
        assert_eq!(local_modules("main.tf.json", r#"{"module": {"a": {"source": "./${var.a}"}}}"#), None);
        assert_eq!(local_modules("README.md", "module \"a\" {"), Some(Vec::new()));
    }
}
