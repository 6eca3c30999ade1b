//! Processes that a killed run has left behind: its components may still be at work.
//!
//! They are known by the taking of locks that their environment names, so that there is no moment
//! between the start of a process and a note of it. A process that clears its environment is not
//! found, and neither is any on a system without `/proc`.

use std::fs;

use jiff::Timestamp;
use rustix::process::{Pid, Signal, kill_process_group};

use crate::deployment::lock::Lock;

use super::process_stat::ProcessStat;

/// The variable of a component's processes that names the taking of locks that they work under:
/// [`Lock::session`].
pub const SESSION_VARIABLE: &str = "ATMOS_LOCK_SESSION";

/// A process that works, and its group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Orphan {
    pub process: u32,
    group: u32,
    /// When it started, where the system tells.
    pub started: Option<Timestamp>,
}

/// The processes of a lock's components on this machine. None of them is this process or an
/// ancestor of it: a component may start a program that rolls out.
pub(super) fn of(lock: &Lock) -> Vec<Orphan> {
    let Some(session) = &lock.session else { return Vec::new() };
    let entry = format!("{SESSION_VARIABLE}={session}");
    let Ok(processes) = fs::read_dir("/proc") else { return Vec::new() };
    let processes = processes.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let working: Vec<u32> = processes.filter(|process| names(*process, entry.as_bytes())).collect();
    if working.is_empty() {
        return Vec::new();
    }
    let own = ancestors(std::process::id());
    let orphan = |process| {
        let stat = ProcessStat::read(process)?;
        Some(Orphan { process, group: stat.group, started: stat.started_at() })
    };
    let is_own = |orphan: &Orphan| {
        own.iter().any(|(process, stat)| *process == orphan.process || stat.group == orphan.group)
    };
    let program = program(std::process::id());
    let is_of_a_living_run = |orphan: &Orphan| {
        ancestors(orphan.process).iter().skip(1).any(|(process, _)| self::program(*process) == program)
    };
    let orphans = working.into_iter().filter_map(orphan);
    orphans.filter(|orphan| !is_own(orphan) && !is_of_a_living_run(orphan)).collect()
}

/// The name of a process's program, by which a living run is known: what it has started descends
/// from it, and what a killed one has left does not.
fn program(process: u32) -> Option<String> {
    fs::read_to_string(format!("/proc/{process}/comm")).ok()
}

/// Asks the processes' groups to end: SIGTERM, and never SIGKILL, which would leave half of
/// something.
pub(super) fn ask_to_end(orphans: &[Orphan]) {
    let mut groups: Vec<_> = orphans.iter().map(|orphan| orphan.group).collect();
    groups.sort_unstable();
    groups.dedup();
    // A signal to group 1 goes to every process that there is, and one to group 0 to this one's.
    groups.retain(|group| *group > 1);
    for group in groups.into_iter().filter_map(|group| Pid::from_raw(i32::try_from(group).ok()?)) {
        if let Err(error) = kill_process_group(group, Signal::TERM) {
            tracing::debug!(%error, "a process group that has ended meanwhile, or is not ours");
        }
    }
}

/// Whether a process has this entry in its environment. One that has ended has none.
fn names(process: u32, entry: &[u8]) -> bool {
    let environment = fs::read(format!("/proc/{process}/environ"));
    environment.is_ok_and(|environment| environment.split(|byte| *byte == 0).any(|found| found == entry))
}

/// A process and those that it descends from.
fn ancestors(process: u32) -> Vec<(u32, ProcessStat)> {
    let read = |process| Some((process, ProcessStat::read(process)?));
    std::iter::successors(read(process), |(_, stat)| read(stat.parent)).collect()
}
