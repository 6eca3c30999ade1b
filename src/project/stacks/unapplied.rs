//! Unsupported keys of stacks: a rollout refuses them by name and position, unless the project
//! ignores them.

use crate::config::AtmosConfig;
use crate::config::atmos::Credentials;
use crate::deployment::stack_layer::{StackRequest, UnappliedKey};
use crate::deployment::stack_order::comes_after;
use crate::deployment::{ComponentName, Deployment};
use crate::stacks::{AUTH_HINT, BACKEND_TYPE, Describer, Location, Stack, StackComponent};

/// The unsupported keys that the project allows a rollout to ignore.
pub(super) struct Allowed {
    ignored: Vec<&'static str>,
    /// The position of the identities in `atmos.yaml`, which Atmos assumes for every component.
    identities: Option<Location>,
}

impl Allowed {
    /// From `deployments.ignore` and `deployments.auth`. If no backend is written, its type is
    /// irrelevant.
    pub(super) fn by(config: &AtmosConfig) -> Self {
        let writes_backend = config.terraform.auto_generate_backend_file.unwrap_or(true);
        let ignored = config.deployments.ignore.iter().map(|key| key.as_str());
        let auth = config.deployments.auth.map(|Credentials::Ambient| "auth");
        let identities = config.identities.map(|(line, column)| Location {
            file: config.file.as_str().into(),
            line,
            column,
        });
        Self {
            identities,
            ignored: ignored.chain(auth).chain((!writes_backend).then_some(BACKEND_TYPE)).collect(),
        }
    }

    /// The refused keys of a component, without duplicates.
    pub(super) fn unapplied(
        &self,
        request: &StackRequest<'_>,
        describer: &Describer<'_>,
        stack: &Stack,
        as_declared: &StackComponent,
    ) -> Vec<UnappliedKey> {
        let component = &request.component.name;
        let mut keys: Vec<UnappliedKey> = Vec::new();
        let mut refuse = |key: &str, at: Option<Location>, what: String, hint: String| {
            let message = at.map_or_else(|| what.clone(), |at| format!("{at}: {what}"));
            if !self.ignored.contains(&key) && keys.iter().all(|known| known.message != message) {
                keys.push(UnappliedKey { key: key.to_owned(), message, hint });
            }
        };
        for found in describer.unapplied(stack, as_declared) {
            let (key, meaning) = (found.key, found.meaning);
            let what = if key == BACKEND_TYPE {
                format!("`{key}` is missing for {component}: {meaning}")
            } else {
                format!("a rollout does not act on `{key}` of {component}: {meaning}")
            };
            refuse(key, found.at, what, found.hint.to_owned());
        }
        if let Some(at) = &self.identities {
            let what = "a rollout does not act on `auth`: Atmos takes on an identity for each component";
            refuse("auth", Some(at.clone()), what.to_owned(), AUTH_HINT.to_owned());
        }
        for (key, at, need) in described_needs(request.deployment, describer, stack, as_declared) {
            if comes_after(request.deployment, component, &need) {
                continue;
            }
            let why = if comes_after(request.deployment, &need, component) {
                format!("{need} comes after {component} otherwise")
            } else {
                "the deployment does not say so".to_owned()
            };
            let what = format!("`{key}` says that {component} comes after {need}, and {why}");
            let hint =
                format!("In the deployment's file, write at {component}: metadata: {{depends_on: [{need}]}}");
            refuse(key, at, what, hint);
        }
        keys
    }

    /// The components of the deployment that the stacks put before this one, unless the project
    /// ignores the key that says so.
    pub(super) fn needs(
        &self,
        request: &StackRequest<'_>,
        describer: &Describer<'_>,
        stack: &Stack,
        as_declared: &StackComponent,
    ) -> Vec<ComponentName> {
        let mut needs = Vec::new();
        for (key, _, need) in described_needs(request.deployment, describer, stack, as_declared) {
            if !self.ignored.contains(&key) && !needs.contains(&need) {
                needs.push(need);
            }
        }
        needs
    }
}

/// The other components of the deployment that the stacks put before a component.
fn described_needs(
    deployment: &Deployment,
    describer: &Describer<'_>,
    stack: &Stack,
    component: &StackComponent,
) -> Vec<(&'static str, Option<Location>, ComponentName)> {
    let needs = describer.needs(stack, component).into_iter();
    let others = needs.filter(|(_, _, need)| *need != component.name);
    others
        .filter_map(|(key, at, need)| {
            let known = deployment.components.iter().find(|other| other.name.as_str() == need)?;
            Some((key, at, known.name.clone()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::io;

    use serde_json::json;

    use super::super::ImportedStacks;
    use crate::config::parse_deployment;
    use crate::deployment::resolution::Resolution;
    use crate::deployment::stack_layer::StackLayer;
    use crate::stacks::StackFiles;

    /// One manifest.
    struct Manifest(String);

    impl StackFiles for Manifest {
        fn read(&self, path: &str) -> io::Result<Option<String>> {
            Ok((path == "stacks/s.yaml").then(|| self.0.clone()))
        }

        fn list(&self, _: &str) -> io::Result<Vec<String>> {
            Ok(vec!["stacks/s.yaml".to_owned()])
        }
    }

    /// The stack layer of the component `app`, which exists next to `net`.
    fn layer(atmos: &str, needs: &str, app: &str) -> StackLayer {
        let manifest = format!("components:\n  terraform:\n    net: {{}}\n    app:\n{app}");
        let config = crate::config::atmos::parse("atmos.yaml", atmos).unwrap();
        let file = format!(
            "deployment:\n  name: d\n  stacks: [s]\n  components:\n    terraform: {{net: {{}}, app: {{metadata: \
             {{depends_on: {needs}}}}}}}\n  targets: {{dev: {{}}}}\n"
        );
        let loaded = parse_deployment("deployments/d.yaml", &"d".parse().unwrap(), &file).unwrap();
        let deployment = &loaded.deployment;
        let component = deployment.component(&"app".parse().unwrap()).unwrap();
        let stacks = ImportedStacks::new(Manifest(manifest), &config);
        let resolution = Resolution::as_declared(deployment, component, &deployment.targets[0], &stacks);
        resolution.resolve().unwrap().stack.unwrap()
    }

    /// The refused keys, with their positions.
    fn refused(layer: &StackLayer) -> Vec<String> {
        let place = |message: &str| message.split(": ").next().unwrap_or_default().to_owned();
        layer.unapplied.iter().map(|key| format!("{} at {}", key.key, place(&key.message))).collect()
    }

    #[test]
    fn every_key_that_decides_how_a_component_is_applied_is_acted_on_or_refused_at_its_place() {
        for (app, expected) in [
            ("      auth: {identities: {admin: {kind: aws/user}}}\n", "auth at stacks/s.yaml:5:7"),
            ("      auth: {}\n", ""),
            (
                "      settings:\n        validation: {a: {schema_type: jsonschema, schema_path: a.json}}\n",
                "settings.validation at stacks/s.yaml:6:9",
            ),
            ("      settings: {validation: {a: {schema_type: opa, disabled: true}}}\n", ""),
            (
                "      hooks: {a: {events: [after-terraform-apply], command: store}}\n",
                "hooks at stacks/s.yaml:5:7",
            ),
            ("      hooks: {a: null}\n", ""),
            ("      source: github.com/acme/app\n", "source at stacks/s.yaml:5:7"),
            ("      source: {uri: github.com/acme/app, version: 1.0.0}\n", "source at stacks/s.yaml:5:7"),
            ("      source: {}\n", ""),
            ("      provision: {backend: {enabled: true}}\n", "provision at stacks/s.yaml:5:7"),
            ("      provision: {backend: {enabled: false}, workdir: {enabled: true}}\n", ""),
            ("      generate: {a.tf: 'locals {}'}\n", "generate at stacks/s.yaml:5:7"),
            ("      secrets: {token: {store: ssm}}\n", "secrets at stacks/s.yaml:5:7"),
            ("      dependencies: {tools: {terraform: 1.9.8}}\n", "dependencies.tools at stacks/s.yaml:5:22"),
            (
                "      dependencies: {components: [{component: net}]}\n",
                "dependencies.components at stacks/s.yaml:5:22",
            ),
            (
                "      settings: {depends_on: {1: {component: net}}}\n",
                "settings.depends_on at stacks/s.yaml:5:18",
            ),
            // Components elsewhere have no order here.
            ("      settings: {depends_on: {1: {component: net, stage: prod}, 2: {component: nope}}}\n", ""),
            ("      dependencies: {components: [{component: net, stack: other}]}\n", ""),
            ("      backend: {s3: {bucket: states}}\n", "backend_type at stacks/s.yaml:5:7"),
            ("      backend: {s3: {bucket: states}}\n      backend_type: s3\n", ""),
            ("      backend_type: s3\n", ""),
        ] {
            let found = refused(&layer("", "[]", app));
            let expected: Vec<&str> = Some(expected).filter(|key| !key.is_empty()).into_iter().collect();
            assert_eq!(found, expected, "{app}");
        }
    }

    #[test]
    fn versions_that_a_stack_requires_are_written_for_terraform() {
        let app =
            "      required_version: '>= 1.9'\n      required_providers: {aws: {source: hashicorp/aws}}\n";
        let layer = layer("", "[]", app);
        let written = json!({
            "terraform": {"required_version": ">= 1.9", "required_providers": {"aws": {"source": "hashicorp/aws"}}}
        });
        assert_eq!(layer.generated_files["terraform_override.tf.json"], written);
        assert_eq!(refused(&layer), [""; 0]);
    }

    #[test]
    fn what_the_project_says_of_a_key_is_enough() {
        let app = "      auth: {realm: a}\n      hooks: {a: {command: store}}\n      backend: {s3: {}}\n";
        let left = |atmos: &str| refused(&layer(atmos, "[]", app)).len();
        assert_eq!(left(""), 3);
        assert_eq!(left("deployments: {ignore: [hooks, settings.validation]}\n"), 2);
        assert_eq!(left("auth: {identities: {admin: {kind: aws/user}}}\n"), 4);
        assert_eq!(left("auth: {identities: {admin: {kind: aws/user}}}\ndeployments: {auth: ambient}\n"), 2);
        assert_eq!(left("deployments: {auth: ambient}\n"), 2);
        assert_eq!(left("components: {terraform: {auto_generate_backend_file: false}}\n"), 2);
        let ordered = "      settings: {depends_on: {1: {component: net}}}\n";
        assert_eq!(refused(&layer("", "[net]", ordered)), [""; 0]);
    }
}
