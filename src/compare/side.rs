//! One side of a diff: the commit of each component.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::deployment::diff::DiffSide;
use crate::deployment::state::{DeploymentState, TargetState};
use crate::deployment::{CommitId, ComponentName, Deployment, TargetName};
use crate::error::{Code, CommandError};
use crate::git::Repository;
use crate::render::document::error::Hint;

/// The `--context` overrides of components, from their records.
pub type RecordedOverrides = BTreeMap<ComponentName, BTreeMap<String, String>>;

/// One side of a diff.
pub struct Side {
    /// Absent for a commit.
    pub target: Option<TargetName>,
    /// The newest of the components' commits, at which commits and files are compared.
    pub commit: CommitId,
    pub commits: BTreeMap<ComponentName, CommitId>,
    /// Empty for a commit.
    pub overrides: RecordedOverrides,
    deployed_at: Option<Timestamp>,
    /// The number of distinct commits of the components.
    distinct: usize,
}

impl Side {
    /// The side of a target: the running commits of these components.
    pub fn of_target(
        repository: &Repository,
        state: &DeploymentState,
        target: &TargetName,
        chosen: &[ComponentName],
    ) -> Result<Self, CommandError> {
        let running: Vec<_> = chosen
            .iter()
            .filter_map(|name| {
                let component = state.component(target, name)?;
                Some((name, component.commit.as_ref()?, component))
            })
            .collect();
        let mut distinct: Vec<CommitId> = running.iter().map(|(_, commit, _)| (*commit).clone()).collect();
        distinct.sort();
        distinct.dedup();
        let Some(commit) = newest(repository, &distinct)? else {
            return Err(nothing_deployed(state, target));
        };
        let at_newest = running.iter().filter(|(_, at, _)| **at == commit);
        let deployed_at =
            at_newest.filter_map(|(.., component)| Some(component.running.as_ref()?.record.timestamp)).max();
        Ok(Self {
            target: Some(target.clone()),
            commit,
            commits: running.iter().map(|(name, commit, _)| ((*name).clone(), (*commit).clone())).collect(),
            overrides: state.targets.get(target).map(TargetState::overrides).unwrap_or_default(),
            deployed_at,
            distinct: distinct.len(),
        })
    }

    /// The side of these components at these commits; `None` without components.
    pub fn of_components(
        repository: &Repository,
        target: Option<TargetName>,
        commits: BTreeMap<ComponentName, CommitId>,
        overrides: RecordedOverrides,
    ) -> Result<Option<Self>, CommandError> {
        let mut distinct: Vec<CommitId> = commits.values().cloned().collect();
        distinct.sort();
        distinct.dedup();
        let commit = newest(repository, &distinct)?;
        let distinct = distinct.len();
        Ok(commit.map(|commit| Self { target, commit, commits, overrides, deployed_at: None, distinct }))
    }

    /// The side of a commit: the chosen components that it declares.
    pub fn of_commit(commit: CommitId, deployment: Option<&Deployment>, chosen: &[ComponentName]) -> Self {
        let declared =
            |name: &&ComponentName| deployment.is_some_and(|deployment| deployment.component(name).is_some());
        let commits = chosen.iter().filter(declared).map(|name| (name.clone(), commit.clone())).collect();
        let overrides = RecordedOverrides::new();
        Self { target: None, commit, commits, overrides, deployed_at: None, distinct: 1 }
    }

    /// The note for a side whose components are at several commits.
    pub fn mixed(&self) -> Option<String> {
        let target = self.target.as_ref().filter(|_| self.distinct > 1)?;
        Some(format!(
            "{target} runs {} commits; commits and files are compared at the newest, {}\n",
            self.distinct,
            self.commit.short()
        ))
    }

    /// The side in the form of the report.
    pub fn shown(self) -> DiffSide {
        DiffSide { target: self.target, commit: Some(self.commit), deployed_at: self.deployed_at }
    }
}

/// The newest of several commits: one that is no ancestor of the others, and of several such the
/// one with the latest date.
fn newest(repository: &Repository, commits: &[CommitId]) -> Result<Option<CommitId>, CommandError> {
    if let [] | [_] = commits {
        return Ok(commits.first().cloned());
    }
    let objects = repository.objects()?;
    let heads = repository.git().independent(commits)?;
    Ok(heads.into_iter().max_by_key(|commit| (objects.commit_time(commit), commit.clone())))
}

fn nothing_deployed(state: &DeploymentState, target: &TargetName) -> CommandError {
    let name = &state.deployment;
    let runs = |target: &TargetName| {
        let components = state.targets.get(target).into_iter().flat_map(|target| target.components.values());
        components.into_iter().any(|component| component.commit.is_some())
    };
    let what = if runs(target) { "none of these components is" } else { "nothing is" };
    let message = format!("{what} deployed to {target}, so there is nothing to compare");
    CommandError::new(Code::NothingDeployed, message)
        .hint(Hint::command("To see what runs where", format!("atmos deployment status {name}")))
}
