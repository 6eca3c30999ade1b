//! Orphaned processes: a killed run's components may still be running.
//!
//! They are found by the session id in their environment, so that there is no race between the
//! start of a process and a note of it. Processes that clear their environment are not found, and
//! none are on a system without `/proc`.

use std::fs;

use jiff::Timestamp;
use rustix::process::{Pid, Signal, kill_process_group};

use crate::deployment::lock::Lock;

use super::process_stat::ProcessStat;

/// The variable with the session id ([`Lock::session`]) in the
/// environment of a component's processes.
pub const SESSION_VARIABLE: &str = "ATMOS_LOCK_SESSION";

/// A running process and its group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Orphan {
    pub process: u32,
    group: u32,
    /// Its start, where the system tells.
    pub started: Option<Timestamp>,
}

/// The running processes of a lock's components on this machine, without this process and its
/// ancestors: a component may start a rollout of its own.
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

/// The name of a process's program, by which the processes of a living run are recognised: they
/// descend from it, and the orphans of a killed run do not.
fn program(process: u32) -> Option<String> {
    fs::read_to_string(format!("/proc/{process}/comm")).ok()
}

/// Sends SIGTERM to the processes' groups. Never SIGKILL, which could tear an apply.
pub(super) fn ask_to_end(orphans: &[Orphan]) {
    let mut groups: Vec<_> = orphans.iter().map(|orphan| orphan.group).collect();
    groups.sort_unstable();
    groups.dedup();
    // Never signal group 1 (every process) or 0 (this process's own group).
    groups.retain(|group| *group > 1);
    for group in groups.into_iter().filter_map(|group| Pid::from_raw(i32::try_from(group).ok()?)) {
        if let Err(error) = kill_process_group(group, Signal::TERM) {
            tracing::debug!(%error, "a process group that has ended meanwhile, or is not ours");
        }
    }
}

/// Whether a process has this entry in its environment. A dead process has none.
fn names(process: u32, entry: &[u8]) -> bool {
    let environment = fs::read(format!("/proc/{process}/environ"));
    environment.is_ok_and(|environment| environment.split(|byte| *byte == 0).any(|found| found == entry))
}

/// A process and its ancestors.
fn ancestors(process: u32) -> Vec<(u32, ProcessStat)> {
    let read = |process| Some((process, ProcessStat::read(process)?));
    std::iter::successors(read(process), |(_, stat)| read(stat.parent)).collect()
}
