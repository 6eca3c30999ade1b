//! The index of the cache: which content a version of a source has.

use std::collections::BTreeMap;
use std::fs;
use std::io::{ErrorKind, Write};
use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::error::VendorError;

/// The file's name in the cache.
pub const INDEX: &str = ".cache-index.yaml";

/// The form that this program writes.
const VERSION: u32 = 1;

/// The index, `.cache-index.yaml`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Index {
    pub version: u32,
    /// The content by its digest.
    #[serde(default)]
    pub objects: BTreeMap<String, ObjectRow>,
    /// The versions of each source.
    #[serde(default)]
    pub sources: BTreeMap<String, BTreeMap<String, SourceRow>>,
}

/// Content in the cache.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectRow {
    pub size: u64,
    pub files: usize,
    pub created_at: Timestamp,
    pub last_used: Timestamp,
}

/// One version of a source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceRow {
    /// `sha256:` and hexadecimal digits.
    pub digest: String,
    /// The tag, branch or commit that the version was resolved to.
    pub resolved: String,
    pub commit: String,
    /// Whether the version may be another commit at any time: a branch, or a range.
    pub moves: bool,
    pub pulled_at: Timestamp,
}

impl Default for Index {
    fn default() -> Self {
        Self { version: VERSION, objects: BTreeMap::new(), sources: BTreeMap::new() }
    }
}

impl Index {
    /// Reads the index of a cache; an empty one where there is none.
    pub fn read(root: &Path) -> Result<Self, VendorError> {
        let file = root.join(INDEX);
        let text = match fs::read_to_string(&file) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(VendorError::files(&file)(error)),
        };
        let unusable = |message: String| VendorError::Index { file: file.clone(), message };
        let index: Self = serde_yaml::from_str(&text).map_err(|error| unusable(error.to_string()))?;
        if index.version != VERSION {
            return Err(unusable(format!("it has version {}, and {VERSION} is known", index.version)));
        }
        Ok(index)
    }

    /// Replaces the index of a cache at once.
    pub fn write(&self, root: &Path) -> Result<(), VendorError> {
        let file = root.join(INDEX);
        let text = serde_yaml::to_string(self)
            .map_err(|error| VendorError::Index { file: file.clone(), message: error.to_string() })?;
        let written = tempfile::NamedTempFile::new_in(root).and_then(|mut temporary| {
            temporary.write_all(text.as_bytes())?;
            temporary.persist(&file).map_err(|error| error.error)?;
            Ok(())
        });
        written.map_err(VendorError::files(&file))
    }

    /// The row of a source at exactly this commit.
    pub fn at_commit(&self, source: &str, commit: &str) -> Option<&SourceRow> {
        self.sources.get(source)?.values().find(|row| row.commit == commit)
    }
}
