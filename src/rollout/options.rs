//! What a rollout is asked for.

use std::num::NonZeroUsize;
use std::time::Duration;

use crate::deployment::names::ComponentReference;
use crate::deployment::{DeploymentName, TargetName};
use crate::text::KeyValue;

/// What a rollout, or the approval of one, is asked for, as it was typed.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub struct Options {
    pub deployment: DeploymentName,
    /// The deployment's default target where there is none.
    pub target: Option<TargetName>,
    /// A revision; the commit that is checked out where there is neither this nor a promotion.
    pub git_sha: Option<String>,
    /// The target whose components are promoted.
    pub promote_from: Option<String>,
    /// All components where it is empty.
    pub component: Vec<ComponentReference>,
    /// Shows what would be done, and changes nothing.
    pub plan: bool,
    /// Overrides of the target's context.
    pub context: Vec<KeyValue>,
    /// What the records say besides.
    pub metadata: Vec<KeyValue>,
    pub skip_promotion_check: bool,
    pub require_uniform: bool,
    pub allow_partial: bool,
    pub trust_state: bool,
    pub allow_rollback: bool,
    /// How many components run at the same time; one a core where it is not said.
    pub parallelism: Option<NonZeroUsize>,
    pub fail_fast: bool,
    /// The reason of an approval that is given with the rollout.
    pub approve: Option<String>,
    pub reason: Option<String>,
    /// The digest of the plan that may be rolled out, and of no other one.
    pub digest: Option<String>,
    /// How long locks that others hold are waited for.
    pub lock_timeout: Duration,
    pub keep_workdir: bool,
    /// Approves the rollout ahead of it, and rolls nothing out.
    pub is_approval: bool,
}

impl Options {
    /// A plan of a deployment, of which nothing else is said.
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
            is_approval: false,
        }
    }
}
