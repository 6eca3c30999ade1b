//! The application's dependencies, as its lock files pin them. One file an ecosystem.

mod cargo;
mod composer;
mod gem;
mod go;
mod npm;
mod python;

use std::path::{Path, PathBuf};

use super::files::{self, ReadError};
use super::package::{Package, distinct};

/// A limit that no real application reaches: a file with more packages is no lock file.
const MOST_PACKAGES: usize = 200_000;

/// Reads one lock file.
type Reader = fn(&Path, &str) -> Result<Vec<Package>, ReadError>;

/// The lock files that are known, by their names.
const KNOWN: [(&str, Reader); 7] = [
    ("Cargo.lock", cargo::read),
    ("Gemfile.lock", gem::read),
    ("composer.lock", composer::read),
    ("go.sum", go::read),
    ("package-lock.json", npm::read),
    ("poetry.lock", python::lock),
    ("uv.lock", python::lock),
];

fn reader(name: &str) -> Option<Reader> {
    // `requirements-dev.txt`, `requirements.txt`
    let is_requirements = name.starts_with("requirements")
        && Path::new(name).extension().is_some_and(|extension| extension == "txt");
    let known = KNOWN.iter().find(|(known, _)| *known == name).map(|(_, reader)| *reader);
    known.or(is_requirements.then_some(python::requirements as Reader))
}

/// The packages of an application: of all lock files in its folder and below; without any, of the
/// nearest ones above (a monorepo).
///
/// The search ends at the checkout's root. Malformed files are reported and skipped.
#[must_use]
pub fn application_packages(root: &Path, source: &Path) -> (Vec<Package>, Vec<ReadError>) {
    let mut lock_files = files::below(source, |name| reader(name).is_some());
    let above = source.ancestors().skip(1).take_while(|folder| folder.starts_with(root));
    for folder in above {
        if !lock_files.is_empty() {
            break;
        }
        lock_files = in_folder(folder);
    }
    read_all(lock_files)
}

/// The packages of the lock files directly in a folder, as for [`application_packages`].
#[must_use]
pub fn folder_packages(folder: &Path) -> (Vec<Package>, Vec<ReadError>) {
    read_all(in_folder(folder))
}

fn read_all(lock_files: Vec<PathBuf>) -> (Vec<Package>, Vec<ReadError>) {
    let mut packages = Vec::new();
    let mut problems = Vec::new();
    for file in lock_files {
        match lock_file_packages(&file) {
            Ok(found) => packages.extend(found),
            Err(problem) => problems.push(problem),
        }
    }
    (distinct(packages), problems)
}

/// The packages of one lock file, whose name determines the format; empty for an unknown name.
pub fn lock_file_packages(file: &Path) -> Result<Vec<Package>, ReadError> {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let Some(reader) = reader(&name) else { return Ok(Vec::new()) };
    let packages = reader(file, &files::text(file)?)?;
    if packages.len() > MOST_PACKAGES {
        return Err(ReadError::malformed(file, format!("it lists more than {MOST_PACKAGES} packages")));
    }
    Ok(packages)
}

fn in_folder(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut found: Vec<_> = entries
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()))
        .filter(|entry| reader(&entry.file_name().to_string_lossy()).is_some())
        .map(|entry| entry.path())
        .collect();
    found.sort();
    found
}

#[cfg(test)]
mod tests;
