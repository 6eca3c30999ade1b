//! The provider without a platform: a job of another CI, or a terminal. Every capability is
//! declined.

use super::{Platform, Provider};

/// A platform without capabilities.
#[derive(Debug)]
pub(super) struct NoPlatform;

impl Provider for NoPlatform {
    fn platform(&self) -> Platform {
        Platform::None
    }
}
