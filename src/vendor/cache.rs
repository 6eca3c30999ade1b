//! The cache of vendored content: folders named by the digest of what is in them.
//!
//! A folder appears at once, by a rename, and is verified whenever it is used. Locks are files that
//! the operating system releases with the process.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;

use super::content::{Content, hexadecimal};
use super::error::VendorError;
use super::index::{Index, ObjectRow};

/// The folder of content that is being written.
const STAGING: &str = ".staging";

/// The folder of lock files.
const LOCKS: &str = ".locks";

/// The prefix of digests outside of file names.
const SHA256: &str = "sha256:";

/// A cache of vendored content.
#[derive(Debug, Clone)]
pub struct Cache {
    root: PathBuf,
}

/// Content that was verified.
#[derive(Debug, Clone)]
pub struct Object {
    /// `sha256:` and hexadecimal digits.
    pub digest: String,
    pub folder: PathBuf,
    pub content: Content,
}

/// The result of a cleaning: the removed content, or in a dry run the content to remove.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cleaned {
    pub digests: Vec<String>,
    pub bytes: u64,
    /// Folders that killed processes have left.
    pub left_behind: usize,
}

/// A folder for work in progress; removed on drop.
#[derive(Debug)]
pub struct Staging {
    pub folder: PathBuf,
    /// Held as long as the process lives, so that others know that the folder is in use.
    _lock: File,
    lock_file: PathBuf,
}

impl Drop for Staging {
    fn drop(&mut self) {
        let _ = remove(&self.folder);
        let _ = fs::remove_file(&self.lock_file);
    }
}

impl Cache {
    /// The cache in a folder, which is created on first use.
    #[must_use]
    pub const fn new(root: PathBuf) -> Self {
        Self { root }
    }

    /// The folder of the cache.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Reads the index.
    pub fn index(&self) -> Result<Index, VendorError> {
        Index::read(&self.root)
    }

    /// Changes the index, while no other process does.
    pub fn update(&self, change: impl FnOnce(&mut Index)) -> Result<(), VendorError> {
        self.locked("index", || {
            let mut index = self.index()?;
            change(&mut index);
            index.write(&self.root)
        })
    }

    /// Does something while no other process does anything under the same name.
    pub fn locked<T>(
        &self,
        name: &str,
        work: impl FnOnce() -> Result<T, VendorError>,
    ) -> Result<T, VendorError> {
        let (file, _) = self.lock_file(name)?;
        file.lock().map_err(VendorError::files(self.root.join(LOCKS)))?;
        work()
    }

    fn lock_file(&self, name: &str) -> Result<(File, PathBuf), VendorError> {
        let folder = self.root.join(LOCKS);
        fs::create_dir_all(&folder).map_err(VendorError::files(&folder))?;
        let path = folder.join(name);
        let file = File::options().create(true).truncate(false).write(true).open(&path);
        Ok((file.map_err(VendorError::files(&path))?, path))
    }

    /// A new folder for work in progress, in the same file system as the content.
    pub fn staging(&self) -> Result<Staging, VendorError> {
        let id = uuid::Uuid::now_v7().simple().to_string();
        let (lock, lock_file) = self.lock_file(&format!("staging-{id}"))?;
        lock.lock().map_err(VendorError::files(&lock_file))?;
        let folder = self.root.join(STAGING).join(&id);
        fs::create_dir_all(&folder).map_err(VendorError::files(&folder))?;
        Ok(Staging { folder, _lock: lock, lock_file })
    }

    /// The folder of content with this digest.
    fn folder(&self, digest: &str) -> Option<PathBuf> {
        let digits = digest.strip_prefix(SHA256)?;
        let is_digest = digits.len() == 64 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_digest.then(|| self.root.join(digits))
    }

    /// The content with this digest; `None` where it is not here.
    ///
    /// # Errors
    ///
    /// [`VendorError::Altered`] where a byte of it is not as it was stored.
    pub fn get(&self, digest: &str) -> Result<Option<Object>, VendorError> {
        let Some(folder) = self.folder(digest).filter(|folder| folder.symlink_metadata().is_ok()) else {
            return Ok(None);
        };
        let is_plain = folder.symlink_metadata().is_ok_and(|found| found.is_dir());
        let content = Content::read(&folder).map_err(VendorError::files(&folder))?;
        if !is_plain || format!("{SHA256}{}", content.digest()) != digest {
            return Err(VendorError::Altered { folder });
        }
        Ok(Some(Object { digest: digest.to_owned(), folder, content }))
    }

    /// Stores content, unless it is here already.
    pub fn store(&self, content: &Content, now: Timestamp) -> Result<Object, VendorError> {
        let digest = format!("{SHA256}{}", content.digest());
        let Some(folder) = self.folder(&digest) else {
            return Err(VendorError::Altered { folder: self.root.clone() });
        };
        if let Some(known) = self.get(&digest)? {
            return Ok(known);
        }
        let staging = self.staging()?;
        let written = staging.folder.join("content");
        let files = || VendorError::files(&written);
        fs::create_dir(&written).map_err(files())?;
        content.write(&written).map_err(files())?;
        match fs::rename(&written, &folder) {
            Ok(()) => {}
            // Another process was first.
            Err(_) if folder.is_dir() => {}
            Err(error) => return Err(VendorError::files(&folder)(error)),
        }
        let row = ObjectRow { size: content.size(), files: content.len(), created_at: now, last_used: now };
        self.update(|index| {
            index.objects.entry(digest.clone()).or_insert(row);
        })?;
        let stored = self.get(&digest)?;
        stored.ok_or(VendorError::Altered { folder })
    }

    /// Removes content that was not used for some time, that is not as it was stored, or that the
    /// index does not know; and what killed processes have left. `None` keeps all that is sound.
    pub fn clean(
        &self,
        older_than: Option<Duration>,
        now: Timestamp,
        is_dry_run: bool,
    ) -> Result<Cleaned, VendorError> {
        let mut cleaned = Cleaned::default();
        if !self.root.is_dir() {
            return Ok(cleaned);
        }
        self.locked("index", || {
            let mut index = self.index()?;
            for entry in fs::read_dir(&self.root).map_err(VendorError::files(&self.root))? {
                let entry = entry.map_err(VendorError::files(&self.root))?;
                let digest = format!("{SHA256}{}", entry.file_name().to_string_lossy());
                let Some(folder) = self.folder(&digest) else { continue };
                let row = index.objects.get(&digest);
                let is_old = row.is_some_and(|row| {
                    let unused = Duration::try_from(now.duration_since(row.last_used)).unwrap_or_default();
                    older_than.is_some_and(|limit| unused >= limit)
                });
                let is_sound = matches!(self.get(&digest), Ok(Some(_)));
                if is_sound && !is_old && row.is_some() {
                    continue;
                }
                cleaned.bytes += Content::read(&folder).map(|content| content.size()).unwrap_or_default();
                cleaned.digests.push(digest.clone());
                if !is_dry_run {
                    remove(&folder).map_err(VendorError::files(&folder))?;
                }
                index.objects.remove(&digest);
            }
            cleaned.digests.sort();
            let objects = &index.objects;
            for versions in index.sources.values_mut() {
                versions.retain(|_, row| objects.contains_key(&row.digest));
            }
            index.sources.retain(|_, versions| !versions.is_empty());
            if is_dry_run { Ok(()) } else { index.write(&self.root) }
        })?;
        cleaned.left_behind = self.clean_staging(is_dry_run)?;
        Ok(cleaned)
    }

    /// Removes the work of processes that are gone.
    fn clean_staging(&self, is_dry_run: bool) -> Result<usize, VendorError> {
        let staging = self.root.join(STAGING);
        let mut left = 0;
        for entry in fs::read_dir(&staging).into_iter().flatten().flatten() {
            let (lock, path) = self.lock_file(&format!("staging-{}", entry.file_name().to_string_lossy()))?;
            if lock.try_lock().is_err() {
                continue;
            }
            left += 1;
            if !is_dry_run {
                remove(&entry.path()).map_err(VendorError::files(entry.path()))?;
                let _ = fs::remove_file(path);
            }
        }
        Ok(left)
    }
}

/// The name of the lock of an address.
pub(super) fn lock_name(address: &str) -> String {
    use sha2::Digest as _;
    hexadecimal(&sha2::Sha256::digest(address)[..16])
}

/// Removes a folder whose files may be read-only, or a file.
fn remove(path: &Path) -> std::io::Result<()> {
    if !path.symlink_metadata()?.is_dir() {
        return fs::remove_file(path);
    }
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
    for entry in fs::read_dir(path)? {
        remove(&entry?.path())?;
    }
    fs::remove_dir(path)
}

#[cfg(test)]
mod tests;
