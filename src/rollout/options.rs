//! The options of a rollout.

use std::num::NonZeroUsize;
use std::time::Duration;

use crate::deployment::names::ComponentReference;
use crate::deployment::{DeploymentName, TargetName};
use crate::text::KeyValue;

/// The options of a rollout, or of its approval, as they were typed.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub struct Options {
    pub deployment: DeploymentName,
    /// Defaults to the deployment's default target.
    pub target: Option<TargetName>,
    /// A revision; without it and without a promotion, the checked-out commit.
    pub git_sha: Option<String>,
    /// The target whose components are promoted.
    pub promote_from: Option<String>,
    /// The selected components; all where it is empty.
    pub component: Vec<ComponentReference>,
    /// Whether it is a dry run.
    pub plan: bool,
    /// Overrides of the target's context.
    pub context: Vec<KeyValue>,
    /// Additional entries of the records.
    pub metadata: Vec<KeyValue>,
    pub skip_promotion_check: bool,
    pub require_uniform: bool,
    pub allow_partial: bool,
    pub trust_state: bool,
    pub allow_rollback: bool,
    /// The maximum number of components that run in parallel; by default one per core.
    pub parallelism: Option<NonZeroUsize>,
    pub fail_fast: bool,
    /// The reason of an approval that is given with the rollout.
    pub approve: Option<String>,
    pub reason: Option<String>,
    /// The digest of the only plan that may be rolled out.
    pub digest: Option<String>,
    /// The timeout for locks that other runs hold.
    pub lock_timeout: Duration,
    pub keep_workdir: bool,
    /// Whether vendored versions must be locked.
    pub locked: bool,
    /// Whether the rollout is only approved, ahead of it.
    pub is_approval: bool,
}

impl Options {
    /// A dry run of a deployment, with all other options at their defaults.
    pub fn plan_of(deployment: DeploymentName) -> Self {
        Self {
            deployment,
            target: None,
            git_sha: None,
            promote_from: None,
            component: Vec::new(),
            plan: true,
            context: Vec::new(),
            metadata: Vec::new(),
            skip_promotion_check: false,
            require_uniform: false,
            allow_partial: false,
            trust_state: false,
            allow_rollback: false,
            parallelism: None,
            fail_fast: false,
            approve: None,
            reason: None,
            digest: None,
            lock_timeout: Duration::ZERO,
            keep_workdir: false,
            locked: false,
            is_approval: false,
        }
    }
}
