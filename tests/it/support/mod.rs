//! Support of the tests: a hermetic environment, repositories, remotes of every kind.

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
#[path = "../../needs/tools.rs"]
#[allow(dead_code, reason = "build.rs looks for the tools")]
mod tools;

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
pub(crate) use tools::{TOOLS, Tool, conformance_cases, specification};

use std::time::{Duration, Instant};

/// The timeout of everything that a test waits for. Generous: the machine may be busy.
pub(crate) const PATIENCE: Duration = Duration::from_mins(2);

/// Waits until a condition holds; fails at the timeout.
pub(crate) fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Fails if a tool that a test needs is missing: it was present when the tests were built, or the
/// test would have been ignored.
#[track_caller]
pub(crate) fn insist_on(name: &str, is_there: bool) {
    let tool = TOOLS.iter().find(|tool| tool.name == name).unwrap();
    assert!(is_there, "{}. `touch build.rs` has it looked for again", tool.missing);
}
