//! Vendored components of a commit or of the checkout: their sources, pulled or not, and their
//! files in the place of the commit's.

mod elsewhere;
mod overlay;
mod sources;

use std::collections::BTreeMap;
use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::context::Context;
use crate::deployment::{CommitId, ComponentName};
use crate::error::{Code, CommandError};
use crate::git::{CommitTree, Place, Repository};
use crate::vendor::{Cache, Declared, Pulled, Puller};

pub use elsewhere::vendored_components;
pub use overlay::{VendoredCommit, VendoredTree};
pub use sources::{Locking, Wanted, sources_of, vendored_sources};

/// The variable that names the folder of the cache.
const CACHE_VARIABLE: &str = "ATMOS_VENDOR_CACHE";

/// The file that the commit keeps beside vendored code: the providers that it was reviewed with.
const PROVIDERS: &str = ".terraform.lock.hcl";

/// A vendored folder.
#[derive(Debug, Clone)]
pub struct VendoredFolder {
    pub declared: Declared,
    /// Absent where it is not in the cache.
    pub pulled: Option<Pulled>,
}

/// The vendored folders of one commit on one target, from the root of the repository.
#[derive(Debug, Clone, Default)]
pub struct Vendored {
    pub folders: BTreeMap<String, VendoredFolder>,
}

/// The vendored folders of several commits.
pub type VendoredCommits = BTreeMap<CommitId, Arc<Vendored>>;

/// Vendored folders that were pulled, by commit and components.
pub type KnownVendored = BTreeMap<(CommitId, Vec<ComponentName>), Arc<Vendored>>;

/// The cache of a repository: the one that the environment names, or `.atmos/vendor-cache` of the
/// main checkout, which all its worktrees share.
pub fn cache(context: &Context, repository: &Repository) -> Cache {
    if let Some(folder) = context.variable(CACHE_VARIABLE).filter(|folder| !folder.is_empty()) {
        return Cache::new(context.directory().join(folder));
    }
    let common = repository.common_dir();
    let main = common.parent().filter(|_| common.file_name().is_some_and(|name| name == ".git"));
    let root = main.or_else(|| repository.work_tree());
    let folder = root.map_or_else(|| common.join("atmos"), |root| root.join(".atmos"));
    Cache::new(folder.join("vendor-cache"))
}

/// How sources become content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fetch {
    /// Only what the cache has is used.
    Never,
    /// The missing content is fetched.
    Missing,
    /// Versions that the cache knows are resolved anew.
    Update,
}

/// Pulls declared sources.
///
/// # Errors
///
/// Fails where a source cannot be fetched, or the cache is not usable.
pub fn pull(
    context: &Context,
    repository: &Repository,
    commit: &CommitId,
    declared: BTreeMap<String, Declared>,
    fetch: Fetch,
) -> Result<Vendored, CommandError> {
    if declared.is_empty() {
        return Ok(Vendored::default());
    }
    let cache = cache(context, repository);
    refuse_committed(repository, &cache)?;
    let own = repository.tree_files()?;
    let puller = Puller {
        cache: &cache,
        git: repository.git(),
        own: &own,
        commit,
        is_offline: context.global().offline || fetch == Fetch::Never,
        is_update: fetch == Fetch::Update,
        now: context.now(),
    };
    let mut vendored = Vendored::default();
    if fetch == Fetch::Never {
        let index = cache.index()?;
        for (folder, declared) in declared {
            let known = puller.known(&index, &declared)?;
            vendored.folders.insert(folder, VendoredFolder { declared, pulled: known });
        }
        return Ok(vendored);
    }
    ignore(cache.root());
    for found in puller.pull(declared.into_values().collect())? {
        if let Some(before) = &found.moved_from {
            let before = before.get(..7).unwrap_or(before);
            let (source, now) = (found.source(), found.commit.short());
            context.warn(&format!("{source} has moved: it was commit {before}, and is {now}"));
        }
        let (folder, declared) = (found.declared.folder.clone(), found.declared.clone());
        vendored.folders.insert(folder, VendoredFolder { declared, pulled: Some(found) });
    }
    Ok(vendored)
}

/// Refuses a cache that is part of the commit: its index would say what a version is.
fn refuse_committed(repository: &Repository, cache: &Cache) -> Result<(), CommandError> {
    let Some(below) = repository.work_tree().and_then(|root| cache.root().strip_prefix(root).ok()) else {
        return Ok(());
    };
    let Ok(head) = repository.head() else { return Ok(()) };
    let path = below.to_string_lossy().into_owned();
    if CommitTree::new(repository, head)?.place(&path)? == Place::Nothing {
        return Ok(());
    }
    let message = format!("the vendor cache {path} is part of the commit, which could say what a version is");
    Err(CommandError::new(Code::VendorCache, message))
}

/// Keeps `.atmos` out of `git status`.
fn ignore(cache: &Path) {
    let Some(folder) = cache.parent().filter(|folder| folder.ends_with(".atmos")) else { return };
    let _ = fs::create_dir_all(folder);
    if let Ok(mut file) = fs::File::create_new(folder.join(".gitignore")) {
        let _ = file.write_all(b"*\n");
    }
}

impl Vendored {
    /// The vendored folder that a path leads to or below, and the rest of the path.
    fn around<'p>(&self, path: &'p str) -> Option<(&VendoredFolder, &'p str)> {
        let path = path.trim_start_matches("./");
        self.folders.iter().find_map(|(folder, vendored)| {
            let rest = path.strip_prefix(folder.as_str())?;
            if rest.is_empty() { Some((vendored, rest)) } else { Some((vendored, rest.strip_prefix('/')?)) }
        })
    }

    /// The digests of the vendored content in a folder, by source.
    #[must_use]
    pub fn sources(&self, folder: &str) -> BTreeMap<String, String> {
        let pulled = self.folders.get(folder).and_then(|vendored| vendored.pulled.as_ref());
        pulled.map(|pulled| (pulled.source(), pulled.object.digest.clone())).into_iter().collect()
    }

    /// Puts the vendored files into a checkout, in the place of the commit's.
    ///
    /// # Errors
    ///
    /// Fails where a file cannot be written.
    pub fn place_into(&self, checkout: &Path) -> Result<(), CommandError> {
        for (folder, vendored) in &self.folders {
            let Some(pulled) = &vendored.pulled else { continue };
            place(checkout, folder, pulled).map_err(|error| {
                CommandError::new(Code::Checkout, format!("cannot put vendored files into {folder}: {error}"))
            })?;
        }
        Ok(())
    }
}

fn place(checkout: &Path, folder: &str, pulled: &Pulled) -> std::io::Result<()> {
    let destination = inside(checkout, folder)?;
    let providers = destination.join(PROVIDERS);
    let is_plain = providers.symlink_metadata().is_ok_and(|found| found.is_file());
    let kept = is_plain.then(|| fs::read(&providers)).transpose()?;
    match destination.symlink_metadata() {
        Ok(found) if found.is_dir() => fs::remove_dir_all(&destination)?,
        Ok(_) => fs::remove_file(&destination)?,
        Err(_) => {}
    }
    fs::create_dir(&destination)?;
    pulled.object.content.copy_to(&pulled.object.folder, &destination)?;
    if let Some(kept) = kept {
        let _ = fs::remove_file(&providers);
        fs::write(&providers, kept)?;
    }
    Ok(())
}

/// The path of a folder of a checkout, whose parents exist then. Links of the commit may lead to
/// other folders of the checkout, and nowhere else.
fn inside(checkout: &Path, folder: &str) -> std::io::Result<PathBuf> {
    let root = checkout.canonicalize()?;
    let mut place = root.clone();
    let mut parts = folder.split('/').peekable();
    while let Some(part) = parts.next() {
        place.push(part);
        if parts.peek().is_none() {
            break;
        }
        match place.canonicalize() {
            Ok(found) => place = found,
            Err(error) if error.kind() == ErrorKind::NotFound => fs::create_dir(&place)?,
            Err(error) => return Err(error),
        }
        if !place.starts_with(&root) {
            return Err(std::io::Error::new(ErrorKind::PermissionDenied, "a link leads out of the commit"));
        }
    }
    Ok(place)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_of_the_commit_are_followed_inside_of_it_alone() {
        let outer = tempfile::tempdir().unwrap();
        let checkout = outer.path().join("checkout");
        fs::create_dir_all(checkout.join("infra/terraform/vpc")).unwrap();
        symlink("infra", checkout.join("components")).unwrap();
        symlink("..", checkout.join("up")).unwrap();
        symlink("vpc", checkout.join("infra/terraform/link")).unwrap();
        let root = checkout.canonicalize().unwrap();
        let inside = |folder: &str| inside(&checkout, folder);
        assert_eq!(inside("components/terraform/vpc").unwrap(), root.join("infra/terraform/vpc"));
        assert_eq!(inside("new/folder/vpc").unwrap(), root.join("new/folder/vpc"));
        assert!(root.join("new/folder").is_dir());
        // The link itself is what will be replaced.
        assert_eq!(inside("infra/terraform/link").unwrap(), root.join("infra/terraform/link"));
        assert!(inside("up/x").is_err());
    }
}
