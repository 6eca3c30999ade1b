//! Notes trees: maps from a commit to a blob, in the layout of `git notes`.
//!
//! A note is a file named after the commit; large trees are fanned out into folders of two
//! hexadecimal digits, to any depth, mixed with flat entries. Everything here keeps that
//! layout readable to `git notes`.

use crate::deployment::{CommitId, ObjectId};

use super::objects::{ObjectError, ObjectStore, from_oid};

/// The number of flat entries after which new entries are fanned out into folders.
const FLAT_ENTRIES: usize = 256;
const FILE_MODE: i32 = 0o100_644;
const FOLDER_MODE: i32 = 0o040_000;

impl ObjectStore {
    /// The note of a commit in the notes tree of `notes`; `None` where it has none.
    ///
    /// # Errors
    ///
    /// Fails where the notes commit or its tree is missing, or where the note's blob is not here.
    pub fn note(&self, notes: &ObjectId, commit: &CommitId) -> Result<Option<Vec<u8>>, ObjectError> {
        self.note_blob(notes, commit)?.map(|blob| self.read_blob(&blob)).transpose()
    }

    /// The id of the blob of a commit's note, which may be missing here;
    /// `None` where the commit has no note.
    ///
    /// # Errors
    ///
    /// Fails where the notes commit or its root tree is missing.
    pub fn note_blob(&self, notes: &ObjectId, commit: &CommitId) -> Result<Option<ObjectId>, ObjectError> {
        let mut tree = self.commit_tree(notes)?;
        let mut rest = commit.as_str();
        loop {
            if let Some(entry) = tree.get_name(rest) {
                let is_blob = entry.kind() == Some(git2::ObjectType::Blob);
                return is_blob.then(|| from_oid(entry.id())).transpose();
            }
            let Some(folder) = rest.get(..2) else { return Ok(None) };
            let Some(id) = tree.get_name(folder).map(|entry| entry.id()) else { return Ok(None) };
            let Ok(next) = self.repository().find_tree(id) else { return Ok(None) };
            rest = &rest[2..];
            tree = next;
        }
    }

    /// Every note of a notes tree.
    ///
    /// # Errors
    ///
    /// Fails where the notes commit, one of its trees or one of its blobs is missing.
    pub fn notes(&self, notes: &ObjectId) -> Result<Vec<(CommitId, Vec<u8>)>, ObjectError> {
        let mut found = Vec::new();
        self.collect_notes(&self.commit_tree(notes)?, "", &mut found)?;
        Ok(found)
    }

    fn collect_notes(
        &self,
        tree: &git2::Tree<'_>,
        prefix: &str,
        found: &mut Vec<(CommitId, Vec<u8>)>,
    ) -> Result<(), ObjectError> {
        for entry in tree {
            let name = format!("{prefix}{}", entry.name().unwrap_or_default());
            let object = entry.to_object(self.repository())?;
            match (object.as_blob(), object.as_tree()) {
                (Some(blob), _) => {
                    // Other files can live in a notes tree; they are not notes.
                    if let Ok(commit) = name.parse() {
                        found.push((commit, blob.content().to_vec()));
                    }
                }
                (None, Some(folder)) if name.len() < 64 => self.collect_notes(folder, &name, found)?,
                _ => {}
            }
        }
        Ok(())
    }

    /// Writes a new commit of a notes ref in which these commits have
    /// these notes, on top of `notes`.
    ///
    /// # Errors
    ///
    /// Fails where the notes commit or one of its trees is missing, or where the object database
    /// cannot be written.
    pub fn write_notes<'a>(
        &self,
        notes: Option<&ObjectId>,
        other_parent: Option<&ObjectId>,
        changes: impl IntoIterator<Item = (&'a CommitId, &'a [u8])>,
        committer: &str,
        message: &str,
    ) -> Result<ObjectId, ObjectError> {
        let base = notes.map(|notes| self.commit_tree(notes)).transpose()?;
        let mut tree = match base {
            Some(tree) => tree.id(),
            None => self.written(self.repository().treebuilder(None)?.write()?)?,
        };
        for (commit, content) in changes {
            let blob = self.written(self.repository().blob(content)?)?;
            tree = self.insert_note(tree, commit.as_str(), blob)?;
        }
        let parents: Vec<_> = notes.into_iter().chain(other_parent).cloned().collect();
        self.write_commit(&from_oid(tree)?, &parents, committer, message)
    }

    fn insert_note(&self, tree: git2::Oid, name: &str, blob: git2::Oid) -> Result<git2::Oid, ObjectError> {
        let repository = self.repository();
        let tree = repository.find_tree(tree)?;
        let folder_name = &name[..2.min(name.len())];
        let folder = tree
            .get_name(folder_name)
            .filter(|entry| entry.kind() == Some(git2::ObjectType::Tree))
            .map(|entry| entry.id());
        let flat = tree.get_name(name).is_some();
        let fan_out = name.len() > 2 && !flat && (folder.is_some() || tree.len() >= FLAT_ENTRIES);
        let mut builder = repository.treebuilder(Some(&tree))?;
        if fan_out {
            let folder = match folder {
                Some(folder) => folder,
                None => self.written(repository.treebuilder(None)?.write()?)?,
            };
            let folder = self.insert_note(folder, &name[2..], blob)?;
            builder.insert(folder_name, folder, FOLDER_MODE)?;
        } else {
            builder.insert(name, blob, FILE_MODE)?;
        }
        self.written(builder.write()?)
    }
}
