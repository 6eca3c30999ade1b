//! Judges for a waiter whether a lock may be taken over (`ledger.md`, "Locks"). Pure.
//!
//! Holder and waiter measure elapsed time by their own monotonic clocks, and never rely on another
//! machine's clock alone: a lease is over when it has expired by its holder's time, with a
//! tolerance for clock skew, **and** the waiter has seen no renewal for long enough.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::lease::PUBLICATION_LEASE;
use super::lock::Lock;

/// The tolerated clock skew, so that a live holder is not taken for dead.
const CLOCKS_APART: SignedDuration = SignedDuration::from_mins(2);

/// The liveness of a lock's holder, as known to the waiter's machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Liveness {
    Alive,
    Dead,
    /// The holder ran, or runs, on another machine, or is no process at all.
    Unknown,
}

/// Whether a lock blocks another run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judgement {
    /// The holder is alive, as far as is known.
    Held,
    /// The lease has expired by its holder's time, but has not been observed for long enough yet.
    LooksAbandoned,
    /// The lock may be taken over.
    Free,
}

/// Judges a lock by its content, the waiter's time of day, and the time for which the waiter has
/// seen this very object.
#[must_use]
pub fn judge(lock: &Lock, liveness: Liveness, now: Timestamp, unchanged_for: Duration) -> Judgement {
    match liveness {
        // The lease may have expired while the machine slept; nothing else must start meanwhile.
        Liveness::Alive => return Judgement::Held,
        Liveness::Dead => return Judgement::Free,
        Liveness::Unknown => {}
    }
    let Some(expiry) = lock.expires_at else { return Judgement::Held };
    let is_over = expiry.checked_add(CLOCKS_APART).is_ok_and(|end| end <= now);
    if lock.is_publication() {
        // Nothing is applied under a publication's lock, and a publication that lost it changes
        // nothing: its push names the lock. So either clock suffices.
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

/// The remaining time to wait for a lock that is not renewed any more, from now on. `None` for a
/// lock that does not expire.
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
        // For a lease of five minutes, a waiter observes for 200 seconds.
        for (expires_in, seen, expected) in [
            (1, 10_000, Held),
            (0, 0, LooksAbandoned),
            (-119, 10_000, LooksAbandoned),
            (-120, 0, LooksAbandoned),
            (-120, 199, LooksAbandoned),
            (-120, 200, Free),
            // A clock that is hours behind the waiter's, and a holder that renews.
            (-7200, 150, LooksAbandoned),
            // A clock that is ahead of it.
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
