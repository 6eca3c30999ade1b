//! The deployment file, `deployments/<name>.yaml`, as written.
//!
//! These types are the single definition of that file: the published JSON schema is generated from
//! them, unknown keys and wrong types are checked against that schema, and valid files are
//! deserialised into them. Every optional key may also be left empty (`vars:`), which
//! means the same as leaving it out.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::deployment::definition::{ApprovalMethod, PromoteBy, Values};

use super::shape::{Published, Rule};
use super::vendor_section::VendorFileSection;

/// An application that is rolled out, promoted and rolled back as one: its components and its targets.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Atmos deployment")]
pub struct DeploymentFile {
    /// The deployment that this file describes.
    #[schemars(required)]
    pub deployment: Option<DeploymentSection>,
}

/// A deployment.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename = "Deployment")]
pub struct DeploymentSection {
    /// The deployment's name. Equals the file's name without `.yaml`.
    #[schemars(required, regex(pattern = "^[a-z0-9][a-z0-9._-]*$"), length(max = 128))]
    pub name: Option<String>,
    /// What the deployment is, in a sentence.
    pub description: Option<String>,
    /// Labels to select deployments by.
    pub labels: Option<IndexMap<String, String>>,
    /// The stacks to load, in import order. Nothing else under the stacks folder is read.
    pub stacks: Option<Vec<String>>,
    /// Defaults of the commands that act on this deployment.
    pub context: Option<ContextSection>,
    /// Where components come from whose code is not in the commit; overrides the repository's `vendor.yaml`.
    pub vendor: Option<VendorFileSection>,
    /// The components that the deployment is made of, by kind and name.
    pub components: Option<ComponentsSection>,
    /// The environments that the deployment can be rolled out to, by name. An empty one is an entry point.
    pub targets: Option<IndexMap<String, Option<TargetSection>>>,
}

/// Defaults of the commands that act on a deployment.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename = "Context")]
pub struct ContextSection {
    /// The target that commands without `--target` act on.
    pub default_target: Option<String>,
    /// How a promotion pins images: by digest (the default) or by tag.
    pub promote_by: Option<PromoteBy>,
}

/// Components by kind, then by name.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename = "Components")]
pub struct ComponentsSection {
    /// Container images that are built from source.
    pub nixpack: Option<IndexMap<String, Option<NixpackComponent>>>,
    /// Terraform or OpenTofu root modules.
    pub terraform: Option<IndexMap<String, Option<TerraformComponent>>>,
    /// Sets of Helm releases, applied by helmfile.
    pub helmfile: Option<IndexMap<String, Option<HelmfileComponent>>>,
    /// Command lines of the team's own.
    pub command: Option<IndexMap<String, CommandComponent>>,
}

/// A container image that is built from source.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NixpackComponent {
    /// The folder of the component; its name where absent.
    pub component: Option<String>,
    /// Labels and dependencies.
    pub metadata: Option<Metadata>,
    /// What to build, and how the image is called. Other variables are the build's own.
    #[schemars(with = "Option<NixpackVariables>")]
    pub vars: Option<Values>,
    /// How the image is built, published and checked.
    pub settings: Option<NixpackComponentSettings>,
}

/// A Terraform or OpenTofu component.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TerraformComponent {
    /// The folder under the base path of the component's kind; the component's name where absent.
    pub component: Option<String>,
    /// Labels and dependencies.
    pub metadata: Option<Metadata>,
    /// The component's variables. They override what the stacks say.
    pub vars: Option<Values>,
    /// How the component is run and checked.
    pub settings: Option<TerraformComponentSettings>,
}

/// A helmfile component.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HelmfileComponent {
    /// The folder under the base path of the component's kind; the component's name where absent.
    pub component: Option<String>,
    /// Labels and dependencies.
    pub metadata: Option<Metadata>,
    /// The component's variables. They override what the stacks say.
    pub vars: Option<Values>,
    /// How the component is run and checked.
    pub settings: Option<HelmfileComponentSettings>,
}

/// A component that is deployed by command lines of the team's own.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CommandComponent {
    /// Labels and dependencies.
    pub metadata: Option<Metadata>,
    /// The component's variables, which the command finds as JSON in the file `ATMOS_VARS_FILE`.
    pub vars: Option<Values>,
    /// What to run.
    #[schemars(required)]
    pub settings: Option<CommandComponentSettings>,
}

/// Labels and dependencies of a component.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Metadata {
    /// Labels to select components by, and to bind images to the components that use them.
    pub labels: Option<IndexMap<String, String>>,
    /// The components that must be deployed before this one: `ecr/api`, or with the kind `terraform/ecr/api`.
    pub depends_on: Option<Vec<String>>,
}

/// The variables of a nixpack component that the build reads.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[schemars(extend("additionalProperties" = true))]
pub struct NixpackVariables {
    /// The folder of the source code, relative to the repository's root.
    pub source: Option<String>,
    /// Replaces the detected install command.
    pub install_cmd: Option<String>,
    /// Replaces the detected build command.
    pub build_cmd: Option<String>,
    /// Replaces the detected start command.
    pub start_cmd: Option<String>,
    /// Nix packages to add.
    pub pkgs: Option<Vec<String>>,
    /// Debian packages to add.
    pub apt_pkgs: Option<Vec<String>>,
    /// Where the image is pushed to.
    pub image: Option<Image>,
}

/// The name of an image in its registry.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Image {
    /// The registry's host, with its port where it has one.
    pub registry: Option<String>,
    /// The repository in the registry.
    pub name: Option<String>,
    /// A tag to push besides the digest. Advisory: what is deployed is always the digest.
    pub tag: Option<String>,
}

/// Settings of a nixpack component.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NixpackComponentSettings {
    /// How the image is built and published.
    pub nixpack: Option<NixpackSection>,
    /// How to find out whether the component is healthy.
    pub health: Option<HealthSection>,
}

/// How an image is built and published.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename = "Nixpack")]
pub struct NixpackSection {
    /// Push the image to its registry. Default: true.
    pub publish: Option<bool>,
    /// Build with the source's own Dockerfile where it has one. Default: false.
    pub dockerfile_escape: Option<bool>,
    /// The software bill of materials.
    pub sbom: Option<SbomSection>,
    /// The command that tests the component in its image, which `atmos deployment test` runs. No shell reads it.
    #[schemars(length(min = 1))]
    pub test: Option<Vec<String>>,
}

/// The software bill of materials of an image.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename = "Sbom")]
pub struct SbomSection {
    /// Refuse rollouts without one. Default: false.
    pub require: Option<bool>,
    /// The formats to attach. Default: `cyclonedx-json`.
    pub formats: Option<Vec<SbomFormat>>,
}

/// A format of a software bill of materials.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SbomFormat {
    /// CycloneDX, as JSON.
    CyclonedxJson,
    /// SPDX, as JSON.
    SpdxJson,
}

impl SbomFormat {
    /// The format as written in files.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CyclonedxJson => "cyclonedx-json",
            Self::SpdxJson => "spdx-json",
        }
    }
}

/// Settings of a terraform component.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TerraformComponentSettings {
    /// How terraform is run.
    pub terraform: Option<TerraformSection>,
    /// How to find out whether the component is healthy.
    pub health: Option<HealthSection>,
}

/// How terraform is run.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename = "Terraform")]
pub struct TerraformSection {
    /// How long to wait for a state lock that somebody else holds. Default: 5m.
    #[schemars(example = "10m")]
    pub lock_timeout: Option<String>,
    /// After this time, from `init` to the last output, terraform is stopped and the attempt has failed.
    #[schemars(example = "30m")]
    pub timeout: Option<String>,
    /// How often to try again after a failure, each time with a new plan. Default: 0.
    pub retries: Option<u32>,
}

/// Settings of a helmfile component.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HelmfileComponentSettings {
    /// How helmfile is run.
    pub helmfile: Option<HelmfileSection>,
    /// How to find out whether the component is healthy.
    pub health: Option<HealthSection>,
}

/// How helmfile is run.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename = "Helmfile")]
pub struct HelmfileSection {
    /// The environment of the helmfile: `--environment`.
    pub environment: Option<String>,
    /// Only releases with these labels: one `--selector` each.
    #[schemars(example = ["app=web"])]
    pub selectors: Option<Vec<String>>,
    /// After this time helmfile is stopped and the attempt has failed.
    #[schemars(example = "10m")]
    pub timeout: Option<String>,
    /// How often to try again after a failure. Default: 0.
    pub retries: Option<u32>,
}

/// How to find out whether a component is healthy: one of `command`, `http`, `kubernetes`, `ecs`. It is asked when the
/// component has been rolled out, and by `status --check-health`. Texts may hold templates.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename = "Health")]
pub struct HealthSection {
    /// A command line that succeeds where the component is healthy. It runs in a checkout of the deployed commit.
    #[schemars(length(min = 1), example = ["./services/check.sh"])]
    pub command: Option<Vec<String>>,
    /// A URL that answers where the component is healthy.
    pub http: Option<HealthHttp>,
    /// A workload in Kubernetes, as `kubectl` sees it.
    pub kubernetes: Option<HealthKubernetes>,
    /// A service in Amazon ECS, as the `aws` command sees it.
    pub ecs: Option<HealthEcs>,
    /// How long a rollout waits for the component to become healthy. Default: 1m.
    #[schemars(example = "5m")]
    pub timeout: Option<String>,
    /// How long a rollout waits between two checks. Default: 5s.
    #[schemars(example = "10s")]
    pub interval: Option<String>,
    /// Whether a component that does not become healthy has failed, so that nothing is rolled out that depends on it.
    /// Default: true.
    pub required: Option<bool>,
}

/// A URL that answers where the component is healthy.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HealthHttp {
    /// The URL.
    #[schemars(required, example = "https://api.example.com/health")]
    pub url: Option<String>,
    /// The status that it answers with. Default: any from 200 to 299.
    pub status: Option<u32>,
}

/// A workload in Kubernetes.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HealthKubernetes {
    /// The workload, with its kind: a deployment, stateful set, daemon set or replica set.
    #[schemars(required, example = "deployment/api")]
    pub resource: Option<String>,
    /// Its namespace. Default: that of the context.
    pub namespace: Option<String>,
    /// The context of the kubeconfig. Default: the current one.
    pub context: Option<String>,
}

/// A service in Amazon ECS.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HealthEcs {
    /// The cluster.
    #[schemars(required)]
    pub cluster: Option<String>,
    /// The service.
    #[schemars(required)]
    pub service: Option<String>,
    /// The region. Default: the environment's.
    pub region: Option<String>,
}

/// Settings of a command component.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CommandComponentSettings {
    /// The command lines.
    #[schemars(required)]
    pub command: Option<CommandSection>,
    /// How to find out whether the component is healthy.
    pub health: Option<HealthSection>,
}

/// The command lines that plan and apply a component. Argument vectors: no shell reads them.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename = "Command")]
pub struct CommandSection {
    /// What a dry run executes. Without it, `--plan` only names the component.
    #[schemars(length(min = 1))]
    pub plan: Option<Vec<String>>,
    /// What deploys the component.
    #[schemars(required, length(min = 1))]
    pub apply: Option<Vec<String>>,
    /// The folder to run in, relative to the root of the deployed commit. Default: that root.
    #[schemars(example = "services/worker")]
    pub working_directory: Option<String>,
    /// After this time the command is stopped and the attempt has failed.
    #[schemars(example = "10m")]
    pub timeout: Option<String>,
    /// How often to try again after a failure. Default: 0.
    pub retries: Option<u32>,
}

/// An environment of the deployment. Text, numbers and booleans under other keys are taken as context, with a warning.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(rename = "Target")]
#[schemars(extend("additionalProperties" = { "type": ["string", "number", "boolean"], "description": "Short for a variable under `context`." }))]
pub struct TargetSection {
    /// Labels to select targets by.
    pub labels: Option<IndexMap<String, String>>,
    /// Variables of every component in this target. They override the components' own.
    pub context: Option<Values>,
    /// The stack that this target deploys: the path of its manifest, or its name. Its components have the stack's
    /// variables, backend and workspace, and so its state. Templates know `labels`, `context`, `target.name` and
    /// `deployment.name`.
    #[schemars(length(min = 1))]
    pub stack: Option<String>,
    /// The rules for rollouts to this target. Absent: an entry point without any rule.
    pub promotion: Option<PromotionSection>,
    /// What this target changes about single components.
    pub components: Option<IndexMap<String, Option<OverrideSection>>>,
    /// Context without the word.
    #[serde(flatten)]
    #[schemars(skip)]
    pub shorthand: Values,
}

/// Where a target may be promoted from, and who must agree. Without `from` and `allowed_from` it is an entry point, which
/// accepts any commit.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename = "Promotion")]
pub struct PromotionSection {
    /// The one target that may be promoted to this one. Excludes `allowed_from`.
    pub from: Option<String>,
    /// The targets that may be promoted to this one. Excludes `from`.
    #[schemars(length(min = 1))]
    pub allowed_from: Option<Vec<String>>,
    /// Whether somebody must approve. Default: false.
    pub requires_approval: Option<bool>,
    /// Who is asked for the approval. Default: `ci`.
    pub approval_method: Option<ApprovalMethod>,
    /// How long an approval counts. Default: 24h.
    #[schemars(example = "8h")]
    pub approval_expires: Option<String>,
    /// Whether only an approval of a plan that was seen counts, by its digest. Default: false.
    pub require_digest: Option<bool>,
    /// Whether pushes, schedules and re-runs wait for a person after a rollback. Default: promotions do; direct rollouts
    /// do where `from` or `allowed_from` is set.
    pub hold: Option<bool>,
}

/// What a target changes about a component.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename = "Override")]
pub struct OverrideSection {
    /// Variables of the component in this target. They override the target's context.
    pub vars: Option<Values>,
}

/// The JSON schema of the deployment file, for editors.
#[must_use]
pub fn schema() -> schemars::Schema {
    schemars::generate::SchemaSettings::draft2020_12()
        .for_deserialize()
        .into_generator()
        .into_root_schema_for::<DeploymentFile>()
}

/// The validation rule, read from the published schema.
pub(super) static RULE: Rule = Rule::of_schema(&SCHEMA);
static SCHEMA: Published = include!(concat!(env!("OUT_DIR"), "/deployment.schema.rs"));

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_property_is_described() {
        fn check(path: &str, value: &serde_json::Value) {
            for (name, property) in value["properties"].as_object().into_iter().flatten() {
                assert!(property["description"].is_string(), "{path}.{name} has no description");
            }
        }
        let schema = serde_json::to_value(schema()).unwrap();
        check("", &schema);
        for (name, definition) in schema["$defs"].as_object().unwrap() {
            check(name, definition);
        }
    }
}
