//! Manifests of vendoring: Atmos's `vendor.yaml` and `component.yaml`, and the manifest that a
//! deployment names.

use std::collections::BTreeMap;

use indexmap::IndexMap;
use serde::Deserialize;
use serde_json::Value;

use super::error::VendorError;
use crate::config::{MAX_FILE_BYTES, Source, is_inside, join_path};
use crate::deployment::vendoring::VendorEntry;

/// The most manifests that import each other.
const MAX_MANIFESTS: usize = 100;

/// The keys of an entry that say nothing of what is fetched.
const INERT: [&str; 4] = ["tags", "description", "name", "license"];

#[derive(Debug, Deserialize)]
struct Manifest {
    #[serde(default)]
    spec: Spec,
}

#[derive(Debug, Default, Deserialize)]
struct Spec {
    #[serde(default)]
    imports: Vec<String>,
    #[serde(default)]
    sources: Vec<Row>,
    #[serde(default)]
    components: Vec<Row>,
    /// Of a `component.yaml`.
    source: Option<Row>,
    #[serde(default)]
    mixins: Vec<Value>,
    #[serde(flatten)]
    others: BTreeMap<String, Value>,
}

#[derive(Debug, Deserialize)]
struct Row {
    source: Option<String>,
    /// As a `component.yaml` calls it.
    uri: Option<String>,
    version: Option<Value>,
    component: Option<String>,
    #[serde(default)]
    targets: Vec<String>,
    #[serde(default)]
    labels: IndexMap<String, Vec<String>>,
    #[serde(default)]
    included_paths: Vec<String>,
    #[serde(default)]
    excluded_paths: Vec<String>,
    #[serde(flatten)]
    others: BTreeMap<String, Value>,
}

/// The entries of a manifest and of those that it imports; `None` where there is no such file.
///
/// # Errors
///
/// Fails where a file cannot be read, or says what is not acted on.
pub fn entries(source: &dyn Source, file: &str) -> Result<Option<Vec<VendorEntry>>, VendorError> {
    let mut found = Vec::new();
    let mut seen: Vec<String> = Vec::new();
    let mut open = vec![file.to_owned()];
    while let Some(file) = open.pop() {
        if seen.contains(&file) {
            continue;
        }
        let wrong = |message: String| VendorError::Manifest { file: file.clone(), message };
        let Some(manifest) = read(source, &file)? else {
            if seen.is_empty() {
                return Ok(None);
            }
            return Err(wrong("there is no such file, and a manifest imports it".to_owned()));
        };
        seen.push(file.clone());
        if seen.len() > MAX_MANIFESTS {
            return Err(wrong(format!("more than {MAX_MANIFESTS} manifests import each other")));
        }
        if manifest.source.is_some() || !manifest.mixins.is_empty() {
            return Err(wrong("`source` and `mixins` belong into a component.yaml".to_owned()));
        }
        for import in manifest.imports.iter().rev() {
            let path = imported(import).map_err(wrong)?;
            open.push(path);
        }
        let folder = file.rsplit_once('/').map_or("", |(folder, _)| folder);
        for (section, rows) in [("components", manifest.components), ("sources", manifest.sources)] {
            for (number, row) in rows.into_iter().enumerate() {
                let at = format!("{file}: {section}[{number}]");
                found.push(row.entry(&at, folder)?);
            }
        }
    }
    Ok(Some(found))
}

/// The entry of a folder's `component.yaml`; `None` where there is none.
///
/// # Errors
///
/// As [`entries`].
pub fn of_component(source: &dyn Source, folder: &str) -> Result<Option<VendorEntry>, VendorError> {
    let file = join_path([folder, "component.yaml"]);
    let Some(manifest) = read(source, &file)? else { return Ok(None) };
    let wrong = |message: &str| VendorError::Manifest { file: file.clone(), message: message.to_owned() };
    if !manifest.mixins.is_empty() {
        return Err(wrong("`mixins` are not acted on: make them part of the source, or of the commit"));
    }
    if !manifest.sources.is_empty() || !manifest.components.is_empty() || !manifest.imports.is_empty() {
        return Err(wrong("it has one `source`, and no others"));
    }
    let Some(row) = manifest.source else { return Ok(None) };
    row.entry(&file, folder).map(Some)
}

fn read(source: &dyn Source, file: &str) -> Result<Option<Spec>, VendorError> {
    let wrong = |message: String| VendorError::Manifest { file: file.to_owned(), message };
    let text = source.read(file, MAX_FILE_BYTES).map_err(|error| wrong(error.to_string()))?;
    let Some(text) = text else { return Ok(None) };
    let text = String::from_utf8(text).map_err(|_| wrong("it is not UTF-8".to_owned()))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let manifest: Manifest = serde_yaml::from_str(text).map_err(|error| wrong(error.to_string()))?;
    if let Some(key) = manifest.spec.others.keys().next() {
        return Err(wrong(format!("`spec.{key}` is not acted on")));
    }
    Ok(Some(manifest.spec))
}

/// The file of an import, from the root of the repository.
fn imported(import: &str) -> Result<String, String> {
    if import.contains("::") || import.contains("://") || import.contains('*') {
        return Err(format!("the import {import} is not followed: name a file of the repository"));
    }
    let path = join_path([import]);
    if !is_inside(&path) {
        return Err(format!("the import {import} leads out of the repository"));
    }
    let has_ending = path.ends_with(".yaml") || path.ends_with(".yml");
    Ok(if has_ending { path } else { format!("{path}.yaml") })
}

impl Row {
    fn entry(self, at: &str, folder: &str) -> Result<VendorEntry, VendorError> {
        let refuse = |message: String, hint: &str| VendorError::Declaration {
            at: at.to_owned(),
            message,
            hint: hint.to_owned(),
        };
        if let Some(key) = self.others.keys().find(|key| !INERT.contains(&key.as_str())) {
            return Err(refuse(format!("`{key}` is not acted on"), "leave it out"));
        }
        let Some(written) = self.source.or(self.uri) else {
            return Err(refuse("there is no `source`".to_owned(), "write where the code comes from"));
        };
        let version = match self.version {
            None | Some(Value::Null) => None,
            Some(Value::String(text)) => Some(text),
            Some(Value::Number(number)) if number.is_u64() => Some(number.to_string()),
            Some(other) => {
                return Err(refuse(format!("the version {other} is not text"), "write it in quotes"));
            }
        };
        let mut components = self.targets;
        // Paths may be relative to the manifest.
        let beside: Vec<_> = components.iter().map(|target| join_path([folder, target.as_str()])).collect();
        components.extend(beside.into_iter().filter(|_| !folder.is_empty()));
        if components.is_empty() {
            components.extend(self.component.clone());
        }
        let entry = VendorEntry {
            source: written,
            version,
            components,
            labels: self.labels,
            included_paths: self.included_paths,
            excluded_paths: self.excluded_paths,
            at: at.to_owned(),
        };
        filled_in(entry, self.component.as_deref())
    }
}

/// An entry with its templates filled in: `{{.Version}}` and `{{.Component}}`.
///
/// # Errors
///
/// Fails for other templates.
pub fn filled_in(mut entry: VendorEntry, component: Option<&str>) -> Result<VendorEntry, VendorError> {
    let version = entry.version.clone();
    let fill_in = |text: &str| -> Result<String, String> {
        let mut filled = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("{{") {
            let (name, after) = after.split_once("}}").ok_or("a template is not closed")?;
            let value = match name.trim_matches(['-', ' ']) {
                ".Version" => version.as_deref().ok_or("there is no version for {{.Version}}")?,
                ".Component" => component.ok_or("there is no component for {{.Component}}")?,
                _ => return Err(format!("the template {{{{{name}}}}} is not filled in")),
            };
            filled.push_str(before);
            filled.push_str(value);
            rest = after;
        }
        Ok(filled + rest)
    };
    let result = fill_in(&entry.source).and_then(|source| {
        entry.source = source;
        entry.components.iter_mut().try_for_each(|component| {
            *component = fill_in(component)?;
            Ok(())
        })
    });
    match result {
        Ok(()) => Ok(entry),
        Err(message) => Err(VendorError::Declaration {
            at: entry.at,
            message,
            hint: "{{.Version}} and {{.Component}} are known".to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests;
