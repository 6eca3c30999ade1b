//! The files of one commit, fetched lazily in a partial clone.

use std::time::Duration;

use crate::deployment::CommitId;

use super::objects::{EntryKind, ObjectError, ObjectStore};
use super::place::Place;
use super::process::Git;
use super::repository::Repository;

/// The timeout of a lazy fetch.
const FETCH_TIMEOUT: Duration = Duration::from_mins(1);

/// The files in the tree of a commit. Git fetches those that a partial clone lacks.
#[derive(Debug)]
pub struct CommitTree {
    git: Git,
    objects: ObjectStore,
    commit: CommitId,
}

impl CommitTree {
    /// The files of a commit of a repository.
    ///
    /// # Errors
    ///
    /// Fails where the repository's objects cannot be opened.
    pub fn new(repository: &Repository, commit: CommitId) -> Result<Self, ObjectError> {
        Ok(Self { git: repository.git().clone(), objects: repository.objects()?, commit })
    }

    /// Reads a file; `None` where there is nothing of that name.
    ///
    /// # Errors
    ///
    /// Fails where it is no file, or is neither here nor on the remote.
    pub fn read_file(&self, path: &str) -> Result<Option<Vec<u8>>, ObjectError> {
        self.fetching(path, || self.objects.read_file(&self.commit, path))
    }

    /// Lists a directory; `None` where there is no such directory.
    ///
    /// # Errors
    ///
    /// Fails where it is neither here nor on the remote.
    pub fn list_directory(&self, path: &str) -> Result<Option<Vec<(String, EntryKind)>>, ObjectError> {
        self.fetching(path, || self.objects.list_directory(&self.commit, path))
    }

    /// The kind of entry at a path, without following links and submodules.
    ///
    /// # Errors
    ///
    /// Fails where it is neither here nor on the remote.
    pub fn place(&self, path: &str) -> Result<Place, ObjectError> {
        self.fetching(path, || self.objects.place(&self.commit, path))
    }

    /// Retries a failed read after git has read the object, which fetches a missing one in a
    /// partial clone.
    fn fetching<T>(&self, path: &str, read: impl Fn() -> Result<T, ObjectError>) -> Result<T, ObjectError> {
        let missing = match read() {
            Err(missing @ ObjectError::Git(_)) => missing,
            done => return done,
        };
        let object = format!("{}:{path}", self.commit);
        let fetched = self.git.verb("cat-file").args(["-p", &object]).limit(Some(FETCH_TIMEOUT)).run();
        match fetched {
            Ok(_) => read(),
            // Git may have fetched the parent folders: the second read then
            // knows that the path is absent.
            Err(error) => read().map_err(|_| {
                tracing::debug!(%error, object, "git does not have it either");
                if self.git.is_offline() {
                    let path = if path.is_empty() { "the list of files" } else { path };
                    return ObjectError::NotHere { path: path.to_owned(), commit: self.commit.clone() };
                }
                missing
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Fixture;
    use super::*;

    #[test]
    fn what_a_partial_clone_lacks_is_fetched() {
        let origin = Fixture::new(&[]);
        origin.git(&["config", "uploadpack.allowFilter", "true"], "");
        std::fs::create_dir_all(origin.folder.path().join("a/b")).unwrap();
        std::fs::write(origin.folder.path().join("a/b/file"), "text").unwrap();
        origin.git(&["add", "a"], "");
        origin.git(&["commit", "--quiet", "--message", "x"], "");
        let commit: CommitId = origin.git(&["rev-parse", "HEAD"], "").trim().parse().unwrap();
        let url = format!("file://{}", origin.folder.path().display());
        for filter in ["tree:0", "blob:none"] {
            let clone = Fixture::new(&[]);
            clone.git(&["remote", "add", "origin", &url], "");
            let fetch = ["fetch", "--quiet", &format!("--filter={filter}"), "origin", "HEAD"];
            clone.git(&fetch, "");
            let repository = clone.repository();
            let objects = repository.objects().unwrap();
            assert!(objects.read_file(&commit, "a/b/file").is_err(), "{filter}: it is here");
            let offline = clone.repository().offline();
            let tree = CommitTree::new(&offline, commit.clone()).unwrap();
            let refused = tree.read_file("a/b/file").unwrap_err().to_string();
            assert!(
                refused.ends_with("is not in this partial clone, and --offline fetches nothing"),
                "{refused}"
            );
            assert!(
                repository.objects().unwrap().read_file(&commit, "a/b/file").is_err(),
                "{filter}: fetched"
            );
            let tree = CommitTree::new(&repository, commit.clone()).unwrap();
            assert_eq!(tree.read_file("nothing").unwrap(), None, "{filter}");
            let listed = tree.list_directory("a/b").unwrap().unwrap();
            assert_eq!(listed, [("file".to_owned(), EntryKind::File)], "{filter}");
            assert_eq!(tree.read_file("a/b/file").unwrap().as_deref(), Some(&b"text"[..]), "{filter}");
            assert_eq!(tree.read_file("a/nothing").unwrap(), None, "{filter}");
            assert_eq!(tree.list_directory("nowhere").unwrap(), None, "{filter}");
        }
    }
}
