//! Errors of vendoring: of declarations, sources, content and the cache.

use std::path::PathBuf;

use crate::git::GitError;
use crate::git::objects::ObjectError;

/// Why a component cannot be vendored.
#[derive(Debug, thiserror::Error)]
pub enum VendorError {
    /// A declaration that is wrong, or that is not acted on.
    #[error("{at}: {message}")]
    Declaration { at: String, message: String, hint: String },
    /// A file with declarations cannot be read.
    #[error("{file}: {message}")]
    Manifest { file: String, message: String },
    /// A source without the wanted version, or a wrong folder.
    #[error("{place}: {message}")]
    Source { place: String, message: String, hint: String },
    #[error("{place} cannot be fetched: {source}")]
    Git { place: String, source: GitError },
    #[error("{place} cannot be read: {source}")]
    Objects { place: String, source: ObjectError },
    /// Content that is not what the lock file says.
    #[error("{place} is not what is locked: {found}, and the lock file says {locked}")]
    Locked { place: String, found: String, locked: String },
    /// A declaration without a row in the lock file, where one is required.
    #[error("{at}: {place} is not locked as it is declared")]
    NotLocked { at: String, place: String },
    /// Content that cannot be stored safely.
    #[error("{place}: {path:?} {problem}")]
    Content { place: String, path: String, problem: &'static str },
    /// A cached object that is no longer as it was stored.
    #[error("{} is not what was stored there", folder.display())]
    Altered { folder: PathBuf },
    #[error("the vendor cache is not usable: {}: {source}", path.display())]
    Files { path: PathBuf, source: std::io::Error },
    #[error("the vendor cache is not usable: {} cannot be read: {message}", file.display())]
    Index { file: PathBuf, message: String },
    /// A source that is not in the cache, with `--offline`.
    #[error("{place} is not in the vendor cache, and --offline fetches nothing")]
    Offline { place: String },
}

impl VendorError {
    /// The error of a path of the cache.
    pub(super) fn files(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Files { path, source }
    }
}
