//! What the tests stand on: a hermetic environment, repositories, remotes of every kind.

mod checkout;
mod ci_job;
mod environment;
mod git_daemon;
mod hints;
mod http_server;
mod payment_service;
mod platform;
mod program;
mod run;
mod terminal;

pub(crate) use checkout::{ATMOS, Checkout, Remote};
pub(crate) use ci_job::{Job as CiJob, RUNNER, TOKEN};
pub(crate) use environment::{Clone, TestEnvironment};
pub(crate) use git_daemon::GitDaemon;
pub(crate) use http_server::{Fault, HttpServer};
pub(crate) use payment_service::independent_components;
pub(crate) use platform::{Platform, control};
pub(crate) use program::copy_program;
pub(crate) use run::{Run, Running};
pub(crate) use terminal::Terminal;

use std::time::{Duration, Instant};

/// How long anything may take before a test gives up on it. Generous: the machine may be busy.
pub(crate) const PATIENCE: Duration = Duration::from_mins(2);

/// Waits until something holds; fails where it never does.
pub(crate) fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Whether a tool that a machine may lack is there. Says so where it is not; fails where it was required
/// (`ATMOS_TEST_REQUIRE`, as in CI).
pub(crate) fn has_tool(name: &str, is_there: bool) -> bool {
    let required = std::env::var("ATMOS_TEST_REQUIRE").unwrap_or_default();
    assert!(is_there || !required.contains(name), "{name} is required and not installed");
    if !is_there {
        eprintln!("skipped: {name} is not installed");
    }
    is_there
}
