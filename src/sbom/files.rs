//! Reads files of an untrusted checkout: bounded in size, and never outside of it.

use std::borrow::Cow;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::text;

/// The largest file that is read, in bytes. Lock files of large monorepos have some ten megabytes.
const LARGEST: u64 = 32 * 1024 * 1024;
/// The maximum depth of the folders that are searched.
const DEEPEST: usize = 8;
/// The maximum number of folder entries that are visited.
const MOST_ENTRIES: usize = 50_000;
/// Folders of installed packages and build output, which hold no source.
const PASSED_OVER: [&str; 7] =
    ["node_modules", "vendor", "target", "venv", "__pycache__", "dist", "site-packages"];

/// A file that cannot be read, or makes no sense.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error("{} cannot be read: {source}", file.display())]
    Unreadable { file: PathBuf, source: std::io::Error },
    #[error("{} has more than {} MB", file.display(), LARGEST / 1_000_000)]
    TooLarge { file: PathBuf },
    #[error("{} is not what its name says: {reason}", file.display())]
    Malformed { file: PathBuf, reason: String },
}

impl ReadError {
    pub(super) fn malformed(file: &Path, reason: impl std::fmt::Display) -> Self {
        let reason = reason.to_string().lines().next().unwrap_or_default().to_owned();
        Self::Malformed { file: file.to_owned(), reason }
    }
}

/// Reads a file as text. A symbolic link is not followed: it could lead out of the checkout.
pub(super) fn text(file: &Path) -> Result<String, ReadError> {
    let unreadable = |source| ReadError::Unreadable { file: file.to_owned(), source };
    let metadata = file.symlink_metadata().map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(ReadError::malformed(file, "it is not a regular file"));
    }
    let mut bytes = Vec::new();
    let opened = std::fs::File::open(file).map_err(unreadable)?;
    opened.take(LARGEST + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > LARGEST {
        return Err(ReadError::TooLarge { file: file.to_owned() });
    }
    text::of_file(&bytes).map(Cow::into_owned).ok_or_else(|| ReadError::malformed(file, "it is not text"))
}

/// The regular files below a folder for which `wanted` holds, sorted. Folders of installed packages
/// are skipped.
pub(super) fn below(folder: &Path, wanted: impl Fn(&str) -> bool) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![(folder.to_owned(), 0)];
    let mut entries_left = MOST_ENTRIES;
    while let Some((folder, depth)) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else { continue };
        for entry in entries.flatten() {
            if entries_left == 0 {
                break;
            }
            entries_left -= 1;
            let name = entry.file_name().to_string_lossy().into_owned();
            let Ok(kind) = entry.file_type() else { continue };
            if kind.is_file() && wanted(&name) {
                found.push(entry.path());
            } else if kind.is_dir()
                && depth < DEEPEST
                && !name.starts_with('.')
                && !PASSED_OVER.contains(&name.as_str())
            {
                folders.push((entry.path(), depth + 1));
            }
        }
    }
    found.sort();
    found
}

/// Whether brackets are nested too deep: recursive parsers would overflow the stack.
pub(super) fn is_too_deep(text: &str) -> bool {
    let mut depth = 0_usize;
    text.bytes().any(|byte| {
        match byte {
            b'{' | b'[' | b'(' => depth += 1,
            b'}' | b']' | b')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth > 100
    })
}
