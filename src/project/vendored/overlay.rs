//! Trees of files in which vendored folders are those of the cache.

use super::{PROVIDERS, Vendored};
use crate::config::join_path;
use crate::error::CommandError;
use crate::git::objects::{EntryKind, ObjectError};
use crate::git::{CommitTree, Place};
use crate::project::Tree;
use crate::vendor::Kind;

/// A tree whose vendored folders are those of the cache.
pub struct VendoredTree<'a> {
    pub tree: &'a dyn Tree,
    pub vendored: &'a Vendored,
}

impl VendoredTree<'_> {
    /// Whether the commit's own file stays there.
    fn stays(&self, path: &str, rest: &str) -> Result<bool, CommandError> {
        Ok(rest == PROVIDERS && matches!(self.tree.place(path)?, Place::File { .. }))
    }
}

impl Tree for VendoredTree<'_> {
    fn place(&self, path: &str) -> Result<Place, CommandError> {
        let Some((vendored, rest)) = self.vendored.around(path) else { return self.tree.place(path) };
        // What is not fetched is unknown.
        let Some(pulled) = &vendored.pulled else { return Ok(Place::Elsewhere) };
        if self.stays(path, rest)? {
            return self.tree.place(path);
        }
        let content = &pulled.object.content;
        Ok(match content.get(rest).map(|entry| entry.kind) {
            Some(Kind::Link) => Place::Elsewhere,
            Some(kind) => Place::File { executable: kind == Kind::Executable },
            None if rest.is_empty() || !content.names(rest).is_empty() => Place::Folder,
            None => Place::Nothing,
        })
    }

    fn names(&self, folder: &str) -> Result<Vec<String>, CommandError> {
        let Some((vendored, rest)) = self.vendored.around(folder) else { return self.tree.names(folder) };
        let Some(pulled) = &vendored.pulled else { return Ok(Vec::new()) };
        let mut names: Vec<_> = pulled.object.content.names(rest).into_keys().map(str::to_owned).collect();
        let providers = join_path([folder, PROVIDERS]);
        if rest.is_empty()
            && !names.iter().any(|name| name == PROVIDERS)
            && self.stays(&providers, PROVIDERS)?
        {
            names.push(PROVIDERS.to_owned());
        }
        Ok(names)
    }

    fn text(&self, path: &str) -> Result<Option<String>, CommandError> {
        let Some((vendored, rest)) = self.vendored.around(path) else { return self.tree.text(path) };
        if self.stays(path, rest)? {
            return self.tree.text(path);
        }
        let entry = vendored.pulled.as_ref().and_then(|pulled| pulled.object.content.get(rest));
        Ok(entry.and_then(|entry| String::from_utf8(entry.content.clone()).ok()))
    }
}

/// The files of a commit with its vendored folders, for what is read by objects.
pub struct VendoredCommit<'a> {
    pub commit: CommitTree,
    pub vendored: &'a Vendored,
}

impl VendoredCommit<'_> {
    /// Reads a file; `None` where there is nothing of that name.
    ///
    /// # Errors
    ///
    /// As [`CommitTree::read_file`].
    pub fn read_file(&self, path: &str) -> Result<Option<Vec<u8>>, ObjectError> {
        let Some((vendored, rest)) = self.vendored.around(path) else { return self.commit.read_file(path) };
        if self.stays(path, rest)? {
            return self.commit.read_file(path);
        }
        let entry = vendored.pulled.as_ref().and_then(|pulled| pulled.object.content.get(rest));
        Ok(entry.map(|entry| entry.content.clone()))
    }

    /// Lists a directory; `None` where there is no such directory.
    ///
    /// # Errors
    ///
    /// As [`CommitTree::list_directory`].
    pub fn list_directory(&self, path: &str) -> Result<Option<Vec<(String, EntryKind)>>, ObjectError> {
        let Some((vendored, rest)) = self.vendored.around(path) else {
            return self.commit.list_directory(path);
        };
        let Some(pulled) = &vendored.pulled else { return Ok(None) };
        let kind = |kind: Option<Kind>| if kind.is_some() { EntryKind::File } else { EntryKind::Directory };
        let names = pulled.object.content.names(rest).into_iter();
        let mut names: Vec<_> = names.map(|(name, of)| (name.to_owned(), kind(of))).collect();
        let providers = format!("{path}/{PROVIDERS}");
        if rest.is_empty()
            && !names.iter().any(|(name, _)| name == PROVIDERS)
            && self.stays(&providers, PROVIDERS)?
        {
            names.push((PROVIDERS.to_owned(), EntryKind::File));
        }
        Ok(Some(names).filter(|names| rest.is_empty() || !names.is_empty()))
    }

    fn stays(&self, path: &str, rest: &str) -> Result<bool, ObjectError> {
        Ok(rest == PROVIDERS && matches!(self.commit.place(path)?, Place::File { .. }))
    }
}
