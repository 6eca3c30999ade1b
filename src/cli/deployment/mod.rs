//! `atmos deployment <verb>`: one file per verb.

mod rollout;
mod status;

use std::process::ExitCode;

use clap::Subcommand;

use super::context::Context;
use super::error::CommandError;

/// Roll out deployments and answer what runs where
#[derive(Debug, clap::Args)]
pub struct DeploymentArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Rollout(rollout::Args),
    Status(status::Args),
}

pub(super) fn run(args: DeploymentArgs, context: &Context) -> Result<ExitCode, CommandError> {
    match args.verb {
        Verb::Rollout(args) => rollout::run(&args, context),
        Verb::Status(args) => status::run(&args, context),
    }
}
