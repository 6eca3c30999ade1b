//! Named stopping points of a rollout, for the tests that kill the process at every step.

/// Kills the process, as `kill -9` would, where `ATMOS_FAILPOINT` names this step: `pushed` the
/// first time, `pushed#3` the third.
///
/// Only in debug builds: a released binary has no such points.
pub fn failpoint(step: &str) {
    #[cfg(debug_assertions)]
    if let Ok(wanted) = std::env::var("ATMOS_FAILPOINT") {
        use std::sync::atomic::{AtomicUsize, Ordering};
        static REACHED: AtomicUsize = AtomicUsize::new(0);
        let (name, at) = wanted.split_once('#').unwrap_or((&wanted, "1"));
        if name == step && Ok(REACHED.fetch_add(1, Ordering::SeqCst) + 1) == at.parse() {
            let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
        }
    }
    #[cfg(not(debug_assertions))]
    let _ = step;
}
