//! The progress of a build, for people.

use std::sync::{Arc, Mutex, PoisonError};

use crate::context::Context;
use crate::deployment::build_report::BuildEvent;
use crate::render;
use crate::render::build::{BuildLive, BuildProgress};

/// Takes events in the order in which they happen.
pub type EventSink = Arc<dyn Fn(BuildEvent) + Send + Sync>;

/// Turns events into lines of progress on stderr; on a terminal, with a live view of running builds
/// below them.
pub fn event_sink(context: &Context) -> EventSink {
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
