//! The vendored components of a rollout: pulled once, and the same content throughout.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::command::RolloutCommand;
use super::inputs::distinct_commits;
use crate::deployment::rollout_plan::RolloutPlan;
use crate::deployment::stack_layer::{NoStacks, StackLayers};
use crate::deployment::{CommitId, Component, ComponentName, Deployment};
use crate::error::CommandError;
use crate::project::commit_source::CommitSource;
use crate::project::vendored::{Fetch, Vendored, VendoredCommits, pull};
use crate::vendor::{Declarations, Declared};

impl RolloutCommand<'_, '_> {
    /// The vendored folders of the plan's components. Pulls what the cache lacks.
    pub(super) fn vendored(
        &self,
        plan: &RolloutPlan,
        definitions: &BTreeMap<CommitId, Deployment>,
    ) -> Result<VendoredCommits, CommandError> {
        let mut vendored = VendoredCommits::new();
        for commit in distinct_commits(plan) {
            let Some(deployment) = definitions.get(commit) else { continue };
            let of_commit = |component: &&Component| {
                plan.components
                    .iter()
                    .any(|planned| planned.commit == *commit && planned.component == component.name)
            };
            let components: Vec<_> = deployment.components.iter().filter(of_commit).collect();
            let names = components.iter().map(|component| component.name.clone()).collect();
            let key = (commit.clone(), names);
            if let Some(known) = self.known_vendored.borrow().get(&key) {
                vendored.insert(commit.clone(), Arc::clone(known));
                continue;
            }
            let pulled = Arc::new(self.pulled(commit, deployment, &components, plan, definitions)?);
            self.known_vendored.borrow_mut().insert(key, Arc::clone(&pulled));
            vendored.insert(commit.clone(), pulled);
        }
        Ok(vendored)
    }

    fn pulled(
        &self,
        commit: &CommitId,
        deployment: &Deployment,
        components: &[&Component],
        plan: &RolloutPlan,
        definitions: &BTreeMap<CommitId, Deployment>,
    ) -> Result<Vendored, CommandError> {
        let Some(target) = deployment.targets.get(&plan.target) else { return Ok(Vendored::default()) };
        let stacks = self.stacks(definitions)?;
        let stacks = stacks.get(commit).map(|stacks| &**stacks as &dyn StackLayers);
        let repository = self.prepared.repository;
        let source = CommitSource::new(repository, commit.clone())?;
        let declarations = Declarations {
            source: &source,
            config: &self.prepared.project.config,
            deployment,
            target,
            stacks: stacks.unwrap_or(&NoStacks),
        };
        let declared = declarations
            .of(components.iter().copied())
            .map_err(|error| CommandError::from(error).details([format!("in commit {}", commit.short())]))?;
        if self.options.locked {
            declared.values().try_for_each(Declared::insist_on_lock)?;
        }
        let vendored = pull(self.context, repository, commit, declared, Fetch::Missing)?;
        for (folder, found) in &vendored.folders {
            let Some(pulled) = &found.pulled else { continue };
            let from = if pulled.is_new { "fetched" } else { "from the cache" };
            let digest = pulled.object.digest.get(..19).unwrap_or(&pulled.object.digest);
            self.context.streams().note(&format!("{folder}: {} ({from}, {digest})\n", pulled.source()));
        }
        Ok(vendored)
    }

    /// The components that run with other vendored content than their commit declares now, and why
    /// that keeps them from being planned: a branch or a tag has moved.
    pub(super) fn moved_since(
        vendored: &VendoredCommits,
        plan: &RolloutPlan,
        recorded: impl Fn(&ComponentName) -> Option<BTreeMap<String, String>>,
    ) -> BTreeMap<ComponentName, String> {
        let mut moved = BTreeMap::new();
        for planned in &plan.components {
            let Some(of_commit) = vendored.get(&planned.commit) else { continue };
            let Some(sources) = recorded(&planned.component) else { continue };
            let own = of_commit.folders.values();
            let mut own = own.filter(|found| found.declared.components.contains(&planned.component));
            let Some(pulled) = own.find_map(|found| found.pulled.as_ref()) else { continue };
            if sources.get(&pulled.source()) != Some(&pulled.object.digest) {
                let reason = format!("it runs with other content than {} has now", pulled.source());
                moved.insert(planned.component.clone(), reason);
            }
        }
        moved
    }
}
