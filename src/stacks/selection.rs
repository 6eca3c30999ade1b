//! The manifest that a stack's path or name stands for, and the location of a component's state.

use std::sync::Arc;

use serde_json::Value as Json;

use super::component::TERRAFORM;
use super::describe::{Describer, Extent, StackComponent};
use super::error::StackError;
use super::manifest::Manifest;
use super::paths;
use super::stack::{Stack, StackReader, Stacks, in_parallel};
use super::value::{Map, Value, map_from_json};

/// The sections that decide where state is kept.
const OF_STATE: [&str; 3] = ["backend", "backend_type", "metadata"];

impl StackReader<'_> {
    /// The path of the manifest at a path in the stacks folder, with or without its extension;
    /// `None` where no such file exists.
    pub fn manifest_at(&self, path: &str) -> Result<Option<String>, StackError> {
        if paths::is_glob(path) {
            return Ok(None);
        }
        let path = paths::join_above(&self.settings().base_path, path, self.files().above());
        let Some(path) = path else { return Ok(None) };
        for candidate in paths::candidates(&path) {
            if self.exists(&candidate)? {
                return Ok(Some(candidate));
            }
        }
        Ok(None)
    }

    /// The name of a manifest: its path from the stacks folder, without its extension.
    #[must_use]
    pub fn name_of_manifest(&self, path: &str) -> String {
        paths::manifest_name(&self.settings().base_path, path)
    }

    /// Whether a manifest is a stack, and not only there to be imported.
    pub fn is_stack(&self, path: &str) -> Result<bool, StackError> {
        Ok(self.stack_files()?.iter().any(|file| file == path))
    }

    /// The stack of one manifest, from its path in the tree of files.
    pub fn of_manifest(&self, path: &str) -> Result<Stack, StackError> {
        self.stack(path)
    }

    /// The stack of one manifest, with content over it that does not name the stack.
    pub fn extended(&self, path: &str, content: &serde_json::Map<String, Json>) -> Result<Stack, StackError> {
        let name = self.name_of_manifest(path);
        let imports = Value::List(Arc::new(vec![Value::text(&name)]));
        let mut own = Map::from([(Arc::from("import"), imports)]);
        own.extend(map_from_json(content));
        self.composed(&name, Manifest { content: own, imports: Vec::new() })
    }
}

impl Describer<'_> {
    /// The path of the manifest of a stack, which is given by its path in the stacks folder or by
    /// its name. Only a name requires all stacks to be read.
    pub fn manifest_of(
        &self,
        stack: &str,
        all: impl FnOnce() -> Result<Stacks, StackError>,
    ) -> Result<String, StackError> {
        if let Some(path) = self.reader.manifest_at(stack)? {
            return Ok(path);
        }
        let stacks = all()?;
        let candidates: Vec<&Stack> = stacks.iter().collect();
        let names = in_parallel(&candidates, |stack| self.names(stack));
        let mut files = Vec::new();
        for (candidate, names) in candidates.iter().zip(names) {
            if names.is_ok_and(|names| names.iter().any(|name| name == stack)) {
                files.push(candidate.file().to_owned());
            }
        }
        match files.as_slice() {
            [file] => {
                let path = self.reader.manifest_at(file)?;
                path.ok_or_else(|| self.not_found(&stacks, stack, "", None))
            }
            [] => Err(self.not_found(&stacks, stack, "", None)),
            _ => Err(StackError::AmbiguousStack { stack: stack.to_owned(), files }),
        }
    }

    /// A component with its stack's name and workspace, and only those of its sections that decide
    /// where its state is kept.
    pub fn placement(
        &self,
        stack: &Stack,
        kind: &str,
        component: &str,
    ) -> Result<Option<StackComponent>, StackError> {
        let Some(draft) = self.draft(stack, Some(kind), component)? else { return Ok(None) };
        self.finish(stack, draft, Extent::Sections(&OF_STATE.map(str::to_owned))).map(Some)
    }
}

/// The location of a component's state, for readers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateLocation {
    /// The type of the backend, such as `s3`.
    pub backend: String,
    /// The key of the state in its backend, as far as the stacks say it: `bucket/prefix/key`.
    pub key: Option<String>,
}

impl StackComponent {
    /// The location of this component's state; `None` where its stacks configure no backend.
    #[must_use]
    pub fn state_location(&self) -> Option<StateLocation> {
        let backend = self.sections.get("backend_type")?.as_str().filter(|name| !name.is_empty())?;
        let setting =
            |name: &str| self.sections.get("backend")?.get(name)?.as_str().filter(|text| !text.is_empty());
        let workspace = self.workspace.as_deref().filter(|workspace| *workspace != "default");
        let parts: Vec<String> = match (backend, workspace) {
            ("s3", workspace) => {
                let key = setting("key").unwrap_or("terraform.tfstate");
                let prefix = workspace.and(setting("workspace_key_prefix").or(Some("env:")));
                let parts = [setting("bucket"), prefix, workspace, Some(key)];
                parts.into_iter().flatten().map(str::to_owned).collect()
            }
            ("gcs", workspace) => {
                let state = format!("{}.tfstate", workspace.unwrap_or("default"));
                let parts = [setting("bucket"), setting("prefix")];
                parts.into_iter().flatten().map(str::to_owned).chain([state]).collect()
            }
            ("azurerm", workspace) => {
                let env = workspace.map(|workspace| format!("env:{workspace}")).unwrap_or_default();
                let key = setting("key").map(|key| format!("{key}{env}"));
                let parts = [setting("storage_account_name"), setting("container_name")];
                parts.into_iter().flatten().map(str::to_owned).chain(key).collect()
            }
            ("local", None) => setting("path").map(str::to_owned).into_iter().collect(),
            ("local", Some(workspace)) => {
                let folder = setting("workspace_dir").map(|it| format!("{it}/{workspace}/terraform.tfstate"));
                folder.into_iter().collect()
            }
            ("http", _) => setting("address").map(without_credentials).into_iter().collect(),
            _ => Vec::new(),
        };
        let key = (!parts.is_empty()).then(|| parts.join("/"));
        Some(StateLocation { backend: backend.to_owned(), key })
    }

    /// Whether a backend keeps this component's state at the same place on every machine and for
    /// every deployment, so that two components with the same backend share their state.
    #[must_use]
    pub fn has_shared_state(&self) -> bool {
        let location = self.state_location().filter(|_| self.kind == TERRAFORM);
        location.is_some_and(|location| match location.backend.as_str() {
            "local" => location.key.is_some_and(|key| key.starts_with('/')),
            "inmem" => false,
            _ => true,
        })
    }
}

/// An address without user, password and query, in which there may be secrets.
fn without_credentials(address: &str) -> String {
    let address = address.split(['?', '#']).next().unwrap_or_default();
    match address.split_once("://") {
        Some((scheme, rest)) => {
            let (host, path) = rest.split_once('/').map_or((rest, None), |(host, path)| (host, Some(path)));
            let host = host.rsplit('@').next().unwrap_or_default();
            path.map_or_else(|| format!("{scheme}://{host}"), |path| format!("{scheme}://{host}/{path}"))
        }
        None => address.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A terraform component with a backend.
    fn component(backend: &str, settings: &Json, workspace: &str) -> StackComponent {
        let sections = json!({"backend_type": backend, "backend": settings});
        StackComponent {
            kind: TERRAFORM.to_owned(),
            name: "vpc".to_owned(),
            stack: "acme-dev".to_owned(),
            stack_file: "acme/dev".to_owned(),
            base: None,
            workspace: Some(workspace.to_owned()),
            is_abstract: false,
            is_enabled: true,
            is_locked: false,
            sections: sections.as_object().unwrap().clone(),
            failures: Vec::new(),
            provenance: Vec::new(),
        }
    }

    #[test]
    fn a_state_is_where_its_backend_puts_it_in_the_workspace() {
        let s3 = json!({"bucket": "b", "workspace_key_prefix": "vpc", "key": "k"});
        for (backend, settings, workspace, expected, is_shared) in [
            ("s3", s3.clone(), "acme-dev", Some("b/vpc/acme-dev/k"), true),
            ("s3", s3, "default", Some("b/k"), true),
            ("gcs", json!({"bucket": "b", "prefix": "vpc"}), "acme", Some("b/vpc/acme.tfstate"), true),
            ("azurerm", json!({"container_name": "c", "key": "k"}), "acme", Some("c/kenv:acme"), true),
            ("local", json!({"path": "/state/vpc"}), "default", Some("/state/vpc"), true),
            ("local", json!({"workspace_dir": "state"}), "a", Some("state/a/terraform.tfstate"), false),
            ("local", json!({}), "acme", None, false),
            ("inmem", json!({}), "acme", None, false),
            ("http", json!({"address": "https://u:p@h/s?t=x"}), "default", Some("https://h/s"), true),
        ] {
            let component = component(backend, &settings, workspace);
            let location = component.state_location().unwrap();
            let found = (location.backend.as_str(), location.key.as_deref(), component.has_shared_state());
            assert_eq!(found, (backend, expected, is_shared));
        }
        assert_eq!(component("", &json!({}), "acme").state_location(), None);
    }
}
