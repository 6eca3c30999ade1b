//! The judgement of a lock by a waiter: whether it may be taken over (`ledger.md`, "Locks"). Pure.
//!
//! Holder and waiter judge by their own monotonic clock how much time has passed, and never compare
//! another machine's clock with theirs alone: a lease is over when its holder's time says so, with
//! room for clocks that differ, **and** the waiter has seen for long enough that nothing renews it.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::lease::PUBLICATION_LEASE;
use super::lock::Lock;

/// How far the clocks of two machines may differ without a living holder being taken for dead.
const CLOCKS_APART: SignedDuration = SignedDuration::from_mins(2);

/// The liveness of a lock's holder, as the waiter's machine knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Liveness {
    Alive,
    Dead,
    /// It ran, or runs, somewhere else, or is no process at all.
    Unknown,
}

/// Whether a lock is in the way of another run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judgement {
    /// Its holder works, as far as can be told.
    Held,
    /// Its lease has ended by its holder's time, and it has not been looked at for long enough yet.
    LooksAbandoned,
    /// It may be taken over.
    Free,
}

/// Judges a lock by what its object says, the waiter's time of day, and for how long the waiter has
/// seen this very object there.
#[must_use]
pub fn judge(lock: &Lock, liveness: Liveness, now: Timestamp, unchanged_for: Duration) -> Judgement {
    match liveness {
        // Its lease may have run out while the machine slept; nothing else has to start meanwhile.
        Liveness::Alive => return Judgement::Held,
        Liveness::Dead => return Judgement::Free,
        Liveness::Unknown => {}
    }
    let Some(expiry) = lock.expires_at else { return Judgement::Held };
    let is_over = expiry.checked_add(CLOCKS_APART).is_ok_and(|end| end <= now);
    if lock.is_publication() {
        // Nothing is applied under it, and a publication whose lock is gone changes nothing: its
        // push names the lock. So either clock will do.
        let waited = unchanged_for >= PUBLICATION_LEASE;
        return if is_over || waited { Judgement::Free } else { Judgement::Held };
    }
    if is_over && unchanged_for >= lock.lease().unchanged_for() {
        Judgement::Free
    } else if expiry <= now {
        Judgement::LooksAbandoned
    } else {
        Judgement::Held
    }
}

/// How long a waiter that begins to look now has to wait for a lock that nothing renews any more.
/// `None` for a lock that does not expire.
#[must_use]
pub fn patience(lock: &Lock, now: Timestamp) -> Option<Duration> {
    let end = lock.expires_at?.checked_add(CLOCKS_APART).ok()?;
    let left = Duration::try_from(end.duration_since(now)).unwrap_or_default();
    Some(left.max(lock.lease().unchanged_for()))
}

#[cfg(test)]
mod tests {
    use super::super::lease::PUBLISHING;
    use super::*;

    const NOW: Timestamp = Timestamp::constant(1_800_000_000, 0);

    fn lock(expires_in: i64, lease: u64) -> Lock {
        let expires_at = Some(NOW + SignedDuration::from_secs(expires_in));
        Lock { expires_at, lease: Some(Duration::from_secs(lease)), ..Lock::unreadable() }
    }

    #[test]
    fn a_lease_is_over_when_both_clocks_say_so() {
        use Judgement::{Free, Held, LooksAbandoned};
        // Of a lease of five minutes, a waiter looks for 200 seconds.
        for (expires_in, seen, expected) in [
            (1, 10_000, Held),
            (0, 0, LooksAbandoned),
            (-119, 10_000, LooksAbandoned),
            (-120, 0, LooksAbandoned),
            (-120, 199, LooksAbandoned),
            (-120, 200, Free),
            // A clock that is hours behind the waiter's, and a holder that renews.
            (-7200, 150, LooksAbandoned),
            // And one that is ahead of it.
            (7200, 10_000, Held),
        ] {
            let judged = judge(&lock(expires_in, 300), Liveness::Unknown, NOW, Duration::from_secs(seen));
            assert_eq!(judged, expected, "{expires_in} {seen}");
        }
    }

    #[test]
    fn a_machine_knows_its_own_processes() {
        let ages = [0, 10_000].map(Duration::from_secs);
        for (expires_in, seen) in [(-7200, ages[0]), (-7200, ages[1]), (7200, ages[0])] {
            let judge = |liveness| judge(&lock(expires_in, 300), liveness, NOW, seen);
            assert_eq!(judge(Liveness::Alive), Judgement::Held);
            assert_eq!(judge(Liveness::Dead), Judgement::Free);
        }
    }

    #[test]
    fn a_lock_without_an_expiry_stays() {
        let freeze = Lock { expires_at: None, ..lock(0, 300) };
        assert_eq!(judge(&freeze, Liveness::Unknown, NOW, Duration::from_hours(9)), Judgement::Held);
        assert_eq!(patience(&freeze, NOW), None);
    }

    #[test]
    fn a_publication_is_over_by_either_clock() {
        let publishing = |expires_in| {
            let reason = Some(PUBLISHING.to_owned());
            Lock { reason, ..lock(expires_in, 60) }
        };
        for (expires_in, seen, expected) in [
            (7200, 59, Judgement::Held),
            (7200, 60, Judgement::Free),
            (-119, 0, Judgement::Held),
            (-120, 0, Judgement::Free),
        ] {
            let seen = Duration::from_secs(seen);
            assert_eq!(judge(&publishing(expires_in), Liveness::Unknown, NOW, seen), expected);
        }
    }

    #[test]
    fn patience_is_what_it_takes_until_a_dead_lock_is_free() {
        for expires_in in [300, 1, 0, -60, -119, -120, -100_000] {
            let lock = lock(expires_in, 300);
            let patience = patience(&lock, NOW).unwrap();
            let then = NOW + SignedDuration::try_from(patience).unwrap();
            assert_eq!(judge(&lock, Liveness::Unknown, then, patience), Judgement::Free, "{expires_in}");
            let earlier = patience.checked_sub(Duration::from_secs(1)).unwrap();
            let then = NOW + SignedDuration::try_from(earlier).unwrap();
            assert_ne!(judge(&lock, Liveness::Unknown, then, earlier), Judgement::Free, "{expires_in}");
        }
    }
}
