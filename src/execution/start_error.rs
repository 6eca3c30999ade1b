//! The errors of a rollout that cannot start.

use std::io;

/// The reason why no component was started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("cannot start the threads that run components: {0}")]
    Threads(#[source] io::Error),
    #[error("cannot make a folder for temporary files: {0}")]
    Scratch(#[source] io::Error),
}
