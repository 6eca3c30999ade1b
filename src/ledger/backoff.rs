//! The pause between attempts.

use std::time::Duration;

/// The delay before a retry: exponential backoff, half of it random jitter, so that many runners do
/// not retry at the same moments.
pub(super) fn backoff(attempt: u32) -> Duration {
    let ceiling = 40_u64 << attempt.min(6);
    let chance = u64::from(uuid::Uuid::now_v7().as_bytes()[15]);
    Duration::from_millis(ceiling / 2 + ceiling * chance / 512)
}
