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
    pub status: RecordStatus,
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
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub artifacts: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// Fields of the record that this version does not know.
    #[serde(skip_serializing_if = "serde_json::Map::is_empty")]
    pub extra: serde_json::Map<String, Value>,
}

impl From<LedgerRecord> for HistoryRecord {
    fn from(LedgerRecord { id, object, record }: LedgerRecord) -> Self {
        Self {
            record: id.tag_name(),
            object,
            component: record.component,
            component_type: record.component_type,
            deployed_by: record.deployed_by,
            build_id: record.build_id,
            git_sha: record.commit,
            timestamp: record.timestamp,
            status: record.status,
            promoted_from: record.promoted_from,
            promoted_at: record.promoted_at,
            rollback_of: record.rollback_of,
            previous: record.previous,
            run_id: record.run_id,
            artifacts: record.artifacts,
            metadata: record.metadata,
            extra: record.unknown,
        }
    }
}
