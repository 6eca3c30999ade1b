//! `atmos deployment rollout`: deploy, promote, roll back.

use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::time::Duration;

use crate::cli::args::{context_override, duration, not_blank};
use crate::context::Context;
use crate::deployment::digest::{Digest, DigestError};
use crate::deployment::names::ComponentReference;
use crate::deployment::{DeploymentName, TargetName};
use crate::error::CommandError;
use crate::report::Subject;
use crate::rollout::{self, Options, Surroundings};
use crate::text::KeyValue;

#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
#[command(after_help = "Examples:
  atmos deployment rollout payment-service --target dev
  atmos deployment rollout payment-service --target dev --git-sha abc123def
  atmos deployment rollout payment-service --target staging --promote-from dev
  atmos deployment rollout payment-service --target prod --promote-from staging --component api
  atmos deployment rollout payment-service --target prod --git-sha def456abc")]
pub struct Args {
    /// The deployment
    deployment: DeploymentName,
    /// Where to; the deployment's default target where it has one
    #[arg(long, value_name = "TARGET")]
    pub(super) target: Option<TargetName>,
    /// Deploy this commit instead of the one that is checked out; an older one is a rollback
    #[arg(long, value_name = "COMMIT", conflicts_with = "promote_from", value_parser = not_blank)]
    pub(super) git_sha: Option<String>,
    /// Deploy what runs on this target, each component at its own commit
    #[arg(long, value_name = "TARGET", value_parser = not_blank)]
    pub(super) promote_from: Option<String>,
    /// Only this component; may be given several times
    #[arg(long, value_name = "COMPONENT")]
    pub(super) component: Vec<ComponentReference>,
    /// Show what would be done and change nothing
    #[arg(long, visible_alias = "dry-run")]
    plan: bool,
    /// Override a value of the target's context, for this rollout alone; the records keep it
    #[arg(long, value_name = "KEY=VALUE", value_parser = context_override)]
    pub(super) context: Vec<KeyValue>,
    /// Add a string to the records, such as pr=#482 or jira=PROJ-123
    #[arg(long, value_name = "KEY=VALUE")]
    metadata: Vec<KeyValue>,
    /// Roll out although the promotion path does not allow it; the records keep that
    #[arg(long)]
    pub(super) skip_promotion_check: bool,
    /// Refuse to promote components that sit at different commits
    #[arg(long, requires = "promote_from")]
    require_uniform: bool,
    /// Promote what can be promoted although part of what runs on the source stays behind
    #[arg(long, requires = "promote_from")]
    pub(super) allow_partial: bool,
    /// Promote states of the source although no record says how they came about; the records keep that
    #[arg(long, requires = "promote_from")]
    pub(super) trust_state: bool,
    /// Go back to an older commit although no person started this very run
    #[arg(long)]
    allow_rollback: bool,
    /// How many components run at the same time; by default one a core
    #[arg(long, value_name = "NUMBER")]
    parallelism: Option<NonZeroUsize>,
    /// Start nothing new after the first failure
    #[arg(long)]
    fail_fast: bool,
    /// Approve the rollout where the target's approval method is manual, and say why
    #[arg(long, value_name = "REASON", value_parser = not_blank)]
    pub(super) approve: Option<String>,
    /// Say why, for the records
    #[arg(long, value_name = "TEXT", value_parser = not_blank)]
    reason: Option<String>,
    /// Roll out exactly what a plan has shown this digest of, and refuse anything else
    #[arg(long, value_name = "DIGEST", value_parser = plan_digest)]
    pub(super) digest: Option<String>,
    /// How long to wait for locks that others hold
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = duration)]
    lock_timeout: Duration,
    /// Keep the checkouts of the deployed commits
    #[arg(long)]
    keep_workdir: bool,
    /// Refuse vendored versions that the commit's lock file does not have
    #[arg(long)]
    locked: bool,
}

/// Validates a digest as a plan shows it. A digest of another version is not wrong usage: it is
/// refused later, with a remedy.
pub(super) fn plan_digest(text: &str) -> Result<String, String> {
    match text.parse::<Digest>() {
        Ok(_) | Err(DigestError::OtherVersion) => Ok(text.to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

impl Args {
    pub(super) fn subject(&self) -> Subject {
        Subject {
            deployment: self.deployment.clone(),
            target: self.target.clone(),
            dry_run: self.plan,
            components: self.component.clone(),
            revision: self.git_sha.clone(),
            is_promotion: self.promote_from.is_some(),
        }
    }

    /// The options of the rollout.
    pub(super) fn options(&self) -> Options {
        Options {
            deployment: self.deployment.clone(),
            target: self.target.clone(),
            git_sha: self.git_sha.clone(),
            promote_from: self.promote_from.clone(),
            component: self.component.clone(),
            plan: self.plan,
            context: self.context.clone(),
            metadata: self.metadata.clone(),
            skip_promotion_check: self.skip_promotion_check,
            require_uniform: self.require_uniform,
            allow_partial: self.allow_partial,
            trust_state: self.trust_state,
            allow_rollback: self.allow_rollback,
            parallelism: self.parallelism,
            fail_fast: self.fail_fast,
            approve: self.approve.clone(),
            reason: self.reason.clone(),
            digest: self.digest.clone(),
            lock_timeout: self.lock_timeout,
            keep_workdir: self.keep_workdir,
            locked: self.locked,
            is_approval: false,
        }
    }

    /// The requested commit, as it was typed.
    pub(super) fn revision(&self) -> Option<&str> {
        self.git_sha.as_deref()
    }
}

pub(super) fn run(args: &Args, context: &Context) -> Result<ExitCode, CommandError> {
    rollout::run(&args.options(), context, Surroundings::of_a_command_line(context))
}
