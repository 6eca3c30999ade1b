//! Images of a plan without a build record: built before the locks are acquired, if permitted.

use std::collections::{BTreeMap, BTreeSet};

use super::command::RolloutCommand;
use super::decide::Decided;
use super::gather::Gathered;
use super::stacks::Stacks;
use crate::component::ModuleInterface;
use crate::config::join_path;
use crate::deployment::digest::{UNBUILT, artifacts};
use crate::deployment::image_binding::bound_to;
use crate::deployment::rollout_plan::{ComponentPlan, RolloutPlan};
use crate::deployment::rollout_report::RolloutKind;
use crate::deployment::template::texts;
use crate::deployment::{CommitId, Component, ComponentKind, ComponentName, Deployment};
use crate::error::{Code, CommandError};
use crate::git::CommitTree;
use crate::image::{Engine, Wanted, build_first};
use crate::ledger::Snapshot;
use crate::preflight::module_files;
use crate::project::vendored::{Vendored, VendoredTree};
use crate::render::document::error::Hint;

/// The missing images of a plan.
#[derive(Debug, Default)]
pub(super) struct Missing {
    images: Vec<(ComponentName, CommitId)>,
    /// The reason not to build them first; absent where they are built.
    why_not: Option<String>,
    /// The components whose images are built first.
    pub(super) to_build: BTreeSet<ComponentName>,
}

impl Missing {
    pub(super) fn names(&self) -> impl Iterator<Item = &ComponentName> {
        self.images.iter().map(|(component, _)| component)
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.images.is_empty()
    }
}

impl RolloutCommand<'_, '_> {
    /// Builds the missing images of a plan.
    ///
    /// # Errors
    ///
    /// Fails where they may not be built here, or a build fails.
    pub(super) fn ensure_images(&self, decided: &Decided, missing: &Missing) -> Result<(), CommandError> {
        // `--digest` requires built images and has its own refusal (`unbuilt`).
        if missing.is_empty() || self.prepared.expected.is_some() {
            return Ok(());
        }
        if missing.why_not.is_some() {
            return Err(not_built(&decided.plan, missing));
        }
        self.not_cancelled()?;
        let Self { context, prepared, cancellation, .. } = self;
        for wanted in wanted(&decided.plan, missing) {
            build_first(&wanted, context, prepared.repository, prepared.project, cancellation)?;
        }
        self.not_cancelled()
    }

    /// Checks the components of a plan, and returns its missing images.
    pub(super) fn look_ahead(
        &self,
        decided: &Decided,
        definitions: &BTreeMap<CommitId, Deployment>,
        snapshot: &Snapshot,
    ) -> Result<Missing, CommandError> {
        let plan = &decided.plan;
        self.vendored(plan, definitions)?;
        let stacks = self.stacks(definitions)?;
        let images = self.known_images(plan, definitions, snapshot)?.by_component;
        let missing = self.missing(decided, definitions, &stacks, &images)?;
        self.check_components(decided, definitions, &stacks, &images, &missing)?;
        Ok(missing)
    }

    /// Prints, in a dry run, how a rollout would handle missing images.
    pub(super) fn say_missing(&self, plan: &RolloutPlan, missing: &Missing) {
        if missing.is_empty() {
            return;
        }
        let names: Vec<_> = missing.names().map(AsRef::as_ref).collect();
        let names = names.join(", ");
        self.context.warn(&match &missing.why_not {
            None => format!("a rollout to {} first builds {names}", plan.target),
            Some(why) => format!("a rollout would be refused now: {names} not built yet, and {why}"),
        });
    }

    /// Refuses a plan with missing images. Checked again under the locks,
    /// because the ledger may have moved.
    pub(super) fn insist_on_images(
        &self,
        decided: &Decided,
        gathered: &Gathered,
    ) -> Result<(), CommandError> {
        let Gathered { definitions, stacks, images, .. } = gathered;
        let missing = self.missing(decided, definitions, stacks, &images.by_component)?;
        if missing.is_empty() { Ok(()) } else { Err(not_built(&decided.plan, &missing)) }
    }

    fn missing(
        &self,
        decided: &Decided,
        definitions: &BTreeMap<CommitId, Deployment>,
        stacks: &Stacks,
        images: &BTreeMap<String, String>,
    ) -> Result<Missing, CommandError> {
        let plan = &decided.plan;
        let mut missing = Missing::default();
        let lacks = |component: &Component| {
            let published = component.settings.nixpack.as_ref().is_none_or(|nixpack| nixpack.publish);
            component.kind == ComponentKind::Nixpack
                && published
                && !images.contains_key(component.name.as_str())
        };
        let has_any = definitions.values().any(|deployment| deployment.components.iter().any(lacks));
        if !has_any {
            return Ok(missing);
        }
        let disabled = self.disabled(plan, definitions, stacks)?;
        for planned in plan.components.iter().filter(|planned| !disabled.contains(&planned.component)) {
            let Some(deployment) = definitions.get(&planned.commit) else { continue };
            let Some(component) = deployment.component(&planned.component) else { continue };
            if lacks(component) {
                missing.images.push((component.name.clone(), planned.commit.clone()));
            }
            for name in self.needed_by(planned, deployment, component, images)? {
                let is_planned = plan.components.iter().any(|planned| planned.component == name);
                let is_known = missing.names().any(|known| *known == name);
                let is_lacking = deployment.component(&name).is_some_and(lacks);
                if is_lacking && !is_planned && !is_known {
                    missing.images.push((name, planned.commit.clone()));
                }
            }
        }
        missing.why_not = self.why_not_built(decided);
        if missing.why_not.is_none() {
            missing.to_build = missing.names().cloned().collect();
        }
        Ok(missing)
    }

    /// The images that a component requires: those in its templates, and for a terraform component
    /// those that its module has a variable for. Others are optional.
    fn needed_by(
        &self,
        planned: &ComponentPlan,
        deployment: &Deployment,
        component: &Component,
        images: &BTreeMap<String, String>,
    ) -> Result<Vec<ComponentName>, CommandError> {
        if component.kind == ComponentKind::Nixpack {
            return Ok(Vec::new());
        }
        let target = deployment.targets.get(&self.prepared.request.target);
        let of_target = target.and_then(|target| target.components.get(&component.name));
        let own: Vec<_> =
            [Some(&component.vars), of_target.map(|changes| &changes.vars)].into_iter().flatten().collect();
        let values: Vec<serde_json::Value> = own.iter().map(|vars| (*vars).clone().into()).collect();
        let values: Vec<_> = values.iter().collect();
        let unbuilt = artifacts(deployment, component, &values, images);
        let unbuilt =
            unbuilt.iter().filter(|(_, image)| *image == UNBUILT).filter_map(|(name, _)| name.parse().ok());
        let unbuilt: Vec<ComponentName> = unbuilt.collect();
        if unbuilt.is_empty() {
            return Ok(unbuilt);
        }
        let bound: Vec<_> =
            bound_to(deployment, component).into_iter().map(|built| built.name.clone()).collect();
        let is_named = |name: &ComponentName| {
            let mut texts = own.iter().flat_map(|vars| texts(vars));
            texts.any(|(_, text)| text.contains("nixpack") && text.contains(name.as_str()))
        };
        let variable = if bound.len() == 1 { "image" } else { "images" };
        let says_itself = own.iter().any(|vars| vars.contains_key(variable));
        let takes_it = !says_itself
            && component.kind == ComponentKind::Terraform
            && self.module_has(planned, component, variable)?;
        Ok(unbuilt.into_iter().filter(|name| is_named(name) || (takes_it && bound.contains(name))).collect())
    }

    /// Whether a component's module declares a variable, without resolving its stacks.
    fn module_has(
        &self,
        planned: &ComponentPlan,
        component: &Component,
        variable: &str,
    ) -> Result<bool, CommandError> {
        let base = self.prepared.project.config.components_directory(component.kind);
        let folder = join_path([base.as_str(), component.folder()]);
        let tree = CommitTree::new(self.prepared.repository, planned.commit.clone())?;
        let known = self.known_vendored.borrow();
        let vendored = known.iter().find(|((commit, _), _)| *commit == planned.commit);
        let nothing = Vendored::default();
        let tree = VendoredTree { tree: &tree, vendored: vendored.map_or(&nothing, |(_, known)| known) };
        // A partially parsed module counts with the parsed part.
        let files = module_files(&tree, &folder)?.files;
        let module = ModuleInterface::parse(folder.as_ref(), &files);
        Ok(module.is_ok_and(|module| module.variables.contains(variable)))
    }

    /// The reason why a rollout does not build missing images.
    fn why_not_built(&self, decided: &Decided) -> Option<String> {
        match &decided.plan.kind {
            RolloutKind::Promotion { .. } => return Some("a promotion builds nothing".to_owned()),
            RolloutKind::Rollback { .. } => return Some("a rollback builds nothing".to_owned()),
            RolloutKind::Deploy => {}
        }
        if decided.rule().is_some_and(|rule| rule.requires_approval) {
            let target = &decided.plan.target;
            return Some(format!("{target} requires approvals, which are given for images that are built"));
        }
        Engine::find(&self.environment()).err().map(|error| error.to_string())
    }
}

/// The images to build, by commit.
fn wanted<'p>(plan: &'p RolloutPlan, missing: &'p Missing) -> Vec<Wanted<'p>> {
    // Images of a promotion are built as for its source.
    let target = match &plan.kind {
        RolloutKind::Promotion { from } => from,
        RolloutKind::Deploy | RolloutKind::Rollback { .. } => &plan.target,
    };
    let mut by_commit: BTreeMap<&CommitId, Vec<ComponentName>> = BTreeMap::new();
    for (component, commit) in &missing.images {
        by_commit.entry(commit).or_default().push(component.clone());
    }
    let wanted = by_commit.into_iter();
    wanted
        .map(|(commit, components)| Wanted { deployment: &plan.deployment, target, commit, components })
        .collect()
}

fn not_built(plan: &RolloutPlan, missing: &Missing) -> CommandError {
    let message = format!("{} to {} needs images that are not built", plan.deployment, plan.target);
    let listed = missing.images.iter();
    let listed = listed.map(|(component, commit)| format!("{component} at commit {}", commit.short()));
    let error = CommandError::new(Code::ImageNotBuilt, message).details(listed);
    let error = match &missing.why_not {
        Some(why) => error.details([format!("Not built first: {why}")]),
        None => error,
    };
    wanted(plan, missing)
        .iter()
        .fold(error, |error, wanted| error.hint(Hint::command("To build and record them", wanted.command())))
}
