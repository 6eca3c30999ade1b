//! `atmos deployment rollout`: deploy, promote, roll back.

mod approve;
mod approve_ahead;
mod approve_question;
mod carry_out;
mod command_line;
mod decide;
mod digest;
mod done;
mod gather;
mod images;
mod inputs;
mod inspect;
mod locking;
mod missing_images;
mod next_steps;
mod preflight;
mod prepare;
mod refusal;
mod registry;
mod report;
mod required_sboms;
mod sensitive;
mod stacks;
mod surroundings;
mod tools;

pub(super) use approve_ahead::approve_ahead;
pub(super) use inspect::{Findings, inspect};
pub(super) use surroundings::Surroundings;

use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::time::Duration;

use crate::cli::args::{context_override, duration, not_blank};
use crate::context::Context;
use crate::deployment::digest::{Digest, DigestError};
use crate::deployment::names::ComponentReference;
use crate::deployment::{DeploymentName, TargetName};
use crate::error::CommandError;
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
    /// These are the arguments of `approve`, which asks for the same and rolls nothing out.
    #[arg(skip)]
    pub(super) is_approval: bool,
}

/// A digest as a plan shows it. One of another version is no mistake in the command: it is refused later, with what to do.
pub(super) fn plan_digest(text: &str) -> Result<String, String> {
    match text.parse::<Digest>() {
        Ok(_) | Err(DigestError::OtherVersion) => Ok(text.to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// What a rollout is about, as far as the command line says.
#[derive(Debug, Clone)]
pub(super) struct Subject {
    pub(super) deployment: DeploymentName,
    pub(super) target: Option<TargetName>,
    pub(super) dry_run: bool,
    /// The components that it is limited to.
    pub(super) components: Vec<ComponentReference>,
    /// The commit that is asked for by name.
    pub(super) revision: Option<String>,
    /// What is rolled out is what runs on another target.
    pub(super) is_promotion: bool,
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

    /// The flags of somebody who gave none.
    pub(super) fn of_nothing(deployment: DeploymentName) -> Self {
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

    /// The commit that is asked for, as it was typed.
    pub(super) fn revision(&self) -> Option<&str> {
        self.git_sha.as_deref()
    }
}

pub(super) fn run(args: &Args, context: &Context) -> Result<ExitCode, CommandError> {
    run_within(args, context, Surroundings::of_a_command_line(context))
}

/// Likewise, for whoever has more to do with the rollout than to wait for its end.
pub(super) fn run_within(
    args: &Args,
    context: &Context,
    surroundings: Surroundings,
) -> Result<ExitCode, CommandError> {
    let repository = context.repository()?;
    let project = context.project(&repository)?;
    let prepared = prepare::prepare(args, context, &repository, &project)?;
    carry_out::carry_out(args, context, &prepared, surroundings)
}
