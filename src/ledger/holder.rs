//! Which process holds a lock, so that the same machine can tell that its holder is dead.

use std::fs;

use crate::deployment::judgement::Liveness;
use crate::deployment::lock::Lock;

use super::orphans::{self, Orphan};
use super::process_stat::ProcessStat;

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

    /// Whether a lock's holder lives, or a component that it has left behind works. Only the machine
    /// that it ran on can tell.
    #[must_use]
    pub fn liveness(lock: &Lock) -> Liveness {
        match works(lock) {
            None => Liveness::Unknown,
            Some(false) if orphans::of(lock).is_empty() => Liveness::Dead,
            Some(_) => Liveness::Alive,
        }
    }
}

/// Whether the very process of a lock works; `None` where this machine cannot tell.
fn works(lock: &Lock) -> Option<bool> {
    let (lock_host, process, lock_started) = (lock.host.as_ref()?, lock.process?, lock.process_started?);
    (host().as_ref() == Some(lock_host)).then(|| started(process) == Some(lock_started))
}

/// What a lock's holder has left at work on this machine although it is dead itself.
#[must_use]
pub fn left_at_work(lock: &Lock) -> Vec<Orphan> {
    if works(lock) == Some(false) { orphans::of(lock) } else { Vec::new() }
}

/// The boot and the process namespace. `None` on systems that do not tell: leases expire there instead.
fn host() -> Option<String> {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let namespace = fs::read_link("/proc/self/ns/pid").ok()?;
    Some(format!("{}/{}", boot.trim(), namespace.to_string_lossy()))
}

/// When a process started.
fn started(process: u32) -> Option<u64> {
    ProcessStat::read(process).map(|stat| stat.started)
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
