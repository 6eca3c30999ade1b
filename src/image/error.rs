//! Errors of image builds.

use std::io;

use super::settings::SettingsError;
use crate::component::{FolderError, ProcessError};

/// A build that failed.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    #[error(transparent)]
    Settings(#[from] SettingsError),
    #[error(transparent)]
    Source(#[from] FolderError),
    #[error("it needs nixpacks, which is not on PATH")]
    NixpacksMissing,
    #[error("{what}: {source}")]
    Process { what: &'static str, source: ProcessError },
    #[error("cannot {action}: {source}")]
    Files { action: &'static str, source: io::Error },
    /// Docker's legacy builder lacks features that a build needs.
    #[error(
        "docker has no buildx, which builds images: install its plugin (Debian: apt-get install docker-buildx), or set \
         ATMOS_CONTAINER_ENGINE to buildah or podman"
    )]
    BuildxMissing,
    /// The engine succeeded without reporting the digest of the image.
    #[error("{engine} did not say which image came of it")]
    NoDigest { engine: String },
    #[error("the registry took {image} and does not have it")]
    NotInRegistry { image: String },
}

/// No container engine was found.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    #[error("there is no container engine on PATH: docker with buildx, buildah or podman")]
    NoneFound,
    #[error("ATMOS_CONTAINER_ENGINE asks for {0}, which is not on PATH")]
    Missing(String),
    #[error("ATMOS_CONTAINER_ENGINE is {0:?}; it can be docker, buildah or podman")]
    Unknown(String),
}

impl BuildError {
    /// Whether it was cancelled rather than failed by itself.
    #[must_use]
    pub const fn is_cancelled(&self) -> bool {
        matches!(self, Self::Process { source: ProcessError::Cancelled { .. }, .. })
    }

    pub(super) fn files(action: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Files { action, source }
    }

    pub(super) fn process(what: &'static str) -> impl FnOnce(ProcessError) -> Self {
        move |source| Self::Process { what, source }
    }
}
