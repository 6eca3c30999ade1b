//! `poetry.lock`, `uv.lock`, `requirements*.txt`.

use std::path::Path;

use serde::Deserialize;

use super::super::files::ReadError;
use super::super::package::{Hash, Package};
use super::super::purl;

/// The common part of the lock files of poetry and of uv.
#[derive(Deserialize)]
struct LockFile {
    #[serde(default)]
    package: Vec<Locked>,
}

#[derive(Deserialize)]
struct Locked {
    name: String,
    /// Absent where uv locks something whose version its source tells.
    version: Option<String>,
    /// In uv: a table with one key, the kind of the source. In poetry: has a key `type` where the
    /// source is not the public index.
    #[serde(default)]
    source: toml::Table,
    /// Of poetry before 1.5.
    category: Option<String>,
    /// Of poetry from 2.0 on: the groups that need it.
    groups: Option<Vec<String>>,
}

impl Locked {
    /// The project itself and the members of its workspace.
    fn is_own(&self) -> bool {
        let kind = self.source.get("type").and_then(toml::Value::as_str);
        kind == Some("directory")
            || ["virtual", "editable", "directory"].iter().any(|kind| self.source.contains_key(*kind))
    }

    fn is_development(&self) -> bool {
        self.category.as_deref() == Some("dev")
            || self.groups.as_ref().is_some_and(|groups| !groups.iter().any(|group| group == "main"))
    }
}

pub(super) fn lock(file: &Path, text: &str) -> Result<Vec<Package>, ReadError> {
    let lock: LockFile = toml::from_str(text).map_err(|error| ReadError::malformed(file, error.message()))?;
    // Each has digests of all its files, for every platform; which one was installed is not known.
    let foreign = lock.package.into_iter().filter(|package| !package.is_own());
    Ok(foreign
        .map(|package| Package {
            purl: purl::package("pypi", &package.name, package.version.as_deref()),
            development: package.is_development(),
            name: package.name,
            version: package.version,
            ..Package::default()
        })
        .collect())
}

pub(super) fn requirements(file: &Path, text: &str) -> Result<Vec<Package>, ReadError> {
    if text.contains('\0') {
        return Err(ReadError::malformed(file, "it is not text"));
    }
    let development = file
        .file_stem()
        .is_some_and(|stem| ["dev", "test"].iter().any(|word| stem.to_string_lossy().contains(word)));
    // A backslash goes on in the next line.
    let joined = text.replace("\\\r\n", " ").replace("\\\n", " ");
    let mut packages = Vec::new();
    for line in joined.lines() {
        let line = line.split(" #").next().unwrap_or_default().trim();
        // Options, and files and URLs without a name.
        if line.is_empty()
            || line.starts_with(['#', '-', '.', '/'])
            || line.contains("://") && !line.contains('@')
        {
            continue;
        }
        let requirement = line.split(';').next().unwrap_or_default();
        let requirement = requirement.split(" --").next().unwrap_or_default().trim();
        let end = requirement.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-')));
        let name = &requirement[..end.unwrap_or(requirement.len())];
        if name.is_empty() {
            return Err(ReadError::malformed(file, format!("{line:?} is not a requirement")));
        }
        let pinned = requirement.split_once("==").map(|(_, version)| version.trim_start_matches('=').trim());
        let version = pinned.filter(|version| !version.contains(['*', ',', ' '])).map(str::to_owned);
        let hashes: Vec<_> = line
            .split("--hash=sha256:")
            .skip(1)
            .filter_map(|rest| Hash::hexadecimal("SHA-256", rest.split_whitespace().next()?))
            .collect();
        packages.push(Package {
            name: name.to_owned(),
            purl: purl::package("pypi", name, version.as_deref()),
            version,
            // A single hash is the digest of the installed file; of several, the installed one is
            // not known.
            hashes: if hashes.len() == 1 { hashes } else { Vec::new() },
            development,
            properties: Vec::new(),
        });
    }
    Ok(packages)
}
