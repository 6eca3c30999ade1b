//! Idempotency: what this very run has deployed already, which it does not deploy again (`trust.md`, "The digest").

use std::collections::BTreeMap;

use super::carry_out::Undertaking;
use super::digest::Digests;
use crate::cli::error::CommandError;
use crate::deployment::record::LedgerRecord;
use crate::deployment::rollout_plan::{ComponentPlan, RolloutPlan};
use crate::deployment::run::run_without_attempt;
use crate::deployment::{ComponentName, RecordStatus};
use crate::ledger::Snapshot;
use crate::rollout::AlreadyDone;

/// How far back the record of this run is looked for.
const RECORDS_LOOKED_AT: usize = 50;

impl Undertaking<'_, '_> {
    /// The components whose newest record of this run, whichever attempt of it, is a success of the same digest.
    pub(super) fn done(
        &self,
        plan: &RolloutPlan,
        digests: &Digests,
        snapshot: &Snapshot,
        run_id: &str,
    ) -> Result<BTreeMap<ComponentName, AlreadyDone>, CommandError> {
        let state = snapshot.deployment(&plan.deployment);
        let run = run_without_attempt(run_id);
        let is_own = |found: &LedgerRecord| {
            found.record.run_id.as_deref().is_some_and(|id| run_without_attempt(id) == run)
        };
        let mut done = BTreeMap::new();
        let mut behind_others = Vec::new();
        for planned in &plan.components {
            let newest = state.component(&plan.target, &planned.component);
            let Some(newest) = newest.and_then(|state| state.newest.as_ref()) else { continue };
            if !is_own(newest) {
                if may_have_run_before(run_id, newest) {
                    behind_others.push(planned.component.clone());
                }
            } else if is_same(newest, planned, digests) {
                done.insert(planned.component.clone(), already_done(newest, None));
            }
        }
        for (component, records) in self.prepared.histories(&state, &behind_others)? {
            let own = records.iter().take(RECORDS_LOOKED_AT).find(|found| is_own(found));
            let planned = plan.components.iter().find(|planned| planned.component == component);
            if let (Some(own), Some(planned)) = (own, planned)
                && is_same(own, planned, digests)
                // To go back to it is what is asked for.
                && !(planned.goes_back() && self.goes_back_on_purpose())
            {
                done.insert(component, already_done(own, records.first()));
            }
        }
        Ok(done)
    }

    /// Whether the request is to go back: a commit was named, or an automatic rollout may go back.
    fn goes_back_on_purpose(&self) -> bool {
        let request = &self.prepared.request;
        request.commit_named || request.allow_rollback || request.retry_is_meant
    }
}

/// Whether a run may have recorded something before this record, which is another run's: a run that is new has not. CI
/// systems count their runs; a run of this machine has an id that nothing else has.
fn may_have_run_before(run_id: &str, newest: &LedgerRecord) -> bool {
    let run = run_without_attempt(run_id);
    let is_run_again = run_id.starts_with("github:") && run != run_id && !run_id.ends_with("/1");
    if run.starts_with("local:") || is_run_again {
        return is_run_again;
    }
    let number = |id: &str| {
        let (system, number) = id.rsplit_once(':')?;
        Some((system.to_owned(), number.parse::<u64>().ok()?))
    };
    let newest = newest.record.run_id.as_deref().map(run_without_attempt);
    match (number(run), newest.and_then(number)) {
        (Some((system, own)), Some((other_system, other))) if system == other_system => own < other,
        _ => true,
    }
}

/// Whether a record is of what is planned. Earlier versions wrote no digest: then the commit has to do.
fn is_same(found: &LedgerRecord, planned: &ComponentPlan, digests: &Digests) -> bool {
    let record = &found.record;
    let same = match (&record.details.digest, digests.components.get(&planned.component)) {
        (Some(recorded), Some(wanted)) => *recorded == wanted.digest.as_str(),
        (None, Some(wanted)) => wanted.context_overrides.is_empty() && record.commit == planned.commit,
        (_, None) => false,
    };
    same && record.status == RecordStatus::Success
}

fn already_done(own: &LedgerRecord, newest: Option<&LedgerRecord>) -> AlreadyDone {
    let replaced = newest.map(|newest| {
        let run = newest.record.run_id.as_deref().unwrap_or("unknown");
        format!(", since replaced by {} (run {run})", newest.record.commit.short())
    });
    AlreadyDone {
        id: own.id.clone(),
        notice: format!("already deployed by this run{}", replaced.unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deployment::fixtures::record;

    #[test]
    fn only_a_run_that_is_not_new_can_have_run_before() {
        for (run, newest, may) in [
            ("github:100/1", Some("github:101/1"), true),
            ("github:102/1", Some("github:101/1"), false),
            ("github:102/2", Some("github:101/3"), true),
            ("github:102/11", Some("github:101/1"), true),
            ("gitlab:7/70", Some("gitlab:8/1"), true),
            ("gitlab:9/90", Some("gitlab:8/1"), false),
            ("github:100/1", Some("gitlab:1/1"), true),
            ("github:100/1", Some("local:abc"), true),
            ("github:100/1", None, true),
            ("jenkins/41", Some("jenkins/40"), true),
            ("local:abc", Some("github:1/1"), false),
        ] {
            let mut other = record("prod", "api", "abc123d", RecordStatus::Success, "2025-01-22T12:00:00Z");
            other.record.run_id = newest.map(str::to_owned);
            assert_eq!(may_have_run_before(run, &other), may, "{run} {newest:?}");
        }
    }
}
