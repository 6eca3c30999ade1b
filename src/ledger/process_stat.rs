//! Linux's status of a process: `/proc/<pid>/stat`, `proc_pid_stat(5)`.

use std::fs;
use std::path::Path;

use jiff::Timestamp;
use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process};

/// The status of a running process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ProcessStat {
    pub(super) parent: u32,
    pub(super) group: u32,
    /// In the kernel's ticks since boot.
    pub(super) started: u64,
}

/// The visible status of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sight {
    Works(ProcessStat),
    /// The process does not exist, or is a zombie.
    Gone,
    /// The process exists and belongs to another user, and the system hides its status (`hidepid`).
    Hidden,
}

impl Sight {
    /// Reads the status of a process.
    pub(super) fn of(process: u32) -> Self {
        match ProcessStat::read(process) {
            Some(stat) => Self::Works(stat),
            None if is_hidden(process) => Self::Hidden,
            None => Self::Gone,
        }
    }
}

/// Whether a process exists whose status is hidden: a signal to it would be refused. A zombie's
/// status is visible.
fn is_hidden(process: u32) -> bool {
    let pid = i32::try_from(process).ok().and_then(Pid::from_raw);
    pid.is_some_and(|pid| test_kill_process(pid) == Err(Errno::PERM))
        && !Path::new(&format!("/proc/{process}/stat")).exists()
}

impl ProcessStat {
    /// Reads a process; `None` where it does not exist, or the system hides it. A zombie counts as
    /// absent.
    pub(super) fn read(process: u32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
        // Fields are counted after the name, which may contain any characters.
        let (_, fields) = stat.rsplit_once(')')?;
        let fields: Vec<_> = fields.split_whitespace().collect();
        let [state, parent, group, ..] = fields[..] else { return None };
        if state == "Z" {
            return None;
        }
        let started = fields.get(19)?.parse().ok()?;
        Some(Self { parent: parent.parse().ok()?, group: group.parse().ok()?, started })
    }

    /// The start time of the process, by this machine's clock.
    pub(super) fn started_at(&self) -> Option<Timestamp> {
        let stat = fs::read_to_string("/proc/stat").ok()?;
        let boot: i64 = stat.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()?;
        let seconds = i64::try_from(self.started / rustix::param::clock_ticks_per_second()).ok()?;
        Timestamp::from_second(boot.checked_add(seconds)?).ok()
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_process_that_only_waits_to_be_collected_works_no_more() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let process = child.id();
        assert_eq!(ProcessStat::read(process).unwrap().parent, std::process::id());
        child.kill().unwrap();
        let state = || fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
        while !state().contains(") Z ") {
            std::thread::yield_now();
        }
        assert_eq!(ProcessStat::read(process), None);
        child.wait().unwrap();
        assert_eq!(ProcessStat::read(process), None);
    }
}
