//! The runtime of a command that has something asynchronous to wait for.

use tokio::runtime::{Builder, Runtime};

use crate::error::CommandError;

/// There is no runtime: the machine has run out of something.
#[derive(Debug, thiserror::Error)]
#[error("cannot make a runtime: {0}")]
pub struct NoRuntime(#[from] std::io::Error);

impl From<NoRuntime> for CommandError {
    fn from(error: NoRuntime) -> Self {
        Self::internal(error.to_string())
    }
}

/// A runtime of this thread alone.
pub fn on_this_thread() -> Result<Runtime, NoRuntime> {
    Ok(Builder::new_current_thread().enable_all().build()?)
}
