//! `history`: the records of a target, newest first.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::{Document, is_false};
use crate::deployment::record::LedgerRecord;
use crate::deployment::{
    CommitId, ComponentKind, ComponentName, DeploymentName, ObjectId, RecordStatus, TargetName,
};

/// The records of a target, newest first.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct DeploymentHistory {
    pub deployment: DeploymentName,
    pub target: TargetName,
    pub records: Vec<HistoryRecord>,
    /// Whether there are older records than these.
    #[serde(skip_serializing_if = "is_false")]
    pub truncated: bool,
}

impl Document for DeploymentHistory {
    const KIND: &'static str = "DeploymentHistory";
}

/// One record, with its fields as the ledger keeps them.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct HistoryRecord {
    /// The record's tag.
    pub record: String,
    /// The tag's object.
    pub object: ObjectId,
    pub component: ComponentName,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub component_type: Option<ComponentKind>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deployed_by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub build_id: Option<String>,
    pub git_sha: CommitId,
    pub timestamp: Timestamp,
    /// Counts the records of a component on a target, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number: Option<u64>,
    pub status: RecordStatus,
    /// Why it failed, in one line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_seconds: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub promoted_from: Option<TargetName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub promoted_at: Option<Timestamp>,
    /// The commit that was replaced, where this is a rollback. Others may have abbreviated it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rollback_of: Option<String>,
    /// The object of the component's previous record.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous: Option<ObjectId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_url: Option<String>,
    /// The digest of the component: `v1:sha256:…`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// The commit of the promotion rules, `uncommitted`, or `stale <commit>`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rules: Option<String>,
    /// The approvals that allowed it, by digest.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub approvals: Vec<String>,
    /// Whether the plan that ran was the one approved: `seen` or `unseen`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approvals_of: Option<String>,
    /// Why a gate was overridden.
    #[serde(rename = "override", skip_serializing_if = "Option::is_none")]
    pub gate_override: Option<String>,
    /// Why it was rolled out or approved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The values of `--context`, by dotted key.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub context_overrides: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub artifacts: BTreeMap<String, String>,
    /// Sources outside of the deployed commit, by content digest.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub sources: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workspace: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stack: Option<String>,
    /// Reserved: the record that this one publishes late.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub late_of: Option<String>,
    /// Reserved: who published it late.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub published_by: Option<String>,
    /// Reserved: the tag that it publishes late.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub original: Option<String>,
    /// Reserved: the component was retired.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retired: Option<String>,
    /// Reserved: the former name of the component.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub renamed_from: Option<String>,
    /// Reserved: the ledger that the record was taken over from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub imported_from: Option<String>,
    /// Reserved: the repository of the commit, where that is not the repository of the ledger.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repository: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// Fields of the record that this version does not know.
    #[serde(skip_serializing_if = "serde_json::Map::is_empty")]
    pub extra: serde_json::Map<String, Value>,
}

impl From<LedgerRecord> for HistoryRecord {
    fn from(LedgerRecord { id, object, record }: LedgerRecord) -> Self {
        let details = record.details;
        Self {
            record: id.tag_name(),
            object,
            component: record.component,
            component_type: record.component_type,
            deployed_by: record.deployed_by,
            build_id: record.build_id,
            git_sha: record.commit,
            timestamp: record.timestamp,
            number: details.number,
            status: record.status,
            error: details.error,
            duration_seconds: details.duration_seconds,
            promoted_from: record.promoted_from,
            promoted_at: record.promoted_at,
            rollback_of: record.rollback_of,
            previous: record.previous,
            run_id: record.run_id,
            run_url: details.run_url,
            digest: details.digest,
            rules: details.rules,
            approvals: details.approvals,
            approvals_of: details.approvals_of,
            gate_override: details.gate_override,
            reason: details.reason,
            context_overrides: record.context_overrides,
            artifacts: record.artifacts,
            sources: record.sources,
            workspace: details.workspace,
            stack: details.stack,
            late_of: details.late_of,
            published_by: details.published_by,
            original: details.original,
            retired: details.retired,
            renamed_from: details.renamed_from,
            imported_from: details.imported_from,
            repository: details.repository,
            metadata: record.metadata,
            extra: record.unknown,
        }
    }
}
