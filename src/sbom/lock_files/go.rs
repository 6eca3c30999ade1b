//! `go.sum`, and `go.mod` beside it.
//!
//! `go.sum` also has checksums of versions that were looked at and not chosen. Since Go 1.17 `go.mod` names every module
//! that was: where it does, only those count.

use std::collections::BTreeSet;
use std::path::Path;

use super::super::files::{self, ReadError};
use super::super::package::Package;
use super::super::purl;

pub(super) fn read(file: &Path, text: &str) -> Result<Vec<Package>, ReadError> {
    let module = files::text(&file.with_file_name("go.mod")).unwrap_or_default();
    let required = required(&module);
    let mut packages = Vec::new();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let [module, version, checksum] = line.split_whitespace().collect::<Vec<_>>()[..] else {
            return Err(ReadError::malformed(file, "a line is not module, version and checksum"));
        };
        // The checksum of a module's go.mod alone says that it was looked at.
        if version.ends_with("/go.mod") {
            continue;
        }
        if !required.is_empty() && !required.contains(&(module, version)) {
            continue;
        }
        packages.push(Package {
            name: module.to_owned(),
            version: Some(version.to_owned()),
            purl: purl::package("golang", module, Some(version)),
            // Of a list of files, not of one: no algorithm of the standards has a name for it.
            properties: vec![("go:h1".to_owned(), checksum.to_owned())],
            ..Package::default()
        });
    }
    Ok(packages)
}

/// The modules that `go.mod` requires, by path and version.
fn required(text: &str) -> BTreeSet<(&str, &str)> {
    let mut in_block = false;
    let mut found = BTreeSet::new();
    for line in text.lines() {
        let line = line.split("//").next().unwrap_or_default().trim();
        if line == ")" {
            in_block = false;
        }
        let entry = match line.strip_prefix("require") {
            Some(rest) if rest.trim() == "(" => {
                in_block = true;
                continue;
            }
            Some(rest) if rest.starts_with(char::is_whitespace) => rest,
            _ if in_block => line,
            _ => continue,
        };
        if let [module, version] = entry.split_whitespace().collect::<Vec<_>>()[..] {
            found.insert((module, version));
        }
    }
    found
}
