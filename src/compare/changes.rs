//! Changes between the running commits and the one to roll out: files and configuration.

use std::collections::BTreeMap;

use super::at_commit::AtCommit;
use crate::config::AtmosConfig;
use crate::deployment::change::{Between, ChangeReason, since_deployed};
use crate::deployment::footprint::Footprint;
use crate::deployment::resolution::Resolved;
use crate::deployment::stack_layer::StackLayer;
use crate::deployment::state::ComponentState;
use crate::deployment::{CommitId, Component, ComponentName, Deployment, DeploymentName, TargetName};
use crate::error::CommandError;
use crate::git::{CommitTree, ObjectStore, Repository};
use crate::ledger::Ledger;
use crate::vendor::{Address, Declared};

use super::made_of::footprint;

/// The repository, configuration and target of a comparison.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    pub repository: &'a Repository,
    pub config: &'a AtmosConfig,
    pub ledger: &'a Ledger<'a>,
    pub deployment: &'a DeploymentName,
    pub target: &'a TargetName,
}

/// Compares the commit to roll out with the running commits.
pub struct Changes<'a> {
    place: Place<'a>,
    objects: ObjectStore,
    tree: CommitTree,
    commit: CommitId,
    new: AtCommit,
    /// By running commit; the error says why one cannot be compared.
    old: BTreeMap<CommitId, Result<Old, String>>,
}

/// A running commit.
struct Old {
    side: Result<AtCommit, String>,
    /// The files that differ from the commit to roll out.
    files: Vec<String>,
}

impl<'a> Changes<'a> {
    /// Prepares comparisons for the commit to roll out, which declares the deployment like this.
    pub fn new(place: Place<'a>, commit: &CommitId, deployment: &Deployment) -> Result<Self, CommandError> {
        let new = AtCommit::new(place.repository, place.config, commit, deployment.clone())?;
        let objects = place.repository.objects()?;
        let tree = CommitTree::new(place.repository, commit.clone())?;
        Ok(Self { place, objects, tree, commit: commit.clone(), new, old: BTreeMap::new() })
    }

    /// The reason why a component has to be rolled out; `None` where it need not be.
    pub fn reason(
        &mut self,
        name: &ComponentName,
        state: Option<&ComponentState>,
    ) -> Result<Option<ChangeReason>, CommandError> {
        self.reason_on(self.place.target, name, state)
    }

    /// Whether a component has no differences from another commit, as resolved on a target.
    pub fn is_same_on(
        &mut self,
        target: &TargetName,
        name: &ComponentName,
        other: &CommitId,
    ) -> Result<bool, CommandError> {
        if self.new.deployment.component(name).is_none() {
            return Ok(false);
        }
        let state = ComponentState { commit: Some(other.clone()), ..ComponentState::default() };
        Ok(self.reason_on(target, name, Some(&state))?.is_none())
    }

    fn reason_on(
        &mut self,
        target: &TargetName,
        name: &ComponentName,
        state: Option<&ComponentState>,
    ) -> Result<Option<ChangeReason>, CommandError> {
        let Some(component) = self.new.deployment.component(name) else { return Ok(None) };
        let resolved = self.new.resolve(component, target);
        let stack = resolved.as_ref().ok().and_then(|resolved| resolved.stack.as_ref());
        let deployment = &self.new.deployment;
        let vendored = self.new.vendored(component, target);
        let mut footprint = footprint(&self.tree, self.place.config, deployment, component, stack)?;
        if let Ok(Some(Address::Local { folder })) =
            vendored.as_ref().map(|found| found.as_ref().map(|found| &found.address))
        {
            footprint = footprint.and(Footprint::below("", [folder.as_str()]));
        }
        if let Some(runs) = state.and_then(|state| state.commit.as_ref())
            && *runs != self.commit
            && !self.old.contains_key(runs)
        {
            self.old.insert(runs.clone(), self.place.old(&self.objects, runs, &self.commit));
        }
        let between = |runs: &CommitId| match self.old.get(runs) {
            Some(Ok(old)) => Ok(Between {
                files: &old.files,
                configuration: configuration_differs(target, old, component, resolved, vendored),
            }),
            Some(Err(why)) => Err(why.clone()),
            None => Err(format!("commit {} was not looked at", runs.short())),
        };
        Ok(since_deployed(state, &self.commit, &footprint, between))
    }
}

/// Whether a component's configuration differs from the one that it was run with.
fn configuration_differs(
    target: &TargetName,
    old: &Old,
    component: &Component,
    resolved: Result<Resolved, String>,
    vendored: Result<Option<Declared>, String>,
) -> Result<bool, String> {
    let old = old.side.as_ref().map_err(Clone::clone)?;
    let Some(before) = old.deployment.component(&component.name) else { return Ok(true) };
    let settings = |component: &Component| {
        (component.kind, component.folder.clone(), component.labels.clone(), component.settings.clone())
    };
    if settings(before) != settings(component) {
        return Ok(true);
    }
    let source = |vendored: Option<Declared>| vendored.map(|vendored| vendored.to_string());
    if source(old.vendored(before, target)?) != source(vendored?) {
        return Ok(true);
    }
    let (before, after) = (old.resolve(before, target)?, resolved?);
    Ok(before.variables.values != after.variables.values || layer(before) != layer(after))
}

/// The values from the stacks, without the files that they come from, which make no difference.
fn layer(resolved: Resolved) -> Option<StackLayer> {
    resolved.stack.map(|stack| StackLayer {
        files: indexmap::IndexMap::default(),
        unapplied: Vec::new(),
        ..stack
    })
}

impl Place<'_> {
    /// Reads a running commit, and fetches it where it is missing.
    fn old(&self, objects: &ObjectStore, commit: &CommitId, new: &CommitId) -> Result<Old, String> {
        if !objects.contains(&commit.0) {
            self.ledger
                .fetch_commit(commit)
                .map_err(|error| format!("commit {} cannot be fetched: {error}", commit.short()))?;
        }
        let files = self.repository.git().changed_paths(commit, new);
        let files =
            files.map_err(|error| format!("commit {} cannot be compared: {error}", commit.short()))?;
        Ok(Old { side: self.side(commit), files })
    }

    fn side(&self, commit: &CommitId) -> Result<AtCommit, String> {
        let unreadable = || format!("its configuration in commit {} cannot be read", commit.short());
        let read = AtCommit::read(self.repository, self.config, self.deployment, commit);
        read.map_err(|_| unreadable())?.map_err(|_| unreadable())
    }
}
