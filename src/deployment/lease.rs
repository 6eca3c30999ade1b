//! Leases of locks: the times at which a holder renews, stops and ends (`ledger.md`, "Locks").
//!
//! Takeover by a waiter is in `judgement`.

use std::time::Duration;

/// The lease of a rollout's lock.
pub const LEASE: Duration = Duration::from_mins(5);

/// The lease of the lock for publishing kept records. It is not renewed.
pub const PUBLICATION_LEASE: Duration = Duration::from_mins(1);

/// The reason of locks for publishing kept records. They are short, and others wait for them.
pub const PUBLISHING: &str = "publishing";

/// The margin before the end of the lease, within which a holder starts nothing more.
const MARGIN: Duration = Duration::from_secs(30);

/// A lease, with the intervals and timeouts that follow from its length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease(pub Duration);

impl Lease {
    /// The age of the last acknowledged renewal at which the next one is due.
    #[must_use]
    pub fn renewal_interval(self) -> Duration {
        self.0 / 3
    }

    /// The timeout of a renewal, after which it is retried.
    #[must_use]
    pub fn renewal_limit(self) -> Duration {
        self.0 / 3
    }

    /// The age at which a renewal is due while a push is in progress that renews as well.
    ///
    /// Later than [`Self::renewal_interval`], because a renewal and a push that meet cost the push
    /// another attempt.
    #[must_use]
    pub fn renewal_interval_beside_push(self) -> Duration {
        self.0 / 2
    }

    /// The maximum age of the last acknowledged renewal for starting anything.
    #[must_use]
    pub fn starts_within(self) -> Duration {
        self.0.saturating_sub(MARGIN.min(self.0 / 4))
    }

    /// The time for which a waiter has to see a lock unchanged: a live holder renews within it.
    #[must_use]
    pub fn unchanged_for(self) -> Duration {
        self.renewal_interval() + self.renewal_limit()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_living_holder_has_renewed_before_it_stops_and_stops_before_it_ends() {
        for seconds in [1, 3, 6, 60, 120, 300, 3600] {
            let lease = Lease(Duration::from_secs(seconds));
            assert!(lease.renewal_interval() < lease.renewal_interval_beside_push());
            assert!(lease.renewal_interval_beside_push() < lease.starts_within());
            assert!(lease.renewal_interval() + lease.renewal_limit() < lease.starts_within());
            assert!(lease.starts_within() < lease.0);
        }
    }
}
