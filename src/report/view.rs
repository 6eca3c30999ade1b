//! The view of repository, project and ledger for reports.

use crate::context::Context;
use crate::deployment::Deployment;
use crate::git::Repository;
use crate::ledger::Ledger;
use crate::project::Project;

/// A deployment and its ledger, as a report reads them.
pub struct View<'v, 'r> {
    pub context: &'v Context,
    pub repository: &'r Repository,
    pub project: &'v Project<'r>,
    pub ledger: &'v Ledger<'r>,
    pub deployment: &'v Deployment,
}
