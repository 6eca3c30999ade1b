//! Programs on this machine that components need.

use super::{Moment, Subject};
use crate::component::{HelmfileSettings, MissingTool, TerraformSettings, preflight, preflight_health};
use crate::config::Severity;
use crate::deployment::ComponentKind;
use crate::render::document::validate::Check;

impl Subject<'_> {
    /// Warns of missing programs. The rollout's machine may have them, and a rollout checks for
    /// them itself.
    pub(super) fn check_programs(&mut self) {
        for (program, name) in self.absolute_programs() {
            if self.facts.environment.find(&program).is_some() {
                continue;
            }
            let message = format!("there is no program {program} on this machine");
            let keys = self.keys(&["settings", "command", name]);
            self.add(Check::Programs, self.facts.unless_elsewhere(), keys, message, None);
        }
        if self.facts.moment == Moment::Validation {
            for missing in self.missing_programs() {
                let MissingTool { program, hint, .. } = missing;
                let message = format!("it needs the program {program:?}, which is not on PATH here");
                self.add(Check::Programs, Severity::Warning, self.keys(&[]), message, Some(hint));
            }
        }
    }

    fn missing_programs(&self) -> Vec<MissingTool> {
        let (config, environment) = (self.facts.config, self.facts.environment);
        let own = self.layer.as_ref().and_then(|layer| layer.program.clone());
        let terraform = TerraformSettings {
            program: own.unwrap_or_else(|| config.command(ComponentKind::Terraform).to_owned()),
            ..TerraformSettings::default()
        };
        let helmfile = HelmfileSettings {
            program: config.command(ComponentKind::Helmfile).to_owned(),
            ..HelmfileSettings::default()
        };
        let checks = [
            preflight([self.component], &terraform, &helmfile, environment),
            preflight_health([self.component], environment),
        ];
        checks.into_iter().filter_map(Result::err).collect()
    }

    /// A command's programs that are given by an absolute path.
    fn absolute_programs(&self) -> Vec<(String, &'static str)> {
        let Some(settings) = &self.component.settings.command else { return Vec::new() };
        let all = [("apply", Some(&settings.apply)), ("plan", settings.plan.as_ref())];
        let programs = all.into_iter().filter_map(|(name, argv)| Some((argv?.first()?.clone(), name)));
        programs.filter(|(program, _)| program.starts_with('/')).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::super::testing::Shop;
    use super::*;
    use crate::component::Environment;
    use crate::deployment::stack_layer::StackLayer;

    /// An environment with these programs on `PATH`.
    fn machine(programs: &[&str]) -> (tempfile::TempDir, Environment) {
        let folder = tempfile::tempdir().unwrap();
        for program in programs {
            let file = folder.path().join(program);
            fs::write(&file, "").unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        }
        let mut environment = Environment::default();
        environment.set("PATH", folder.path());
        (folder, environment)
    }

    fn told(shop: Shop, programs: &[&str]) -> Vec<String> {
        let (_folder, environment) = machine(programs);
        Shop { environment, ..shop }.told(&[Check::Programs])
    }

    fn api(settings: &str) -> Shop {
        Shop::with(
            "vars: { home: plain }\n        settings: { command: { apply: [./run.sh] } }",
            &format!("vars: {{ home: plain }}\n        settings: {{ {settings} }}"),
        )
    }

    #[test]
    fn programs_that_are_not_on_this_machine_are_found() {
        const ALL: &[&str] = &["terraform", "helmfile", "helm"];
        let wrapped = || {
            let layer = StackLayer { program: Some("wrapped".to_owned()), ..StackLayer::default() };
            Shop { layer: Some(layer), ..Shop::new() }
        };
        for (shop, programs, expected) in [
            (
                api("command: { plan: [/nowhere/plan], apply: [./run.sh] }"),
                ALL,
                "error at components.command.api.settings.command.plan: command/api: there is no program \
                 /nowhere/plan on this machine",
            ),
            (
                api("command: { apply: [/nowhere/deploy] }").at(Moment::Plan),
                ALL,
                "warning at components.command.api.settings.command.apply: command/api: there is no program \
                 /nowhere/deploy on this machine",
            ),
            (
                api("command: { apply: [deploy] }").at(Moment::Validation),
                ALL,
                "warning at components.command.api: command/api: it needs the program \"deploy\", which is not on \
                 PATH here [",
            ),
            (
                api("health: { command: [probe] }, command: { apply: [./run.sh] }").at(Moment::Validation),
                ALL,
                "warning at components.command.api: command/api: it needs the program \"probe\", which is not on PATH \
                 here [",
            ),
            (
                Shop::new().at(Moment::Validation),
                &["terraform", "helm"],
                "warning at components.helmfile.chart: helmfile/chart: it needs the program \"helmfile\", which is not \
                 on PATH here [",
            ),
        ] {
            let told = told(shop, programs);
            assert_eq!(told.len(), 1, "{told:?}");
            assert!(told[0].starts_with(expected), "{told:?}\n{expected}");
        }
        let told = told(wrapped().at(Moment::Validation), ALL);
        assert_eq!(told.len(), 2, "each component that is run with it: {told:?}");
        assert!(told[0].contains("it needs the program \"wrapped\""), "{told:?}");
    }

    #[test]
    fn programs_that_are_there_or_that_a_rollout_looks_for_itself_are_passed_over() {
        for (what, shop, programs) in [
            (
                "all of it",
                api("command: { apply: [deploy] }").at(Moment::Validation),
                &["terraform", "helmfile", "helm", "deploy"][..],
            ),
            ("a rollout's own", api("command: { apply: [deploy] }"), &[][..]),
            ("a path of the machine", api("command: { apply: [/bin/sh] }"), &[][..]),
        ] {
            assert_eq!(told(shop, programs), [""; 0], "{what}");
        }
    }
}
