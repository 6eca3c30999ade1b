//! The error of a rollout of which no component could be started.

use super::{Code, CommandError};
use crate::execution::StartError;

impl From<StartError> for CommandError {
    fn from(error: StartError) -> Self {
        let code = match error {
            StartError::Threads(_) => Code::Internal,
            StartError::Scratch(_) => Code::Files,
        };
        Self::new(code, error.to_string())
    }
}
