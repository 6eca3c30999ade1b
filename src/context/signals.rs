//! SIGINT, SIGTERM and SIGHUP: the first signal ends the rollout in order, the second one at once.

use std::thread;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::cancellation::{Cancellation, CancellationLevel, Canceller};
use crate::context::{Context, runtime};

/// A cancellation that signals raise, for as long as the process lives.
pub fn cancellation(context: &Context) -> Cancellation {
    let (canceller, cancellation) = Cancellation::new();
    let quiet = context.global().quiet;
    thread::spawn(move || match runtime::on_this_thread() {
        Ok(runtime) => runtime.block_on(listen(canceller, quiet)),
        Err(error) => tracing::warn!(%error, "signals end the process without order"),
    });
    cancellation
}

/// Whether SIGHUP is ignored, as `nohup` has it: then a hangup of the terminal ends nothing. Where
/// the system does not tell, it counts as ignored, so that the signal keeps its action.
fn hangup_is_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_none_or(|mask| mask & 1 == 1)
}

async fn listen(canceller: Canceller, quiet: bool) {
    let mut hangup = if hangup_is_ignored() { None } else { signal(SignalKind::hangup()).ok() };
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
            () = hung_up(&mut hangup) => {}
        }
        if level == CancellationLevel::Graceful {
            streams.note("\n  Cancelling: what runs is told to stop. Once more stops it at once.\n");
        }
        canceller.raise(level);
    }
}

/// Waits for SIGHUP; for ever where the signal is not handled.
async fn hung_up(hangup: &mut Option<Signal>) {
    match hangup {
        Some(hangup) => drop(hangup.recv().await),
        None => std::future::pending().await,
    }
}
