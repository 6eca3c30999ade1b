//! `history`: rollouts, newest first, and their records.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::{Document, is_false};
use crate::deployment::record::{LedgerRecord, Record};
use crate::deployment::rollout_history::{began, rollouts};
use crate::deployment::{
    CommitId, ComponentKind, ComponentName, DeploymentName, ObjectId, RecordStatus, TargetName,
};

/// What was rolled out, newest first.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct DeploymentHistory {
    /// Absent where all of them were asked about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deployment: Option<DeploymentName>,
    /// Absent where all of them were asked about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<TargetName>,
    /// The rollouts that the records are of, newest first.
    pub rollouts: Vec<Rollout>,
    pub records: Vec<HistoryRecord>,
    /// Whether there are older records than these.
    #[serde(skip_serializing_if = "is_false")]
    pub truncated: bool,
}

/// One rollout: what one run has recorded of a target.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Rollout {
    pub deployment: DeploymentName,
    pub target: TargetName,
    /// The worst of its components.
    pub status: RecordStatus,
    /// When it began, where a record tells how long it took.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// The time of its newest record.
    pub ended_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_seconds: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_url: Option<String>,
    /// Why it was rolled out or approved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// In the order in which they were recorded, as far as they are among the records.
    pub components: Vec<RolloutComponent>,
}

/// One component of a rollout, by its record.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct RolloutComponent {
    pub component: ComponentName,
    pub status: RecordStatus,
    pub git_sha: CommitId,
    /// The record's tag.
    pub record: String,
}

impl DeploymentHistory {
    /// The shown records, newest first, and the `total` number. Some may be outside of their
    /// component's chain, or only in this checkout.
    #[must_use]
    pub fn new(
        deployment: Option<DeploymentName>,
        target: Option<TargetName>,
        records: Vec<LedgerRecord>,
        outside_of_chain: &BTreeSet<ObjectId>,
        only_here: &BTreeSet<ObjectId>,
        total: usize,
    ) -> Self {
        let together = rollouts(&records);
        let rollouts = together.into_iter().filter_map(|places| {
            let records: Vec<_> = places.into_iter().filter_map(|place| records.get(place)).collect();
            Rollout::new(&records)
        });
        Self {
            deployment,
            target,
            rollouts: rollouts.collect(),
            truncated: records.len() < total,
            records: records
                .into_iter()
                .map(HistoryRecord::from)
                .map(|record| HistoryRecord {
                    outside_of_chain: outside_of_chain.contains(&record.object),
                    only_here: only_here.contains(&record.object),
                    ..record
                })
                .collect(),
        }
    }
}

impl Rollout {
    /// The rollout of these records, newest first.
    fn new(records: &[&LedgerRecord]) -> Option<Self> {
        let LedgerRecord { id, record: newest, .. } = records.first()?;
        let first_of =
            |of: fn(&Record) -> &Option<String>| records.iter().find_map(|found| of(&found.record).clone());
        let started_at = began(records.iter().copied());
        let ended_at = newest.timestamp;
        let took = started_at.map(|started_at| ended_at.duration_since(started_at).as_secs());
        let of = |found: &&LedgerRecord| RolloutComponent {
            component: found.id.component.clone(),
            status: found.record.status,
            git_sha: found.record.commit.clone(),
            record: found.id.tag_name(),
        };
        // Records of the same second stay in the order of their names.
        let mut in_time = records.to_vec();
        in_time.sort_by_key(|found| found.record.timestamp);
        let statuses = records.iter().map(|found| found.record.status);
        Some(Self {
            deployment: id.deployment.clone(),
            target: id.target.clone(),
            status: statuses.max_by_key(|status| status.severity())?,
            started_at,
            ended_at,
            duration_seconds: took.and_then(|took| took.try_into().ok()),
            run_id: newest.run_id.clone(),
            run_url: first_of(|record| &record.details.run_url),
            reason: first_of(|record| &record.details.reason),
            components: in_time.iter().map(of).collect(),
        })
    }
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
    pub deployment: DeploymentName,
    pub target: TargetName,
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
    /// Whether it is outside of its component's chain, and decides nothing: its tag arrived when
    /// others had gone on.
    #[serde(skip_serializing_if = "is_false")]
    pub outside_of_chain: bool,
    /// Whether the remote does not have it, so that it decides nothing.
    #[serde(skip_serializing_if = "is_false")]
    pub only_here: bool,
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
            deployment: id.deployment,
            target: id.target,
            component: record.component,
            component_type: record.component_type,
            deployed_by: record.deployed_by,
            build_id: record.build_id,
            git_sha: record.commit,
            timestamp: record.timestamp,
            number: details.number,
            status: record.status,
            outside_of_chain: false,
            only_here: false,
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
