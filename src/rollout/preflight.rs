//! Refuses rollouts that are known to fail, before approval, builds and locks.

use std::collections::{BTreeMap, BTreeSet};

use super::command::RolloutCommand;
use super::decide::Decided;
use super::inputs::distinct_commits;
use super::missing_images::Missing;
use super::stacks::Stacks;
use crate::config::{ConfigError, Remark, Severity, located};
use crate::deployment::definition::Values;
use crate::deployment::stack_layer::{NoStacks, StackLayers};
use crate::deployment::{CommitId, Component, ComponentKind, ComponentName, Deployment};
use crate::error::CommandError;
use crate::git::CommitTree;
use crate::preflight::{Facts, Finding, Moment};
use crate::project::declared::in_commit;
use crate::project::vendored::{Vendored, VendoredTree};

/// The placeholder for an image that is not built yet.
const TO_BE_BUILT: &str = "registry/image@sha256:to-be-built";

impl RolloutCommand<'_, '_> {
    /// Refuses a plan with invalid components. `images` are the known images, and `missing` the
    /// unknown ones.
    pub(super) fn check_components(
        &self,
        decided: &Decided,
        definitions: &BTreeMap<CommitId, Deployment>,
        stacks: &Stacks,
        images: &BTreeMap<String, String>,
        missing: &Missing,
    ) -> Result<(), CommandError> {
        let plan = &decided.plan;
        let mut images = images.clone();
        for name in missing.names() {
            images.insert(name.to_string(), TO_BE_BUILT.to_owned());
        }
        let together: BTreeSet<ComponentName> =
            plan.components.iter().map(|planned| planned.component.clone()).collect();
        let vendored = self.vendored(plan, definitions)?;
        let nothing = Vendored::default();
        let (environment, template_environment) = (self.environment(), self.template_environment());
        for commit in distinct_commits(plan) {
            let Some(deployment) = definitions.get(commit) else { continue };
            let Some(target) = deployment.targets.get(&plan.target) else { continue };
            let of_commit: BTreeSet<ComponentName> = plan
                .components
                .iter()
                .filter(|planned| planned.commit == *commit)
                .map(|planned| planned.component.clone())
                .collect();
            let command_line = |component: &Component| -> Values {
                self.prepared.overrides.values(&[&target.context, &component.vars])
            };
            let tree = CommitTree::new(self.prepared.repository, commit.clone())?;
            let vendored = vendored.get(commit).map_or(&nothing, |vendored| vendored);
            let tree = VendoredTree { tree: &tree, vendored };
            let stacks = stacks.get(commit).map(|stacks| &**stacks as &dyn StackLayers);
            let facts = Facts {
                moment: if self.options.plan { Moment::Plan } else { Moment::Rollout },
                config: &self.prepared.project.config,
                deployment,
                target,
                commit,
                branch: self.prepared.branch.as_deref(),
                stacks: stacks.unwrap_or(&NoStacks),
                tree: &tree,
                command_line: &command_line,
                environment: &environment,
                template_environment: &template_environment,
                images: &images,
                together: &together,
                of_commit: &of_commit,
                to_build: &missing.to_build,
            };
            let mut found = Vec::new();
            let components = deployment.components.iter();
            facts.check(components.filter(|component| of_commit.contains(&component.name)), &mut found)?;
            self.refuse(commit, &found)?;
        }
        Ok(())
    }

    /// The refusal by the errors that were found in a commit, with their places in its file.
    fn refuse(&self, commit: &CommitId, found: &[Finding]) -> Result<(), CommandError> {
        let errors = found.iter().map(|finding| &finding.remark);
        let errors: Vec<Remark> =
            errors.filter(|remark| remark.severity == Severity::Error).cloned().collect();
        if errors.is_empty() {
            return Ok(());
        }
        let (file, text) = self.prepared.reader.file(commit)?;
        Err(in_commit(ConfigError::Invalid(located(&file, &text, &errors)).into(), commit))
    }

    /// The place of a component in its file, for messages about missing tools.
    pub(super) fn place_of(
        &self,
        commit: &CommitId,
        kind: ComponentKind,
        component: &ComponentName,
    ) -> Option<String> {
        let (file, text) = self.prepared.reader.file(commit).ok()?;
        let keys = ["deployment", "components", kind.as_str(), component.as_str()].map(str::to_owned).into();
        let remark = Remark { severity: Severity::Error, keys, message: String::new(), hint: None };
        let place = located(&file, &text, &[remark]).into_iter().next()?;
        Some(format!("{}:{}:{}", place.file, place.line, place.column))
    }
}
