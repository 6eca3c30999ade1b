//! The images of a rollout's components, each from the record that proves its digest.

use std::collections::BTreeMap;

use super::command::RolloutCommand;
use super::stacks::{Stacks, resolution_of};
use crate::deployment::definition::PromoteBy;
use crate::deployment::image_binding::tagged_image;
use crate::deployment::rollout_plan::{ComponentPlan, RolloutPlan};
use crate::deployment::rollout_report::RolloutKind;
use crate::deployment::template::{Facts, Renderer};
use crate::deployment::{CommitId, ComponentKind, ComponentName, Deployment, RecordStatus};
use crate::error::CommandError;
use crate::ledger::{Scope, Snapshot};

/// The images of a rollout and the builds that they come from.
#[derive(Debug, Default)]
pub(super) struct Images {
    /// Component to `registry/name@sha256:…`.
    pub(super) by_component: BTreeMap<String, String>,
    pub(super) build_ids: BTreeMap<ComponentName, String>,
}

impl RolloutCommand<'_, '_> {
    /// The images of the deployment's nixpack components, where there are records of them.
    ///
    /// A promotion uses the images recorded on its source, a deployment those built from
    /// its commit. Images of components that are not part of the rollout, but used by it,
    /// are those that run on the promotion's source; otherwise those built from the commit,
    /// or those that run on the target.
    pub(super) fn images(
        &self,
        plan: &RolloutPlan,
        definitions: &BTreeMap<CommitId, Deployment>,
        stacks: &Stacks,
        snapshot: &Snapshot,
    ) -> Result<Images, CommandError> {
        let mut images = self.known_images(plan, definitions, snapshot)?;
        let by_tag = self.prepared.checkout.context.promote_by == PromoteBy::Tag;
        if by_tag && matches!(plan.kind, RolloutKind::Promotion { .. }) {
            self.use_tags(plan, definitions, stacks, &mut images)?;
        }
        Ok(images)
    }

    /// The images by digest, even if the target refers to them by tag.
    pub(super) fn known_images(
        &self,
        plan: &RolloutPlan,
        definitions: &BTreeMap<CommitId, Deployment>,
        snapshot: &Snapshot,
    ) -> Result<Images, CommandError> {
        let mut images = Images::default();
        images.by_component.extend(plan.components.iter().flat_map(|planned| planned.artifacts.clone()));
        let state = snapshot.deployment(&plan.deployment);
        let recorded = |target, component: &ComponentName, commit: Option<&CommitId>| {
            let running = &state.component(target, component)?.running.as_ref()?.record;
            let same = commit.is_none_or(|commit| *commit == running.commit);
            running.artifacts.get(component.as_str()).filter(|_| same).cloned()
        };
        let mut wanted = Vec::new();
        for (commit, deployment) in definitions {
            let built = deployment.components.iter().filter(|one| one.kind == ComponentKind::Nixpack);
            for component in built.map(|component| &component.name) {
                let planned = plan.components.iter().find(|planned| planned.component == *component);
                if planned.is_some_and(|planned| planned.commit != *commit)
                    || images.by_component.contains_key(component.as_str())
                {
                    continue;
                }
                let source = match (&plan.kind, planned) {
                    (RolloutKind::Promotion { from }, None) => recorded(from, component, None),
                    _ => None,
                };
                match source {
                    Some(image) => {
                        images.by_component.insert(component.to_string(), image);
                    }
                    None => wanted.push((component.clone(), commit.clone())),
                }
            }
        }
        for (component, build) in self.prepared.ledger.built_images(&plan.deployment, &wanted)? {
            images.by_component.insert(component.to_string(), build.image);
            images.build_ids.extend(build.build_id.map(|id| (component, id)));
        }
        for (component, commit) in &wanted {
            let is_planned = plan.components.iter().any(|planned| planned.component == *component);
            if !images.by_component.contains_key(component.as_str())
                && let Some(image) = recorded(&plan.target, component, is_planned.then_some(commit))
            {
                images.by_component.insert(component.to_string(), image);
            }
        }
        wanted.retain(|(component, _)| !images.by_component.contains_key(component.as_str()));
        self.add_earlier_images(plan, &wanted, &mut images)?;
        Ok(images)
    }

    /// Adds images of commits that ran before, here or on another
    /// target, from their newest records.
    fn add_earlier_images(
        &self,
        plan: &RolloutPlan,
        wanted: &[(ComponentName, CommitId)],
        images: &mut Images,
    ) -> Result<(), CommandError> {
        if wanted.is_empty() {
            return Ok(());
        }
        let ledger = &self.prepared.ledger;
        let snapshot = ledger.read(&Scope::Deployment(plan.deployment.clone()))?;
        let state = snapshot.deployment(&plan.deployment);
        let names: Vec<_> = wanted.iter().map(|(component, _)| component.clone()).collect();
        let mut histories = self.prepared.histories(&state, &names)?;
        for (component, commit) in wanted {
            let here = histories.remove(component);
            let elsewhere = state.targets.values().filter_map(|target| target.components.get(component));
            let elsewhere = elsewhere.filter_map(|state| state.running.as_deref());
            let records = here.iter().flat_map(|records| records.iter()).chain(elsewhere);
            let of_commit = records
                .filter(|found| {
                    found.record.status == RecordStatus::Success && found.record.commit == *commit
                })
                .filter_map(|found| Some((found, found.record.artifacts.get(component.as_str())?)));
            if let Some((found, image)) = of_commit.max_by(|(one, _), (other, _)| one.compare_age(other)) {
                images.by_component.insert(component.to_string(), image.clone());
                images.build_ids.extend(found.record.build_id.clone().map(|id| (component.clone(), id)));
            }
        }
        Ok(())
    }

    /// Replaces digests of promoted images by tags in the target's registry. An image
    /// without a tag keeps its digest.
    fn use_tags(
        &self,
        plan: &RolloutPlan,
        definitions: &BTreeMap<CommitId, Deployment>,
        stacks: &Stacks,
        images: &mut Images,
    ) -> Result<(), CommandError> {
        let built = plan.components.iter().filter(|planned| planned.kind == ComponentKind::Nixpack);
        for planned in built {
            match self.tagged(plan, planned, definitions, stacks)? {
                Some(image) => {
                    images.by_component.insert(planned.component.to_string(), image);
                }
                None => self.context.warn(&format!(
                    "{} has no vars.image.tag to be promoted by; its digest is used",
                    planned.component
                )),
            }
        }
        Ok(())
    }

    fn tagged(
        &self,
        plan: &RolloutPlan,
        planned: &ComponentPlan,
        definitions: &BTreeMap<CommitId, Deployment>,
        stacks: &Stacks,
    ) -> Result<Option<String>, CommandError> {
        let command_line = self.command_line_values(plan, planned, definitions);
        let resolution = resolution_of(plan, planned, definitions, stacks, &command_line);
        let Some(resolution) = resolution else { return Ok(None) };
        let mut context = resolution.target.context.clone();
        crate::deployment::variables::merge(&mut context, &command_line);
        let (images, outputs) = (BTreeMap::new(), BTreeMap::new());
        let templates = Renderer::new(Facts {
            commit: &planned.commit,
            branch: self.prepared.branch.as_deref(),
            target: &plan.target,
            context: &context,
            images: &images,
            outputs: &outputs,
            environment: &self.template_environment(),
        });
        let resolved =
            crate::deployment::resolution::Resolution { templates: Some(&templates), ..resolution }
                .resolve()?;
        let registry = self.prepared.project.config.registry.as_deref();
        Ok(tagged_image(resolution.component, &resolved.variables.values, registry))
    }
}
