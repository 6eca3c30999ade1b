//! The digest of a rollout, version 1: of each component's inputs, independent of the place of the
//! request.
//!
//! `docs/digest.md` is the contract; `tests/vectors/digest-v1.json` holds vectors of it.

mod artifacts;
mod configuration;

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::commit::CommitId;
use super::names::{ComponentKind, ComponentName, DeploymentName, TargetName};

pub use artifacts::artifacts;
pub use configuration::Configuration;

/// The version that this program writes and accepts.
const VERSION: u32 = 1;

/// The prefix of digests of this version.
const PREFIX: &str = "v1:sha256:";

/// The largest integer up to which every integer is exact as a double: 2^53 − 1.
const LARGEST_EXACT: u64 = (1 << 53) - 1;

/// The key of an integer that a double cannot represent.
const NUMBER: &str = "$number";

/// The artifact of an image that is not built yet. A plan with one cannot be approved or run by its
/// digest.
pub const UNBUILT: &str = "unbuilt";

/// The artifact of an image that is never pushed (`nixpack.publish: false`): no registry has its
/// digest.
pub const UNPUBLISHED: &str = "unpublished";

/// A digest of this version: `v1:sha256:` and 64 hexadecimal digits in lower case.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(try_from = "String", into = "String")]
#[schemars(inline)]
pub struct Digest(String);

/// The error that a text cannot be used as a required digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DigestError {
    #[error("it is empty; leave out --digest to run without one")]
    Empty,
    #[error("it was made by another version of the program: plan again")]
    OtherVersion,
    #[error("expected v1:sha256: and 64 hexadecimal digits in lower case, as a plan shows it")]
    NotADigest,
}

/// The inputs of one component's digest.
#[derive(Debug, Clone, PartialEq)]
pub struct DigestInput {
    pub deployment: DeploymentName,
    pub target: TargetName,
    pub name: ComponentName,
    pub kind: ComponentKind,
    pub action: DigestAction,
    pub commit: CommitId,
    /// Images by the component that builds them: `registry/name@sha256:…`, [`UNBUILT`] or
    /// [`UNPUBLISHED`].
    pub artifacts: BTreeMap<String, String>,
    /// Digests of external inputs, by path: `sha256:…` of lock files.
    pub sources: BTreeMap<String, String>,
    /// `--context` as recorded: sensitive values as salted hashes.
    pub context_overrides: BTreeMap<String, String>,
    /// Resolved variables and settings; values from the environment are included by reference.
    pub configuration: Value,
    /// The digest of the target's `promotion:` and of the policies that it refers to.
    pub promotion: String,
}

/// The action on a component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DigestAction {
    /// A commit is deployed, forwards or backwards.
    Commit,
    /// The running commit of another target is deployed.
    Promote { from: TargetName },
}

/// The digest of one component.
#[must_use]
pub fn component_digest(input: &DigestInput) -> Digest {
    Digest::of(&canonical_text(input))
}

/// The digest of a plan: SHA-256 over the lines `<name> <digest>`, sorted by their bytes.
#[must_use]
pub fn plan_digest(components: &BTreeMap<ComponentName, Digest>) -> Digest {
    let mut lines: Vec<_> = components.iter().map(|(name, digest)| format!("{name} {digest}\n")).collect();
    lines.sort_unstable();
    Digest::of(&lines.concat())
}

/// The text whose hash is a component's digest: RFC 8785 JSON.
fn canonical_text(input: &DigestInput) -> String {
    let DigestInput {
        deployment,
        target,
        name,
        kind,
        action,
        commit,
        artifacts,
        sources,
        context_overrides,
        configuration,
        promotion,
    } = input;
    let mut document = json!({
        "version": VERSION,
        "deployment": deployment,
        "target": target,
        "name": name,
        "type": kind,
        "commit": commit,
        "artifacts": artifacts,
        "sources": sources,
        "context_overrides": context_overrides,
        "configuration": exact(configuration),
        "promotion": promotion,
    });
    match action {
        DigestAction::Commit => document["action"] = "commit".into(),
        DigestAction::Promote { from } => {
            document["action"] = "promote".into();
            document["promoted_from"] = from.as_str().into();
        }
    }
    canonical_json(&document)
}

/// A value as RFC 8785 JSON.
pub(super) fn canonical_json(value: &Value) -> String {
    // Fails only for numbers and keys that a `Value` cannot hold.
    serde_json_canonicalizer::to_string(value).unwrap_or_else(|_| value.to_string())
}

/// A value that keeps its meaning where all numbers are doubles: integers beyond 2^53 − 1 become
/// `{"$number": "<digits>"}`. A key that begins with `$` is prefixed with a second one, so that the
/// mapping is injective.
fn exact(value: &Value) -> Value {
    match value {
        Value::Number(number) => {
            let size = number.as_u64().or_else(|| number.as_i64().map(i64::unsigned_abs));
            match size {
                Some(size) if size > LARGEST_EXACT => json!({ NUMBER: number.to_string() }),
                _ => value.clone(),
            }
        }
        Value::Array(items) => items.iter().map(exact).collect(),
        Value::Object(values) => {
            let key = |key: &String| if key.starts_with('$') { format!("${key}") } else { key.clone() };
            Value::Object(values.iter().map(|(name, value)| (key(name), exact(value))).collect())
        }
        Value::Null | Value::Bool(_) | Value::String(_) => value.clone(),
    }
}

/// The SHA-256 of bytes as hexadecimal digits.
fn sha256_hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::with_capacity(64), |text, byte| text + &format!("{byte:02x}"))
}

/// The content digest of a file: `sha256:` and hexadecimal digits.
#[must_use]
pub fn content_digest(content: &[u8]) -> String {
    format!("sha256:{}", sha256_hex(content))
}

impl Digest {
    fn of(text: &str) -> Self {
        Self(format!("{PREFIX}{}", sha256_hex(text.as_bytes())))
    }

    /// The digest as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        if text.trim().is_empty() {
            // Never "none": a script whose plan has failed must not skip the check.
            return Err(DigestError::Empty);
        }
        match text.strip_prefix(PREFIX) {
            Some(digits) if is_sha256(digits) => Ok(Self(text.to_owned())),
            None if is_of_other_version(text) => Err(DigestError::OtherVersion),
            _ => Err(DigestError::NotADigest),
        }
    }
}

impl TryFrom<String> for Digest {
    type Error = DigestError;

    fn try_from(text: String) -> Result<Self, DigestError> {
        text.parse()
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

fn is_sha256(digits: &str) -> bool {
    digits.len() == 64 && digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Whether a text is a digest of another version: `sha256:…` of the first form, `v2:…`.
fn is_of_other_version(text: &str) -> bool {
    if let Some(digits) = text.strip_prefix("sha256:") {
        return is_sha256(digits);
    }
    let version = text.strip_prefix('v').and_then(|rest| rest.split_once(':'));
    version.and_then(|(number, _)| number.parse::<u32>().ok()).is_some_and(|number| number != VERSION)
}

#[cfg(test)]
mod tests;
