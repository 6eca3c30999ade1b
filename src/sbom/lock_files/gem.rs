//! `Gemfile.lock`.

use std::path::Path;

use super::super::files::ReadError;
use super::super::package::Package;
use super::super::purl;

pub(super) fn read(file: &Path, text: &str) -> Result<Vec<Package>, ReadError> {
    let mut section = "";
    let mut packages = Vec::new();
    for line in text.lines() {
        let blanks = line.len() - line.trim_start().len();
        let entry = line.trim();
        match blanks {
            0 if !entry.is_empty() => section = entry,
            // Deeper lines are the requirements of each gem, not the chosen versions.
            4 if section == "GEM" || section == "GIT" => {
                let Some((name, version)) = entry.strip_suffix(')').and_then(|entry| entry.split_once(" ("))
                else {
                    return Err(ReadError::malformed(file, format!("{entry:?} is not name (version)")));
                };
                packages.push(Package {
                    name: name.to_owned(),
                    version: Some(version.to_owned()),
                    purl: purl::package("gem", name, Some(version)),
                    ..Package::default()
                });
            }
            _ => {}
        }
    }
    if section.is_empty() && !text.trim().is_empty() {
        return Err(ReadError::malformed(file, "it has no section"));
    }
    Ok(packages)
}
