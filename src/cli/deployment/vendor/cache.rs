//! `atmos deployment vendor cache stats`: what the vendor cache holds.

use std::cmp::Reverse;
use std::process::ExitCode;

use clap::Subcommand;

use crate::context::Context;
use crate::error::CommandError;
use crate::project::vendored::cache;
use crate::render;
use crate::render::document::vendor::{VendorCacheStats, VendoredObject};

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  atmos deployment vendor cache stats")]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Show the size of the cache, and the sources of what is in it
    Stats,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<ExitCode, CommandError> {
    let Verb::Stats = args.verb;
    let repository = context.repository()?;
    let cache = cache(context, &repository);
    let index = cache.index()?;
    let versions = || {
        index.sources.iter().flat_map(|(source, versions)| {
            versions.iter().map(move |(version, row)| (format!("{source}@{version}"), row))
        })
    };
    let mut objects: Vec<_> = index
        .objects
        .iter()
        .map(|(digest, row)| VendoredObject {
            digest: digest.clone(),
            bytes: row.size,
            files: row.files,
            last_used: row.last_used,
            sources: versions().filter(|(_, row)| row.digest == *digest).map(|(source, _)| source).collect(),
        })
        .collect();
    objects.sort_by_key(|object| Reverse(object.bytes));
    let stats = VendorCacheStats {
        folder: cache.root().display().to_string(),
        bytes: objects.iter().map(|object| object.bytes).sum(),
        versions: versions().count(),
        objects,
    };
    context.print(&stats, render::vendor::stats)?;
    Ok(ExitCode::SUCCESS)
}
