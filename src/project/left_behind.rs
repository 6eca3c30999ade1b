//! Publication of pending records of earlier runs of a checkout.

use crate::context::Context;
use crate::deployment::count::count;
use crate::ledger::{Freshness, Ledger, LedgerError, PendingRun, Published};

impl Context {
    /// Publishes the pending records of interrupted runs of this checkout, if the remote is
    /// reachable. Returns whether there were any: then the ledger has changed since it was read.
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
            // A read-only token is no error for a command that only reads.
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
