//! Single objects, through `git2`: reads tags and files of a commit, writes tags and notes.

use std::borrow::Cow;
use std::path::Path;
use std::sync::{Arc, Once};

use git2::ConfigLevel;
use memchr::memmem;

use crate::deployment::rollout_plan::Ancestry;
use crate::deployment::{CommitId, ObjectId};
use crate::text;

use super::written::Written;

/// The largest tag that is read. A record has about a kilobyte, so a
/// larger tag is hostile or foreign.
pub const MAX_TAG_SIZE: usize = 256 * 1024;

/// An error of the object database.
#[derive(Debug, thiserror::Error)]
pub enum ObjectError {
    #[error("cannot read the repository's objects: {0}")]
    Git(#[from] git2::Error),
    #[error("object {0} is not an annotated tag")]
    NotATag(ObjectId),
    #[error("object {id} has {size} bytes, more than a record can have")]
    TooLarge { id: ObjectId, size: usize },
    #[error("object {0} is damaged")]
    Damaged(ObjectId),
    /// A blob that a partial clone lacks, with `--offline`.
    #[error("{path} of commit {} is not in this partial clone, and --offline fetches nothing", commit.short())]
    NotHere { path: String, commit: CommitId },
    #[error("{path} is not a file in commit {}", commit.short())]
    NotAFile { path: String, commit: CommitId },
}

/// An annotated tag, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagObject {
    /// The object that it points at.
    pub target: ObjectId,
    /// Whether the target is a commit.
    pub is_of_commit: bool,
    /// The tag's own name in its header, without `refs/tags/`.
    pub name: String,
    /// Everything after the header, signature included.
    pub message: Vec<u8>,
}

/// The kind of a directory's entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    Directory,
    File,
}

/// The objects of one repository. Each thread opens its own.
pub struct ObjectStore {
    repository: git2::Repository,
    /// Copies of written objects, to restore those that `git gc` prunes before a ref leads to them;
    /// `None` for repositories that are never pruned.
    written: Option<Arc<Written>>,
}

impl std::fmt::Debug for ObjectStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ObjectStore").field("path", &self.repository.path()).finish_non_exhaustive()
    }
}

/// Configures libgit2, once per process, to open every repository whose objects it can read.
#[allow(unsafe_code, reason = "libgit2 keeps these settings in unguarded globals")]
fn accept_all_repositories() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // Like git itself, which verifies hashes on fetch and in `git fsck`, not at every read.
        git2::opts::strict_hash_verification(false);
        // libgit2 cannot read reftables or fetch the missing objects of a partial clone. Only
        // objects are read with it; git does the rest.
        let extensions = ["refstorage", "partialclone", "relativeworktrees"];
        // User and system configuration do not matter for objects. (`core.fsyncObjectFiles`, which
        // git has dropped and libgit2 still honours, is read from the repository's own file.)
        let elsewhere = [ConfigLevel::System, ConfigLevel::XDG, ConfigLevel::Global];
        // SAFETY: all of them write plain globals of libgit2. `Once` runs this before any
        // repository has been opened by this process, and nothing else in the crate sets them.
        let result = unsafe {
            git2::opts::set_extensions(&extensions)
                .and_then(|()| {
                    elsewhere.into_iter().try_for_each(|level| git2::opts::set_search_path(level, ""))
                })
                // CI containers often run as another user than the checkout's owner. The ownership
                // check protects against hooks and configured commands, and libgit2 runs neither.
                .and_then(|()| git2::opts::set_verify_owner_validation(false))
                // A history reads each of its tags once: kept in a cache, they only take memory.
                .and_then(|()| git2::opts::set_cache_object_limit(git2::ObjectType::Tag, 0))
        };
        if let Err(error) = result {
            tracing::debug!(%error, "libgit2 refused its settings");
        }
    });
}

impl ObjectStore {
    /// Opens the objects of the repository at `git_dir`.
    pub(super) fn open(git_dir: &Path) -> Result<Self, ObjectError> {
        accept_all_repositories();
        let flags = git2::RepositoryOpenFlags::NO_SEARCH | git2::RepositoryOpenFlags::NO_DOTGIT;
        let repository = git2::Repository::open_ext(git_dir, flags, std::iter::empty::<&Path>())?;
        Ok(Self { repository, written: None })
    }

    /// The same store, which keeps copies of the objects that it writes.
    pub(super) fn keeping(self, written: &Arc<Written>) -> Self {
        Self { written: Some(Arc::clone(written)), ..self }
    }

    pub(super) const fn raw(&self) -> &git2::Repository {
        &self.repository
    }

    /// The id in libgit2's form.
    pub(super) fn oid(&self, id: &ObjectId) -> Result<git2::Oid, ObjectError> {
        Ok(git2::Oid::from_str_ext(id.as_str(), self.repository.object_format())?)
    }

    /// Whether the object is here.
    #[must_use]
    pub fn contains(&self, id: &ObjectId) -> bool {
        self.oid(id).is_ok_and(|oid| self.repository.odb().is_ok_and(|odb| odb.exists(oid)))
    }

    /// Whether the object is a commit; `None` where it is not here.
    #[must_use]
    pub fn is_commit(&self, id: &ObjectId) -> Option<bool> {
        self.kind(id).map(|kind| kind == git2::ObjectType::Commit)
    }

    /// Whether the object is here and an annotated tag.
    #[must_use]
    pub fn is_tag(&self, id: &ObjectId) -> bool {
        self.kind(id) == Some(git2::ObjectType::Tag)
    }

    fn kind(&self, id: &ObjectId) -> Option<git2::ObjectType> {
        let oid = self.oid(id).ok()?;
        let (_, kind) = self.repository.odb().ok()?.read_header(oid).ok()?;
        Some(kind)
    }

    /// Reads an annotated tag. Anything larger than [`MAX_TAG_SIZE`] is refused before it is read.
    ///
    /// # Errors
    ///
    /// Fails where the object is missing, is no annotated tag, is too large, or is malformed.
    pub fn read_tag(&self, id: &ObjectId) -> Result<TagObject, ObjectError> {
        let oid = self.oid(id)?;
        let odb = self.repository.odb()?;
        let (size, kind) = odb.read_header(oid)?;
        if kind != git2::ObjectType::Tag {
            return Err(ObjectError::NotATag(id.clone()));
        }
        if size > MAX_TAG_SIZE {
            return Err(ObjectError::TooLarge { id: id.clone(), size });
        }
        let object = odb.read(oid)?;
        parse_tag(object.data()).ok_or_else(|| ObjectError::Damaged(id.clone()))
    }

    /// Writes an annotated tag and returns its id. No ref is created.
    ///
    /// `tagger` is an identity and a time in git's form: `Name <mail> <seconds> <zone>`.
    ///
    /// # Errors
    ///
    /// Fails where the object database cannot be written.
    pub fn write_tag(
        &self,
        target: &ObjectId,
        target_kind: &str,
        name: &str,
        tagger: &str,
        message: &str,
    ) -> Result<ObjectId, ObjectError> {
        let content =
            format!("object {target}\ntype {target_kind}\ntag {name}\ntagger {tagger}\n\n{message}");
        self.write(git2::ObjectType::Tag, content.as_bytes())
    }

    /// An annotated tag as it is stored, byte for byte.
    ///
    /// # Errors
    ///
    /// Fails where the object is missing or damaged.
    pub fn tag_bytes(&self, id: &ObjectId) -> Result<Vec<u8>, ObjectError> {
        Ok(self.repository.odb()?.read(self.oid(id)?)?.data().to_vec())
    }

    /// Writes the bytes of an annotated tag, unless the object exists, and returns its id.
    ///
    /// # Errors
    ///
    /// Fails where the tag is not here and the object database cannot be written.
    pub fn restore_tag(&self, content: &[u8]) -> Result<ObjectId, ObjectError> {
        let kind = git2::ObjectType::Tag;
        let id = from_oid(git2::Oid::hash_object_ext(kind, content, self.repository.object_format())?)?;
        // Checked first, so that this works in a read-only repository.
        if self.contains(&id) { Ok(id) } else { self.write(kind, content) }
    }

    /// Reads a file's content.
    ///
    /// # Errors
    ///
    /// Fails where the object is missing or is no blob. Nothing is fetched.
    pub fn read_blob(&self, id: &ObjectId) -> Result<Vec<u8>, ObjectError> {
        Ok(self.repository.find_blob(self.oid(id)?)?.content().to_vec())
    }

    /// Writes a blob and returns its id.
    ///
    /// # Errors
    ///
    /// Fails where the object database cannot be written.
    pub fn write_blob(&self, content: &[u8]) -> Result<ObjectId, ObjectError> {
        self.write(git2::ObjectType::Blob, content)
    }

    /// Writes a commit and returns its id.
    ///
    /// # Errors
    ///
    /// Fails where the object database cannot be written.
    pub fn write_commit(
        &self,
        tree: &ObjectId,
        parents: &[ObjectId],
        committer: &str,
        message: &str,
    ) -> Result<ObjectId, ObjectError> {
        use std::fmt::Write;
        let mut content = format!("tree {tree}\n");
        for parent in parents {
            // Writing to a string cannot fail.
            let _ = writeln!(content, "parent {parent}");
        }
        let _ = write!(content, "author {committer}\ncommitter {committer}\n\n{message}");
        self.write(git2::ObjectType::Commit, content.as_bytes())
    }

    pub(super) fn write(&self, kind: git2::ObjectType, content: &[u8]) -> Result<ObjectId, ObjectError> {
        let id = from_oid(self.repository.odb()?.write(kind, content)?)?;
        if let Some(written) = &self.written {
            written.keep(&id, kind, content);
        }
        Ok(id)
    }

    /// Rewrites objects of this process that were pruned. Returns whether there were any.
    pub(super) fn restore(&self, written: &Written) -> Result<bool, ObjectError> {
        let mut restored = false;
        written.visit(|id, kind, content| {
            if !self.contains(id) {
                self.write(kind, content)?;
                restored = true;
            }
            Ok::<_, ObjectError>(())
        })?;
        Ok(restored)
    }

    /// Keeps a copy of an object that libgit2 has just written.
    pub(super) fn written(&self, oid: git2::Oid) -> Result<git2::Oid, ObjectError> {
        if let Some(written) = &self.written {
            let odb = self.repository.odb()?;
            let object = odb.read(oid)?;
            written.keep(&from_oid(oid)?, object.kind(), object.data());
        }
        Ok(oid)
    }

    /// Reads a file of a commit; `None` where there is nothing of that name.
    pub(super) fn read_file(&self, commit: &CommitId, path: &str) -> Result<Option<Vec<u8>>, ObjectError> {
        let Some(entry) = self.entry(commit, path)? else { return Ok(None) };
        let object = entry.to_object(&self.repository)?;
        match object.as_blob() {
            Some(blob) => Ok(Some(blob.content().to_vec())),
            None => Err(ObjectError::NotAFile { path: path.to_owned(), commit: commit.clone() }),
        }
    }

    /// Lists a directory of a commit; `None` where there is no such directory.
    pub(super) fn list_directory(
        &self,
        commit: &CommitId,
        path: &str,
    ) -> Result<Option<Vec<(String, EntryKind)>>, ObjectError> {
        let tree = if path.is_empty() || path == "." {
            self.repository.find_commit(self.oid(&commit.0)?)?.tree()?
        } else {
            let Some(entry) = self.entry(commit, path)? else { return Ok(None) };
            match entry.to_object(&self.repository)?.into_tree() {
                Ok(tree) => tree,
                Err(_) => return Ok(None),
            }
        };
        let entries = tree.iter().filter_map(|entry| {
            let kind = match entry.kind()? {
                git2::ObjectType::Tree => EntryKind::Directory,
                git2::ObjectType::Blob => EntryKind::File,
                _ => return None,
            };
            Some((entry.name().ok()?.to_owned(), kind))
        });
        Ok(Some(entries.collect()))
    }

    pub(super) fn entry(
        &self,
        commit: &CommitId,
        path: &str,
    ) -> Result<Option<git2::TreeEntry<'static>>, ObjectError> {
        let tree = self.repository.find_commit(self.oid(&commit.0)?)?.tree()?;
        match tree.get_path(Path::new(path.trim_start_matches("./"))) {
            Ok(entry) => Ok(Some(entry)),
            Err(error) if error.code() == git2::ErrorCode::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The relation of two commits, in the history that is here.
    ///
    /// # Errors
    ///
    /// Fails where an id has another format than those of the repository. A history that ends early
    /// is [`Ancestry::Unrelated`].
    pub fn ancestry(&self, first: &CommitId, second: &CommitId) -> Result<Ancestry, ObjectError> {
        if first == second {
            return Ok(Ancestry::Same);
        }
        let (first, second) = (self.oid(&first.0)?, self.oid(&second.0)?);
        // A walk into a missing (shallow) history is an error: then the relation is unknown.
        let reaches = |from, to| self.repository.graph_descendant_of(from, to).unwrap_or(false);
        Ok(if reaches(second, first) {
            Ancestry::Ancestor
        } else if reaches(first, second) {
            Ancestry::Descendant
        } else {
            Ancestry::Unrelated
        })
    }

    /// The parents that a commit names, whether or not they are here (shallow clones).
    ///
    /// # Errors
    ///
    /// Fails where the commit is missing or malformed.
    pub fn parents(&self, commit: &ObjectId) -> Result<Vec<ObjectId>, ObjectError> {
        let odb = self.repository.odb()?;
        let object = odb.read(self.oid(commit)?)?;
        let text = String::from_utf8_lossy(object.data());
        let header = text.lines().skip(1).map_while(|line| line.strip_prefix("parent "));
        header.map(|id| id.parse().map_err(|_| ObjectError::Damaged(commit.clone()))).collect()
    }

    /// The time of a commit, in seconds since 1970; `None` where it is not here.
    #[must_use]
    pub fn commit_time(&self, commit: &CommitId) -> Option<i64> {
        let commit = self.repository.find_commit(self.oid(&commit.0).ok()?).ok()?;
        Some(commit.time().seconds())
    }

    /// The first paragraph of a commit's message, in one line.
    ///
    /// # Errors
    ///
    /// Fails where the commit is missing.
    pub fn commit_summary(&self, commit: &CommitId) -> Result<String, ObjectError> {
        let commit = self.repository.find_commit(self.oid(&commit.0)?)?;
        let message = text::decoded(commit.message_bytes(), commit.message_encoding().ok().flatten());
        let lines = message.trim_start().lines().map(str::trim).take_while(|line| !line.is_empty());
        Ok(lines.collect::<Vec<_>>().join(" "))
    }

    /// The tree of a commit that holds notes.
    pub(super) fn commit_tree(&self, commit: &ObjectId) -> Result<git2::Tree<'_>, ObjectError> {
        Ok(self.repository.find_commit(self.oid(commit)?)?.tree()?)
    }

    /// The repository, for sibling modules that build trees.
    pub(super) const fn repository(&self) -> &git2::Repository {
        &self.repository
    }
}

/// The id as text.
pub(super) fn from_oid(oid: git2::Oid) -> Result<ObjectId, ObjectError> {
    let text = oid.to_string();
    text.parse().map_err(|_| git2::Error::from_str("an object id that is neither SHA-1 nor SHA-256").into())
}

/// Splits a tag object into its target, its name and its message.
fn parse_tag(data: &[u8]) -> Option<TagObject> {
    let header_end = memmem::find(data, b"\n\n").map_or(data.len(), |at| at + 2);
    // The tagger's name can be in any encoding.
    let header = std::str::from_utf8(&data[..header_end])
        .map_or_else(|_| String::from_utf8_lossy(&data[..header_end]), Cow::Borrowed);
    let mut lines = header.lines();
    let target = lines.next()?.strip_prefix("object ")?.parse().ok()?;
    let is_of_commit = lines.next()?.strip_prefix("type ")? == "commit";
    let name = lines.find_map(|line| line.strip_prefix("tag "))?.to_owned();
    Some(TagObject { target, is_of_commit, name, message: data[header_end..].to_vec() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_splits_at_the_first_blank_line_only() {
        let id = "a".repeat(40);
        let data = format!("object {id}\ntype commit\ntag x\ntagger A <a@b> 1 +0000\n\none\n\ntwo\n");
        let tag = parse_tag(data.as_bytes()).unwrap();
        assert_eq!(tag.target.as_str(), id);
        assert_eq!(tag.message, b"one\n\ntwo\n");
    }

    #[test]
    fn bytes_that_are_no_tag_are_refused() {
        assert_eq!(parse_tag(b"tree nothing\n\n"), None);
        assert_eq!(parse_tag(b""), None);
    }
}
