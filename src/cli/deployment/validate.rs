//! `atmos deployment validate`: the problems of the configuration.

use std::process::ExitCode;

use crate::config::load_deployment;
use crate::context::Context;
use crate::deployment::{CommitId, DeploymentName};
use crate::error::{CommandError, exit};
use crate::git::Repository;
use crate::preflight::Validator;
use crate::project::vendored::Fetch;
use crate::render;
use crate::render::document::validate::ValidationReport;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  atmos deployment validate payment-service
  atmos deployment validate --all
  atmos deployment validate payment-service --check-promotions")]
pub struct Args {
    /// The deployment
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    deployment: Option<DeploymentName>,
    /// Check every deployment
    #[arg(long)]
    all: bool,
    /// Also warn of promotion paths that are allowed and hardly meant: a default target that only takes promotions, a
    /// target outside of every path
    #[arg(long)]
    check_promotions: bool,
    /// Also fetch the sources of vendored components that the cache lacks, and look into them
    #[arg(long)]
    pub(super) fetch: bool,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<ExitCode, CommandError> {
    let repository = context.repository()?;
    let project = context.project(&repository)?;
    let stacks = project.stacks(&repository)?;
    let tree = project.tree(&repository)?;
    let validator = Validator {
        context,
        project: &project,
        stacks: &stacks,
        tree: &*tree,
        commit: commit_or_none(&repository)?,
        environment: crate::image::environment(context),
        check_promotions: args.check_promotions,
        repository: &repository,
        fetch: if args.fetch { Fetch::Missing } else { Fetch::Never },
    };
    let deployments = match &args.deployment {
        Some(name) => {
            let loaded = load_deployment(&*project.source, &project.config, name);
            vec![validator.validated(name.to_string(), loaded)?]
        }
        None => validator.all(&project)?,
    };
    let report = ValidationReport::new(deployments);
    context.print(&report, render::validate::text)?;
    Ok(if report.valid { ExitCode::SUCCESS } else { ExitCode::from(exit::USAGE) })
}

/// The checked-out commit; a placeholder where there is no commit yet.
fn commit_or_none(repository: &Repository) -> Result<CommitId, CommandError> {
    repository
        .head()
        .or_else(|_| "0".repeat(40).parse::<CommitId>())
        .map_err(|error| CommandError::internal(error.to_string()))
}
