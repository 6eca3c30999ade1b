//! The states of a plan before its locks are acquired.

use std::collections::BTreeMap;

use super::approve::Granted;
use super::decide::Decided;
use super::missing_images::Missing;
use crate::deployment::{CommitId, Deployment};

/// A plan whose components have all that they need, except for the `missing` images.
pub(super) struct Examined {
    pub(super) decided: Decided,
    pub(super) definitions: BTreeMap<CommitId, Deployment>,
    pub(super) missing: Missing,
}

/// A plan that is ready to be locked.
pub(super) struct Ready {
    pub(super) decided: Decided,
    pub(super) definitions: BTreeMap<CommitId, Deployment>,
    /// The approval, where the plan requires one.
    pub(super) granted: Option<Granted>,
}
