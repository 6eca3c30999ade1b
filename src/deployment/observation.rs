//! What was observed of a component that runs: whether it is healthy, whether it is still what was deployed. Noted on
//! the commit that runs, so that whoever asks later knows what was seen last, and when.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::diff::Drift;
use super::health::Health;
use super::names::{ComponentName, TargetName};
use super::rollout_report::Changes;

/// What a look for drift found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DriftFinding {
    pub drift: Drift,
    /// What a plan would change, where the kind can tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changes: Option<Changes>,
}

/// One observation of one component on one target. Of several, the newest counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observation<T> {
    pub target: TargetName,
    pub component: ComponentName,
    pub checked_at: Timestamp,
    #[serde(flatten)]
    pub finding: T,
}

/// Observations by target and component.
pub type ByPlace<T> = BTreeMap<(TargetName, ComponentName), Observation<T>>;

/// The last observations of what runs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Observations {
    pub health: ByPlace<Health>,
    pub drift: ByPlace<DriftFinding>,
}
