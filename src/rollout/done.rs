//! Idempotency of retried jobs: components that this run has already deployed are not deployed
//! again (`trust.md`, "The digest").

use std::collections::BTreeMap;

use super::command::RolloutCommand;
use super::digest::Digests;
use super::gather::Gathered;
use crate::deployment::record::LedgerRecord;
use crate::deployment::rollout_plan::{ComponentPlan, RolloutPlan};
use crate::deployment::run::run_without_attempt;
use crate::deployment::{ComponentName, RecordStatus};
use crate::error::{Code, CommandError};
use crate::execution::AlreadyDone;
use crate::ledger::Snapshot;
use crate::render::document::error::Hint;

/// The most records to search for one of this run.
const RECORDS_LOOKED_AT: usize = 50;

impl RolloutCommand<'_, '_> {
    /// The components whose last record of this run, of any attempt, is
    /// a success with the same digest.
    pub(super) fn done(
        &self,
        plan: &RolloutPlan,
        digests: &Digests,
        snapshot: &Snapshot,
        run_id: &str,
    ) -> Result<BTreeMap<ComponentName, AlreadyDone>, CommandError> {
        let state = snapshot.deployment(&plan.deployment);
        let run = run_without_attempt(run_id);
        let mut done = BTreeMap::new();
        let mut to_look_back = Vec::new();
        for planned in &plan.components {
            let newest = state.component(&plan.target, &planned.component);
            let Some(newest) = newest.and_then(|state| state.newest.as_ref()) else { continue };
            if is_of_run(newest, run) && is_same(newest, planned, digests) {
                done.insert(planned.component.clone(), already_done(newest, newest));
            } else if may_hide_a_success(run_id, newest) {
                to_look_back.push(planned.component.clone());
            }
        }
        for (component, records) in self.prepared.histories(&state, &to_look_back)? {
            let last = last_of_run(&records, run);
            let planned = plan.components.iter().find(|planned| planned.component == component);
            let newest = records.iter().find(|record| !record.is_late());
            if let (Some(last), Some(planned), Some(newest)) = (last, planned, newest)
                && is_same(last, planned, digests)
                // A rollback to the commit was requested, so it is deployed again.
                && (is_of_run(newest, run) || !(planned.goes_back() && self.goes_back_on_purpose()))
            {
                done.insert(component, already_done(last, newest));
            }
        }
        Ok(done)
    }

    /// Refuses to apply a component again whose record by this run is still pending here.
    ///
    /// The record may still arrive; of two applies, one record would be late.
    pub(super) fn insist_on_published(
        &self,
        plan: &RolloutPlan,
        gathered: &Gathered,
        snapshot: &Snapshot,
    ) -> Result<(), CommandError> {
        let run = run_without_attempt(&self.prepared.run.id);
        let kept = plan.components.iter().filter(|planned| {
            let is_of_it = |found: &&LedgerRecord| {
                let id = &found.id;
                id.deployment == plan.deployment
                    && id.target == plan.target
                    && id.component == planned.component
                    && is_of_run(found, run)
            };
            let records = snapshot.pending.iter().flat_map(|pending| &pending.records);
            let last = records.filter(is_of_it).max_by_key(|found| found.record.timestamp);
            !gathered.done.contains_key(&planned.component)
                && last.is_some_and(|last| is_same(last, planned, &gathered.digests))
        });
        let kept: Vec<_> = kept.map(|planned| planned.component.as_str()).collect();
        if kept.is_empty() {
            return Ok(());
        }
        let remote = self.prepared.ledger.remote().unwrap_or("the remote");
        let message =
            format!("This run has deployed {} already, which {remote} does not know yet", kept.join(", "));
        let (deployment, target) = (&plan.deployment, &plan.target);
        Err(CommandError::new(Code::RecordsKept, message)
            .details([
                "Its records are kept in this repository under refs/atmos/pending. Nothing was applied."
                    .to_owned(),
            ])
            .hint(Hint::command(
                "A command that reaches the remote publishes what is kept",
                format!("atmos deployment status {deployment} --target {target}"),
            ))
            .hint(Hint::note(
                "Then this run goes on with what it has not deployed. A new run deploys it again",
            )))
    }

    /// Whether the request may be a rollback: a commit was named, or an
    /// automatic rollout may go back.
    fn goes_back_on_purpose(&self) -> bool {
        let request = &self.prepared.request;
        request.commit_named || request.allow_rollback || request.retry_is_meant
    }
}

fn is_of_run(found: &LedgerRecord, run: &str) -> bool {
    found.record.run_id.as_deref().is_some_and(|id| run_without_attempt(id) == run)
}

/// Whether a success of this run may be behind its component's newest record. Behind a record of
/// the run itself, it is a success that was published late.
fn may_hide_a_success(run_id: &str, newest: &LedgerRecord) -> bool {
    if is_of_run(newest, run_without_attempt(run_id)) {
        newest.record.status != RecordStatus::Success
    } else {
        may_have_run_before(run_id, newest)
    }
}

/// The last record of a run by execution, not by publication. `records` are newest first.
///
/// An `interrupted` record is provisional until the run's own one is published late. GitHub's
/// attempts are ordered by their numbers, because clocks of runners are skewed.
fn last_of_run<'r>(records: &'r [LedgerRecord], run: &str) -> Option<&'r LedgerRecord> {
    let records = records.iter().take(RECORDS_LOOKED_AT);
    let is_outdated = |found: &LedgerRecord| {
        let is_its_own = |other: &LedgerRecord| {
            other.is_late()
                && other.record.run_id == found.record.run_id
                && other.record.commit == found.record.commit
        };
        found.is_interrupted() && records.clone().any(is_its_own)
    };
    let attempt = |found: &LedgerRecord| -> Option<u64> {
        let id = found.record.run_id.as_deref()?.strip_prefix("github:")?;
        id.rsplit_once('/')?.1.parse().ok()
    };
    let own = records.clone().filter(|found| is_of_run(found, run) && !is_outdated(found));
    // Of equal ones, the first.
    own.reduce(|last, found| if attempt(found) > attempt(last) { found } else { last })
}

/// Whether this run may have records before this record of another run. A new run has none: CI
/// systems count their runs up, and local runs have unique ids.
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

/// Whether a record is of the planned work: by digest, or by commit for records of
/// earlier versions without a digest.
fn is_same(found: &LedgerRecord, planned: &ComponentPlan, digests: &Digests) -> bool {
    let record = &found.record;
    let same = match (&record.details.digest, digests.components.get(&planned.component)) {
        (Some(recorded), Some(wanted)) => *recorded == wanted.digest.as_str(),
        (None, Some(wanted)) => wanted.context_overrides.is_empty() && record.commit == planned.commit,
        (_, None) => false,
    };
    same && record.status == RecordStatus::Success
}

/// The notice for a component that is skipped; `newest` is its newest record.
fn already_done(own: &LedgerRecord, newest: &LedgerRecord) -> AlreadyDone {
    let run = newest.record.run_id.as_deref().unwrap_or("unknown");
    let notice = if own.object == newest.object {
        "already deployed by this run".to_owned()
    } else if newest.record.status == RecordStatus::Success {
        format!(
            "already deployed by this run, since replaced by {} (run {run})",
            newest.record.commit.short()
        )
    } else {
        let status = newest.record.status;
        format!(
            "already deployed by this run, but recorded after run {run} ({status}): a new run deploys it again"
        )
    };
    AlreadyDone { id: own.id.clone(), notice }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deployment::fixtures::record;
    use crate::deployment::record::INTERRUPTED;

    /// A record of `run status[ late]`, where a status may be `interrupted`.
    fn of(text: &str) -> LedgerRecord {
        let words: Vec<_> = text.split(' ').collect();
        let [run, status, rest @ ..] = &words[..] else { panic!("{text}") };
        let status = match *status {
            "success" => RecordStatus::Success,
            "failed" => RecordStatus::Failed,
            _ => RecordStatus::Cancelled,
        };
        let mut found = record("prod", "api", "abc123d", status, "2025-01-22T12:00:00Z");
        found.record.run_id = Some((*run).to_owned());
        found.record.details.error = words.contains(&"interrupted").then(|| INTERRUPTED.to_owned());
        found.record.details.late_of = rest.contains(&"late").then(|| "f".repeat(40));
        found
    }

    #[test]
    fn what_a_run_did_last_decides_whatever_was_published_when() {
        for (newest_first, last) in [
            // Without late records.
            (&["github:7/1 success"][..], Some(0)),
            (&["github:7/2 failed", "github:7/1 success"], Some(0)),
            (&["github:8/1 success", "github:7/1 success"], Some(1)),
            (&["github:8/1 success"], None),
            // A late success is the end of the interrupted attempt.
            (&["github:7/1 interrupted", "github:7/1 success late"], Some(1)),
            (&["github:7/1 success late", "github:7/1 interrupted"], Some(0)),
            (&["github:7/1 failed late", "github:7/1 interrupted"], Some(0)),
            // Without it, or with that of another attempt, the end is unknown.
            (&["github:7/1 interrupted"], Some(0)),
            (&["github:7/2 interrupted", "github:7/1 success late"], Some(0)),
            (&["github:8/1 success late", "github:7/1 interrupted"], Some(1)),
            // A failure of the last attempt is retried, whatever the clock of an earlier attempt
            // said.
            (&["github:7/1 success late", "github:7/2 failed"], Some(1)),
            (&["github:7/2 failed", "github:7/1 success late"], Some(0)),
            // A success after a failure is done.
            (&["github:7/2 success late", "github:7/1 failed"], Some(0)),
            (&["github:7/1 failed", "github:7/2 success late"], Some(1)),
            (&["github:7/10 success late", "github:7/9 failed"], Some(0)),
            // The numbers of a pipeline's jobs have the order in which the jobs were created, not
            // run.
            (&["gitlab:7/70 failed", "gitlab:7/71 success late"], Some(0)),
        ] {
            let records: Vec<_> = newest_first.iter().map(|text| of(text)).collect();
            let run = if newest_first[0].starts_with("gitlab") { "gitlab:7" } else { "github:7" };
            let found = last_of_run(&records, run);
            let at = found.and_then(|found| records.iter().position(|record| std::ptr::eq(record, found)));
            assert_eq!(at, last, "{newest_first:?}");
        }
    }

    #[test]
    fn a_success_is_looked_for_behind_records_that_may_hide_one() {
        for (run, newest, may) in [
            ("github:7/2", "github:7/1 interrupted", true),
            ("github:7/2", "github:7/1 failed", true),
            // Of another digest: the last request counts.
            ("github:7/2", "github:7/1 success", false),
            ("github:7/2", "github:8/1 failed", true),
            ("github:9/1", "github:8/1 failed", false),
        ] {
            assert_eq!(may_hide_a_success(run, &of(newest)), may, "{run} {newest}");
        }
    }

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
