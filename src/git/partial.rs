//! A partial clone of a remote's objects: all commits and trees, and the blobs that were read.
//!
//! A ref of notes can lead to thousands of large blobs, of which a command reads one. Fetching with
//! `--filter=blob:none` would turn the user's whole repository into a partial clone, so these
//! objects live in a bare repository inside of this one. It is fetched with this repository's
//! configuration and credentials.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::deployment::ObjectId;

use super::error::GitError;
use super::objects::ObjectStore;
use super::process::Git;
use super::refs::{Expected, Ref, RefUpdate};
use super::repository::{Repository, RepositoryError};

/// Its folder, below the common folder of all worktrees.
const FOLDER: &str = "atmos/partial.git";

/// The partial clone of one remote.
#[derive(Debug)]
pub struct Partial {
    remote: String,
    /// Git with this repository's configuration and the partial clone's objects.
    transport: Git,
    /// Git for the partial clone itself. Its refs mirror the remote's refs as last seen.
    own: Git,
    objects: ObjectStore,
}

impl Repository {
    /// Opens the partial clone of a remote, and creates it on first use.
    ///
    /// # Errors
    ///
    /// Fails where the repository for it can be neither created nor opened.
    pub fn partial(&self, remote: &str) -> Result<Partial, RepositoryError> {
        let folder = self.common_dir().join(FOLDER);
        if !folder.exists() {
            self.make_room(&folder)?;
        }
        let settings = vec![
            format!("remote.{remote}.promisor=true"),
            format!("remote.{remote}.partialclonefilter=blob:none"),
        ];
        let transport = self.git().with_objects_in(&folder.join("objects"), settings);
        let own = self.other_git(&folder);
        let objects = ObjectStore::open(&folder)?;
        Ok(Partial { remote: remote.to_owned(), transport, own, objects })
    }

    /// Creates an empty repository under a temporary name and renames it, because another process
    /// may create it at the same time.
    fn make_room(&self, folder: &Path) -> Result<(), GitError> {
        let draft = folder.with_extension(uuid::Uuid::now_v7().simple().to_string());
        fs::create_dir_all(draft.join("objects/info"))?;
        let format = self.git().verb("rev-parse").arg("--show-object-format").run()?;
        let format = format!("--object-format={}", String::from_utf8_lossy(&format).trim());
        let git = self.other_git(&draft);
        let init = |more: &[&str]| {
            git.verb("init").args(["--bare", "--quiet", "--template=", &format]).args(more).output()
        };
        // Git before 2.45 knows one format of refs, and not the flag.
        if !init(&["--ref-format=files"])?.status.success() {
            git.verb("init").args(["--bare", "--quiet", "--template=", &format]).run()?;
        }
        // Objects of this repository are alternates, so that they need not be fetched again.
        let mut line = self.common_dir().join("objects").into_os_string().into_encoded_bytes();
        line.push(b'\n');
        fs::write(draft.join("objects/info/alternates"), line)?;
        match fs::rename(&draft, folder) {
            Err(_) if folder.exists() => Ok(fs::remove_dir_all(&draft)?),
            moved => Ok(moved?),
        }
    }
}

impl Partial {
    /// The objects of the partial clone.
    #[must_use]
    pub const fn objects(&self) -> &ObjectStore {
        &self.objects
    }

    /// Git with this repository's configuration and the partial clone's objects, for pushes.
    #[must_use]
    pub const fn transport(&self) -> &Git {
        &self.transport
    }

    /// The remote's refs of these names as last seen.
    ///
    /// # Errors
    ///
    /// Fails where git cannot read the refs.
    pub fn last_seen(&self, names: &[String]) -> Result<BTreeMap<String, ObjectId>, GitError> {
        let refs = self.own.refs(names)?.into_iter();
        Ok(refs.filter(|found| names.contains(&found.name)).map(|found| (found.name, found.object)).collect())
    }

    /// Fetches the remote's refs of these names, with commits and trees, without blobs.
    ///
    /// # Errors
    ///
    /// Fails where the remote does not answer within `limit`, or where the refs cannot be written.
    pub fn fetch(&self, names: &[String], limit: Duration) -> Result<BTreeMap<String, ObjectId>, GitError> {
        let refs = self.transport.remote_refs(&self.remote, names, Some(limit))?.into_iter();
        let tips: BTreeMap<_, _> = refs.map(|Ref { name, object }| (name, object)).collect();
        let missing: Vec<_> = tips.values().filter(|tip| !self.objects.contains(tip)).collect();
        if !missing.is_empty() {
            let asked_by = self.transport.asked_by(&self.remote)?;
            self.transport
                .verb("fetch")
                .args(["--quiet", "--no-tags", "--no-write-fetch-head", "--no-auto-maintenance"])
                .args(["--no-recurse-submodules", "--refmap=", "--filter=blob:none", "--"])
                .arg(&*asked_by)
                .args(missing.iter().map(|tip| tip.as_str()))
                .limit(Some(limit))
                .run()?;
        }
        self.remember(names, &tips)?;
        Ok(tips)
    }

    /// Stores the remote's refs of these names.
    ///
    /// # Errors
    ///
    /// Fails where git cannot write the refs.
    pub fn remember(&self, names: &[String], tips: &BTreeMap<String, ObjectId>) -> Result<(), GitError> {
        let known = self.last_seen(names)?;
        let changed = names.iter().filter(|name| known.get(*name) != tips.get(*name));
        let updates: Vec<_> = changed
            .map(|name| RefUpdate {
                name: name.clone(),
                new: tips.get(name).cloned(),
                expected: Expected::Anything,
            })
            .collect();
        if updates.is_empty() {
            Ok(())
        } else {
            self.own.update_refs(&updates, "atmos: as the remote has it")
        }
    }

    /// Reads a blob, fetching it if it is missing.
    ///
    /// # Errors
    ///
    /// Fails where the blob is neither here nor fetched from the remote within `limit`.
    pub fn read_blob(&self, id: &ObjectId, limit: Duration) -> Result<Vec<u8>, GitError> {
        self.transport.verb("cat-file").args(["blob", id.as_str()]).limit(Some(limit)).run()
    }
}
