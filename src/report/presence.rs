//! The presence of a job's change on each target, as far as it is known.

use std::collections::BTreeMap;

use crate::ci::Job;
use crate::ci::comment::{Presence, Unfinished};
use crate::deployment::fan_in::FanIn;
use crate::deployment::rollout_plan::Ancestry;
use crate::deployment::rollout_report::RolloutReport;
use crate::deployment::state::{ComponentState, DeploymentState};
use crate::deployment::{CommitId, Deployment, RecordStatus, TargetName};
use crate::git::ObjectStore;
use crate::ledger::Ledger;

/// The commits that stand for the change: a pull request's own; of a push, those that were rolled
/// out. `None` where a pull request's are unknown: rolled out commits do not tell them.
pub fn change(job: Option<&Job>, report: Option<&RolloutReport>) -> Option<Vec<CommitId>> {
    if let Some(change) = job.and_then(|job| job.change_request.as_ref()) {
        let commits: Vec<_> = change.commits().cloned().collect();
        return (!commits.is_empty()).then_some(commits);
    }
    let rolled_out = report.into_iter().flat_map(|report| &report.components);
    let mut commits: Vec<_> = rolled_out.map(|component| component.commit.clone()).collect();
    commits.sort();
    commits.dedup();
    if commits.is_empty() {
        commits.extend(job.and_then(|job| job.commit.clone()));
    }
    Some(commits)
}

/// The presence of the change on each target.
pub fn presence(
    deployment: &Deployment,
    state: &DeploymentState,
    ledger: &Ledger<'_>,
    objects: &ObjectStore,
    change: &[CommitId],
    fan_in: Option<&(TargetName, FanIn)>,
) -> BTreeMap<TargetName, Presence> {
    let mut holders = Holders { ledger, objects, change, known: BTreeMap::new() };
    let compared = fan_in.filter(|(_, fan_in)| holders.has(&fan_in.commit) == Some(true));
    let on = |target: &TargetName| {
        let components = deployment.components.iter();
        components.map(|component| state.component(target, &component.name)).collect::<Vec<_>>()
    };
    let mut presence: BTreeMap<_, _> =
        deployment.targets.keys().map(|target| (target.clone(), holders.presence(&on(target)))).collect();
    if let Some((target, fan_in)) = compared
        && let Some(presence) = presence.get_mut(target)
    {
        *presence = by_content(*presence, fan_in);
    }
    presence
}

/// The presence of the change where its commit was compared with the running ones: components that
/// it does not change need no rollout.
fn by_content(by_history: Presence, fan_in: &FanIn) -> Presence {
    let FanIn { components, left, .. } = fan_in;
    match components - left.len() {
        _ if matches!(by_history, Presence::Failed | Presence::Cancelled) && !left.is_empty() => by_history,
        _ if *components == 0 => by_history,
        0 => Presence::Absent,
        _ if left.is_empty() => Presence::Deployed,
        some => Presence::Partly { components: some, of: *components },
    }
}

/// A cache of which commits have the change.
struct Holders<'h, 'r> {
    ledger: &'h Ledger<'r>,
    objects: &'h ObjectStore,
    change: &'h [CommitId],
    known: BTreeMap<CommitId, Option<bool>>,
}

impl Holders<'_, '_> {
    /// The presence of the change on a target with these components, by their state in the ledger.
    fn presence(&mut self, components: &[Option<&ComponentState>]) -> Presence {
        let newest = |status: RecordStatus| {
            let newest = components.iter().flatten().filter_map(|state| state.newest.as_ref());
            newest.filter(move |newest| newest.record.status == status).map(|newest| &newest.record.commit)
        };
        if newest(RecordStatus::Failed).any(|commit| self.has(commit) == Some(true)) {
            return Presence::Failed;
        }
        if newest(RecordStatus::Cancelled).any(|commit| self.has(commit) == Some(true)) {
            return Presence::Cancelled;
        }
        let running = components.iter().flatten().filter_map(|state| state.commit.as_ref());
        let has: Vec<_> = running.map(|commit| self.has(commit)).collect();
        if has.contains(&None) {
            return Presence::Unknown;
        }
        match has.iter().filter(|has| **has == Some(true)).count() {
            0 => Presence::Absent,
            all if all == components.len() => Presence::Deployed,
            some => Presence::Partly { components: some, of: components.len() },
        }
    }

    /// Whether a commit has the change; `None` where the history that would tell is unavailable.
    fn has(&mut self, commit: &CommitId) -> Option<bool> {
        if let Some(known) = self.known.get(commit) {
            return *known;
        }
        let found = self.reaches(commit) || {
            let is_here = self.objects.contains(&commit.0) || self.ledger.fetch_commit(commit).is_ok();
            let complete = || self.ledger.complete_history(std::slice::from_ref(commit)).unwrap_or(false);
            let complete = is_here && complete();
            let found = self.reaches(commit);
            if !found && !complete {
                self.known.insert(commit.clone(), None);
                return None;
            }
            found
        };
        self.known.insert(commit.clone(), Some(found));
        Some(found)
    }

    fn reaches(&self, commit: &CommitId) -> bool {
        let ancestry = |part| self.objects.ancestry(part, commit).unwrap_or(Ancestry::Unknown);
        self.change.iter().any(|part| matches!(ancestry(part), Ancestry::Same | Ancestry::Ancestor))
    }
}

/// The newest unsuccessful attempts of the deployment's components; of all components where its
/// file cannot be used. Leaves out the components that the run itself reports.
pub fn unfinished(
    deployment: Option<&Deployment>,
    state: &DeploymentState,
    job: Option<&Job>,
    report: Option<&RolloutReport>,
) -> Vec<Unfinished> {
    let reported: Vec<_> =
        report.iter().flat_map(|report| &report.components).filter_map(|done| done.record.as_ref()).collect();
    let mut unfinished = Vec::new();
    for (target, on_target) in &state.targets {
        for (component, state) in &on_target.components {
            let is_declared = deployment.is_none_or(|deployment| {
                deployment.targets.contains_key(target) && deployment.component(component).is_some()
            });
            let Some(newest) = state.newest.as_ref().filter(|_| is_declared) else { continue };
            if newest.record.status == RecordStatus::Success || reported.contains(&&newest.id) {
                continue;
            }
            let address = |run: &String| job?.address_of_run(run);
            unfinished.push(Unfinished {
                target: target.clone(),
                component: component.clone(),
                status: newest.record.status,
                commit: newest.record.commit.clone(),
                at: newest.record.timestamp,
                run: newest.record.run_id.as_ref().and_then(address),
                error: newest.record.details.error.clone(),
            });
        }
    }
    let place = |target: &TargetName| deployment.and_then(|found| found.targets.get_index_of(target));
    unfinished.sort_by_key(|one| place(&one.target));
    unfinished
}
