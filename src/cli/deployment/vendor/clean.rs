//! `atmos deployment vendor clean`: removes content from the vendor cache.

use std::process::ExitCode;
use std::time::Duration;

use crate::cli::args::duration;
use crate::context::Context;
use crate::error::CommandError;
use crate::project::vendored::cache;
use crate::render;
use crate::render::document::vendor::VendorCleaning;

/// The age of unused content that `--prune` removes.
const UNUSED: Duration = Duration::from_hours(30 * 24);

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  atmos deployment vendor clean
  atmos deployment vendor clean --prune
  atmos deployment vendor clean --prune --older-than 7d --dry-run")]
pub struct Args {
    /// Also remove what was not used for 30 days
    #[arg(long)]
    prune: bool,
    /// The time without use, in place of 30 days: `12h`, `7d`
    #[arg(long, value_name = "AGE", requires = "prune", value_parser = duration)]
    older_than: Option<Duration>,
    /// Only list what would be removed
    #[arg(long)]
    dry_run: bool,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<ExitCode, CommandError> {
    let repository = context.repository()?;
    let older_than = args.prune.then(|| args.older_than.unwrap_or(UNUSED));
    let cleaned = cache(context, &repository).clean(older_than, context.now(), args.dry_run)?;
    let cleaning = VendorCleaning {
        dry_run: args.dry_run,
        removed: cleaned.digests,
        bytes: cleaned.bytes,
        left_behind: cleaned.left_behind,
    };
    context.print(&cleaning, render::vendor::cleaning)?;
    Ok(ExitCode::SUCCESS)
}
