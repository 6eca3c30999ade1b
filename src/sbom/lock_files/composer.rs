//! `composer.lock`.

use std::path::Path;

use serde::Deserialize;

use super::super::files::ReadError;
use super::super::package::{Hash, Package};
use super::super::purl;

#[derive(Deserialize)]
struct LockFile {
    #[serde(default)]
    packages: Vec<Locked>,
    #[serde(default, rename = "packages-dev")]
    development: Vec<Locked>,
}

#[derive(Deserialize)]
struct Locked {
    name: String,
    version: String,
    dist: Option<Distribution>,
}

#[derive(Deserialize)]
struct Distribution {
    /// Empty where the distributor gives none.
    shasum: Option<String>,
}

pub(super) fn read(file: &Path, text: &str) -> Result<Vec<Package>, ReadError> {
    let lock: LockFile = serde_json::from_str(text).map_err(|error| ReadError::malformed(file, error))?;
    let needed = lock.packages.into_iter().map(|locked| package(locked, false));
    Ok(needed.chain(lock.development.into_iter().map(|locked| package(locked, true))).collect())
}

fn package(locked: Locked, development: bool) -> Package {
    let digest = locked.dist.and_then(|dist| dist.shasum);
    Package {
        purl: purl::package("composer", &locked.name, Some(&locked.version)),
        hashes: digest.and_then(|digest| Hash::hexadecimal("SHA-1", &digest)).into_iter().collect(),
        name: locked.name,
        version: Some(locked.version),
        development,
        properties: Vec::new(),
    }
}
