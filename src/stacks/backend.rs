//! Terraform's backends: `backend` and `remote_state_backend`, with the defaults that follow from
//! names.

use std::sync::Arc;

use super::error::StackError;
use super::list_merge::ListMergeStrategy;
use super::merge::merge_all;
use super::value::{Map, Value};

/// The input of a component's backends; layers in the order kind, bases, component.
pub(super) struct BackendLayers<'l> {
    pub(super) file: &'l str,
    pub(super) component: &'l str,
    /// The name that the default state location is derived from.
    pub(super) state_name: &'l str,
    /// Replaces `/` in that name.
    pub(super) separator: &'l str,
    pub(super) backend_type: Option<Value>,
    pub(super) backend: [&'l Map; 3],
    pub(super) remote_type: Option<Value>,
    pub(super) remote: [&'l Map; 3],
    pub(super) lists: ListMergeStrategy,
}

/// Returns `backend_type`, `backend` and the two of the remote state; of each backend section, only
/// the configuration of the selected type.
pub(super) fn backends(layers: &BackendLayers<'_>) -> Result<[(&'static str, Value); 4], StackError> {
    let backend_type = layers.backend_type.clone().unwrap_or_else(|| Value::text(""));
    let type_name = backend_type.as_str().unwrap_or_default();
    let all = merge_all(layers.backend, layers.lists);
    let mut backend = match all.get(type_name) {
        Some(Value::Map(backend)) => (**backend).clone(),
        None | Some(Value::Null) => {
            if !type_name.is_empty() && !all.is_empty() && !all.contains_key(type_name) {
                return Err(layers.mismatch("backend", type_name, all.keys()));
            }
            Map::new()
        }
        Some(other) => return Err(layers.not_a_map("backend", type_name, other)),
    };
    layers.set_state_place(type_name, &mut backend);

    let remote_type = layers.remote_type.clone().unwrap_or_else(|| backend_type.clone());
    let remote_name = remote_type.as_str().unwrap_or_default();
    let configured: Vec<&Arc<str>> = layers.remote.iter().flat_map(|layer| layer.keys()).collect();
    if !remote_name.is_empty()
        && !configured.is_empty()
        && !configured.iter().any(|name| ***name == *remote_name)
    {
        return Err(layers.mismatch("remote_state_backend", remote_name, configured.into_iter()));
    }
    let mut remote_layers = Vec::new();
    if remote_name == type_name {
        remote_layers.push(&backend);
    }
    for layer in layers.remote {
        match layer.get(remote_name) {
            Some(Value::Map(remote)) => remote_layers.push(remote),
            None | Some(Value::Null) => {}
            Some(other) => return Err(layers.not_a_map("remote_state_backend", remote_name, other)),
        }
    }
    let remote = merge_all(remote_layers, layers.lists);
    Ok([
        ("backend_type", backend_type),
        ("backend", Value::map(backend)),
        ("remote_state_backend_type", remote_type),
        ("remote_state_backend", Value::map(remote)),
    ])
}

impl BackendLayers<'_> {
    fn state_prefix(&self) -> String {
        self.state_name.replace('/', self.separator)
    }

    /// Sets a default state location for the component where the stack names none.
    fn set_state_place(&self, backend_type: &str, backend: &mut Map) {
        let is_set = |backend: &Map, key: &str| match backend.get(key) {
            Some(Value::String(text)) => !text.is_empty(),
            Some(Value::Call(_)) => true,
            _ => false,
        };
        match backend_type {
            "s3" if !is_set(backend, "workspace_key_prefix") => {
                backend.insert(Arc::from("workspace_key_prefix"), Value::text(&self.state_prefix()));
            }
            "gcs" if !is_set(backend, "prefix") => {
                backend.insert(Arc::from("prefix"), Value::text(&self.state_prefix()));
            }
            "azurerm" => {
                let key_of = |layer: &Map| layer.get("azurerm")?.as_map()?.get("key").cloned();
                let [of_kind, _, own] = self.backend;
                let shared = key_of(of_kind);
                // A key that the component or a base has set stays; a shared one becomes the prefix
                // of the default key.
                if key_of(own).is_some() || (is_set(backend, "key") && backend.get("key") != shared.as_ref())
                {
                    return;
                }
                let key = format!("{}.terraform.tfstate", self.state_prefix());
                let key = match shared.as_ref().and_then(Value::as_str) {
                    Some(directory) => format!("{directory}/{key}"),
                    None => key,
                };
                backend.insert(Arc::from("key"), Value::text(&key));
            }
            _ => {}
        }
    }

    fn mismatch<'k>(
        &self,
        section: &'static str,
        backend_type: &str,
        configured: impl Iterator<Item = &'k Arc<str>>,
    ) -> StackError {
        let mut names: Vec<&str> = configured.map(|name| &**name).collect();
        names.sort_unstable();
        names.dedup();
        StackError::BackendMismatch {
            file: self.file.to_owned(),
            component: self.component.to_owned(),
            section,
            backend_type: backend_type.to_owned(),
            configured: names.join(", "),
        }
    }

    fn not_a_map(&self, section: &str, backend_type: &str, value: &Value) -> StackError {
        StackError::Section {
            file: self.file.to_owned(),
            section: format!("{}.{section}.{backend_type}", self.component),
            expected: "a map",
            found: value.kind(),
        }
    }
}
