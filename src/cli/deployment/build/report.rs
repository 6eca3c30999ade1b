//! What people and programs are told of a build: progress, the result, the exit code.

use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use super::Args;
use super::act::Acted;
use super::prepare::Prepared;
use crate::cli::context::Context;
use crate::cli::error::{CommandError, exit};
use crate::deployment::build_report::{BuildEvent, BuildStatus};
use crate::render;
use crate::render::build::{BuildLive, BuildProgress};
use crate::render::document::build::{BuildResult, SbomCounts};

/// Takes what happens, in the order in which it happens.
pub(super) type EventSink = Arc<dyn Fn(BuildEvent) + Send + Sync>;

/// Turns events into lines of progress on stderr; on a terminal, with a live view of what runs below them.
pub(super) fn event_sink(context: &Context) -> EventSink {
    let streams = context.progress_streams();
    let terminal = streams.stderr_is_terminal();
    let form = if terminal { render::Form::Terminal } else { render::Form::Pipe };
    let live = (terminal && !context.global().quiet).then(BuildLive::default);
    let progress = Mutex::new((BuildProgress::new(form, context.global().verbose), live));
    Arc::new(move |event: BuildEvent| {
        let mut progress = progress.lock().unwrap_or_else(PoisonError::into_inner);
        let (progress, live) = &mut *progress;
        let lines = progress.lines(&event);
        let Some(live) = live else { return streams.note(&lines) };
        live.show(&event);
        if !lines.is_empty() {
            live.out_of_the_way(|| streams.note(&lines));
        }
    })
}

/// Prints the result, and turns it into an exit code.
pub(super) fn finish(
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
