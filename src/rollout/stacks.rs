//! The stacks of a rollout's components, checked before anything is applied.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::command::RolloutCommand;
use crate::deployment::definition::Values;
use crate::deployment::resolution::Resolution;
use crate::deployment::rollout_plan::{ComponentPlan, RolloutPlan};
use crate::deployment::stack_layer::{
    Deployable, NoStacks, SHARED_STATE_HINT, StackLayer, StackLayers, UnappliedKey,
};
use crate::deployment::{CommitId, ComponentName, Deployment};
use crate::error::{Code, CommandError};
use crate::project::stacks::{CommitFiles, ImportedStacks, environment_of};
use crate::render::document::error::Hint;

/// The stacks of each commit.
pub(super) type Stacks = BTreeMap<CommitId, Arc<dyn StackLayers>>;

impl RolloutCommand<'_, '_> {
    /// The stacks of each commit whose deployment has any.
    pub(super) fn stacks(
        &self,
        definitions: &BTreeMap<CommitId, Deployment>,
    ) -> Result<Stacks, CommandError> {
        let (repository, config) = (self.prepared.repository, &self.prepared.project.config);
        let importing = definitions.iter().filter(|(_, deployment)| deployment.has_stacks());
        importing
            .map(|(commit, _)| {
                let files = CommitFiles::new(repository, commit.clone())?;
                let environment = environment_of(&self.environment());
                let stacks = ImportedStacks::new(files, config).with_environment(environment);
                Ok((commit.clone(), Arc::new(stacks) as Arc<dyn StackLayers>))
            })
            .collect()
    }

    /// Refuses stacks of the plan's components that are invalid, or that forbid a rollout.
    ///
    /// Returns the program of each component whose stacks name one, and `None` for each component
    /// that they disable; omits all others.
    pub(super) fn check_stacks<'p>(
        &self,
        plan: &'p RolloutPlan,
        definitions: &BTreeMap<CommitId, Deployment>,
    ) -> Result<Vec<(&'p ComponentName, Option<String>)>, CommandError> {
        let mut programs = Vec::new();
        if self.options.plan {
            self.suggest_stacks(definitions)?;
        }
        let stacks = self.stacks(definitions)?;
        for (planned, layer) in self.layers(plan, definitions, &stacks)? {
            let component = &planned.component;
            match layer.deployable {
                Deployable::Yes => {}
                Deployable::Disabled => {
                    programs.push((component, None));
                    continue;
                }
                Deployable::Abstract => {
                    let message = format!(
                        "{component} is abstract in its stacks (metadata.type): it is there to be inherited from"
                    );
                    return Err(CommandError::new(Code::AbstractComponent, message).hint(Hint::note(
                        "Remove it from the deployment, or let a component of its own inherit from it",
                    )));
                }
                Deployable::Locked => {
                    let message = format!("{component} is locked by its stacks (metadata.locked)");
                    return Err(CommandError::new(Code::LockedComponent, message)
                        .hint(Hint::note("Unlock it in the stack that locks it, and commit that")));
                }
            }
            Self::refuse_shared_state(plan, planned, &layer, definitions, &stacks)?;
            if let Some(refusal) = unapplied(layer.unapplied) {
                return Err(refusal);
            }
            programs.extend(layer.program.map(|program| (component, Some(program))));
        }
        Ok(programs)
    }

    /// Tells of stacks that are imported, and whose state is not the one that is planned against.
    fn suggest_stacks(&self, definitions: &BTreeMap<CommitId, Deployment>) -> Result<(), CommandError> {
        let (repository, config) = (self.prepared.repository, &self.prepared.project.config);
        for (commit, deployment) in definitions.iter().filter(|(_, deployment)| deployment.has_stacks()) {
            let files = CommitFiles::new(repository, commit.clone())?;
            if let Some(unselected) = ImportedStacks::new(files, config).unselected(deployment) {
                self.context.warn(&format!("{}; {}", unselected.message(), unselected.hint()));
            }
        }
        Ok(())
    }

    /// Refuses a component whose state is that of the same component on another target.
    fn refuse_shared_state(
        plan: &RolloutPlan,
        planned: &ComponentPlan,
        layer: &StackLayer,
        definitions: &BTreeMap<CommitId, Deployment>,
        stacks: &Stacks,
    ) -> Result<(), CommandError> {
        let has_shared_state = layer.state.as_ref().is_some_and(|state| state.shared.is_some());
        let deployment = definitions.get(&planned.commit).filter(|_| has_shared_state);
        let (Some(deployment), Some(stacks)) = (deployment, stacks.get(&planned.commit)) else {
            return Ok(());
        };
        let Some(component) = deployment.component(&planned.component) else { return Ok(()) };
        for other in deployment.targets.values().filter(|other| other.name != plan.target) {
            let resolution = Resolution::as_declared(deployment, component, other, &**stacks);
            // A target whose stacks are invalid is refused when it is rolled out.
            let Ok(Some(there)) = resolution.resolve().map(|resolved| resolved.stack) else { continue };
            if layer.has_the_state_of(&there) {
                let targets = [&plan.target, &other.name];
                let message = layer.shared_state(&component.qualified_name(), targets);
                return Err(CommandError::new(Code::SharedState, message).hint(Hint::note(SHARED_STATE_HINT)));
            }
        }
        Ok(())
    }

    /// The components that their stacks disable.
    pub(super) fn disabled(
        &self,
        plan: &RolloutPlan,
        definitions: &BTreeMap<CommitId, Deployment>,
        stacks: &Stacks,
    ) -> Result<BTreeSet<ComponentName>, CommandError> {
        let layers = self.layers(plan, definitions, stacks)?.into_iter();
        let disabled = layers.filter(|(_, layer)| layer.deployable == Deployable::Disabled);
        Ok(disabled.map(|(planned, _)| planned.component.clone()).collect())
    }

    /// The stack layers of the plan's components; outputs of other components are not looked up.
    fn layers<'p>(
        &self,
        plan: &'p RolloutPlan,
        definitions: &BTreeMap<CommitId, Deployment>,
        stacks: &Stacks,
    ) -> Result<Vec<(&'p ComponentPlan, StackLayer)>, CommandError> {
        let mut layers = Vec::new();
        for planned in &plan.components {
            if !stacks.contains_key(&planned.commit) {
                continue;
            }
            let command_line = self.command_line_values(plan, planned, definitions);
            let resolution = resolution_of(plan, planned, definitions, stacks, &command_line);
            let Some(resolution) = resolution else { continue };
            let resolved = resolution.resolve().map_err(|error| {
                CommandError::from(error).details([format!("in commit {}", planned.commit.short())])
            })?;
            layers.extend(resolved.stack.map(|layer| (planned, layer)));
        }
        Ok(layers)
    }

    /// The values of `--context` for a component of the plan.
    pub(super) fn command_line_values(
        &self,
        plan: &RolloutPlan,
        planned: &ComponentPlan,
        definitions: &BTreeMap<CommitId, Deployment>,
    ) -> Values {
        let deployment = definitions.get(&planned.commit);
        let component = deployment.and_then(|deployment| deployment.component(&planned.component));
        let target = deployment.and_then(|deployment| deployment.targets.get(&plan.target));
        let declared = target.map(|target| &target.context).into_iter().chain(component.map(|it| &it.vars));
        self.prepared.overrides.values(&declared.collect::<Vec<_>>())
    }
}

/// The refusal of stack keys that a rollout does not act on.
fn unapplied(keys: Vec<UnappliedKey>) -> Option<CommandError> {
    let mut keys = keys.into_iter();
    let first = keys.next()?;
    let refusal = CommandError::new(Code::UnappliedKey, first.message).hint(Hint::note(first.hint));
    Some(keys.fold(refusal, |refusal, key| refusal.details([key.message]).hint(Hint::note(key.hint))))
}

/// The resolution of a component of the plan, without facts that only a rollout finds out.
pub(super) fn resolution_of<'a>(
    plan: &RolloutPlan,
    planned: &ComponentPlan,
    definitions: &'a BTreeMap<CommitId, Deployment>,
    stacks: &'a Stacks,
    command_line: &'a Values,
) -> Option<Resolution<'a>> {
    let deployment = definitions.get(&planned.commit)?;
    let stacks = stacks.get(&planned.commit).map(|stacks| &**stacks as &dyn StackLayers);
    let component = deployment.component(&planned.component)?;
    let target = deployment.targets.get(&plan.target)?;
    let stacks = stacks.unwrap_or(&NoStacks);
    Some(Resolution { command_line, ..Resolution::as_declared(deployment, component, target, stacks) })
}
