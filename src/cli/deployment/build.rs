//! `atmos deployment build`: builds the images of a commit, their SBOMs, and the records of both.

use std::num::NonZeroUsize;
use std::process::ExitCode;

use crate::cli::args::context_override;
use crate::context::Context;
use crate::context::signals::cancellation;
use crate::deployment::build_report::BuildStatus;
use crate::deployment::names::ComponentReference;
use crate::deployment::{DeploymentName, TargetName};
use crate::error::{CommandError, exit};
use crate::image::{self, Acted, Options, Prepared};
use crate::render;
use crate::render::document::build::{BuildResult, SbomCounts};
use crate::text::KeyValue;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  atmos deployment build payment-service --target dev
  atmos deployment build payment-service --target dev --component api
  atmos deployment build payment-service --target dev --context cpu=512
  atmos deployment build payment-service --target dev --plan")]
pub struct Args {
    /// The deployment
    deployment: DeploymentName,
    /// The target whose context is built with; the deployment's default target where it has one
    #[arg(long, value_name = "TARGET")]
    target: Option<TargetName>,
    /// Only this component; may be given several times
    #[arg(long, value_name = "COMPONENT")]
    component: Vec<ComponentReference>,
    /// Build this commit instead of the one that is checked out
    #[arg(long, value_name = "COMMIT")]
    pub(super) git_sha: Option<String>,
    /// Override a value of the context; what the component does not know becomes an argument of the build
    #[arg(long, value_name = "KEY=VALUE", value_parser = context_override)]
    context: Vec<KeyValue>,
    /// The tag of the images, instead of vars.image.tag
    #[arg(long, value_name = "TAG")]
    tag: Option<String>,
    /// Show how the images would be built, and build nothing
    #[arg(long, visible_alias = "dry-run")]
    pub(super) plan: bool,
    /// Leave the images where they are built; nothing is recorded
    #[arg(long)]
    skip_push: bool,
    /// How many images are built at the same time; by default one a core
    #[arg(long, value_name = "NUMBER")]
    parallelism: Option<NonZeroUsize>,
}

impl Args {
    /// The options of the build.
    fn options(&self) -> Options {
        Options {
            deployment: self.deployment.clone(),
            target: self.target.clone(),
            component: self.component.clone(),
            git_sha: self.git_sha.clone(),
            context: self.context.clone(),
            tag: self.tag.clone(),
            plan: self.plan,
            skip_push: self.skip_push,
            parallelism: self.parallelism,
        }
    }
}

pub(super) fn run(args: &Args, context: &Context) -> Result<ExitCode, CommandError> {
    let options = args.options();
    let repository = context.repository()?;
    let project = context.project(&repository)?;
    let prepared = image::prepare(&options, context, &repository, &project)?;
    let cancellation = cancellation(context);
    let acted = if prepared.jobs.is_empty() {
        image::note_components(&options, context, &prepared)
    } else {
        image::run(&options, context, &prepared, &image::event_sink(context), &cancellation)
    };
    context.say_warnings(&prepared.ledger);
    finish(args, context, &prepared, &acted?, cancellation.is_cancelled())
}

/// Prints the result and returns the exit code.
fn finish(
    args: &Args,
    context: &Context,
    prepared: &Prepared<'_>,
    acted: &Acted,
    cancelled: bool,
) -> Result<ExitCode, CommandError> {
    let Acted { builds, published, duration } = acted;
    let failed =
        builds.iter().any(|build| matches!(build.status, BuildStatus::Failed | BuildStatus::Cancelled));
    let result = BuildResult {
        deployment: prepared.deployment.name.clone(),
        target: prepared.target.clone(),
        commit: prepared.commit.clone(),
        dry_run: args.plan,
        succeeded: !failed,
        components: builds.iter().map(Into::into).collect(),
        sbom: published.sbom.map(|(components, dependencies)| SbomCounts { components, dependencies }),
        duration_seconds: duration.as_secs_f64(),
    };
    context.print(&result, render::build::text)?;
    Ok(match (failed, cancelled) {
        (false, _) => ExitCode::SUCCESS,
        (true, true) => ExitCode::from(exit::INTERRUPTED),
        (true, false) => ExitCode::from(exit::FAILED),
    })
}
