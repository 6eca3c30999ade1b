//! Namespaces of the notes that the ledger itself keeps:
//! `refs/notes/atmos/<deployment>/<namespace>`.

/// Approvals of commits.
pub(super) const APPROVALS: &str = "approvals";
/// Holds that were lifted.
pub(super) const HOLDS: &str = "holds";
/// Observations of health.
pub(super) const HEALTH: &str = "health";
/// Observations of drift.
pub(super) const DRIFT: &str = "drift";
/// The namespaces that views show besides records: observations and lifted holds.
pub(super) const SHOWN: [&str; 3] = [HEALTH, DRIFT, HOLDS];
