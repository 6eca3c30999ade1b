//! The activity of a verb on the checkout, and the commit that it requests.

use super::Verb;
use crate::ci::Activity;

impl Verb {
    /// Whether the verb only reads, or runs programs.
    pub(super) fn activity(&self) -> Activity {
        let plans_if = |runs: bool| if runs { Activity::Plans } else { Activity::Reads };
        match self {
            Self::Status(args) => plans_if(args.check_health || args.check_drift),
            Self::Diff(args) => plans_if(args.check_drift),
            Self::Rollout(args) if args.subject().dry_run => Activity::Plans,
            Self::Build(args) if args.plan => Activity::Plans,
            // Sources of the checkout are fetched with the credentials of the job.
            Self::Vendor(args) => plans_if(args.fetches()),
            Self::Validate(args) => plans_if(args.fetch),
            Self::Approvals(_)
            | Self::Describe(_)
            | Self::History(_)
            | Self::List(_)
            | Self::Locks(_)
            | Self::Matrix(_)
            | Self::PromotionGraph(_)
            | Self::PromotionStatus(_)
            | Self::Sbom(_) => Activity::Reads,
            Self::Approve(_)
            | Self::Attach(_)
            | Self::Build(_)
            | Self::Ci(_)
            | Self::Lock(_)
            | Self::Protect(_)
            | Self::Rollout(_)
            | Self::Scan(_)
            | Self::Test(_)
            | Self::Unlock(_) => Activity::Acts,
        }
    }

    /// The requested commit, besides the checkout.
    pub(super) fn revision(&self) -> Option<&str> {
        match self {
            Self::Rollout(args) => args.revision(),
            Self::Build(args) => args.git_sha.as_deref(),
            Self::Test(args) => args.git_sha.as_deref(),
            Self::Approve(args) => args.git_sha.as_deref(),
            Self::Attach(args) => args.git_sha.as_deref(),
            Self::Scan(args) => args.git_sha.as_deref(),
            _ => None,
        }
    }
}
