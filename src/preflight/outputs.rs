//! Outputs of other components that a component's values name.

use std::collections::{BTreeMap, BTreeSet};

use super::{Moment, Subject};
use crate::config::{Severity, nearest_hint};
use crate::deployment::nearest::nearest;
use crate::deployment::resolution::ResolutionError;
use crate::deployment::stack_layer::{Deployable, KnownOutputs, StackRefusal};
use crate::deployment::template::NamedOutput;
use crate::deployment::{Component, ComponentKind, ComponentName};
use crate::error::CommandError;
use crate::render::document::validate::Check;

impl Subject<'_> {
    /// Checks one output that the template at `path` names.
    pub(super) fn check_output(&mut self, named: &NamedOutput, path: &str) -> Result<(), CommandError> {
        let keys = self.keys_of_variable(path);
        let deployment = self.facts.deployment;
        let found = deployment.components.iter().find(|component| component.name.as_str() == named.component);
        let Some(needed) = found else {
            let there_are = deployment.components.iter().map(|component| component.name.as_str());
            let message =
                format!("it needs outputs of {}, which the deployment does not have", named.component);
            let hint = nearest_hint(&named.component, "components", there_are);
            self.add(Check::Outputs, Severity::Error, keys, message, Some(hint));
            return Ok(());
        };
        if needed.name == self.component.name {
            let message = "its variables name its own outputs, which are there only when it has run";
            self.add(Check::Outputs, Severity::Error, keys, message, None);
            return Ok(());
        }
        if self.component.kind == ComponentKind::Nixpack && self.facts.to_build.contains(&self.component.name)
        {
            let message = format!(
                "its image is built before anything is rolled out, so without outputs of {}",
                needed.name
            );
            self.add(Check::Outputs, Severity::Error, keys, message, None);
            return Ok(());
        }
        match needed.kind {
            ComponentKind::Nixpack | ComponentKind::Helmfile => {
                let message =
                    format!("it needs outputs of {}, and {} components have none", needed.name, needed.kind);
                let image = || format!("its image is {{{{ nixpack.{}.image }}}}", needed.name);
                let hint = (needed.kind == ComponentKind::Nixpack).then(image);
                self.add(Check::Outputs, Severity::Error, keys, message, hint);
            }
            ComponentKind::Command | ComponentKind::Terraform => {
                self.check_order(needed, keys.clone());
                self.check_declared(needed, named, keys)?;
            }
        }
        Ok(())
    }

    /// Whether what is needed has run before, where both are rolled out.
    fn check_order(&mut self, needed: &Component, keys: Vec<String>) {
        let name = &needed.name;
        if self.is_rolled_out(needed) {
            if !self.comes_after(name) {
                let message = format!("it needs outputs of {name}, which may run after it");
                let hint = format!("add {name} to its metadata.depends_on");
                self.add(Check::Outputs, Severity::Error, keys, message, Some(hint));
            }
        } else if needed.kind == ComponentKind::Command && self.facts.moment != Moment::Validation {
            let message = format!(
                "it needs outputs of {name}, and what a command component puts out is known only while it is rolled out"
            );
            let hint = format!("roll both out: --component {} --component {name}", self.component.name);
            self.add(Check::Outputs, Severity::Error, keys, message, Some(hint));
        }
    }

    /// Checks that the module of a terraform component declares the output. One that is not rolled
    /// out may still have outputs that its module no longer declares.
    fn check_declared(
        &mut self,
        needed: &Component,
        named: &NamedOutput,
        keys: Vec<String>,
    ) -> Result<(), CommandError> {
        let Some(output) = &named.output else { return Ok(()) };
        let is_of_commit = self.facts.of_commit.contains(&needed.name);
        if needed.kind != ComponentKind::Terraform || !is_of_commit || !self.is_rolled_out(needed) {
            return Ok(());
        }
        let Ok(layer) = self.facts.layer(needed) else { return Ok(()) };
        let folder = self.facts.folder(needed, layer.as_ref().map(|layer| layer.folder.as_str()));
        let Some(Ok(module)) = self.facts.interface(&folder)? else { return Ok(()) };
        if module.outputs.contains(output) {
            return Ok(());
        }
        let message = format!("{} puts out no {output}: {folder} declares no such output", needed.name);
        let outputs = || module.outputs.iter().map(String::as_str);
        let hint = match nearest(output, outputs()) {
            Some(near) => format!("did you mean outputs.{}.{near}?", needed.name),
            None => nearest_hint(output, "outputs", outputs()),
        };
        self.add(Check::Outputs, Severity::Error, keys, message, Some(hint));
        Ok(())
    }

    /// Outputs that the stacks look up (`!terraform.output`), as far as the first of them goes.
    pub(super) fn check_stack_outputs(&mut self) {
        if self.layer.is_none() {
            return;
        }
        let (facts, none) = (self.facts, BTreeMap::new());
        let command_line = (facts.command_line)(self.component);
        let outputs = KnownOutputs::Of(&none);
        let resolved = facts.resolution(self.component, &command_line, facts.stacks, outputs).resolve();
        let Err(ResolutionError::Stack(StackRefusal::OutputsNeeded(name))) = resolved else { return };
        if let Some(needed) =
            facts.deployment.component(&name).filter(|needed| needed.name != self.component.name)
        {
            self.check_order(needed, self.keys(&[]));
        }
    }

    fn is_rolled_out(&self, needed: &Component) -> bool {
        let is_disabled = || {
            let layer = self.facts.layer(needed).ok().flatten();
            layer.is_some_and(|layer| layer.deployable == Deployable::Disabled)
        };
        self.facts.together.contains(&needed.name) && !is_disabled()
    }

    /// Whether `depends_on` leads to a component, directly or through others.
    fn comes_after(&self, needed: &ComponentName) -> bool {
        let mut open: Vec<_> = self.component.depends_on.iter().collect();
        let mut seen = BTreeSet::new();
        while let Some(name) = open.pop() {
            if name == needed {
                return true;
            }
            if seen.insert(name) {
                open.extend(self.facts.deployment.component(name).into_iter().flat_map(|it| &it.depends_on));
            }
        }
        false
    }
}
