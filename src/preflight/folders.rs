//! Folders and files that components name: modules, releases, sources, programs of the commit.

use std::path::Path;

use super::files::{leads_out, module_files};
use super::{Facts, Subject};
use crate::component::{ModuleError, ModuleInterface};
use crate::config::{Severity, join_path};
use crate::deployment::health::Probe;
use crate::deployment::nearest::nearest;
use crate::deployment::{Component, ComponentKind};
use crate::error::CommandError;
use crate::git::Place;
use crate::render::document::validate::Check;

impl Subject<'_> {
    pub(super) fn check_folders(&mut self) -> Result<(), CommandError> {
        match self.component.kind {
            ComponentKind::Terraform | ComponentKind::Helmfile => self.check_component_folder()?,
            ComponentKind::Command => self.check_command()?,
            ComponentKind::Nixpack => {}
        }
        if let Some(Probe::Command(argv)) =
            self.component.settings.health.as_ref().map(|health| &health.probe)
        {
            self.check_program(argv, "", &["settings", "health", "command"])?;
        }
        Ok(())
    }

    fn check_component_folder(&mut self) -> Result<(), CommandError> {
        let folder =
            self.facts.folder(self.component, self.layer.as_ref().map(|layer| layer.folder.as_str()));
        let keys = if self.component.folder.is_some() { self.keys(&["component"]) } else { self.keys(&[]) };
        if !self.is_folder(&folder, keys.clone())? || self.component.kind != ComponentKind::Terraform {
            return Ok(());
        }
        let is_generated = self.layer.as_ref().is_some_and(|layer| !layer.generated_files.is_empty());
        let Some(files) = module_files(self.facts.tree, &folder)?.known() else { return Ok(()) };
        match ModuleInterface::parse(Path::new(&folder), &files) {
            // What the stacks generate is a module too.
            Err(ModuleError::Empty { .. }) if is_generated => {}
            Err(error) => self.add(Check::Components, Severity::Error, keys, error.to_string(), None),
            Ok(module) => self.check_needs(&folder, &module, files, &keys)?,
        }
        Ok(())
    }

    fn check_command(&mut self) -> Result<(), CommandError> {
        let Some(settings) = &self.component.settings.command else { return Ok(()) };
        let directory = settings.working_directory.as_deref().unwrap_or("");
        let keys = self.keys(&["settings", "command", "working_directory"]);
        if !directory.is_empty() && !self.is_folder(&join_path([directory]), keys)? {
            return Ok(());
        }
        for (name, argv) in [("plan", settings.plan.as_ref()), ("apply", Some(&settings.apply))] {
            self.check_program(
                argv.map_or(&[][..], Vec::as_slice),
                directory,
                &["settings", "command", name],
            )?;
        }
        Ok(())
    }

    /// A program that is named by a path of the commit.
    fn check_program(
        &mut self,
        argv: &[String],
        directory: &str,
        below: &[&str],
    ) -> Result<(), CommandError> {
        let Some(program) = argv.first() else { return Ok(()) };
        if !program.contains('/') || program.starts_with('/') || program.contains("{{") {
            return Ok(());
        }
        let path = join_path([directory, program.as_str()]);
        if leads_out(&path) {
            return Ok(());
        }
        let (message, hint) = match self.facts.tree.place(&path)? {
            Place::Nothing => (format!("there is no file {path}"), self.facts.neighbour(&path)?),
            Place::Folder => (format!("{path} is a folder, and no program"), None),
            Place::File { executable: false } => (
                format!("{path} is not executable"),
                Some(format!("git update-index --chmod=+x {path}, and commit that")),
            ),
            Place::File { executable: true } | Place::Elsewhere => return Ok(()),
        };
        self.add(Check::Components, Severity::Error, self.keys(below), message, hint);
        Ok(())
    }

    /// Whether there is a folder at a path, or may be; says so where there is none.
    pub(super) fn is_folder(&mut self, path: &str, keys: Vec<String>) -> Result<bool, CommandError> {
        if leads_out(path) {
            return Ok(true);
        }
        let (message, hint) = match self.facts.tree.place(path)? {
            Place::Folder | Place::Elsewhere => return Ok(true),
            Place::Nothing => (format!("there is no folder {path}"), self.facts.neighbour(path)?),
            Place::File { .. } => (format!("{path} is no folder"), None),
        };
        self.add(Check::Components, Severity::Error, keys, message, hint);
        Ok(false)
    }
}

impl Facts<'_> {
    /// The folder of a component's code; `by_stacks` is what its stacks call it.
    pub(super) fn folder(&self, component: &Component, by_stacks: Option<&str>) -> String {
        let base = self.config.components_directory(component.kind);
        join_path([base.as_str(), by_stacks.unwrap_or_else(|| component.folder())])
    }

    /// What the module in a folder takes and gives; `None` where that cannot be known.
    pub(super) fn interface(
        &self,
        folder: &str,
    ) -> Result<Option<Result<ModuleInterface, ModuleError>>, CommandError> {
        let files = module_files(self.tree, folder)?.known();
        Ok(files.map(|files| ModuleInterface::parse(Path::new(folder), &files)))
    }

    /// The name beside a path that was probably meant.
    pub(super) fn neighbour(&self, path: &str) -> Result<Option<String>, CommandError> {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        let names = self.tree.names(folder)?;
        let near = nearest(name, names.iter().map(String::as_str));
        Ok(near.map(|near| format!("did you mean {}?", join_path([folder, near]))))
    }
}

#[cfg(test)]
mod tests {
    use super::super::Moment;
    use super::super::testing::Shop;
    use super::*;
    use crate::deployment::stack_layer::StackLayer;

    const API: &str = "vars: { home: plain }\n        settings: { command: { apply: [./run.sh] } }";

    fn told(shop: &Shop) -> Vec<String> {
        shop.told(&[Check::Components])
    }

    /// The shop with these settings of `api`.
    fn api(settings: &str) -> Shop {
        Shop::with(API, &format!("vars: {{ home: plain }}\n        settings: {{ {settings} }}"))
    }

    #[test]
    fn folders_and_programs_that_are_not_there_are_found() {
        const AT_API: &str = "components.command.api.settings.command";
        let rows: [(Shop, &str); 12] = [
            (
                Shop::with("component: service", "component: servise"),
                "components.terraform.app.component: terraform/app: there is no folder components/terraform/servise \
                 [did you mean components/terraform/service?]",
            ),
            (
                Shop::with("net: {}", "nothing-like-it: {}")
                    .with_text("[net]", "[]")
                    .with_text("outputs.net.id", "x"),
                "components.terraform.nothing-like-it: terraform/nothing-like-it: there is no folder \
                 components/terraform/nothing-like-it",
            ),
            (
                Shop::with("component: service", "component: plain").file("components/terraform/plain", ""),
                "components.terraform.app.component: terraform/app: components/terraform/plain is no folder",
            ),
            (
                Shop::with("component: service", "component: empty")
                    .file("components/terraform/empty/x.md", ""),
                "components.terraform.app.component: terraform/app: there is no Terraform module in \
                 components/terraform/empty",
            ),
            (
                Shop::new().file("components/terraform/service/main.tf", "variable \"vpc\" {}\nvariable {\n"),
                "components.terraform.app.component: terraform/app: components/terraform/service/main.tf:2:",
            ),
            (
                Shop::with("chart: {}", "chart: { component: chrt }"),
                "components.helmfile.chart.component: helmfile/chart: there is no folder components/helmfile/chrt \
                 [did you mean components/helmfile/chart?]",
            ),
            (
                api("command: { apply: [./rum.sh] }"),
                &format!("{AT_API}.apply: command/api: there is no file rum.sh [did you mean run.sh?]"),
            ),
            (
                api("command: { apply: [./notes.txt] }"),
                &format!(
                    "{AT_API}.apply: command/api: notes.txt is not executable [git update-index --chmod=+x notes.txt, \
                     and commit that]"
                ),
            ),
            (
                api("command: { apply: [services/web] }"),
                &format!("{AT_API}.apply: command/api: services/web is a folder, and no program"),
            ),
            (
                api("command: { plan: [./plan.sh], apply: [./run.sh] }"),
                &format!("{AT_API}.plan: command/api: there is no file plan.sh"),
            ),
            (
                api("command: { apply: [./run.sh], working_directory: services/wbe }"),
                &format!(
                    "{AT_API}.working_directory: command/api: there is no folder services/wbe [did you mean \
                     services/web?]"
                ),
            ),
            (
                api("health: { command: [./chek.sh] }, command: { apply: [./run.sh] }"),
                "components.command.api.settings.health.command: command/api: there is no file chek.sh",
            ),
        ];
        for (shop, expected) in rows {
            for moment in [Moment::Validation, Moment::Plan, Moment::Rollout] {
                let told = told(&Shop { moment, ..shop.copy() });
                assert_eq!(told.len(), 1, "{told:?}");
                assert!(told[0].starts_with(&format!("error at {expected}")), "{told:?}\n{expected}");
            }
        }
    }

    #[test]
    fn what_may_be_there_is_passed_over() {
        let generated = StackLayer {
            generated_files: [("backend.tf.json".to_owned(), serde_json::json!({}))].into(),
            ..StackLayer::default()
        };
        for (what, shop) in [
            ("all of it", Shop::new()),
            ("a program of the machine", api("command: { apply: [deploy] }")),
            ("a path of the machine", api("command: { apply: [/opt/deploy] }")),
            ("a program by a template", api("command: { apply: ['./{{ target.name }}.sh'] }")),
            ("a script below", api("command: { apply: [../../run.sh], working_directory: services/web }")),
            (
                "a module that the stacks make",
                Shop {
                    layer: Some(generated),
                    ..Shop::with("component: service", "component: empty")
                        .file("components/terraform/empty/x.md", "")
                },
            ),
        ] {
            assert_eq!(told(&shop), [""; 0], "{what}");
        }
    }
}
