//! The chosen files of a source, checked before any of them is stored.

use std::collections::BTreeMap;

use super::content::{Content, Entry, Kind, MAX_BYTES, MAX_FILES, Selection, checked_path};
use super::declared::Declared;
use super::error::VendorError;
use crate::deployment::CommitId;
use crate::git::foreign::{TreeEntry, TreeEntryKind, TreeFiles};

/// The chosen files of a folder of a commit.
pub(super) fn content(
    files: &TreeFiles,
    commit: &CommitId,
    folder: &str,
    declared: &Declared,
) -> Result<Content, VendorError> {
    let place = declared.key();
    let objects = |source| VendorError::Objects { place: place.clone(), source };
    let refuse =
        |path: &str, problem| VendorError::Content { place: place.clone(), path: path.to_owned(), problem };
    let missing = |message: String, hint: &str| VendorError::Source {
        place: place.clone(),
        message,
        hint: hint.to_owned(),
    };
    let Some(found) = files.below(commit, folder).map_err(objects)? else {
        let message = format!("there is no folder {folder} in commit {}", commit.short());
        return Err(missing(message, "name a folder of the source after //"));
    };
    let selection = Selection::new(&declared.included_paths, &declared.excluded_paths);
    let selection =
        selection.map_err(|pattern| missing(format!("{pattern:?} is no pattern"), "write a glob"))?;
    let mut entries = BTreeMap::new();
    let mut bytes = 0;
    for entry in &found {
        let shown = String::from_utf8_lossy(&entry.path);
        let path = checked_path(&entry.path).map_err(|problem| refuse(&shown, problem))?;
        if !selection.takes(path) {
            continue;
        }
        bytes += files.size(entry).map_err(objects).or_else(|error| of_submodule(entry, error))?;
        if bytes > MAX_BYTES || entries.len() >= MAX_FILES {
            return Err(refuse(path, "is more than a source may have: 20000 files and 256 MiB"));
        }
        let kind = match entry.kind {
            TreeEntryKind::File => Kind::File,
            TreeEntryKind::Executable => Kind::Executable,
            TreeEntryKind::Link => Kind::Link,
            TreeEntryKind::Submodule => return Err(refuse(path, "is a submodule, which is not fetched")),
        };
        let content = files.content(entry).map_err(objects)?;
        if entries.insert(path.to_owned(), Entry { kind, content }).is_some() {
            return Err(refuse(path, "is there twice"));
        }
    }
    let content = Content::new(entries, &place)?;
    if content.is_empty() {
        return Err(missing(
            "no file is chosen of it".to_owned(),
            "look at included_paths and excluded_paths",
        ));
    }
    Ok(content)
}

/// The size of a submodule, which has no object.
fn of_submodule(entry: &TreeEntry, error: VendorError) -> Result<u64, VendorError> {
    if entry.kind == TreeEntryKind::Submodule { Ok(0) } else { Err(error) }
}
