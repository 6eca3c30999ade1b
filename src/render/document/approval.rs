//! `approve` and `approvals`: the approvals, and whether they still count.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::Document;
use crate::deployment::approval::{Approval, ApprovalOf, Standing};
use crate::deployment::digest::Digest;
use crate::deployment::{CommitId, ComponentName, DeploymentName, TargetName};

/// The approvals of a deployment, newest first.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct ApprovalList {
    pub deployment: DeploymentName,
    pub approvals: Vec<ApprovalItem>,
}

impl Document for ApprovalList {
    const KIND: &'static str = "ApprovalList";
}

/// What `approve` did.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct ApprovalResult {
    pub deployment: DeploymentName,
    pub target: TargetName,
    /// Absent where nothing had to be approved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approved: Option<ApprovalItem>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub revoked: Vec<ApprovalItem>,
}

impl Document for ApprovalResult {
    const KIND: &'static str = "ApprovalResult";
}

/// One approval.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct ApprovalItem {
    /// What records name it by: the SHA-256 of its canonical line.
    pub id: String,
    pub target: TargetName,
    pub state: ApprovalState,
    pub approved_by: String,
    pub approved_at: Timestamp,
    pub method: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub promoted_from: Option<TargetName>,
    /// What `--context` overrides in what it covers, as records keep it.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub context_overrides: BTreeMap<String, String>,
    /// The digest of the plan that was approved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// Whether the plan was seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub of: Option<ApprovalOf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revoked_by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<Timestamp>,
    /// Why it was revoked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revocation_reason: Option<String>,
    pub components: Vec<ApprovedComponent>,
}

/// Whether an approval counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ApprovalState {
    Valid,
    /// For some of its components what runs has changed since.
    PartlyUsed,
    Used,
    Expired,
    Revoked,
    /// Another version or another program wrote it.
    CoversNothing,
}

/// A component that an approval covers.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct ApprovedComponent {
    pub component: ComponentName,
    pub commit: CommitId,
    pub digest: Digest,
}

impl ApprovalState {
    /// The state in words.
    #[must_use]
    pub const fn as_words(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::PartlyUsed => "partly used",
            Self::Used => "used",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
            Self::CoversNothing => "covers nothing",
        }
    }
}

impl ApprovalItem {
    /// An approval with its standing.
    #[must_use]
    pub fn new(id: &str, approval: &Approval, standing: &Standing) -> Self {
        let (revoked_by, revoked_at, revocation_reason) = match standing {
            Standing::Revoked { by, at, reason } => (Some(by.clone()), Some(*at), reason.clone()),
            _ => (None, None, None),
        };
        Self {
            id: id.to_owned(),
            target: approval.target.clone(),
            state: match standing {
                Standing::Valid { used, .. } if used.is_empty() => ApprovalState::Valid,
                Standing::Valid { .. } => ApprovalState::PartlyUsed,
                Standing::Used => ApprovalState::Used,
                Standing::Expired { .. } => ApprovalState::Expired,
                Standing::Revoked { .. } => ApprovalState::Revoked,
                Standing::CoversNothing => ApprovalState::CoversNothing,
            },
            approved_by: approval.approved_by.clone(),
            approved_at: approval.approved_at,
            method: approval.method.clone(),
            reason: approval.reason.clone(),
            promoted_from: approval.promoted_from.clone(),
            context_overrides: approval.context_overrides.clone(),
            digest: approval.digest.clone(),
            of: approval.of,
            expires_at: approval.expires_at,
            run_id: approval.run_id.clone(),
            revoked_by,
            revoked_at,
            revocation_reason,
            components: approval
                .components
                .iter()
                .map(|covered| ApprovedComponent {
                    component: covered.component.clone(),
                    commit: covered.commit.clone(),
                    digest: covered.digest.clone(),
                })
                .collect(),
        }
    }
}
