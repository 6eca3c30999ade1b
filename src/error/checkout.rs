//! The error of a commit that cannot be checked out for its components.

use super::{Code, CommandError};
use crate::execution::CheckoutError;
use crate::git::GitError;

impl From<CheckoutError> for CommandError {
    fn from(error: CheckoutError) -> Self {
        match error {
            CheckoutError::Git { commit, source } => {
                let is_plain = matches!(source, GitError::Failed { .. }) && source.damage().is_none();
                let shown =
                    Self::from(source).prefixed(&format!("cannot check out commit {}", commit.short()));
                if is_plain { shown.coded(Code::Checkout) } else { shown }
            }
            error @ CheckoutError::Files { .. } => Self::new(Code::Checkout, error.to_string()),
        }
    }
}
