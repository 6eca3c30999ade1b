//! What a report of a job looks at.

use crate::context::Context;
use crate::deployment::Deployment;
use crate::git::Repository;
use crate::ledger::Ledger;
use crate::project::Project;

/// A deployment and its ledger, as a report reads them.
pub(super) struct View<'v, 'r> {
    pub(super) context: &'v Context,
    pub(super) repository: &'r Repository,
    pub(super) project: &'v Project<'r>,
    pub(super) ledger: &'v Ledger<'r>,
    pub(super) deployment: &'v Deployment,
}
