//! The configuration in a component's digest.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::super::definition::{
    CommandSettings, Component, ComponentSettings, HelmfileOptions, NixpackSettings, RunLimits, Target,
    TerraformOptions, Values,
};
use super::super::health::HealthCheck;
use super::super::stack_layer::{Deployable, StackLayer};

/// The configuration of a component on a target; values from the environment are included by
/// reference.
#[derive(Debug, Clone, Copy)]
pub struct Configuration<'a> {
    pub component: &'a Component,
    pub target: &'a Target,
    /// Its variables without overrides and images, templates as written.
    pub vars: &'a Values,
    /// The folder of its code, from the root of the commit; absent for kinds without such a folder.
    pub folder: Option<&'a str>,
    /// The configured program for it.
    pub program: Option<&'a str>,
    pub stack: Option<&'a StackLayer>,
}

impl Configuration<'_> {
    /// The configuration as JSON. Absent values are left out, so that a setting of a later version
    /// does not change the digests of components that do not use it.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut json = Object::default();
        json.set("context", &self.target.context);
        json.set("vars", self.vars);
        json.set("settings", settings(&self.component.settings));
        json.set("depends_on", &self.component.depends_on);
        json.set_some("folder", self.folder);
        json.set_some("program", self.program);
        json.set_some("stack", self.stack.map(stack));
        json.0.into()
    }
}

/// A JSON object under construction.
#[derive(Default)]
struct Object(Map<String, Value>);

impl Object {
    fn set(&mut self, name: &str, value: impl serde::Serialize) {
        self.0.insert(name.to_owned(), json!(value));
    }

    fn set_some(&mut self, name: &str, value: Option<impl serde::Serialize>) {
        if let Some(value) = value {
            self.set(name, value);
        }
    }

    /// Sets a list unless it is empty.
    fn set_list(&mut self, name: &str, items: &[String]) {
        self.set_some(name, Some(items).filter(|items| !items.is_empty()));
    }
}

/// All patterns name every field, so that a new field cannot be forgotten here.
fn settings(settings: &ComponentSettings) -> Value {
    let ComponentSettings { limits, command, nixpack, terraform, helmfile, health } = settings;
    let RunLimits { timeout, retries } = *limits;
    let mut json = Object::default();
    json.set_some("timeout", timeout.map(seconds));
    json.set_some("retries", Some(retries).filter(|retries| *retries > 0));
    json.set_some("command", command.as_ref().map(command_settings));
    json.set_some("nixpack", nixpack.as_ref().map(nixpack_settings));
    let TerraformOptions { lock_timeout } = *terraform;
    json.set_some("lock_timeout", lock_timeout.map(seconds));
    let HelmfileOptions { environment, selectors } = helmfile;
    json.set_some("environment", environment.as_ref());
    json.set_list("selectors", selectors);
    json.set_some("health", health.as_ref().map(health_check));
    json.0.into()
}

fn command_settings(settings: &CommandSettings) -> Value {
    let CommandSettings { plan, apply, working_directory } = settings;
    let mut json = Object::default();
    json.set_some("plan", plan.as_ref());
    json.set("apply", apply);
    json.set_some("working_directory", working_directory.as_ref());
    json.0.into()
}

fn nixpack_settings(settings: &NixpackSettings) -> Value {
    let NixpackSettings { publish, dockerfile_escape, sbom_required, sbom_formats, test } = settings;
    let mut json = Object::default();
    json.set("publish", publish);
    json.set("dockerfile_escape", dockerfile_escape);
    json.set("sbom_required", sbom_required);
    json.set_list("sbom_formats", sbom_formats);
    json.set_list("test", test);
    json.0.into()
}

fn health_check(check: &HealthCheck) -> Value {
    let HealthCheck { probe, timeout, interval, required } = check;
    json!({
        "probe": probe,
        "timeout": seconds(*timeout),
        "interval": seconds(*interval),
        "required": required,
    })
}

/// A duration in seconds.
fn seconds(duration: Duration) -> Value {
    if duration.subsec_nanos() == 0 { json!(duration.as_secs()) } else { json!(duration.as_secs_f64()) }
}

fn stack(layer: &StackLayer) -> Value {
    let StackLayer {
        stack,
        // Already part of the component's own variables.
        vars: _,
        // The file of a value does not change it.
        files: _,
        // Already the component's folder.
        folder: _,
        workspace,
        // It follows from the workspace and the generated files.
        state: _,
        env,
        // Already the component's program.
        program: _,
        generated_files,
        from_environment: _,
        deployable,
        // Already the component's dependencies.
        comes_after: _,
        // A rollout with unsupported keys is refused before anything runs.
        unapplied: _,
    } = layer;
    let mut json = Object::default();
    json.set("name", stack);
    json.set_some("workspace", workspace.as_ref());
    json.set("env", env);
    json.set("generated_files", generated_files);
    let hindrance = match deployable {
        Deployable::Yes => None,
        Deployable::Abstract => Some("abstract"),
        Deployable::Locked => Some("locked"),
        Deployable::Disabled => Some("disabled"),
    };
    json.set_some("not_deployable", hindrance);
    json.0.into()
}

#[cfg(test)]
mod tests {
    use super::super::super::fixtures::{component_name, deployment};
    use super::super::super::health::Probe;
    use super::super::super::names::ComponentKind;
    use super::*;

    fn values(value: &Value) -> Values {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn everything_that_is_configured_is_told() {
        let mut deployment = deployment(&["api"], &[("dev", &[])]);
        deployment.targets[0].context = values(&json!({"cpu": 256}));
        let component = &mut deployment.components[0];
        component.kind = ComponentKind::Terraform;
        component.depends_on = vec![component_name("vpc")];
        component.settings = ComponentSettings {
            limits: RunLimits { timeout: Some(Duration::from_secs(90)), retries: 2 },
            command: Some(CommandSettings {
                plan: Some(vec!["plan".to_owned()]),
                apply: vec!["apply".to_owned(), "{{ context.cpu }}".to_owned()],
                working_directory: Some("infra".to_owned()),
            }),
            nixpack: Some(NixpackSettings {
                publish: true,
                dockerfile_escape: false,
                sbom_required: true,
                sbom_formats: vec!["spdx".to_owned()],
                test: vec!["make".to_owned(), "test".to_owned()],
            }),
            terraform: TerraformOptions { lock_timeout: Some(Duration::from_millis(1500)) },
            helmfile: HelmfileOptions {
                environment: Some("prod".to_owned()),
                selectors: vec!["app=api".to_owned()],
            },
            health: Some(HealthCheck {
                probe: Probe::Http { url: "https://example.com".to_owned(), status: None },
                timeout: Duration::from_mins(1),
                interval: Duration::from_secs(5),
                required: true,
            }),
        };
        let stack = StackLayer {
            stack: "api-dev".to_owned(),
            workspace: Some("api-dev".to_owned()),
            env: [("REGION".to_owned(), Some("eu".to_owned())), ("HOME".to_owned(), None)].into(),
            generated_files: [("backend.tf.json".to_owned(), json!({"terraform": {}}))].into(),
            deployable: Deployable::Disabled,
            ..StackLayer::default()
        };
        let configuration = Configuration {
            component: &deployment.components[0],
            target: &deployment.targets[0],
            vars: &values(&json!({"region": "!env REGION"})),
            folder: Some("components/terraform/api"),
            program: Some("tofu"),
            stack: Some(&stack),
        };
        assert_eq!(
            configuration.to_json(),
            json!({
                "context": {"cpu": 256},
                "vars": {"region": "!env REGION"},
                "settings": {
                    "timeout": 90, "retries": 2, "lock_timeout": 1.5, "environment": "prod",
                    "selectors": ["app=api"],
                    "command": {"plan": ["plan"], "apply": ["apply", "{{ context.cpu }}"], "working_directory": "infra"},
                    "nixpack": {
                        "publish": true, "dockerfile_escape": false, "sbom_required": true,
                        "sbom_formats": ["spdx"], "test": ["make", "test"],
                    },
                    "health": {
                        "probe": {"http": {"url": "https://example.com"}},
                        "timeout": 60, "interval": 5, "required": true,
                    },
                },
                "depends_on": ["vpc"],
                "folder": "components/terraform/api",
                "program": "tofu",
                "stack": {
                    "name": "api-dev", "workspace": "api-dev", "env": {"HOME": null, "REGION": "eu"},
                    "generated_files": {"backend.tf.json": {"terraform": {}}}, "not_deployable": "disabled",
                },
            })
        );
    }

    #[test]
    fn what_has_no_value_is_absent() {
        let deployment = deployment(&["api"], &[("dev", &[])]);
        let configuration = Configuration {
            component: &deployment.components[0],
            target: &deployment.targets[0],
            vars: &Values::new(),
            folder: None,
            program: None,
            stack: None,
        };
        let expected = json!({"context": {}, "vars": {}, "settings": {}, "depends_on": []});
        assert_eq!(configuration.to_json(), expected);
    }
}
