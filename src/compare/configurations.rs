//! The deployment file as of each of the commits.

use std::cell::RefCell;
use std::collections::BTreeMap;

use indexmap::IndexSet;

use crate::config::{AtmosConfig, ConfigError};
use crate::deployment::configuration_diff::{
    ComponentSides, ConfigurationSide, across_targets, of_components, of_deployment, of_target,
};
use crate::deployment::diff::ConfigurationDifference;
use crate::deployment::overrides::ContextOverrides;
use crate::deployment::resolution::Resolution;
use crate::deployment::stack_layer::NoStacks;
use crate::deployment::{CommitId, ComponentName, Deployment, DeploymentName, TargetName};
use crate::error::CommandError;
use crate::git::Repository;

use super::at_commit::AtCommit;
use super::side::Side;

/// The deployment as declared in several commits.
pub struct Configurations {
    by_commit: BTreeMap<CommitId, AtCommit>,
}

/// The differences, and the problems that kept values from being resolved.
pub type Compared = (Vec<ConfigurationDifference>, IndexSet<String>);

impl Configurations {
    /// Reads the deployment in each of the commits, with a warning for each that cannot be read.
    pub fn load<'c>(
        repository: &Repository,
        config: &AtmosConfig,
        name: &DeploymentName,
        commits: impl IntoIterator<Item = &'c CommitId>,
    ) -> Result<(Self, Vec<String>), CommandError> {
        let mut by_commit = BTreeMap::new();
        let mut warnings = Vec::new();
        let commits: IndexSet<_> = commits.into_iter().collect();
        for commit in commits {
            let at = commit.short();
            match AtCommit::read(repository, config, name, commit)? {
                Ok(read) => {
                    by_commit.insert(commit.clone(), read);
                }
                Err(ConfigError::NotFound { .. }) => {
                    warnings
                        .push(format!("commit {at} does not declare {name}: its configuration is unknown"));
                }
                Err(ConfigError::Invalid(problems)) => {
                    let problem = problems.first().map(ToString::to_string).unwrap_or_default();
                    warnings.push(format!("the configuration of commit {at} is not valid: {problem}"));
                }
                Err(error @ ConfigError::Source(_)) => return Err(error.into()),
            }
        }
        Ok((Self { by_commit }, warnings))
    }

    /// The deployment as declared in a commit.
    pub fn at(&self, commit: &CommitId) -> Option<&Deployment> {
        self.by_commit.get(commit).map(|at| &at.deployment)
    }

    /// The deployment in each commit that declares it.
    pub fn deployments(&self) -> impl Iterator<Item = &Deployment> {
        self.by_commit.values().map(|at| &at.deployment)
    }

    /// The differences between the sides, and the problems of their stacks. `whole` also compares
    /// settings that belong to no single component.
    pub fn compare(&self, chosen: &[ComponentName], from: &Side, to: &Side, whole: bool) -> Compared {
        let problems = RefCell::new(IndexSet::new());
        let (before, after) = (self.at(&from.commit), self.at(&to.commit));
        let mut differences = if whole { of_deployment(before, after) } else { Vec::new() };
        let at = |from_target, to_target| {
            let sides: Vec<_> = chosen
                .iter()
                .map(|component| ComponentSides {
                    component,
                    from: self.component_side(from, component, from_target, &problems),
                    to: self.component_side(to, component, to_target, &problems),
                })
                .filter(|sides| sides.from.is_some() || sides.to.is_some())
                .collect();
            let mut found = of_components(&sides, whole);
            if whole && from_target == to_target {
                found.extend(of_target(before, after, from_target));
            }
            found
        };
        match (&from.target, &to.target) {
            (Some(from_target), Some(to_target)) => differences.extend(at(from_target, to_target)),
            // A side without a target is resolved on the target of the other side.
            (Some(target), None) | (None, Some(target)) => differences.extend(at(target, target)),
            (None, None) => {
                let declared = [before, after].into_iter().flatten().flat_map(|side| side.targets.keys());
                let targets: IndexSet<&TargetName> = declared.collect();
                let by_target: Vec<_> =
                    targets.into_iter().map(|target| (target, at(target, target))).collect();
                differences.extend(across_targets(&by_target));
            }
        }
        (differences, problems.into_inner())
    }

    /// A component of one side. The fallback for unusable stacks is the deployment's own values.
    fn component_side<'a>(
        &'a self,
        side: &Side,
        component: &ComponentName,
        target: &'a TargetName,
        problems: &RefCell<IndexSet<String>>,
    ) -> Option<ConfigurationSide<'a>> {
        let commit = side.commits.get(component)?;
        let at_commit = self.by_commit.get(commit)?;
        let AtCommit { deployment, stacks, .. } = at_commit;
        let (declared, on) = (deployment.component(component)?, deployment.targets.get(target)?);
        // A value of which only a hash is recorded is shown as that hash.
        let overrides: ContextOverrides = side.overrides.get(component).into_iter().flatten().collect();
        let command_line = overrides.values(&[&on.context, &declared.vars]);
        let resolution = Resolution {
            command_line: &command_line,
            ..Resolution::as_declared(deployment, declared, on, stacks)
        };
        let resolved = resolution.resolve().or_else(|error| {
            let at = commit.short();
            problems.borrow_mut().insert(format!("the stacks of {component} in commit {at}: {error}"));
            Resolution { stacks: &NoStacks, ..resolution }.resolve()
        });
        let vars = resolved.ok()?.variables.values;
        let overridden = overrides.iter().map(|(key, _)| key.to_owned()).collect();
        let vendored = at_commit.vendored(declared, target).unwrap_or_else(|error| {
            let at = commit.short();
            problems.borrow_mut().insert(format!("the source of {component} in commit {at}: {error}"));
            None
        });
        let source = vendored.map(|vendored| vendored.to_string());
        Some(ConfigurationSide { deployment, target, vars, overridden, source })
    }
}
