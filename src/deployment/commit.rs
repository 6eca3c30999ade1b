//! Object ids.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The error that a text is not a full object id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a full object id (40 or 64 hexadecimal digits)")]
pub struct ObjectIdError(pub String);

/// The full id of any Git object: 40 hexadecimal digits (SHA-1) or 64 (SHA-256), lower case.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
#[schemars(inline)]
#[serde(try_from = "String", into = "String")]
pub struct ObjectId(String);

impl ObjectId {
    /// The id as hexadecimal digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first seven digits, for tables. Never written anywhere.
    #[must_use]
    pub fn short(&self) -> &str {
        &self.0[..7]
    }
}

/// Whether a text can be an object id, in full or abbreviated by git: at least four hexadecimal
/// digits.
#[must_use]
pub fn is_abbreviated_id(text: &str) -> bool {
    (4..=64).contains(&text.len()) && text.bytes().all(|digit| digit.is_ascii_hexdigit())
}

impl FromStr for ObjectId {
    type Err = ObjectIdError;

    fn from_str(text: &str) -> Result<Self, ObjectIdError> {
        if matches!(text.len(), 40 | 64) && text.bytes().all(|b| b.is_ascii_hexdigit()) {
            Ok(Self(text.to_ascii_lowercase()))
        } else {
            Err(ObjectIdError(text.chars().take(80).collect()))
        }
    }
}

impl TryFrom<String> for ObjectId {
    type Error = ObjectIdError;

    fn try_from(text: String) -> Result<Self, ObjectIdError> {
        text.parse()
    }
}

impl From<ObjectId> for String {
    fn from(id: ObjectId) -> Self {
        id.0
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// The full id of a commit.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
#[schemars(inline)]
#[serde(transparent)]
pub struct CommitId(pub ObjectId);

impl CommitId {
    /// The id as hexadecimal digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The first seven digits, for tables. Never written anywhere.
    #[must_use]
    pub fn short(&self) -> &str {
        self.0.short()
    }
}

impl FromStr for CommitId {
    type Err = ObjectIdError;

    fn from_str(text: &str) -> Result<Self, ObjectIdError> {
        text.parse().map(Self)
    }
}

impl fmt::Display for CommitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
