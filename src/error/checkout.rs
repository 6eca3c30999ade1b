//! The error of a commit that cannot be checked out for its components.

use super::{CommandError, exit};
use crate::execution::CheckoutError;
use crate::git::GitError;

impl From<CheckoutError> for CommandError {
    fn from(error: CheckoutError) -> Self {
        match error {
            CheckoutError::Git { commit, source } => {
                let is_plain = matches!(source, GitError::Failed { .. }) && source.damage().is_none();
                let shown =
                    Self::from(source).prefixed(&format!("cannot check out commit {}", commit.short()));
                if is_plain { shown.coded("checkout") } else { shown }
            }
            error @ CheckoutError::Files { .. } => Self::new(exit::FAILED, "checkout", error.to_string()),
        }
    }
}
