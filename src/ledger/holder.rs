//! Which process holds a lock, so that the same machine can tell that its holder is dead.

use std::fs;

use rustix::process::geteuid;

use crate::deployment::judgement::Liveness;
use crate::deployment::lock::Lock;

use super::orphans::{self, Orphan};
use super::process_stat::{ProcessStat, Sight};

/// The identity of a process on its machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Boot and process namespace, where the system tells them. A host name would not do:
    /// containers share names and each have a process 1.
    pub host: Option<String>,
    pub process: u32,
    /// In the kernel's ticks since boot, against process ids that are used again.
    pub started: Option<u64>,
    /// Its user, by number: what another user's process has left behind cannot be seen.
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

    /// Whether a lock's holder lives, or a component that it has left behind works. Only the
    /// machine that it ran on can tell.
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

/// Whether the very process of a lock works; `None` where this machine cannot tell.
fn works(lock: &Lock) -> Option<bool> {
    let (lock_host, process, lock_started) = (lock.host.as_ref()?, lock.process?, lock.process_started?);
    if host().as_ref() != Some(lock_host) {
        return None;
    }
    match Sight::of(process) {
        Sight::Works(stat) => Some(stat.started == lock_started),
        Sight::Gone => Some(false),
        // It may be the very process, or one that has its id now.
        Sight::Hidden => None,
    }
}

/// Whether this process may look into those that a lock's holder has left. Earlier versions did not
/// say whose they are.
fn orphans_would_be_seen(lock: &Lock) -> bool {
    let own = geteuid();
    own.is_root() || lock.user.is_none_or(|user| user == own.as_raw())
}

/// What a lock's holder has left at work on this machine although it is dead itself.
#[must_use]
pub fn left_at_work(lock: &Lock) -> Vec<Orphan> {
    if works(lock) == Some(false) { orphans::of(lock) } else { Vec::new() }
}

/// The boot and the process namespace. `None` on systems that do not
/// tell: leases expire there instead.
fn host() -> Option<String> {
    // In a process namespace of its own without a `/proc` of its own, numbers mean other processes.
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
