//! `package-lock.json`, in its three versions.

use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use super::super::files::ReadError;
use super::super::package::{Hash, Package};
use super::super::purl;

#[derive(Deserialize)]
struct LockFile {
    /// Versions 2 and 3: by the folder that each is installed in.
    packages: Option<serde_json::Map<String, Value>>,
    /// Version 1: by name, nested.
    dependencies: Option<serde_json::Map<String, Value>>,
}

pub(super) fn read(file: &Path, text: &str) -> Result<Vec<Package>, ReadError> {
    let lock: LockFile = serde_json::from_str(text).map_err(|error| ReadError::malformed(file, error))?;
    let mut packages = Vec::new();
    match (lock.packages, lock.dependencies) {
        (Some(installed), _) => {
            for (folder, entry) in &installed {
                // Entries outside of `node_modules` are the application itself and its workspaces.
                let Some((_, name)) = folder.rsplit_once("node_modules/") else { continue };
                // An alias is installed under another name than its own.
                let name = entry["name"].as_str().unwrap_or(name);
                packages.extend(package(name, entry));
            }
        }
        (None, Some(dependencies)) => nested(&dependencies, &mut packages),
        (None, None) => {}
    }
    Ok(packages)
}

fn nested(dependencies: &serde_json::Map<String, Value>, packages: &mut Vec<Package>) {
    for (name, entry) in dependencies {
        packages.extend(package(name, entry));
        // The recursion is bounded by the JSON parser's depth limit.
        if let Some(dependencies) = entry["dependencies"].as_object() {
            nested(dependencies, packages);
        }
    }
}

/// `None` for links to folders of the repository itself.
fn package(name: &str, entry: &Value) -> Option<Package> {
    if entry["link"] == Value::Bool(true) {
        return None;
    }
    let version = entry["version"].as_str()?;
    // Version 1 says so in place of a version: a folder of the repository itself,
    // or an alias of something else.
    if version.starts_with("file:") {
        return None;
    }
    let alias = version.strip_prefix("npm:").and_then(|alias| alias.rsplit_once('@'));
    let (name, version) = alias.unwrap_or((name, version));
    Some(Package {
        name: name.to_owned(),
        version: Some(version.to_owned()),
        purl: purl::package("npm", name, Some(version)),
        hashes: entry["integrity"].as_str().and_then(Hash::integrity).into_iter().collect(),
        development: entry["dev"] == Value::Bool(true),
        properties: Vec::new(),
    })
}
