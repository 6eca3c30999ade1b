//! The files of a vendored folder: checked before they are written, and named by their digest.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use sha2::{Digest as _, Sha256};

use super::error::VendorError;

/// The limits of one source, against archives and repositories that grow without end.
pub const MAX_FILES: usize = 20_000;
pub const MAX_BYTES: u64 = 256 * 1024 * 1024;

/// The most links that a path may lead over.
const MAX_LINKS: usize = 40;

/// The first line of the text that is hashed: another form has another digest.
const FORM: &str = "atmos vendored content 1\n";

/// The kind of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    File,
    Executable,
    Link,
}

/// A file, or the path that a link has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub kind: Kind,
    pub content: Vec<u8>,
}

/// A folder's files by their paths, all of them safe to write.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Content {
    entries: BTreeMap<String, Entry>,
}

/// The files to take, by patterns; all of them without patterns.
#[derive(Debug)]
pub struct Selection {
    included: GlobSet,
    excluded: GlobSet,
}

impl Selection {
    /// The error is the pattern that is none.
    pub fn new(included: &[String], excluded: &[String]) -> Result<Self, String> {
        let set = |patterns: &[String]| {
            let mut set = GlobSetBuilder::new();
            for pattern in patterns {
                let glob = GlobBuilder::new(pattern).literal_separator(true).build();
                set.add(glob.map_err(|_| pattern.clone())?);
            }
            set.build().map_err(|error| error.to_string())
        };
        Ok(Self { included: set(included)?, excluded: set(excluded)? })
    }

    pub fn takes(&self, path: &str) -> bool {
        (self.included.is_empty() || self.included.is_match(path)) && !self.excluded.is_match(path)
    }
}

/// Checks a path as stored.
///
/// # Errors
///
/// The problem, where the path could lead elsewhere, or is another file on other systems.
pub fn checked_path(path: &[u8]) -> Result<&str, &'static str> {
    let path = std::str::from_utf8(path).map_err(|_| "is not UTF-8")?;
    if path.starts_with('/') {
        return Err("is an absolute path");
    }
    for part in path.split('/') {
        match part {
            "" | "." => return Err("is no plain path"),
            ".." => return Err("leads out of its folder"),
            part if part.eq_ignore_ascii_case(".git") => return Err("is a folder of git itself"),
            part if part.contains(['\\', '\0']) => return Err("is another path on other systems"),
            _ => {}
        }
    }
    Ok(path)
}

impl Content {
    /// Checks files: their paths and links stay inside, and they are the same files where case does
    /// not count.
    pub fn new(entries: BTreeMap<String, Entry>, place: &str) -> Result<Self, VendorError> {
        let refuse = |path: &str, problem| VendorError::Content {
            place: place.to_owned(),
            path: path.to_owned(),
            problem,
        };
        let content = Self { entries };
        let mut folded: BTreeMap<String, &str> = BTreeMap::new();
        for (path, entry) in &content.entries {
            checked_path(path.as_bytes()).map_err(|problem| refuse(path, problem))?;
            for end in path.match_indices('/').map(|(at, _)| at).chain([path.len()]) {
                let known = folded.entry(path[..end].to_lowercase()).or_insert(&path[..end]);
                if *known != &path[..end] {
                    return Err(refuse(path, "differs from another path only in case"));
                }
                if end < path.len() && content.entries.contains_key(&path[..end]) {
                    return Err(refuse(path, "is below a file"));
                }
            }
            if entry.kind == Kind::Link && !content.stays_inside(path) {
                return Err(refuse(path, "is a link that leads out of its folder"));
            }
        }
        Ok(content)
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// A file or link by its path.
    pub fn get(&self, path: &str) -> Option<&Entry> {
        self.entries.get(path)
    }

    /// The names directly in a folder, each with the kind of its file; `None` for folders. Empty
    /// where there is no such folder.
    pub fn names(&self, folder: &str) -> BTreeMap<&str, Option<Kind>> {
        let entries = self.entries.iter();
        let below = entries.filter_map(|(path, entry)| {
            let rest = if folder.is_empty() {
                path.as_str()
            } else {
                path.strip_prefix(folder)?.strip_prefix('/')?
            };
            Some(match rest.split_once('/') {
                Some((name, _)) => (name, None),
                None => (rest, Some(entry.kind)),
            })
        });
        below.collect()
    }

    /// The size of all files in bytes.
    pub fn size(&self) -> u64 {
        self.entries.values().map(|entry| entry.content.len() as u64).sum()
    }

    /// Whether a link, followed as an operating system does, never leaves the folder.
    fn stays_inside(&self, link: &str) -> bool {
        let mut resolved: Vec<String> = Vec::new();
        let mut open: Vec<String> = link.split('/').rev().map(str::to_owned).collect();
        let mut links = 0;
        while let Some(part) = open.pop() {
            match part.as_str() {
                "" | "." => continue,
                ".." => {
                    if resolved.pop().is_none() {
                        return false;
                    }
                    continue;
                }
                _ => resolved.push(part),
            }
            let Some(entry) = self.entries.get(&resolved.join("/")).filter(|entry| entry.kind == Kind::Link)
            else {
                continue;
            };
            links += 1;
            let Ok(target) = std::str::from_utf8(&entry.content) else { return false };
            if target.starts_with('/') || links > MAX_LINKS {
                return false;
            }
            resolved.pop();
            open.extend(target.split('/').rev().map(str::to_owned));
        }
        true
    }

    /// The digest of paths, kinds and contents: SHA-256 in hexadecimal digits.
    pub fn digest(&self) -> String {
        let mut text = Sha256::new();
        text.update(FORM);
        for (path, entry) in &self.entries {
            let kind = match entry.kind {
                Kind::File => "file",
                Kind::Executable => "executable",
                Kind::Link => "link",
            };
            text.update(format!("{kind} {} {path}\0", hexadecimal(&Sha256::digest(&entry.content))));
        }
        hexadecimal(&text.finalize())
    }

    /// Writes the files into an empty folder, so that they are read-only.
    pub fn write(&self, folder: &Path) -> std::io::Result<()> {
        for (path, entry) in &self.entries {
            let file = folder.join(path);
            if let Some(parent) = file.parent() {
                fs::create_dir_all(parent)?;
            }
            let mode = match entry.kind {
                Kind::Link => {
                    symlink(std::ffi::OsStr::from_bytes(&entry.content), &file)?;
                    continue;
                }
                Kind::File => 0o444,
                Kind::Executable => 0o555,
            };
            fs::write(&file, &entry.content)?;
            fs::set_permissions(&file, fs::Permissions::from_mode(mode))?;
        }
        Ok(())
    }

    /// Reads a folder of the cache. A file of another kind, or with another name, is part of what
    /// is read, so that the digest is another one.
    pub fn read(folder: &Path) -> std::io::Result<Self> {
        let mut entries = BTreeMap::new();
        let mut open = vec![(folder.to_owned(), String::new())];
        while let Some((folder, prefix)) = open.pop() {
            for entry in fs::read_dir(&folder)? {
                let entry = entry?;
                let path = format!("{prefix}{}", entry.file_name().to_string_lossy());
                let kind = entry.file_type()?;
                if kind.is_dir() {
                    open.push((entry.path(), format!("{path}/")));
                    continue;
                }
                let (kind, content) = if kind.is_symlink() {
                    (Kind::Link, entry.path().read_link()?.as_os_str().as_bytes().to_vec())
                } else if kind.is_file() {
                    let is_executable = entry.metadata()?.permissions().mode() & 0o100 != 0;
                    let kind = if is_executable { Kind::Executable } else { Kind::File };
                    (kind, fs::read(entry.path())?)
                } else {
                    (Kind::File, b"no file".to_vec())
                };
                entries.insert(path, Entry { kind, content });
            }
        }
        Ok(Self { entries })
    }

    /// Copies the files into a folder that may have files; they can be written to.
    pub fn copy_to(&self, from: &Path, folder: &Path) -> std::io::Result<()> {
        for (path, entry) in &self.entries {
            let file = folder.join(path);
            if let Some(parent) = file.parent() {
                fs::create_dir_all(parent)?;
            }
            if entry.kind == Kind::Link {
                symlink(std::ffi::OsStr::from_bytes(&entry.content), &file)?;
                continue;
            }
            // A reflink where the file system has them. Never a hard link: tools write there.
            fs::copy(from.join(path), &file)?;
            let mode = if entry.kind == Kind::Executable { 0o755 } else { 0o644 };
            fs::set_permissions(&file, fs::Permissions::from_mode(mode))?;
        }
        Ok(())
    }
}

pub(super) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(64), |text, byte| text + &format!("{byte:02x}"))
}

#[cfg(test)]
mod tests;
