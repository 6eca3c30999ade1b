//! Ctrl-C and SIGTERM: once ends the rollout in order, twice at once.

use std::thread;

use tokio::signal::unix::{SignalKind, signal};

use crate::cancellation::{Cancellation, CancellationLevel, Canceller};
use crate::cli::context::Context;
use crate::cli::runtime;

/// A cancellation that signals raise, for as long as the process lives.
pub(in crate::cli::deployment) fn cancellation(context: &Context) -> Cancellation {
    let (canceller, cancellation) = Cancellation::new();
    let quiet = context.global().quiet;
    thread::spawn(move || match runtime::on_this_thread() {
        Ok(runtime) => runtime.block_on(listen(canceller, quiet)),
        Err(error) => tracing::warn!(%error, "signals end the process without order"),
    });
    cancellation
}

async fn listen(canceller: Canceller, quiet: bool) {
    let (Ok(mut interrupt), Ok(mut terminate)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        tracing::warn!("signals end the process without order");
        return;
    };
    let streams = crate::render::stream::Streams::system(crate::render::stream::ColorChoice::Auto, quiet);
    for level in [CancellationLevel::Graceful, CancellationLevel::Immediate] {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        if level == CancellationLevel::Graceful {
            streams.note("\n  Cancelling: what runs is told to stop. Once more stops it at once.\n");
        }
        canceller.raise(level);
    }
}
