//! Pulls: declared sources become verified content of the cache.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::address::Address;
use super::cache::{Cache, Object, lock_name};
use super::declared::Declared;
use super::error::VendorError;
use super::index::{Index, SourceRow};
use super::lock::LockRow;
use super::take::content;
use super::version::{Found, Wish};
use crate::deployment::CommitId;
use crate::git::Git;
use crate::git::foreign::{ForeignRefs, TreeFiles, full_id};

/// The version of a source that is a folder of the same commit.
const SAME_COMMIT: &str = "commit";

/// A declared source with its content.
#[derive(Debug, Clone)]
pub struct Pulled {
    pub declared: Declared,
    /// The tag, branch or commit that the version was resolved to.
    pub version: String,
    /// The commit of the source.
    pub commit: CommitId,
    pub object: Object,
    /// Whether it was fetched, rather than found in the cache.
    pub is_new: bool,
    /// The commit that the tag led to when it was noted first, if that was another one.
    pub moved_from: Option<String>,
}

impl Pulled {
    /// The source and its version, as records name it.
    #[must_use]
    pub fn source(&self) -> String {
        match self.declared.address {
            Address::Git { .. } => format!("{}@{}", self.declared.key(), self.version),
            Address::Local { .. } => self.declared.key(),
        }
    }
}

/// Pulls sources into a cache.
pub struct Puller<'a> {
    pub cache: &'a Cache,
    pub git: &'a Git,
    /// The files of the repository, for folders of the same commit.
    pub own: &'a TreeFiles,
    /// The commit whose declarations are pulled.
    pub commit: &'a CommitId,
    pub is_offline: bool,
    /// Whether versions are resolved anew that the cache knows.
    pub is_update: bool,
    pub now: Timestamp,
}

impl Puller<'_> {
    /// Pulls these sources. What the cache has is not fetched; of the rest, everything of one
    /// repository is fetched at once, by one process.
    ///
    /// # Errors
    ///
    /// Fails where a source lacks a version or cannot be fetched, or its content is not safe.
    pub fn pull(&self, declared: Vec<Declared>) -> Result<Vec<Pulled>, VendorError> {
        let mut pulled: Vec<Pulled> = Vec::new();
        let mut missing: BTreeMap<String, Vec<Declared>> = BTreeMap::new();
        let index = self.cache.index()?;
        for declared in declared {
            if let Address::Local { folder } = &declared.address {
                pulled.push(self.of_same_commit(&folder.clone(), declared)?);
            } else if let Some(found) = self.known(&index, &declared)?.filter(|_| !self.is_update) {
                pulled.push(found);
            } else if let Address::Git { url, .. } = &declared.address {
                missing.entry(url.clone()).or_default().push(declared);
            }
        }
        for (url, declared) in missing {
            if self.is_offline {
                return Err(VendorError::Offline { place: declared[0].key() });
            }
            pulled.extend(self.cache.locked(&lock_name(&url), || self.fetch(&url, declared))?);
        }
        let used: Vec<_> = pulled.iter().map(|pulled| pulled.object.digest.clone()).collect();
        let is_new = pulled.iter().any(|pulled| pulled.is_new);
        let noted = self.cache.update(|index| {
            for digest in &used {
                if let Some(row) = index.objects.get_mut(digest) {
                    row.last_used = row.last_used.max(self.now);
                }
            }
        });
        // A cache that cannot be written to can still be used.
        if is_new {
            noted?;
        }
        pulled.sort_by(|one, other| one.declared.folder.cmp(&other.declared.folder));
        Ok(pulled)
    }

    /// The content that the cache has for a declaration, without asking its source. Versions that
    /// may move are known only offline.
    pub fn known(&self, index: &Index, declared: &Declared) -> Result<Option<Pulled>, VendorError> {
        let Some(version) = declared.version() else { return Ok(None) };
        if let Some(row) = &declared.locked {
            return self.of_locked(row, declared);
        }
        let row = index.sources.get(&declared.key()).and_then(|versions| versions.get(version));
        let Some(row) = row.filter(|row| !row.moves || self.is_offline) else { return Ok(None) };
        self.of_row(row, declared)
    }

    fn of_locked(&self, row: &LockRow, declared: &Declared) -> Result<Option<Pulled>, VendorError> {
        let Some(commit) = full_id(&row.commit) else { return Ok(None) };
        let object = self.cache.get(&row.digest)?;
        Ok(object.map(|object| pulled(declared.clone(), &row.resolved, commit, object)))
    }

    fn of_row(&self, row: &SourceRow, declared: &Declared) -> Result<Option<Pulled>, VendorError> {
        let Some(commit) = full_id(&row.commit) else { return Ok(None) };
        let object = self.cache.get(&row.digest)?;
        Ok(object.map(|object| pulled(declared.clone(), &row.resolved, commit, object)))
    }

    /// Fetches sources of one repository. Holds its lock: what another process has just fetched is
    /// not fetched again.
    fn fetch(&self, url: &str, declared: Vec<Declared>) -> Result<Vec<Pulled>, VendorError> {
        let index = self.cache.index()?;
        let mut pulled = Vec::new();
        let mut open = Vec::new();
        for declared in declared {
            match self.known(&index, &declared)?.filter(|_| !self.is_update) {
                Some(known) => pulled.push(known),
                None => open.push(declared),
            }
        }
        if open.is_empty() {
            return Ok(pulled);
        }
        let place = format!("git::{}", crate::git::redact::redact_urls(url));
        let failed = |source| VendorError::Git { place: place.clone(), source };
        let staging = self.cache.staging()?;
        let foreign = self.git.foreign(&staging.folder.join("repository")).map_err(failed)?;
        let needs_refs = |declared: &Declared| {
            self.row(declared).is_none() && declared.version().and_then(full_id).is_none()
        };
        let refs = if open.iter().any(needs_refs) {
            foreign.refs(url).map_err(failed)?
        } else {
            ForeignRefs::default()
        };
        let mut wanted: Vec<(Found, Declared)> = Vec::new();
        for declared in open {
            let Some(wish) = &declared.wish else { continue };
            let found = self.found(&declared, wish, &refs, &place)?;
            let known = index.at_commit(&declared.key(), found.commit.as_str());
            let known = known.map(|row| self.of_row(row, &declared)).transpose()?.flatten();
            match known {
                Some(known) => {
                    self.insist_on_locked(&declared, &known.object)?;
                    let moved_from = self.note(&declared, wish, &found, &known.object.digest)?;
                    pulled.push(Pulled { version: found.version, moved_from, ..known });
                }
                None => wanted.push((found, declared)),
            }
        }
        if wanted.is_empty() {
            return Ok(pulled);
        }
        let mut refspecs: Vec<_> =
            wanted.iter().map(|(found, _)| (found.name.as_str(), &found.commit)).collect();
        refspecs.sort();
        refspecs.dedup();
        foreign.fetch(url, &refspecs).map_err(failed)?;
        let objects = |source| VendorError::Objects { place: place.clone(), source };
        let files = foreign.files().map_err(objects)?;
        for (found, declared) in wanted {
            if !files.has(&found.commit) {
                return Err(VendorError::Source {
                    place: place.clone(),
                    message: format!("{} has moved while it was fetched", found.version),
                    hint: "try again".to_owned(),
                });
            }
            let Address::Git { folder, .. } = &declared.address else { continue };
            let content = content(&files, &found.commit, folder, &declared)?;
            let object = self.cache.store(&content, self.now)?;
            self.insist_on_locked(&declared, &object)?;
            let Some(wish) = &declared.wish else { continue };
            let moved_from = self.note(&declared, wish, &found, &object.digest)?;
            pulled.push(Pulled {
                version: found.version,
                commit: found.commit,
                declared,
                object,
                is_new: true,
                moved_from,
            });
        }
        Ok(pulled)
    }

    /// The row of the lock file that binds.
    fn row<'d>(&self, declared: &'d Declared) -> Option<&'d LockRow> {
        declared.locked.as_ref().filter(|_| !self.is_update)
    }

    /// Refuses content that is not what is locked.
    fn insist_on_locked(&self, declared: &Declared, object: &Object) -> Result<(), VendorError> {
        let Some(row) = self.row(declared).filter(|row| row.digest != object.digest) else { return Ok(()) };
        let (place, found, locked) = (declared.to_string(), object.digest.clone(), row.digest.clone());
        Err(VendorError::Locked { place, found, locked })
    }

    /// The commit of a declaration: the locked one, or what its version stands for now.
    fn found(
        &self,
        declared: &Declared,
        wish: &Wish,
        refs: &ForeignRefs,
        place: &str,
    ) -> Result<Found, VendorError> {
        match self.row(declared).and_then(|row| Some((row, full_id(&row.commit)?))) {
            Some((row, commit)) => {
                Ok(Found { version: row.resolved.clone(), name: commit.to_string(), commit })
            }
            None => wish.find(refs, place),
        }
    }

    /// Notes in the index what a version was resolved to.
    /// Returns the commit of a tag that has moved since it was noted.
    fn note(
        &self,
        declared: &Declared,
        wish: &Wish,
        found: &Found,
        digest: &str,
    ) -> Result<Option<String>, VendorError> {
        let row = SourceRow {
            digest: digest.to_owned(),
            resolved: found.version.clone(),
            commit: found.commit.to_string(),
            moves: found.name.starts_with("refs/heads/") || matches!(wish, Wish::Range(..)),
            pulled_at: self.now,
        };
        // A lock says nothing of what others mean by the same version.
        let is_locked = self.row(declared).is_some();
        let version = if is_locked { row.commit.clone() } else { wish.as_str().to_owned() };
        let (commit, mut before) = (row.commit.clone(), None);
        self.cache.update(|index| {
            let known = index.sources.entry(declared.key()).or_default().insert(version, row);
            before = known.filter(|known| !known.moves && known.commit != commit).map(|known| known.commit);
        })?;
        Ok(before)
    }

    fn of_same_commit(&self, folder: &str, declared: Declared) -> Result<Pulled, VendorError> {
        let content = content(self.own, self.commit, folder, &declared)?;
        let object = self.cache.store(&content, self.now)?;
        Ok(pulled(declared, SAME_COMMIT, self.commit.clone(), object))
    }
}

/// A source that the cache had.
fn pulled(declared: Declared, version: &str, commit: CommitId, object: Object) -> Pulled {
    Pulled { declared, version: version.to_owned(), commit, object, is_new: false, moved_from: None }
}
