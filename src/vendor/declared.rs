//! The declared source of a folder.

use std::fmt;

use super::address::Address;
use super::error::VendorError;
use super::lock::LockRow;
use super::version::Wish;
use crate::deployment::ComponentName;

/// The place of a declaration; earlier ones take precedence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// `vendor.components` of the deployment.
    Deployment,
    /// The file that `vendor.manifest` names.
    Manifest,
    /// The repository's `vendor.yaml`.
    Repository,
    /// The component's `component.yaml`.
    Component,
}

impl Origin {
    /// The declaration's name in tables.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Deployment => "vendor.components",
            Self::Manifest => "vendor.manifest",
            Self::Repository => "vendor.yaml",
            Self::Component => "component.yaml",
        }
    }
}

/// The declared source of a component's folder.
#[derive(Debug, Clone)]
pub struct Declared {
    /// The folder, from the root of the repository.
    pub folder: String,
    /// The components that have it.
    pub components: Vec<ComponentName>,
    pub address: Address,
    /// Absent for a folder of the same commit.
    pub wish: Option<Wish>,
    pub included_paths: Vec<String>,
    pub excluded_paths: Vec<String>,
    pub origin: Origin,
    pub at: String,
    /// The row of the lock file.
    pub locked: Option<LockRow>,
}

impl Declared {
    /// The source with what is chosen of it: the same text has the same content at the same commit.
    #[must_use]
    pub fn key(&self) -> String {
        let mut key = self.address.to_string();
        for (name, patterns) in [("included", &self.included_paths), ("excluded", &self.excluded_paths)] {
            if !patterns.is_empty() {
                key.extend([" ", name, "=", &patterns.join(",")]);
            }
        }
        key
    }

    /// The declared version, as written.
    #[must_use]
    pub fn version(&self) -> Option<&str> {
        self.wish.as_ref().map(Wish::as_str)
    }

    /// Refuses a version that the lock file does not pin.
    ///
    /// # Errors
    ///
    /// [`VendorError::NotLocked`] for such a version.
    pub fn insist_on_lock(&self) -> Result<(), VendorError> {
        if self.wish.is_none() || self.locked.is_some() {
            return Ok(());
        }
        Err(VendorError::NotLocked { at: self.at.clone(), place: self.to_string() })
    }

    /// Whether both have the same content, whatever that is.
    pub(super) fn is_same_source(&self, other: &Self) -> bool {
        (self.key(), &self.wish) == (other.key(), &other.wish)
    }
}

impl fmt::Display for Declared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.key())?;
        self.version().map_or(Ok(()), |version| write!(f, "@{version}"))
    }
}
