//! Approvals: who agreed to exactly what.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::commit::CommitId;
use super::names::{ComponentName, DeploymentName, TargetName};

/// An approval as it is noted on the approved commits (`target-promotion.md`, "Approval recorded as Git note").
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    pub approved_by: String,
    pub approved_at: Timestamp,
    /// How it was given: `manual`, `ci`, `pro`.
    pub method: String,
    pub deployment: DeploymentName,
    pub target: TargetName,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub promoted_from: Option<TargetName>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The digest of what was approved: see [`digest`].
    pub digest: String,
}

impl Approval {
    /// The approval as one line of JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        // A struct of strings and times always serialises.
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// The digest of exactly what is rolled out: the deployment, the target, and each component at its commit. An approval
/// holds for nothing else.
#[must_use]
pub fn digest(
    deployment: &DeploymentName,
    target: &TargetName,
    components: &BTreeMap<ComponentName, CommitId>,
) -> String {
    let mut hasher = Sha256::new();
    let mut line = |text: &str| {
        hasher.update(text.as_bytes());
        // No name holds a line end, so that no two plans are written alike.
        hasher.update(b"\n");
    };
    line(deployment.as_str());
    line(target.as_str());
    for (component, commit) in components {
        line(component.as_str());
        line(commit.as_str());
    }
    hasher.finalize().iter().fold("sha256:".to_owned(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Not a digest as [`digest`] writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected sha256: and 64 hexadecimal digits in lower case, as a plan shows it")]
pub struct DigestError;

/// The digest of what somebody insists on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpectedDigest(String);

impl ExpectedDigest {
    /// The digest as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ExpectedDigest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        let digits = text.strip_prefix("sha256:").ok_or(DigestError)?;
        let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        let is_digest = digits.len() == 64 && digits.bytes().all(is_digit);
        is_digest.then(|| Self(text.to_owned())).ok_or(DigestError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_is_of_the_components_and_their_commits() {
        let (deployment, target) = ("api".parse().unwrap(), "prod".parse().unwrap());
        let commit = |digit: &str| digit.repeat(40).parse::<CommitId>().unwrap();
        let of = |pairs: &[(&str, &str)]| {
            let components =
                pairs.iter().map(|(name, digit)| (name.parse().unwrap(), commit(digit))).collect();
            digest(&deployment, &target, &components)
        };
        assert_eq!(of(&[("a", "1"), ("b", "2")]), of(&[("b", "2"), ("a", "1")]));
        assert_ne!(of(&[("a", "1"), ("b", "2")]), of(&[("a", "2"), ("b", "1")]));
        assert_ne!(of(&[("a", "1")]), of(&[("a", "1"), ("b", "2")]));
        let written = of(&[("a", "1")]);
        assert_eq!(written.parse::<ExpectedDigest>().unwrap().as_str(), written);
        for wrong in ["", "sha256:", "sha256:abc", &written.to_uppercase(), &written[7..]] {
            assert!(wrong.parse::<ExpectedDigest>().is_err(), "{wrong}");
        }
    }
}
