//! The pause between attempts.

use std::time::Duration;

/// How long to wait before trying again: doubling, half of it by chance, so that many runners do
/// not march in step.
pub(super) fn backoff(attempt: u32) -> Duration {
    let ceiling = 40_u64 << attempt.min(6);
    let chance = u64::from(uuid::Uuid::now_v7().as_bytes()[15]);
    Duration::from_millis(ceiling / 2 + ceiling * chance / 512)
}
