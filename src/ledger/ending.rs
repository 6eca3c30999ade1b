//! Ends orphaned components of killed runs, and waits for them, before anything is started.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use crate::deployment::judgement::Liveness;
use crate::deployment::lock::HeldLock;

use super::holder::{Holder, left_at_work};
use super::orphans::{Orphan, ask_to_end};

/// The timeout for components that were told to end, even if `--lock-timeout` is shorter.
const LIMIT: Duration = Duration::from_mins(1);

/// Orphaned processes of a killed run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftAtWork {
    pub run_id: String,
    pub processes: Vec<Orphan>,
}

/// The orphans that are being ended while this run waits for locks.
#[derive(Debug, Default)]
pub(super) struct Ending {
    /// The sessions whose components were told to end.
    asked: HashSet<Option<String>>,
    /// The processes that were told to end since the last call of [`Self::news`].
    news: Vec<LeftAtWork>,
    pub(super) since: Option<Instant>,
    /// Whether their runs' pending records were published after they had ended.
    pub(super) published: bool,
}

impl Ending {
    /// Takes the processes that were told to end since the last call. They may have ended already.
    pub(super) fn news(&mut self) -> Vec<LeftAtWork> {
        std::mem::take(&mut self.news)
    }

    /// Tells orphaned components of killed runs to end, once. Returns whether to poll again: they
    /// are still ending, or have ended since the lock was judged.
    pub(super) fn ask(&mut self, held: &[HeldLock]) -> bool {
        let mut is_ending = false;
        for HeldLock { lock, .. } in held {
            let left = left_at_work(lock);
            is_ending |= !left.is_empty() || Holder::liveness(lock) == Liveness::Dead;
            if !left.is_empty() && self.asked.insert(lock.session.clone()) {
                ask_to_end(&left);
                self.news.push(LeftAtWork { run_id: lock.run_id.clone(), processes: left });
            }
        }
        is_ending && self.since.get_or_insert_with(Instant::now).elapsed() < LIMIT
    }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;
    use crate::deployment::lock::{Lock, LockScope};

    fn held_by(holder: Holder) -> HeldLock {
        let Holder { host, process, started, .. } = holder;
        let lock = Lock { host, process: Some(process), process_started: started, ..Lock::unreadable() };
        HeldLock { scope: LockScope::Target, object: "0".repeat(40).parse().unwrap(), lock }
    }

    #[test]
    fn a_lock_is_looked_at_again_where_what_held_it_has_ended_since_it_was_judged() {
        let living = Holder::current();
        let ended = Holder { started: living.started.map(|ticks| ticks + 1), ..living.clone() };
        assert!(Ending::default().ask(&[held_by(ended)]));
        assert!(!Ending::default().ask(&[held_by(living)]));
    }
}
