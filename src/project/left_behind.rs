//! What earlier runs of a checkout have left behind: published on the way, and said.

use crate::context::Context;
use crate::deployment::count::count;
use crate::ledger::{Freshness, Ledger, LedgerError, PendingRun, Published};

impl Context {
    /// Publishes what interrupted runs of this checkout have kept, where the remote answers.
    /// Returns whether anything was: then the ledger is not any more as it was read.
    pub fn publish_left_behind(
        &self,
        ledger: &Ledger<'_>,
        pending: &[PendingRun],
        freshness: &Freshness,
    ) -> bool {
        let left_behind = pending.iter().any(|run| !run.may_be_alive(self.now()));
        if !left_behind || *freshness != Freshness::Current || ledger.remote().is_none() {
            return false;
        }
        match ledger.publish_pending(pending) {
            Ok(published) => {
                self.say_published(&published);
                published.records > 0 || published.runs > 0
            }
            // A token that may only read is no fault of a command that only reads.
            Err(LedgerError::Git(error)) if error.is_forbidden() => {
                tracing::debug!(%error, "records of an earlier run are not published");
                false
            }
            Err(error) => {
                self.warn(&format!("records of an earlier run are not published: {error}"));
                false
            }
        }
    }

    fn say_published(&self, published: &Published) {
        let Published { records, late, waiting_for, failures, .. } = published;
        for failure in failures {
            self.warn(&format!("records of an earlier run are not published: {failure}"));
        }
        if *records > 0 {
            let of_earlier_runs = count(*records, "record");
            let late = if *late > 0 {
                format!(", {late} of them late: other records of the same components had come first")
            } else {
                String::new()
            };
            self.streams().note(&format!("Published {of_earlier_runs} that an earlier run had kept{late}\n"));
        }
        if let Some(holder) = waiting_for.first() {
            self.streams().note(&format!(
                "Records that an earlier run had kept are published when {holder} has let go of the lock\n"
            ));
        }
    }
}
