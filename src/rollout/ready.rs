//! A plan on its way to the locks.

use std::collections::BTreeMap;

use super::approve::Granted;
use super::decide::Decided;
use crate::deployment::{CommitId, Deployment};

/// A plan that is about to be locked.
pub(super) struct Ready {
    pub(super) decided: Decided,
    pub(super) definitions: BTreeMap<CommitId, Deployment>,
    /// The approval, where the plan needs one.
    pub(super) granted: Option<Granted>,
}
