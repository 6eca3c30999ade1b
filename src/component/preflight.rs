//! Checks before anything is applied: missing tools.

use crate::deployment::{Component, ComponentKind, ComponentName};

use super::environment::Environment;
use super::helmfile::HelmfileSettings;
use super::terraform::TerraformSettings;
use crate::deployment::health::Probe;

/// A program that a component needs, but that is not on `PATH`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{component} needs the program {program:?}, which is not on PATH")]
pub struct MissingTool {
    pub component: ComponentName,
    pub program: String,
    /// The hint how to install it.
    pub hint: String,
}

/// Checks that the tools of every component exist.
///
/// A command given by a path is in the deployed commit: the crate's `preflight` checks it there.
pub fn preflight<'a>(
    components: impl IntoIterator<Item = &'a Component>,
    terraform: &TerraformSettings,
    helmfile: &HelmfileSettings,
    environment: &Environment,
) -> Result<(), MissingTool> {
    for component in components {
        let missing = |program: &str, hint: String| MissingTool {
            component: component.name.clone(),
            program: program.to_owned(),
            hint,
        };
        match component.kind {
            ComponentKind::Nixpack => {}
            ComponentKind::Helmfile => {
                if helmfile.find_program(environment).is_none() {
                    return Err(missing(&helmfile.program, HelmfileSettings::hint()));
                }
            }
            ComponentKind::Terraform => terraform.check(&component.name, environment)?,
            ComponentKind::Command => {
                let settings = component.settings.command.iter();
                let programs = settings
                    .flat_map(|command| command.plan.iter().chain([&command.apply]))
                    .filter_map(|argv| argv.first());
                for program in programs {
                    if !program.contains('/') && environment.find_program(program).is_none() {
                        let hint = format!(
                            "install {program} here, or write \"./{program}\" if it is a file of the \
                             component's working directory"
                        );
                        return Err(missing(program, hint));
                    }
                }
            }
        }
    }
    Ok(())
}

/// Checks that the tools of the components' health checks exist.
pub fn preflight_health<'a>(
    components: impl IntoIterator<Item = &'a Component>,
    environment: &Environment,
) -> Result<(), MissingTool> {
    for component in components {
        let program = match component.settings.health.as_ref().map(|health| &health.probe) {
            Some(Probe::Kubernetes { .. }) => "kubectl",
            Some(Probe::Ecs { .. }) => "aws",
            Some(Probe::Command(argv)) => argv.first().map_or("", String::as_str),
            Some(Probe::Http { .. }) | None => "",
        };
        if !program.is_empty() && !program.contains('/') && environment.find_program(program).is_none() {
            let (component, program) = (component.name.clone(), program.to_owned());
            let hint = format!("install {program} here; settings.health of {component} asks it");
            return Err(MissingTool { component, program, hint });
        }
    }
    Ok(())
}

impl TerraformSettings {
    /// Checks that the program of a component exists.
    pub fn check(&self, component: &ComponentName, environment: &Environment) -> Result<(), MissingTool> {
        if self.find_program(environment).is_some() {
            return Ok(());
        }
        let (component, program) = (component.clone(), self.program.clone());
        Err(MissingTool { component, program, hint: self.hint() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::component::testing::{Fixture, command};

    #[test]
    fn what_is_missing_is_found_and_what_lies_in_the_commit_is_left() {
        let environment: Environment = [("PATH".into(), "/usr/bin:/bin".into())].into_iter().collect();
        let terraform =
            TerraformSettings { program: "tofu-that-is-not-there".to_owned(), ..Default::default() };
        let helmfile =
            HelmfileSettings { program: "helmfile-that-is-not-there".to_owned(), ..Default::default() };
        let check = |kind, settings| {
            let mut fixture = Fixture::new(kind, "api");
            fixture.component.settings.command = settings;
            preflight([&fixture.component], &terraform, &helmfile, &environment)
        };

        assert_eq!(check(ComponentKind::Nixpack, None), Ok(()));
        assert_eq!(check(ComponentKind::Command, Some(command(&["sh"]))), Ok(()));
        assert_eq!(check(ComponentKind::Command, Some(command(&["./deploy.sh"]))), Ok(()));
        let error = check(ComponentKind::Command, Some(command(&["no-such-program"]))).unwrap_err();
        assert_eq!(error.to_string(), "api needs the program \"no-such-program\", which is not on PATH");
        let error = check(ComponentKind::Terraform, None).unwrap_err();
        assert_eq!(error.program, terraform.program);
        let error = check(ComponentKind::Helmfile, None).unwrap_err();
        assert_eq!(error.program, helmfile.program);
        assert!(error.hint.contains("helm-diff"), "{}", error.hint);
    }
}
