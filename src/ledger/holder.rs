//! The process that holds a lock, so that the same machine can find out that it is dead.

use std::fs;

use rustix::process::geteuid;

use crate::deployment::judgement::Liveness;
use crate::deployment::lock::Lock;

use super::orphans::{self, Orphan};
use super::process_stat::{ProcessStat, Sight};

/// The identity of a process on its machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// The ids of the boot and the process namespace, where the system has them. A host name is not
    /// enough: containers share names, and each has a process 1.
    pub host: Option<String>,
    pub process: u32,
    /// Its start in the kernel's ticks since boot, because process ids are reused.
    pub started: Option<u64>,
    /// Its user id: orphans of another user cannot be seen.
    pub user: u32,
}

impl Holder {
    /// This process.
    #[must_use]
    pub fn current() -> Self {
        let process = std::process::id();
        let started = ProcessStat::read(process).map(|stat| stat.started);
        Self { host: host(), process, started, user: geteuid().as_raw() }
    }

    /// Whether a lock's holder, or one of its orphans, is alive. Only its own machine can tell.
    #[must_use]
    pub fn liveness(lock: &Lock) -> Liveness {
        match works(lock) {
            Some(true) => Liveness::Alive,
            Some(false) if !orphans::of(lock).is_empty() => Liveness::Alive,
            Some(false) if orphans_would_be_seen(lock) => Liveness::Dead,
            Some(false) | None => Liveness::Unknown,
        }
    }
}

/// Whether a lock's process is running; `None` where this machine cannot tell.
fn works(lock: &Lock) -> Option<bool> {
    let (lock_host, process, lock_started) = (lock.host.as_ref()?, lock.process?, lock.process_started?);
    if host().as_ref() != Some(lock_host) {
        return None;
    }
    match Sight::of(process) {
        Sight::Works(stat) => Some(stat.started == lock_started),
        Sight::Gone => Some(false),
        // The process is either the holder, or another one that reuses its id.
        Sight::Hidden => None,
    }
}

/// Whether this process has permission to see orphans of a lock's holder. Locks of earlier
/// versions do not name the user.
fn orphans_would_be_seen(lock: &Lock) -> bool {
    let own = geteuid();
    own.is_root() || lock.user.is_none_or(|user| user == own.as_raw())
}

/// The orphans of a dead lock holder on this machine.
#[must_use]
pub fn left_at_work(lock: &Lock) -> Vec<Orphan> {
    if works(lock) == Some(false) { orphans::of(lock) } else { Vec::new() }
}

/// The ids of the boot and the process namespace. `None` on systems without
/// them, where only leases expire.
fn host() -> Option<String> {
    // With the `/proc` of another process namespace, process ids would mean other processes.
    let of_this_namespace =
        fs::read_link("/proc/self").ok()?.to_str() == Some(&std::process::id().to_string());
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok().filter(|_| of_this_namespace)?;
    let namespace = fs::read_link("/proc/self/ns/pid").ok()?;
    Some(format!("{}/{}", boot.trim(), namespace.to_string_lossy()))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    fn lock(holder: Holder) -> Lock {
        let Holder { host, process, started, user } = holder;
        let (process, user) = (Some(process), Some(user));
        Lock { host, process, process_started: started, user, ..Lock::unreadable() }
    }

    #[test]
    fn a_living_holder_is_not_dead_and_a_reused_process_id_is() {
        let current = Holder::current();
        assert_eq!(Holder::liveness(&lock(current.clone())), Liveness::Alive);
        let reused = Holder { started: current.started.map(|ticks| ticks + 1), ..current.clone() };
        assert_eq!(Holder::liveness(&lock(reused)), Liveness::Dead);
        let of_another_user =
            Holder { started: Some(1), user: current.user.wrapping_add(1), ..current.clone() };
        let expected = if geteuid().is_root() { Liveness::Dead } else { Liveness::Unknown };
        assert_eq!(Holder::liveness(&lock(of_another_user)), expected);
        let elsewhere = Holder { host: Some("elsewhere".to_owned()), started: Some(1), ..current };
        assert_eq!(Holder::liveness(&lock(elsewhere)), Liveness::Unknown);
    }
}
