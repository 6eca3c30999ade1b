//! The modules of the same repository that a Terraform file calls.

use hcl_edit::expr::Expression;
use hcl_edit::structure::Body;
use serde_json::Value;

use super::module::objects;

/// The paths that a file's `module` blocks name, relative to the file's folder. Only what starts with `./` or `../` is of
/// the same repository, by Terraform's own rule. `None` where the file cannot be read as Terraform would.
///
/// `name` is the file's name, which tells its syntax; files that are no part of a module call nothing.
#[must_use]
pub fn local_modules(name: &str, text: &str) -> Option<Vec<String>> {
    let ends = |endings: [&str; 2]| endings.iter().any(|ending| name.ends_with(ending));
    let sources = if ends([".tf", ".tofu"]) {
        hcl_sources(text)?
    } else if ends([".tf.json", ".tofu.json"]) {
        json_sources(text)?
    } else {
        Vec::new()
    };
    Some(sources.into_iter().filter(|source| source.starts_with("./") || source.starts_with("../")).collect())
}

fn hcl_sources(text: &str) -> Option<Vec<String>> {
    let body: Body = crate::text::unmarked(text).parse().ok()?;
    let sources = body.get_blocks("module").filter_map(|block| block.body.get_attribute("source"));
    sources
        .map(|source| match &source.value {
            Expression::String(path) => Some(path.as_str().to_owned()),
            // OpenTofu takes what it can compute early. Which folder that is, is not known here.
            _ => None,
        })
        .collect()
}

/// JSON syntax: `{"module": {"name": {"source": "…"}}}`, with a list of objects wherever there is an object.
fn json_sources(text: &str) -> Option<Vec<String>> {
    let document: Value = serde_json::from_str(crate::text::unmarked(text)).ok()?;
    let modules = objects(&document).filter_map(|root| root.get("module")).flat_map(objects);
    let calls = modules.flat_map(serde_json::Map::values).flat_map(objects);
    Some(calls.filter_map(|call| call.get("source")?.as_str()).map(str::to_owned).collect())
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
        assert_eq!(local_modules("README.md", "module \"a\" {"), Some(Vec::new()));
    }
}
