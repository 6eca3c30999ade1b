//! A plan on its way to the locks.

use std::collections::BTreeMap;

use super::approve::Granted;
use super::decide::Decided;
use super::missing_images::Missing;
use crate::deployment::{CommitId, Deployment};

/// A plan whose components have what they need, but for these images.
pub(super) struct Examined {
    pub(super) decided: Decided,
    pub(super) definitions: BTreeMap<CommitId, Deployment>,
    pub(super) missing: Missing,
}

/// A plan that is about to be locked.
pub(super) struct Ready {
    pub(super) decided: Decided,
    pub(super) definitions: BTreeMap<CommitId, Deployment>,
    /// The approval, where the plan needs one.
    pub(super) granted: Option<Granted>,
}
