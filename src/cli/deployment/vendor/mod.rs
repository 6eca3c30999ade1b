//! `atmos deployment vendor`: components whose code is not in the commit.

mod cache;
mod clean;
mod pull;
mod status;

use std::process::ExitCode;

use clap::Subcommand;

use crate::cli::deferred::Deferred;
use crate::context::Context;
use crate::error::CommandError;

#[derive(Debug, clap::Args)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Fetch what the vendor cache lacks of a deployment's sources
    ///
    /// A rollout does the same for its components. What the cache has is not fetched again; a branch or a range is resolved
    /// anew each time.
    Pull(Deferred<pull::Args>),
    /// Show the sources of a deployment's components, and whether the cache has them
    Status(Deferred<status::Args>),
    /// Show what the vendor cache holds
    Cache(Deferred<cache::Args>),
    /// Remove from the vendor cache what was altered, and what unfinished pulls have left behind
    ///
    /// With --prune, also what was not used for some time: it is fetched again when it is needed.
    Clean(Deferred<clean::Args>),
}

impl Args {
    /// Whether sources are fetched.
    pub(super) fn fetches(&self) -> bool {
        matches!(self.verb, Verb::Pull(_))
    }
}

pub(super) fn run(args: &Args, context: &Context) -> Result<ExitCode, CommandError> {
    match &args.verb {
        Verb::Pull(args) => pull::run(args, context),
        Verb::Status(args) => status::run(args, context),
        Verb::Cache(args) => cache::run(args, context),
        Verb::Clean(args) => clean::run(args, context),
    }
}
