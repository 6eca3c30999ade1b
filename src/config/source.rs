//! Sources of configuration: a directory on disk, or the tree of a commit.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::boundary::Boundary;

use super::path;

/// The largest configuration file that is read, in bytes.
pub const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// A tree of configuration files.
///
/// Paths are relative to the repository's root, with `/` between their
/// parts; the root is the empty string.
pub trait Source {
    /// The content of a file; `None` where there is no such file.
    ///
    /// Reads at most `limit` bytes and answers [`SourceError::TooLarge`] where there is more.
    fn read(&self, path: &str, limit: u64) -> Result<Option<Vec<u8>>, SourceError>;

    /// The names of the files directly inside a directory, in any order; empty
    /// where there is no such directory.
    fn list(&self, directory: &str) -> Result<Vec<String>, SourceError>;
}

impl<S: Source + ?Sized> Source for Box<S> {
    fn read(&self, path: &str, limit: u64) -> Result<Option<Vec<u8>>, SourceError> {
        (**self).read(path, limit)
    }

    fn list(&self, directory: &str) -> Result<Vec<String>, SourceError> {
        (**self).list(directory)
    }
}

/// A source that could not be read.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The path leads out of the repository.
    #[error("{path:?} is outside of the repository")]
    Outside { path: String },
    /// The file is larger than the caller accepts.
    #[error("{path} is larger than {limit} bytes")]
    TooLarge { path: String, limit: u64 },
    /// The file differs from that of the checked-out commit.
    #[error("{path} is not as in the commit that is checked out")]
    Uncommitted { path: String },
    /// The operating system refused.
    #[error("cannot read {path}")]
    Io {
        path: String,
        #[source]
        source: io::Error,
    },
    /// Another source of files, such as a commit's tree, could not be read.
    #[error("cannot read {path}")]
    Other {
        path: String,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// The working tree, or any other directory on disk.
#[derive(Debug, Clone)]
pub struct DirectorySource {
    root: PathBuf,
    boundary: Boundary,
}

impl DirectorySource {
    /// The directory whose content the paths are relative to.
    #[must_use]
    pub fn new(root: impl Into<PathBuf>) -> Self {
        let root = root.into();
        Self { boundary: Boundary::new(&root), root }
    }

    /// The directory whose content the paths are relative to.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    fn resolve(&self, path: &str) -> Result<PathBuf, SourceError> {
        if path::is_inside(path) {
            Ok(self.root.join(path))
        } else {
            Err(SourceError::Outside { path: path.to_owned() })
        }
    }
}

impl Source for DirectorySource {
    fn read(&self, path: &str, limit: u64) -> Result<Option<Vec<u8>>, SourceError> {
        let fail = |source| SourceError::Io { path: path.to_owned(), source };
        let resolved = self.resolve(path)?;
        let Some(file) = self.boundary.open(&resolved).map_err(fail)? else { return Ok(None) };
        let mut content = Vec::new();
        file.take(limit.saturating_add(1)).read_to_end(&mut content).map_err(fail)?;
        if content.len() as u64 > limit {
            return Err(SourceError::TooLarge { path: path.to_owned(), limit });
        }
        Ok(Some(content))
    }

    fn list(&self, directory: &str) -> Result<Vec<String>, SourceError> {
        let fail = |source| SourceError::Io { path: directory.to_owned(), source };
        let resolved = self.boundary.resolve(&self.resolve(directory)?).map_err(fail)?;
        let Some(resolved) = resolved.filter(|resolved| resolved.is_dir()) else { return Ok(Vec::new()) };
        let entries = std::fs::read_dir(resolved).map_err(fail)?;
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.map_err(fail)?;
            // Follows symbolic links; a dangling one is no file.
            if entry.path().is_file() {
                names.push(entry.file_name().to_string_lossy().into_owned());
            }
        }
        Ok(names)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_gives_its_files_and_nothing_outside_of_it() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("deployments")).unwrap();
        std::fs::write(directory.path().join("deployments/api.yaml"), "x: 1").unwrap();
        let source = DirectorySource::new(directory.path());
        assert_eq!(source.list("deployments").unwrap(), ["api.yaml"]);
        assert_eq!(source.list("absent").unwrap(), [""; 0]);
        assert_eq!(source.read("deployments/api.yaml", 4).unwrap().unwrap(), b"x: 1");
        assert!(source.read("deployments", 4).unwrap().is_none());
        assert!(source.read("deployments/api.yaml/x", 4).unwrap().is_none());
        assert!(matches!(
            source.read("deployments/api.yaml", 3),
            Err(SourceError::TooLarge { limit: 3, .. })
        ));
        assert!(matches!(source.read("../x", 9), Err(SourceError::Outside { .. })));
        assert!(matches!(source.list("/etc"), Err(SourceError::Outside { .. })));
    }
}
