//! Detects errors in components before any of them is applied. `validate` reports them, and a
//! rollout with errors is refused before it starts.
//!
//! Facts that only a rollout can know (an output's value, a variable of another job's environment)
//! are not guessed: they cause a warning, or nothing.

mod files;
mod folders;
mod images;
mod needs;
mod outputs;
mod programs;
mod templates;
#[cfg(test)]
mod testing;
mod validator;

use std::collections::{BTreeMap, BTreeSet};

use crate::component::Environment;
use crate::config::{AtmosConfig, Remark, Severity};
use crate::deployment::definition::Values;
use crate::deployment::resolution::{Resolution, ResolutionError};
use crate::deployment::stack_layer::{Deployable, KnownOutputs, NoStacks, StackLayer, StackLayers};
use crate::deployment::variables::{ValueSource, Variables};
use crate::deployment::{CommitId, Component, ComponentName, Deployment, Target};
use crate::project::Tree;
use crate::render::document::validate::Check;

use crate::error::CommandError;

pub use files::module_files;
pub use validator::Validator;

/// The occasion of the check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// Another machine may roll out, with another environment and `--context`.
    Validation,
    /// The command line is the rollout's, but the rollout may run in another job with its own
    /// environment.
    Plan,
    /// All inputs of the rollout are known.
    Rollout,
}

/// A problem that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub check: Check,
    pub remark: Remark,
}

/// The facts that components are checked against.
#[derive(Clone, Copy)]
pub struct Facts<'a> {
    pub moment: Moment,
    pub config: &'a AtmosConfig,
    pub deployment: &'a Deployment,
    pub target: &'a Target,
    pub commit: &'a CommitId,
    pub branch: Option<&'a str>,
    pub stacks: &'a dyn StackLayers,
    pub tree: &'a dyn Tree,
    /// `--context`, as it applies to a component.
    pub command_line: &'a dyn Fn(&Component) -> Values,
    /// The process's environment, for programs.
    pub environment: &'a Environment,
    /// The variables that templates may read.
    pub template_environment: &'a BTreeMap<String, String>,
    /// The images that are known, or will be once they are built.
    pub images: &'a BTreeMap<String, String>,
    /// The components of the same rollout.
    pub together: &'a BTreeSet<ComponentName>,
    /// The components of the rollout that are deployed at this commit.
    pub of_commit: &'a BTreeSet<ComponentName>,
    /// The components of the rollout whose image is built first.
    pub to_build: &'a BTreeSet<ComponentName>,
}

/// A component under check.
struct Subject<'a> {
    facts: Facts<'a>,
    component: &'a Component,
    /// Its declared variables, templates as written.
    declared: Variables,
    layer: Option<StackLayer>,
    found: Vec<Finding>,
}

impl Facts<'_> {
    /// Adds the problems of these components to earlier findings; a problem that several of them
    /// share is added once.
    ///
    /// # Errors
    ///
    /// If the files cannot be read.
    pub fn check<'c>(
        &self,
        components: impl Iterator<Item = &'c Component>,
        found: &mut Vec<Finding>,
    ) -> Result<(), CommandError> {
        for component in components {
            for finding in self.findings(component)? {
                if !found.contains(&finding) {
                    found.push(finding);
                }
            }
        }
        Ok(())
    }

    /// Finds the problems of a component; none if its stacks disable it. Stacks that cannot be
    /// resolved are reported separately.
    fn findings(&self, component: &Component) -> Result<Vec<Finding>, CommandError> {
        let Ok(layer) = self.layer(component) else { return Ok(Vec::new()) };
        if layer.as_ref().is_some_and(|layer| layer.deployable != Deployable::Yes) {
            return Ok(Vec::new());
        }
        let mut subject =
            Subject { facts: *self, component, declared: self.declared(component), layer, found: Vec::new() };
        subject.check_folders()?;
        subject.check_values()?;
        subject.check_image()?;
        subject.check_programs();
        Ok(subject.found)
    }

    /// The stack layer of a component.
    fn layer(&self, component: &Component) -> Result<Option<StackLayer>, ResolutionError> {
        let command_line = (self.command_line)(component);
        let outputs = KnownOutputs::AsWritten;
        Ok(self.resolution(component, &command_line, self.stacks, outputs).resolve()?.stack)
    }

    fn declared(&self, component: &Component) -> Variables {
        let command_line = (self.command_line)(component);
        let resolution = self.resolution(component, &command_line, &NoStacks, KnownOutputs::AsWritten);
        resolution.resolve().map(|resolved| resolved.variables).unwrap_or_default()
    }

    fn resolution<'r>(
        &'r self,
        component: &'r Component,
        command_line: &'r Values,
        stacks: &'r dyn StackLayers,
        outputs: KnownOutputs<'r>,
    ) -> Resolution<'r> {
        const NO_IMAGES: &BTreeMap<String, String> = &BTreeMap::new();
        Resolution {
            deployment: self.deployment,
            component,
            target: self.target,
            command_line,
            stacks,
            outputs,
            images: NO_IMAGES,
            repository_root: None,
            templates: None,
        }
    }

    /// The severity of a problem that `--context` can solve.
    const fn unless_told(&self) -> Severity {
        match self.moment {
            Moment::Validation => Severity::Warning,
            Moment::Plan | Moment::Rollout => Severity::Error,
        }
    }

    /// The severity of a problem that another machine or environment can solve.
    const fn unless_elsewhere(&self) -> Severity {
        match self.moment {
            Moment::Validation | Moment::Plan => Severity::Warning,
            Moment::Rollout => Severity::Error,
        }
    }
}

impl Subject<'_> {
    /// The path of the component in its file, extended by the given keys.
    fn keys(&self, below: &[&str]) -> Vec<String> {
        let own = ["deployment", "components", self.component.kind.as_str(), self.component.name.as_str()];
        own.iter().chain(below).map(|key| (*key).to_owned()).collect()
    }

    /// The path of a variable at its declaration.
    fn keys_of_variable(&self, path: &str) -> Vec<String> {
        let mut names: Vec<_> = path.split(['.', '[']).filter(|part| !part.ends_with(']')).collect();
        let source = names.first().and_then(|name| self.declared.sources.get(*name));
        let target = ["deployment", "targets", self.facts.target.name.as_str()];
        let mut keys: Vec<&str> = match source {
            Some(ValueSource::TargetContext) => [target.as_slice(), &["context"]].concat(),
            Some(ValueSource::TargetOverride) => {
                [target.as_slice(), &["components", self.component.name.as_str(), "vars"]].concat()
            }
            Some(ValueSource::CommandLine) => return self.keys(&[]),
            _ => return self.keys(&[&["vars"], names.as_slice()].concat()),
        };
        keys.append(&mut names);
        keys.into_iter().map(str::to_owned).collect()
    }

    fn add(
        &mut self,
        check: Check,
        severity: Severity,
        keys: Vec<String>,
        message: impl Into<String>,
        hint: Option<String>,
    ) {
        // The context is shared by all components of the target.
        let is_shared = matches!(&keys[..], [_, of, _, what, ..] if of == "targets" && what == "context");
        let of_what = if is_shared {
            format!("context of {}", self.facts.target.name)
        } else {
            self.component.qualified_name()
        };
        let message = format!("{of_what}: {}", message.into());
        self.found.push(Finding { check, remark: Remark { severity, keys, message, hint } });
    }
}
