//! Deployment records: commit, target, time, author and result of a deployment.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::commit::{CommitId, ObjectId};
use super::names::{ComponentKind, ComponentName, DeploymentName, TargetName};

/// The identity of a record, which its history tag is named after.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordId {
    pub deployment: DeploymentName,
    pub target: TargetName,
    pub component: ComponentName,
    /// Whole seconds.
    pub timestamp: Timestamp,
    /// 1, or 2 and up for further records of the same second.
    pub sequence: u32,
}

/// The sequence of the first record of a second.
pub const FIRST_SEQUENCE: u32 = 1;

impl RecordId {
    /// Compares by age, older first: by time, then by sequence.
    #[must_use]
    pub fn cmp_age(&self, other: &Self) -> Ordering {
        (self.timestamp, self.sequence)
            .cmp(&(other.timestamp, other.sequence))
            // Components that were recorded at the same time keep their order.
            .then_with(|| other.component.cmp(&self.component))
    }

    /// Returns the next free sequence number of its second, and reserves it.
    #[must_use]
    pub fn next_sequence(&self, taken: &mut BTreeSet<Self>) -> u32 {
        let mut next = self.clone();
        loop {
            next.sequence = following(next.sequence);
            if taken.insert(next.clone()) {
                return next.sequence;
            }
        }
    }
}

/// The next sequence number. Another tool's tag can have the greatest number, which is followed by
/// the first.
#[must_use]
pub const fn following(sequence: u32) -> u32 {
    match sequence.checked_add(1) {
        Some(next) => next,
        None => FIRST_SEQUENCE,
    }
}

/// A time in the ledger's precision: whole seconds.
#[must_use]
pub fn in_whole_seconds(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

/// How a component's rollout ended. `rollback` is not a status; see [`Record::rollback_of`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RecordStatus {
    Success,
    Failed,
    Cancelled,
}

impl RecordStatus {
    /// The status as written in records.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// The result as a verb phrase, to follow its subject.
    #[must_use]
    pub const fn as_verb(self) -> &'static str {
        match self {
            Self::Success => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "was cancelled",
        }
    }

    /// The severity, for the one status that represents several.
    #[must_use]
    pub const fn severity(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Cancelled => 1,
            Self::Failed => 2,
        }
    }
}

impl fmt::Display for RecordStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// One deployment record, as stored in the ledger.
///
/// Everything but the commit, the time and the status can be missing in records of other writers.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    pub deployment: DeploymentName,
    pub target: TargetName,
    pub component: ComponentName,
    pub component_type: Option<ComponentKind>,
    pub deployed_by: Option<String>,
    pub build_id: Option<String>,
    /// The deployed commit, in full.
    pub commit: CommitId,
    pub timestamp: Timestamp,
    pub status: RecordStatus,
    pub promoted_from: Option<TargetName>,
    pub promoted_at: Option<Timestamp>,
    /// The replaced commit, if this record is a rollback. Other writers may have abbreviated it.
    pub rollback_of: Option<String>,
    /// The component's previous record.
    pub previous: Option<ObjectId>,
    /// The run that wrote it, for idempotency: `github:123456789/1`.
    pub run_id: Option<String>,
    /// The deployed images: component to `registry/name@sha256:…`.
    pub artifacts: BTreeMap<String, String>,
    /// Content digests of inputs outside of the commit: vendored sources, lock files.
    pub sources: BTreeMap<String, String>,
    /// `--context`, by dotted key and as typed; sensitive values as a salted hash.
    pub context_overrides: BTreeMap<String, String>,
    /// Free-form strings: `pr`, `jira`, `approver`, …
    pub metadata: BTreeMap<String, String>,
    /// The remaining fields, most of which are absent in most records.
    pub details: RecordDetails,
    /// Fields that this version does not know, preserved unchanged.
    pub unknown: serde_json::Map<String, serde_json::Value>,
}

/// The fields of a record on its origin (`docs/ledger.md` has the table of all fields).
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RecordDetails {
    /// Counts a component's records on a target from 1; absent in records of other writers.
    pub number: Option<u64>,
    /// The reason of the failure, in one line, without values.
    pub error: Option<String>,
    pub duration_seconds: Option<u64>,
    pub run_url: Option<String>,
    /// The component's digest: `v1:sha256:…`.
    pub digest: Option<String>,
    /// The source of the effective promotion rules: a commit, `uncommitted`, or `stale <commit>`.
    pub rules: Option<String>,
    /// The approvals that allowed it, by the SHA-256 of their canonical lines.
    pub approvals: Vec<String>,
    /// Whether these approved the plan that ran: `seen` or `unseen`.
    pub approvals_of: Option<String>,
    /// The reason that a gate was overridden.
    pub gate_override: Option<String>,
    /// The reason of the rollout, or of its approval.
    pub reason: Option<String>,
    pub workspace: Option<String>,
    pub stack: Option<String>,
    /// The object id of the original record, if this one publishes it late, after others of its
    /// component.
    pub late_of: Option<String>,
    /// The publisher of a late or interrupted record, in place of its run.
    pub published_by: Option<String>,
    /// The bytes of the original tag of a late record, so that its signature stays verifiable.
    pub original: Option<String>,
    /// Reserved: the component was retired.
    pub retired: Option<String>,
    /// Reserved: the component's former name.
    pub renamed_from: Option<String>,
    /// Reserved: the ledger that it was taken over from.
    pub imported_from: Option<String>,
    /// Reserved: the repository of the deployed commit, where that is not the ledger's own.
    pub repository: Option<String>,
}

/// The error of a record that another run wrote for a run that may have been at work when it ended.
pub const INTERRUPTED: &str = "interrupted";

/// A record together with its object in the ledger.
#[derive(Debug, Clone, PartialEq)]
pub struct LedgerRecord {
    pub id: RecordId,
    /// The tag object.
    pub object: ObjectId,
    /// Boxed, since sorting moves records.
    pub record: Box<Record>,
}

impl LedgerRecord {
    /// Whether it was published after others of its component.
    ///
    /// A late record only extends the chain: it is not the newest record, does not change the
    /// state, and is not promoted (`ledger.md`, "Late records").
    #[must_use]
    pub const fn is_late(&self) -> bool {
        self.record.details.late_of.is_some()
    }

    /// Whether it only states that a run ended while it may have been at work on the component.
    #[must_use]
    pub fn is_interrupted(&self) -> bool {
        self.record.status == RecordStatus::Cancelled
            && self.record.details.error.as_deref() == Some(INTERRUPTED)
    }

    /// Compares by age, older first: by the record's own time, then by the sequence in its name.
    #[must_use]
    pub fn compare_age(&self, other: &Self) -> Ordering {
        let key = |record: &Self| (record.record.timestamp, record.id.sequence);
        key(self).cmp(&key(other)).then_with(|| other.id.component.cmp(&self.id.component))
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixtures;
    use super::*;

    #[test]
    fn the_next_name_is_one_that_is_free_whatever_names_there_are() {
        let first = fixtures::record("dev", "api", "a1", RecordStatus::Success, "2025-01-22T12:00:00Z").id;
        let id = |sequence| RecordId { sequence, ..first.clone() };
        let mut taken = BTreeSet::from([id(1), id(2), id(u32::MAX - 1), id(u32::MAX)]);
        assert_eq!(id(1).next_sequence(&mut taken), 3);
        assert_eq!(id(u32::MAX - 1).next_sequence(&mut taken), 4);
        assert!(taken.contains(&id(4)), "it is taken from now on");
    }
}
