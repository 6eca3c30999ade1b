//! Named stopping points of a rollout, for the tests that kill the process at every step.

/// Kills the process, as `kill -9` would, where `ATMOS_FAILPOINT` names this step. Only in debug builds: a released
/// binary has no such points.
pub fn failpoint(step: &str) {
    #[cfg(debug_assertions)]
    if std::env::var("ATMOS_FAILPOINT").is_ok_and(|wanted| wanted == step) {
        let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    }
    #[cfg(not(debug_assertions))]
    let _ = step;
}
