//! Repositories of others, read for their files: fetched into a bare repository that no
//! configuration of the checkout applies to. Nothing is checked out; no hook or filter runs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::deployment::{CommitId, ObjectId};

use super::error::GitError;
use super::objects::{ObjectError, ObjectStore};
use super::process::Git;
use super::repository::{Repository, parse_id};

/// The timeout of one command that talks to another repository.
const LIMIT: Duration = Duration::from_mins(10);

/// The deepest folder that is read.
const MAX_DEPTH: usize = 64;

/// The most entries that are read: a few nested trees can name any number of files.
const MAX_ENTRIES: usize = 500_000;

/// A bare repository for objects of others.
#[derive(Debug)]
pub struct ForeignRepository {
    git: Git,
    folder: PathBuf,
}

/// The branches and tags of another repository, with the commits that they lead to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ForeignRefs {
    pub branches: BTreeMap<String, CommitId>,
    pub tags: BTreeMap<String, CommitId>,
}

/// The kind of a tree's entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TreeEntryKind {
    File,
    Executable,
    Link,
    Submodule,
}

/// An entry below a folder of a commit; the path is relative to that folder, as stored.
#[derive(Debug, Clone)]
pub struct TreeEntry {
    pub path: Vec<u8>,
    pub kind: TreeEntryKind,
    id: git2::Oid,
}

/// The files of commits, by their objects.
#[derive(Debug)]
pub struct TreeFiles(ObjectStore);

impl Git {
    /// Creates an empty repository for objects of others in a folder.
    ///
    /// # Errors
    ///
    /// Fails where the folder cannot be created.
    pub fn foreign(&self, folder: &Path) -> Result<ForeignRepository, GitError> {
        std::fs::create_dir_all(folder)?;
        let mut git = self.other(folder);
        for setting in [
            // `ext::` runs commands, and the others are obsolete.
            "protocol.allow=never",
            "protocol.https.allow=always",
            "protocol.http.allow=always",
            "protocol.ssh.allow=always",
            "protocol.file.allow=always",
        ] {
            git = git.with_setting(setting);
        }
        let repository = ForeignRepository { git, folder: folder.to_owned() };
        repository.init("sha1")?;
        Ok(repository)
    }
}

impl ForeignRepository {
    fn init(&self, format: &str) -> Result<(), GitError> {
        let format = format!("--object-format={format}");
        self.git.verb("init").args(["--quiet", "--bare", "--template=", &format]).run().map(|_| ())
    }

    /// Lists the branches and tags of the repository at an address.
    ///
    /// # Errors
    ///
    /// Fails where it does not answer.
    pub fn refs(&self, address: &str) -> Result<ForeignRefs, GitError> {
        let invocation = self.git.verb("ls-remote").args(["--heads", "--tags", "--", address]);
        let output = invocation.limit(Some(LIMIT)).run()?;
        let mut refs = ForeignRefs::default();
        for (object, name) in
            String::from_utf8_lossy(&output).lines().filter_map(|line| line.split_once('\t'))
        {
            let commit = CommitId(parse_id("ls-remote", object)?);
            if let Some(branch) = name.strip_prefix("refs/heads/") {
                refs.branches.insert(branch.to_owned(), commit);
            } else if let Some(tag) = name.strip_prefix("refs/tags/") {
                // The peeled object follows its tag and replaces it.
                refs.tags.insert(tag.strip_suffix("^{}").unwrap_or(tag).to_owned(), commit);
            }
        }
        Ok(refs)
    }

    /// Fetches commits without their histories, all of them at once: each by a ref that leads to
    /// it, or by its own id.
    ///
    /// # Errors
    ///
    /// Fails where the remote does not answer, or lacks one of them.
    pub fn fetch(&self, address: &str, wanted: &[(&str, &CommitId)]) -> Result<(), GitError> {
        if wanted.first().is_some_and(|(_, commit)| commit.as_str().len() == 64) {
            // A repository that holds nothing yet may change its format.
            std::fs::remove_dir_all(&self.folder)?;
            std::fs::create_dir_all(&self.folder)?;
            self.init("sha256")?;
        }
        let numbered = wanted.iter().enumerate();
        let refspecs: Vec<_> =
            numbered.map(|(number, (name, _))| format!("+{name}:refs/vendor/{number}")).collect();
        let invocation = self
            .git
            .verb("fetch")
            .args(["--quiet", "--no-tags", "--no-write-fetch-head", "--no-auto-maintenance"])
            .args(["--no-recurse-submodules", "--refmap=", "--depth=1", "--", address])
            .args(refspecs);
        invocation.limit(Some(LIMIT)).run().map(|_| ())
    }

    /// The files of what was fetched.
    ///
    /// # Errors
    ///
    /// Fails where the objects cannot be opened.
    pub fn files(&self) -> Result<TreeFiles, ObjectError> {
        Ok(TreeFiles(ObjectStore::open(&self.folder)?))
    }
}

impl Repository {
    /// The files of this repository's own commits.
    ///
    /// # Errors
    ///
    /// Fails where the objects cannot be opened.
    pub fn tree_files(&self) -> Result<TreeFiles, ObjectError> {
        Ok(TreeFiles(self.objects()?))
    }
}

impl TreeFiles {
    /// Whether a commit is here.
    #[must_use]
    pub fn has(&self, commit: &CommitId) -> bool {
        self.0.contains(&commit.0)
    }

    /// All files below a folder of a commit; `None` where there is no such folder.
    ///
    /// # Errors
    ///
    /// Fails where an object is missing or damaged, or folders are nested too deeply.
    pub fn below(&self, commit: &CommitId, folder: &str) -> Result<Option<Vec<TreeEntry>>, ObjectError> {
        let raw = self.0.raw();
        let root = raw.find_commit(self.0.oid(&commit.0)?)?.tree()?;
        let tree = if folder.is_empty() {
            root
        } else {
            match root.get_path(Path::new(folder)) {
                Ok(entry) if entry.kind() == Some(git2::ObjectType::Tree) => raw.find_tree(entry.id())?,
                Ok(_) => return Ok(None),
                Err(error) if error.code() == git2::ErrorCode::NotFound => return Ok(None),
                Err(error) => return Err(error.into()),
            }
        };
        let mut entries = Vec::new();
        walk(raw, &tree, &mut Vec::new(), 0, &mut entries)?;
        Ok(Some(entries))
    }

    /// The size of a file in bytes.
    ///
    /// # Errors
    ///
    /// Fails where it is not here.
    pub fn size(&self, entry: &TreeEntry) -> Result<u64, ObjectError> {
        Ok(self.0.raw().odb()?.read_header(entry.id)?.0 as u64)
    }

    /// The content of a file, or the path in a link.
    ///
    /// # Errors
    ///
    /// Fails where it is not here.
    pub fn content(&self, entry: &TreeEntry) -> Result<Vec<u8>, ObjectError> {
        Ok(self.0.raw().find_blob(entry.id)?.content().to_vec())
    }
}

/// Adds the entries below a tree.
fn walk(
    raw: &git2::Repository,
    tree: &git2::Tree<'_>,
    path: &mut Vec<u8>,
    depth: usize,
    entries: &mut Vec<TreeEntry>,
) -> Result<(), ObjectError> {
    if depth > MAX_DEPTH {
        return Err(git2::Error::from_str("folders are nested too deeply").into());
    }
    for entry in tree {
        let length = path.len();
        if length > 0 {
            path.push(b'/');
        }
        path.extend_from_slice(entry.name_bytes());
        let kind = match (entry.kind(), entry.filemode()) {
            (Some(git2::ObjectType::Tree), _) => None,
            (Some(git2::ObjectType::Commit), _) => Some(TreeEntryKind::Submodule),
            (_, 0o120_000) => Some(TreeEntryKind::Link),
            (_, mode) if mode & 0o111 != 0 => Some(TreeEntryKind::Executable),
            _ => Some(TreeEntryKind::File),
        };
        match kind {
            Some(_) if entries.len() >= MAX_ENTRIES => {
                return Err(git2::Error::from_str("there are too many files").into());
            }
            Some(kind) => entries.push(TreeEntry { path: path.clone(), kind, id: entry.id() }),
            None => walk(raw, &raw.find_tree(entry.id())?, path, depth + 1, entries)?,
        }
        path.truncate(length);
    }
    Ok(())
}

/// The commit of a full id; `None` for any other text.
#[must_use]
pub fn full_id(text: &str) -> Option<CommitId> {
    let is_id = matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_id.then(|| text.to_ascii_lowercase().parse::<ObjectId>().ok().map(CommitId)).flatten()
}

#[cfg(test)]
mod tests {
    use super::super::testing::Fixture;
    use super::*;

    #[test]
    fn commits_of_another_repository_are_read_without_its_history() {
        let other = Fixture::new(&[]);
        std::fs::create_dir_all(other.folder.path().join("a/b")).unwrap();
        std::fs::write(other.folder.path().join("a/b/file"), "text").unwrap();
        std::os::unix::fs::symlink("b/file", other.folder.path().join("a/link")).unwrap();
        other.git(&["add", "a"], "");
        other.git(&["commit", "--quiet", "--message", "x"], "");
        other.git(&["tag", "--annotate", "--message", "x", "v1"], "");
        let head: CommitId = other.git(&["rev-parse", "HEAD"], "").trim().parse().unwrap();
        let place = tempfile::tempdir().unwrap();
        let own = Fixture::new(&[]).repository().git().foreign(&place.path().join("r")).unwrap();
        let address = format!("file://{}", other.folder.path().display());
        let refs = own.refs(&address).unwrap();
        assert_eq!(refs.tags, [("v1".to_owned(), head.clone())].into());
        assert_eq!(refs.branches.len(), 1);
        own.fetch(&address, &[("refs/tags/v1", &head), (head.as_str(), &head)]).unwrap();
        let files = own.files().unwrap();
        assert!(files.has(&head));
        assert!(!files.has(&other.commits[1].parse().unwrap()), "the history was fetched");
        let below = files.below(&head, "a").unwrap().unwrap();
        let told: Vec<_> = below
            .iter()
            .map(|entry| {
                (String::from_utf8(entry.path.clone()).unwrap(), entry.kind, files.size(entry).unwrap())
            })
            .collect();
        let expected =
            [("b/file".to_owned(), TreeEntryKind::File, 4), ("link".to_owned(), TreeEntryKind::Link, 6)];
        assert_eq!(told, expected);
        assert_eq!(files.content(&below[0]).unwrap(), b"text");
        assert!(files.below(&head, "a/b/file").unwrap().is_none());
        assert!(files.below(&head, "nowhere").unwrap().is_none());
    }

    #[test]
    fn only_transports_that_run_no_commands_are_used() {
        let place = tempfile::tempdir().unwrap();
        let own = Fixture::new(&[]).repository().git().foreign(place.path()).unwrap();
        let touched = place.path().join("touched");
        let refused = own.refs(&format!("ext::touch {}", touched.display())).unwrap_err().to_string();
        assert!(refused.contains("transport 'ext' not allowed"), "{refused}");
        assert!(!touched.exists());
    }
}
