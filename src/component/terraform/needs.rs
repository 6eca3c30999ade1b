//! The requirements of a module: values for its variables, and the repository's own modules.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};

use hcl_edit::structure::{Block, Body};
use serde_json::Value;

use super::local_modules::{calls, is_local, line_of};
use super::module::objects;

/// The requirements in the files of a module.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ModuleNeeds {
    /// The variables without a default.
    pub variables: BTreeMap<String, Written>,
    /// The calls of modules of the same repository, by name: the path relative to the folder.
    pub modules: BTreeMap<String, (String, Written)>,
    /// Whether variables may have values that neither files nor this machine know: a workspace of
    /// HCP Terraform has its own variables.
    pub has_remote_values: bool,
}

/// The source position of a declaration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    file: PathBuf,
    line: Option<usize>,
}

/// The declarations in one file.
#[derive(Default)]
struct Declarations {
    /// Each variable, with whether it has a default, and its line.
    variables: Vec<(String, bool, Option<usize>)>,
    has_remote_values: bool,
}

impl ModuleNeeds {
    /// Parses a module's requirements from the texts of its files. `None` if one of them cannot be
    /// parsed as Terraform would.
    ///
    /// For a program that is neither Terraform nor `OpenTofu` by its name, only the requirements of
    /// both are returned.
    #[must_use]
    pub fn parse(files: &[(PathBuf, String)], program: &str) -> Option<Self> {
        match plain_program(program) {
            Some("tofu") => Self::as_read(files, true),
            Some(_) => Self::as_read(files, false),
            None => {
                let (mut needs, others) = (Self::as_read(files, false)?, Self::as_read(files, true)?);
                needs.variables.retain(|name, _| others.variables.contains_key(name));
                needs.modules.retain(|name, called| others.modules.get(name) == Some(called));
                needs.has_remote_values |= others.has_remote_values;
                Some(needs)
            }
        }
    }

    fn as_read(files: &[(PathBuf, String)], by_opentofu: bool) -> Option<Self> {
        let names: BTreeSet<&str> = files.iter().map(|(path, _)| file_name(path)).collect();
        let mut read: Vec<_> =
            files.iter().filter(|(path, _)| is_read(file_name(path), &names, by_opentofu)).collect();
        // Override files take precedence over the others, in the order of their names.
        let rank = |path: &Path| (is_override(file_name(path)), file_name(path).to_owned());
        read.sort_by_cached_key(|(path, _)| rank(path));
        let mut needs = Self::default();
        let mut with_default = BTreeSet::new();
        let mut computed = BTreeSet::new();
        for (path, text) in read {
            let written = |line| Written { file: path.clone(), line };
            let declared = Declarations::read(file_name(path), crate::text::unmarked(text))?;
            needs.has_remote_values |= declared.has_remote_values;
            for (name, has_default, line) in declared.variables {
                if has_default {
                    with_default.insert(name.clone());
                }
                needs.variables.entry(name).or_insert_with(|| written(line));
            }
            for call in calls(file_name(path), text)? {
                match call.source {
                    Some(source) => {
                        computed.remove(&call.name);
                        needs.modules.insert(call.name, (source, written(call.line)));
                    }
                    None => {
                        computed.insert(call.name);
                    }
                }
            }
        }
        needs.variables.retain(|name, _| !with_default.contains(name));
        needs.modules.retain(|name, (source, _)| is_local(source) && !computed.contains(name));
        Some(needs)
    }
}

impl Declarations {
    fn read(name: &str, text: &str) -> Option<Self> {
        if name.ends_with(".json") { Self::from_json(text) } else { Self::from_hcl(text) }
    }

    fn from_hcl(text: &str) -> Option<Self> {
        let body: Body = text.parse().ok()?;
        let variable = |block: &Block| {
            let name = block.labels.first()?.as_str().to_owned();
            Some((name, block.body.has_attribute("default"), line_of(block, text)))
        };
        let is_remote = |settings: &Block| {
            let mut backends = settings.body.get_blocks("backend");
            settings.body.has_blocks("cloud")
                || backends
                    .any(|backend| backend.labels.first().is_some_and(|name| name.as_str() == "remote"))
        };
        Some(Self {
            variables: body.get_blocks("variable").filter_map(variable).collect(),
            has_remote_values: body.get_blocks("terraform").any(is_remote),
        })
    }

    fn from_json(text: &str) -> Option<Self> {
        let document: Value = serde_json::from_str(text).ok()?;
        let below =
            |key: &'static str| objects(&document).filter_map(move |root| root.get(key)).flat_map(objects);
        let has_default =
            |declared: &Value| objects(declared).any(|variable| variable.contains_key("default"));
        // Without an object, there is no block.
        let variables =
            below("variable").flatten().filter(|(_, declared)| objects(declared).next().is_some());
        let has_remote_values = below("terraform").any(|settings| {
            let mut backends = settings.get("backend").into_iter().flat_map(objects);
            settings.contains_key("cloud") || backends.any(|backends| backends.contains_key("remote"))
        });
        Some(Self {
            variables: variables
                .map(|(name, declared)| (name.clone(), has_default(declared), None))
                .collect(),
            has_remote_values,
        })
    }
}

/// Whether Terraform loads a file of this name automatically for values of variables.
#[must_use]
pub fn is_variables_file(name: &str) -> bool {
    ["terraform.tfvars", "terraform.tfvars.json"].contains(&name)
        || [".auto.tfvars", ".auto.tfvars.json"].iter().any(|ending| name.ends_with(ending))
}

/// The variables that such a file sets. `None` if it cannot be parsed as Terraform would. `name` is
/// the file's name, which determines its syntax.
#[must_use]
pub fn variables_in(name: &str, text: &str) -> Option<BTreeSet<String>> {
    let text = crate::text::unmarked(text);
    if name.ends_with(".json") {
        let document: Value = serde_json::from_str(text).ok()?;
        return Some(document.as_object()?.keys().cloned().collect());
    }
    let body: Body = text.parse().ok()?;
    Some(body.attributes().map(|attribute| attribute.key.as_str().to_owned()).collect())
}

/// Terraform or `OpenTofu`, if a program is one of them by its name, which may contain a version.
/// Any other may be a wrapper that adds its own values.
#[must_use]
pub fn plain_program(program: &str) -> Option<&'static str> {
    let name = file_name(Path::new(program));
    let plain =
        name.trim_end_matches(|end: char| end.is_ascii_digit() || ['.', '-', '_', 'v'].contains(&end));
    ["terraform", "tofu"].into_iter().find(|known| *known == plain)
}

/// Whether a program reads a file of a module. `OpenTofu` ignores `main.tf` if there is a
/// `main.tofu`; Terraform ignores such files.
fn is_read(name: &str, names: &BTreeSet<&str>, by_opentofu: bool) -> bool {
    if !by_opentofu {
        return !name.ends_with(".tofu") && !name.ends_with(".tofu.json");
    }
    let instead = match (name.strip_suffix(".tf"), name.strip_suffix(".tf.json")) {
        (Some(stem), _) => format!("{stem}.tofu"),
        (_, Some(stem)) => format!("{stem}.tofu.json"),
        _ => return true,
    };
    !names.contains(instead.as_str())
}

/// Whether a file is an override file, which changes the declarations of others.
fn is_override(name: &str) -> bool {
    let endings = [".tf", ".tofu", ".tf.json", ".tofu.json"];
    let stem = endings.iter().find_map(|ending| name.strip_suffix(ending)).unwrap_or(name);
    stem == "override" || stem.ends_with("_override")
}

fn file_name(path: &Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).unwrap_or_default()
}

impl fmt::Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        self.line.map_or(Ok(()), |line| write!(f, ":{line}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The requirements of a module: `variable file:line` and `call source file:line`.
    fn needs(program: &str, files: &[(&str, &str)]) -> Option<Vec<String>> {
        let files: Vec<_> =
            files.iter().map(|(name, text)| (PathBuf::from(name), (*text).to_owned())).collect();
        let needs = ModuleNeeds::parse(&files, program)?;
        let variables = needs.variables.iter().map(|(name, written)| format!("{name} {written}"));
        let modules =
            needs.modules.iter().map(|(name, (source, written))| format!("{name} {source} {written}"));
        Some(variables.chain(modules).collect())
    }

    #[test]
    fn what_has_no_default_and_is_of_the_repository_is_needed() {
        let hcl = "\
# variable \"comment\" {}
variable \"plain\" { type = string }
variable \"given\" { default = null }
variable quoted_by_nothing {
  type = string
}
locals {
  text = <<-EOT
    variable \"heredoc\" {}
  EOT
}
module \"inner\" { source = \"./inner\" }
module \"registry\" { source = \"terraform-aws-modules/vpc/aws\" }
module \"computed\" { source = \"./${local.x}\" }
";
        let expected = ["plain a.tf:2", "quoted_by_nothing a.tf:4", "inner ./inner a.tf:12"];
        assert_eq!(needs("terraform", &[("a.tf", hcl)]).unwrap(), expected);
        let marked = format!("\u{feff}{hcl}");
        assert_eq!(needs("terraform", &[("a.tf", &marked)]).unwrap(), expected);
        let json = r#"{"variable": [{"plain": {}, "given": {"default": null}}, {"listed": [{"type": "string"}], "none": null, "empty": []}],
            "module": [{"inner": [{"source": "../x"}], "far": {"source": "git::https://example.com/x"}}],
            "//": {"variable": {"no": {}}}}"#;
        let expected = ["listed a.tf.json", "plain a.tf.json", "inner ../x a.tf.json"];
        assert_eq!(needs("terraform", &[("a.tf.json", json)]).unwrap(), expected);
        for odd in [("a.tf", "variable \"a\" {"), ("a.tf.json", "{")] {
            assert_eq!(needs("terraform", &[odd, ("b.tf", "variable \"b\" {}")]), None, "{odd:?}");
        }
    }

    #[test]
    fn override_files_lie_over_the_others() {
        let base = ("z.tf", "variable \"a\" {}\nvariable \"b\" {}\nmodule \"m\" { source = \"./gone\" }\n");
        let with =
            |name: &'static str, text: &'static str| needs("terraform", &[(name, text), base]).unwrap();
        assert_eq!(with("override.tf", "variable \"a\" { default = 1 }"), ["b z.tf:2", "m ./gone z.tf:3"]);
        assert_eq!(
            with("a_override.tf.json", r#"{"module": {"m": {"source": "./there"}}}"#),
            ["a z.tf:1", "b z.tf:2", "m ./there a_override.tf.json"]
        );
        assert_eq!(with("a_override.tf", "module \"m\" { source = local.x }"), ["a z.tf:1", "b z.tf:2"]);
        assert_eq!(with("a_override.tf", "module \"m\" { count = 1 }").last().unwrap(), "m ./gone z.tf:3");
        // By its name it is no override, so it comes in its place.
        assert_eq!(
            with("a.override.tf", "module \"m\" { source = \"./there\" }").last().unwrap(),
            "m ./gone z.tf:3"
        );
    }

    #[test]
    fn only_files_that_the_program_reads_count() {
        let files = [
            ("a.tf", "variable \"a\" {}\nvariable \"both\" {}\n"),
            ("a.tofu", "variable \"tofu\" {}\nvariable \"both\" {}\n"),
            ("b.tf.json", r#"{"variable": {"b": {}}}"#),
        ];
        assert_eq!(needs("terraform", &files).unwrap(), ["a a.tf:1", "b b.tf.json", "both a.tf:2"]);
        assert_eq!(
            needs("/opt/bin/tofu", &files).unwrap(),
            ["b b.tf.json", "both a.tofu:2", "tofu a.tofu:1"]
        );
        assert_eq!(needs("./in-docker", &files).unwrap(), ["b b.tf.json", "both a.tf:2"]);
    }

    #[test]
    fn a_program_is_known_by_its_name() {
        for (program, known) in [
            ("terraform", Some("terraform")),
            ("/usr/bin/tofu", Some("tofu")),
            ("terraform-v1.9.5", Some("terraform")),
            ("tofu1.8", Some("tofu")),
            ("terragrunt", None),
            ("terraform-with-secrets", None),
            ("", None),
        ] {
            assert_eq!(plain_program(program), known, "{program:?}");
        }
    }

    #[test]
    fn remote_workspaces_have_variables_of_their_own() {
        let has_remote_values = |name: &str, text: &str| {
            ModuleNeeds::parse(&[(name.into(), text.to_owned())], "terraform").unwrap().has_remote_values
        };
        for (name, text, expected) in [
            ("a.tf", "terraform {\n  cloud {\n    organization = \"x\"\n  }\n}\n", true),
            ("a.tf", "terraform {\n  backend \"remote\" {}\n}\n", true),
            ("a.tf", "terraform {\n  backend \"s3\" {}\n}\n", false),
            ("a.tf.json", r#"{"terraform": [{"backend": {"remote": {}}}]}"#, true),
            ("a.tf.json", r#"{"terraform": {"cloud": {}}}"#, true),
            ("a.tf.json", r#"{"terraform": {"backend": {"s3": {}}}}"#, false),
        ] {
            assert_eq!(has_remote_values(name, text), expected, "{text}");
        }
    }

    #[test]
    fn files_of_variables_are_those_that_terraform_takes_by_itself() {
        for (name, expected) in [
            ("terraform.tfvars", true),
            ("terraform.tfvars.json", true),
            ("a.auto.tfvars", true),
            ("a.auto.tfvars.json", true),
            ("prod.tfvars", false),
            ("x-terraform.tfvars", false),
            ("shop-dev-app.terraform.tfvars.json", false),
        ] {
            assert_eq!(is_variables_file(name), expected, "{name}");
        }
        let names = |name, text| variables_in(name, text).map(|names| names.into_iter().collect::<Vec<_>>());
        let found = Some(vec!["a".to_owned(), "b".to_owned()]);
        assert_eq!(names("terraform.tfvars", "a = 1\nb = {\n  c = 2\n}\n"), found);
        assert_eq!(names("x.auto.tfvars.json", "\u{feff}{\"a\": 1, \"b\": {\"c\": 2}}"), found);
        for (name, text) in [("a.auto.tfvars", "a = "), ("a.auto.tfvars.json", "[1]")] {
            assert_eq!(names(name, text), None, "{text}");
        }
    }
}
