//! The declarations of a root module: its variables and its backend.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

use hcl_edit::structure::{Block, Body};
use indexmap::IndexMap;
use serde_json::Value;

use crate::deployment::variables::ValueSource;

/// A module that cannot be parsed.
#[derive(Debug, thiserror::Error)]
pub enum ModuleError {
    #[error("{} cannot be read", file.display())]
    Unreadable { file: PathBuf, source: io::Error },
    #[error("{}:{line}:{column}: {message}", file.display())]
    Hcl { file: PathBuf, line: usize, column: usize, message: String },
    #[error("{} is not valid JSON", file.display())]
    Json { file: PathBuf, source: serde_json::Error },
    #[error("there is no Terraform module in {}", folder.display())]
    Empty { folder: PathBuf },
}

/// The variables and outputs of a root module.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ModuleInterface {
    pub variables: BTreeSet<String>,
    pub outputs: BTreeSet<String>,
}

impl ModuleInterface {
    /// Parses the module in `folder` from the texts of its files.
    ///
    /// # Errors
    ///
    /// If files cannot be parsed as Terraform, or there are none.
    pub fn parse(folder: &Path, files: &[(PathBuf, String)]) -> Result<Self, ModuleError> {
        let Module { variables, outputs, .. } = Module::parse(folder, files)?;
        Ok(Self { variables, outputs })
    }
}

/// The location of a module's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Backend {
    /// No backend, or a local file, which would be lost with the checkout.
    #[default]
    Local,
    /// Any other backend.
    Remote,
}

/// The declarations in the files of a root module.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Module {
    pub variables: BTreeSet<String>,
    pub outputs: BTreeSet<String>,
    pub backend: Backend,
    /// The settings of its own local backend.
    pub local: LocalBackend,
}

/// The paths of a local backend that are outside of the checkout, and so outlive it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct LocalBackend {
    /// Whether `path` is absolute: the state of the default workspace.
    pub path: bool,
    /// Whether `workspace_dir` is absolute: the states of the other workspaces.
    pub workspace_dir: bool,
}

impl Module {
    /// Reads the module in a folder: `*.tf` and `*.tf.json`, and `OpenTofu`'s own `*.tofu`.
    pub(super) fn read(folder: &Path) -> Result<Self, ModuleError> {
        let unreadable = |file: &Path| {
            let file = file.to_owned();
            |source| ModuleError::Unreadable { file, source }
        };
        let mut files = Vec::new();
        for entry in std::fs::read_dir(folder).map_err(unreadable(folder))? {
            let path = entry.map_err(unreadable(folder))?.path();
            if path.file_name().and_then(OsStr::to_str).is_some_and(is_module_file) {
                let content = std::fs::read(&path).map_err(unreadable(&path))?;
                // Comments may be in any encoding.
                files.push((path, String::from_utf8_lossy(&content).into_owned()));
            }
        }
        Self::parse(folder, &files)
    }

    /// Parses the module that these files of a folder make up.
    fn parse(folder: &Path, files: &[(PathBuf, String)]) -> Result<Self, ModuleError> {
        let mut module = Self::default();
        for (path, text) in files {
            if path.extension().is_some_and(|extension| extension == "json") {
                module.add_json(path, text)?;
            } else {
                module.add_hcl(path, text)?;
            }
        }
        if files.is_empty() { Err(ModuleError::Empty { folder: folder.to_owned() }) } else { Ok(module) }
    }

    /// Whether the state in a workspace has its own location that outlives the checkout.
    pub(super) fn keeps_its_state(&self, workspace: Option<&str>) -> bool {
        match (self.backend, workspace) {
            (Backend::Remote, _) => true,
            (Backend::Local, None | Some("default")) => self.local.path,
            (Backend::Local, Some(_)) => self.local.workspace_dir,
        }
    }

    /// The variables that the deployment sets for this component, but that the module does not
    /// declare, each with the most similar declared one.
    ///
    /// A target's context and the command line apply to all components, and some of them do not
    /// declare these: of the command line's, only probable typos are returned.
    pub(super) fn undeclared(
        &self,
        sources: &IndexMap<String, ValueSource>,
    ) -> Vec<(String, Option<String>)> {
        sources
            .iter()
            .filter(|(name, _)| !self.variables.contains(*name))
            .filter_map(|(name, source)| {
                let distance = |known: &&String| strsim::damerau_levenshtein(name, known);
                let nearest = self.variables.iter().min_by_key(distance).filter(|known| distance(known) <= 2);
                let is_meant = match source {
                    ValueSource::Component | ValueSource::TargetOverride => true,
                    ValueSource::CommandLine => nearest.is_some(),
                    ValueSource::Stacks | ValueSource::Image | ValueSource::TargetContext => false,
                };
                is_meant.then(|| (name.clone(), nearest.cloned()))
            })
            .collect()
    }

    fn add_hcl(&mut self, file: &Path, text: &str) -> Result<(), ModuleError> {
        let text = crate::text::unmarked(text);
        let body: Body = text.parse().map_err(|error: hcl_edit::parser::Error| ModuleError::Hcl {
            file: file.to_owned(),
            line: error.location().line(),
            column: error.location().column(),
            message: error.message().to_owned(),
        })?;
        let label = |block: &Block| block.labels.first().map(|label| label.as_str().to_owned());
        self.variables.extend(body.get_blocks("variable").filter_map(label));
        self.outputs.extend(body.get_blocks("output").filter_map(label));
        for settings in body.get_blocks("terraform") {
            for block in settings.body.get_blocks("backend") {
                let setting = |name: &str| block.body.get_attribute(name)?.value.as_str();
                self.add_backend(&label(block).unwrap_or_default(), setting);
            }
            if settings.body.has_blocks("cloud") {
                self.backend = Backend::Remote;
            }
        }
        Ok(())
    }

    /// JSON syntax allows an object or a list of objects wherever HCL has blocks.
    fn add_json(&mut self, file: &Path, text: &str) -> Result<(), ModuleError> {
        let document: Value = serde_json::from_str(crate::text::unmarked(text))
            .map_err(|source| ModuleError::Json { file: file.to_owned(), source })?;
        for root in objects(&document) {
            for variables in root.get("variable").into_iter().flat_map(objects) {
                self.variables.extend(variables.keys().cloned());
            }
            for outputs in root.get("output").into_iter().flat_map(objects) {
                self.outputs.extend(outputs.keys().cloned());
            }
            for settings in root.get("terraform").into_iter().flat_map(objects) {
                for backends in settings.get("backend").into_iter().flat_map(objects) {
                    for (backend, settings) in backends {
                        self.add_backend(backend, |name| {
                            objects(settings).find_map(|map| map.get(name)?.as_str())
                        });
                    }
                }
                if settings.contains_key("cloud") {
                    self.backend = Backend::Remote;
                }
            }
        }
        Ok(())
    }

    fn add_backend<'s>(&mut self, kind: &str, setting: impl Fn(&str) -> Option<&'s str>) {
        if kind == "local" {
            let is_absolute = |name: &str| setting(name).is_some_and(|path| Path::new(path).is_absolute());
            self.local =
                LocalBackend { path: is_absolute("path"), workspace_dir: is_absolute("workspace_dir") };
        } else {
            self.backend = Backend::Remote;
        }
    }
}

/// An object, or the objects in a list: the JSON form of HCL's blocks.
pub(super) fn objects(value: &Value) -> impl Iterator<Item = &serde_json::Map<String, Value>> {
    let list = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
    list.iter().filter_map(Value::as_object)
}

/// Whether Terraform or `OpenTofu` reads a file of this name as part of a module.
#[must_use]
pub fn is_module_file(name: &str) -> bool {
    // Editors' backup files are not part of the module, by Terraform's own rule.
    let is_left_behind = name.starts_with(['.', '#']) || name.ends_with('~');
    let endings = [".tf", ".tofu", ".tf.json", ".tofu.json"];
    !is_left_behind && endings.iter().any(|ending| name.ends_with(ending))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn module(files: &[(&str, &str)]) -> Result<Module, ModuleError> {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        Module::read(folder.path())
    }

    #[test]
    fn variables_are_found_in_both_syntaxes_and_nowhere_else() {
        let hcl = r#"
            variable "name" { type = string }
            variable cpu {}
            # variable "comment" {}
            locals {
              text = <<-EOT
                variable "heredoc" {}
                ${jsonencode({ a = "}" })}
              EOT
            }
            module "inner" { source = "./x" }
        "#;
        let hcl = &format!("{hcl}\noutput \"url\" {{ value = 1 }}\n");
        let json = r#"{"variable": [{"region": {}}, {"zone": {"default": "a"}}], "//": "comment",
            "output": {"id": {"value": 1}}}"#;
        let module = module(&[
            ("main.tf", &format!("\u{feff}{hcl}")),
            ("more.tf.json", json),
            ("old.tf~", "variable \"old\" {}"),
        ])
        .unwrap();
        assert_eq!(module.variables.iter().collect::<Vec<_>>(), ["cpu", "name", "region", "zone"]);
        assert_eq!(module.outputs.iter().collect::<Vec<_>>(), ["id", "url"]);
        assert_eq!(module.backend, Backend::Local);
    }

    #[test]
    fn comments_may_be_in_any_encoding() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("main.tf"), b"# caf\xe9\nvariable \"a\" {}\n").unwrap();
        assert_eq!(Module::read(folder.path()).unwrap().variables.into_iter().collect::<Vec<_>>(), ["a"]);
    }

    #[test]
    fn only_what_outlives_the_checkout_counts_as_a_backend() {
        let backend = |name: &str, text: &str| module(&[(name, text)]).unwrap().backend;
        assert_eq!(backend("a.tf", "terraform {\n  backend \"s3\" {}\n}\n"), Backend::Remote);
        assert_eq!(
            backend("a.tf", "terraform {\n  cloud {\n    organization = \"x\"\n  }\n}\n"),
            Backend::Remote
        );
        assert_eq!(backend("a.tf", "terraform {\n  backend \"local\" {}\n}\n"), Backend::Local);
        assert_eq!(backend("a.tf", "terraform {\n  required_version = \">= 1\"\n}\n"), Backend::Local);
        let keeps = |file: &str, text: &str, workspace: Option<&str>| {
            module(&[(file, text)]).unwrap().keeps_its_state(workspace)
        };
        let local = "terraform {\n  backend \"local\" {\n    path = \"/srv/a.tfstate\"\n  }\n}\n";
        assert!(keeps("a.tf", local, None) && keeps("a.tf", local, Some("default")));
        // The state of another workspace is in a folder next to the module, regardless of `path`.
        assert!(!keeps("a.tf", local, Some("prod")));
        let relative = local.replace("/srv/", "");
        assert!(!keeps("a.tf", &relative, None));
        let json = r#"{"terraform": {"backend": {"local": {"path": "a", "workspace_dir": "/srv"}}}}"#;
        assert!(keeps("b.tf.json", json, Some("prod")) && !keeps("b.tf.json", json, None));
        assert_eq!(backend("a.tf.json", r#"{"terraform": {"backend": {"gcs": {}}}}"#), Backend::Remote);
    }

    #[test]
    fn an_unreadable_module_is_located() {
        let error = module(&[("main.tf", "variable \"a\" {\n  type = \n}\n")]).unwrap_err();
        assert!(matches!(error, ModuleError::Hcl { line: 2, .. }), "{error}");
        assert!(matches!(module(&[("README.md", "")]), Err(ModuleError::Empty { .. })));
    }

    #[test]
    fn only_files_of_the_module_are_read() {
        for name in ["main.tf", "main.tofu", "main.tf.json", "main.tofu.json"] {
            assert!(is_module_file(name), "{name}");
        }
        for name in ["main.tf~", ".main.tf", "#main.tf", "x.tfvars", "x.json", ".terraform.lock.hcl", "tf"] {
            assert!(!is_module_file(name), "{name}");
        }
    }
}
