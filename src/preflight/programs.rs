//! Programs of this machine that components need.

use super::{Moment, Subject};
use crate::component::{HelmfileSettings, MissingTool, TerraformSettings, preflight, preflight_health};
use crate::config::Severity;
use crate::deployment::ComponentKind;
use crate::render::document::validate::Check;

impl Subject<'_> {
    /// Warns of programs that are not here. The machine that rolls out may have them, and a rollout
    /// looks for them itself.
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

    /// A command's programs that are named by an absolute path.
    fn absolute_programs(&self) -> Vec<(String, &'static str)> {
        let Some(settings) = &self.component.settings.command else { return Vec::new() };
        let all = [("apply", Some(&settings.apply)), ("plan", settings.plan.as_ref())];
        let programs = all.into_iter().filter_map(|(name, argv)| Some((argv?.first()?.clone(), name)));
        programs.filter(|(program, _)| program.starts_with('/')).collect()
    }
}
