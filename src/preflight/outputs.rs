//! References to outputs of other components in a component's values.

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
    /// Checks one output that the template at `path` refers to.
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

    /// Checks that the needed component runs first if both are rolled out, and that its outputs are
    /// known otherwise.
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

    /// Checks that the module of a terraform component declares the output. A component outside of
    /// the rollout may still have outputs that its module no longer declares.
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

    /// Checks the outputs that the stacks look up (`!terraform.output`), up to the first missing
    /// one.
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
    pub(super) fn comes_after(&self, needed: &ComponentName) -> bool {
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

#[cfg(test)]
mod tests {
    use super::super::testing::Shop;
    use super::*;

    /// The shop with this value in a variable of `api`, which runs after `first`.
    fn home(output: &str) -> Shop {
        Shop::with("home: plain", &format!("home: '{{{{ outputs.{output} }}}}'"))
    }

    /// The shop with this value in the variable of `app`, which runs after `net`.
    fn vpc(output: &str) -> Shop {
        Shop::with("outputs.net.id", &format!("outputs.{output}"))
    }

    fn told(shop: &Shop) -> Vec<String> {
        shop.told(&[Check::Outputs])
    }

    #[test]
    fn outputs_that_will_not_be_there_are_found() {
        const HOME: &str = "components.command.api.vars.home: command/api: ";
        const VPC: &str = "components.terraform.app.vars.vpc: terraform/app: ";
        let built =
            Shop::with("source: services/web,", "source: services/web, url: '{{ outputs.first.url }}',");
        let rows: [(Shop, String); 11] = [
            (
                home("frist.url"),
                format!("{HOME}it needs outputs of frist, which the deployment does not have [did you mean `first`?]"),
            ),
            (
                home("net.id"),
                format!("{HOME}it needs outputs of net, which may run after it [add net to its metadata.depends_on]"),
            ),
            (
                home("api.url"),
                format!("{HOME}its variables name its own outputs, which are there only when it has run"),
            ),
            (home("chart.url"), format!("{HOME}it needs outputs of chart, and helmfile components have none")),
            (
                home("web.image"),
                format!(
                    "{HOME}it needs outputs of web, and nixpack components have none [its image is \
                     {{{{ nixpack.web.image }}}}]"
                ),
            ),
            (
                vpc("net.idd"),
                format!(
                    "{VPC}net puts out no idd: components/terraform/net declares no such output [did you mean \
                     outputs.net.id?]"
                ),
            ),
            (
                vpc("net.arn"),
                format!(
                    "{VPC}net puts out no arn: components/terraform/net declares no such output [outputs: `id`]"
                ),
            ),
            (
                Shop { together: vec!["api"], ..home("first.url") },
                format!(
                    "{HOME}it needs outputs of first, and what a command component puts out is known only while it \
                     is rolled out [roll both out: --component api --component first]"
                ),
            ),
            (
                built,
                "components.nixpack.web.vars.url: nixpack/web: its image is built before anything is rolled out, so \
                 without outputs of first"
                    .to_owned(),
            ),
            (
                vpc("first.url"),
                format!(
                    "{VPC}it needs outputs of first, which may run after it [add first to its metadata.depends_on]"
                ),
            ),
            (
                Shop { together: vec!["app"], ..vpc("nets.id") },
                format!("{VPC}it needs outputs of nets, which the deployment does not have [did you mean `net`?]"),
            ),
        ];
        for (shop, expected) in rows {
            assert_eq!(told(&shop), [format!("error at {expected}")]);
        }
    }

    #[test]
    fn outputs_that_may_be_there_are_passed_over() {
        let by_way = Shop::with("depends_on: [first]", "depends_on: [chart]");
        let by_way = by_way.text.replace("chart: {}", "chart: { metadata: { depends_on: [first] } }");
        let url = "web: { metadata: { depends_on: [first] }, vars: { url: '{{ outputs.first.url }}',";
        let built = Shop::with("web: { vars: {", url);
        let odd = "components/terraform/net/main.tf";
        for (what, shop) in [
            ("of a command", home("first.anything")),
            (
                "of what runs before by way of another",
                Shop {
                    text: by_way.replace("home: plain", "home: '{{ outputs.first.url }}'"),
                    ..Shop::new()
                },
            ),
            ("of what ran before", Shop { together: vec!["app"], ..vpc("net.gone") }),
            (
                "of what is rolled out at another commit",
                Shop { of_another_commit: vec!["net"], ..vpc("net.gone") },
            ),
            (
                "of a module that is not here",
                vpc("net.gone").file("components/terraform/net/odd.tf", "output {"),
            ),
            ("of what is built already", Shop { to_build: Vec::new(), ..built }),
            (
                "before others know",
                Shop { together: vec!["api"], ..home("first.url") }.at(Moment::Validation),
            ),
            ("in JSON", vpc("net.arn").file(&format!("{odd}.json"), r#"{"output": {"arn": {"value": 1}}}"#)),
        ] {
            assert_eq!(told(&shop), [""; 0], "{what}");
        }
    }
}
