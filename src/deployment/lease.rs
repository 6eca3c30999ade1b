//! Leases of locks: when a holder renews, stops and ends (`ledger.md`, "Locks").
//!
//! When a waiter may take over is `judgement`'s to say.

use std::time::Duration;

/// How long a rollout's lock lives without being renewed.
pub const LEASE: Duration = Duration::from_mins(5);

/// How long the lock lives under which kept records are published. It is not renewed.
pub const PUBLICATION_LEASE: Duration = Duration::from_mins(1);

/// The reason of locks under which kept records are published. They are short, and waited out.
pub const PUBLISHING: &str = "publishing";

/// How long before its lease ends a holder starts nothing more.
const MARGIN: Duration = Duration::from_secs(30);

/// A lease, with the intervals and timeouts that follow from its length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease(pub Duration);

impl Lease {
    /// How old an acknowledged renewal is when the next one is due.
    #[must_use]
    pub fn renewal_interval(self) -> Duration {
        self.0 / 3
    }

    /// How long a renewal may take before it is given up and tried again.
    #[must_use]
    pub fn renewal_limit(self) -> Duration {
        self.0 / 3
    }

    /// How old an acknowledged renewal may be while a push is under way that renews as well.
    ///
    /// Later than [`Self::renewal_interval`], because a renewal and a push that meet cost the push
    /// another attempt.
    #[must_use]
    pub fn renewal_interval_beside_push(self) -> Duration {
        self.0 / 2
    }

    /// How old an acknowledged renewal may be for something to be started.
    #[must_use]
    pub fn starts_within(self) -> Duration {
        self.0.saturating_sub(MARGIN.min(self.0 / 4))
    }

    /// How long a waiter has to see a lock unchanged: within this time a living holder has renewed.
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
