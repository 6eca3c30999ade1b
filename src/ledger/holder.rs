//! Which process holds a lock, so that the same machine can tell that its holder is dead.

use std::fs;

use crate::deployment::lock::Lock;

/// The identity of a process on its machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Boot and process namespace, where the system tells them. A host name would not do: containers share names and
    /// each have a process 1.
    pub host: Option<String>,
    pub process: u32,
    /// In the kernel's ticks since boot, against process ids that are used again.
    pub started: Option<u64>,
}

impl Holder {
    /// This process.
    #[must_use]
    pub fn current() -> Self {
        let process = std::process::id();
        Self { host: host(), process, started: started(process) }
    }

    /// Whether a lock's holder lives. Only the machine that it ran on can tell.
    #[must_use]
    pub fn liveness(lock: &Lock) -> Liveness {
        match (&lock.host, lock.process, lock.process_started) {
            (Some(lock_host), Some(process), Some(lock_started)) if host().as_ref() == Some(lock_host) => {
                if started(process) == Some(lock_started) {
                    Liveness::Alive
                } else {
                    Liveness::Dead
                }
            }
            _ => Liveness::Unknown,
        }
    }
}

/// What is known of a lock's holder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Liveness {
    Alive,
    Dead,
    /// It ran, or runs, somewhere else, or is no process at all.
    Unknown,
}

/// The boot and the process namespace. `None` on systems that do not tell: leases expire there instead.
fn host() -> Option<String> {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let namespace = fs::read_link("/proc/self/ns/pid").ok()?;
    Some(format!("{}/{}", boot.trim(), namespace.to_string_lossy()))
}

/// When a process started: field 22 of `/proc/<pid>/stat`, counted behind the name, which may hold anything.
fn started(process: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace();
    // A process that is only waiting to be collected does nothing any more.
    if fields.next()? == "Z" {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    fn lock(holder: Holder) -> Lock {
        let Holder { host, process, started } = holder;
        Lock { host, process: Some(process), process_started: started, ..Lock::unreadable() }
    }

    #[test]
    fn a_living_holder_is_not_dead_and_a_reused_process_id_is() {
        let current = Holder::current();
        assert_eq!(Holder::liveness(&lock(current.clone())), Liveness::Alive);
        let reused = Holder { started: current.started.map(|ticks| ticks + 1), ..current.clone() };
        assert_eq!(Holder::liveness(&lock(reused)), Liveness::Dead);
        let elsewhere = Holder { host: Some("elsewhere".to_owned()), started: Some(1), ..current };
        assert_eq!(Holder::liveness(&lock(elsewhere)), Liveness::Unknown);
    }
}
