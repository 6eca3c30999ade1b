//! The async runtime of commands that wait for asynchronous work.

use tokio::runtime::{Builder, Runtime};

use crate::error::CommandError;

/// The runtime cannot be created: the system is out of resources.
#[derive(Debug, thiserror::Error)]
#[error("cannot make a runtime: {0}")]
pub struct NoRuntime(#[from] std::io::Error);

impl From<NoRuntime> for CommandError {
    fn from(error: NoRuntime) -> Self {
        Self::internal(error.to_string())
    }
}

/// A runtime on the current thread.
pub fn on_this_thread() -> Result<Runtime, NoRuntime> {
    Ok(Builder::new_current_thread().enable_all().build()?)
}
