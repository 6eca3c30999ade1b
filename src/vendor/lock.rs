//! The lock file: which commit and content a declared version stands for, until it is updated.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::error::VendorError;
use crate::deployment::{DeploymentName, TargetName};

/// The name of the lock file, beside the deployment files.
pub const LOCK_FILE: &str = ".vendor-lock.yaml";

/// The form that this program writes.
const VERSION: u32 = 1;

/// The rows of one target, by folder.
type Rows = BTreeMap<String, LockRow>;

/// A lock file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockFile {
    version: u32,
    /// By deployment, then by target.
    #[serde(default)]
    deployments: BTreeMap<String, BTreeMap<String, Rows>>,
}

/// A locked source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockRow {
    pub source: String,
    /// As declared: another declaration is not locked.
    pub version: String,
    /// The tag, branch or commit that the version was resolved to.
    pub resolved: String,
    pub commit: String,
    pub digest: String,
}

impl Default for LockFile {
    fn default() -> Self {
        Self { version: VERSION, deployments: BTreeMap::new() }
    }
}

impl LockFile {
    /// Reads the text of a lock file.
    pub fn parse(file: &str, text: &[u8]) -> Result<Self, VendorError> {
        let wrong = |message: String| VendorError::Manifest { file: file.to_owned(), message };
        let text = std::str::from_utf8(text).map_err(|_| wrong("it is not UTF-8".to_owned()))?;
        let lock: Self = serde_yaml::from_str(text).map_err(|error| wrong(error.to_string()))?;
        if lock.version != VERSION {
            return Err(wrong(format!("it has version {}, and {VERSION} is known", lock.version)));
        }
        Ok(lock)
    }

    /// The text of the file.
    pub fn text(&self, file: &str) -> Result<String, VendorError> {
        serde_yaml::to_string(self)
            .map_err(|error| VendorError::Manifest { file: file.to_owned(), message: error.to_string() })
    }

    /// The row of a folder of a deployment on a target; `None` where another source or version was
    /// locked.
    pub fn row(
        &self,
        (deployment, target): (&DeploymentName, &TargetName),
        folder: &str,
        source: &str,
        version: &str,
    ) -> Option<&LockRow> {
        let row = self.deployments.get(deployment.as_str())?.get(target.as_str())?.get(folder)?;
        (row.source == source && row.version == version).then_some(row)
    }

    /// Replaces the rows of a target; those of folders that are not named stay.
    pub fn set(
        &mut self,
        deployment: &DeploymentName,
        target: &TargetName,
        rows: impl IntoIterator<Item = (String, LockRow)>,
    ) {
        let targets = self.deployments.entry(deployment.to_string()).or_default();
        targets.entry(target.to_string()).or_default().extend(rows);
    }
}
