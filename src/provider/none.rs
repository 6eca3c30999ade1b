//! No platform: a job of another CI, or a terminal. Everything is declined.

use super::{Platform, Provider};

/// Nothing that could show or know anything.
#[derive(Debug)]
pub(super) struct NoPlatform;

impl Provider for NoPlatform {
    fn platform(&self) -> Platform {
        Platform::None
    }
}
