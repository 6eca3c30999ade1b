//! `Cargo.lock`.

use std::path::Path;

use serde::Deserialize;

use super::super::files::ReadError;
use super::super::package::{Hash, Package};
use super::super::purl;

#[derive(Deserialize)]
struct LockFile {
    #[serde(default)]
    package: Vec<Locked>,
}

#[derive(Deserialize)]
struct Locked {
    name: String,
    version: String,
    /// Absent for the workspace's own packages, which are the application itself.
    source: Option<String>,
    checksum: Option<String>,
}

pub(super) fn read(file: &Path, text: &str) -> Result<Vec<Package>, ReadError> {
    let lock: LockFile = toml::from_str(text).map_err(|error| ReadError::malformed(file, error.message()))?;
    let foreign = lock.package.into_iter().filter(|package| package.source.is_some());
    Ok(foreign
        .map(|package| Package {
            purl: purl::package("cargo", &package.name, Some(&package.version)),
            hashes: package
                .checksum
                .iter()
                .filter_map(|checksum| Hash::hexadecimal("SHA-256", checksum))
                .collect(),
            name: package.name,
            version: Some(package.version),
            ..Package::default()
        })
        .collect())
}
