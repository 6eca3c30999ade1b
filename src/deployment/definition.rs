//! A validated deployment file: components, targets, promotion rules.

use std::time::Duration;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use super::health::HealthCheck;
use super::names::{ComponentKind, ComponentName, ComponentReference, DeploymentName, TargetName};
use super::vendoring::VendorSection;

pub use super::values::Values;

/// Labels: free-form key-value pairs for selection.
pub type Labels = IndexMap<String, String>;

/// A deployment: an application's components and targets.
#[derive(Debug, Clone, PartialEq)]
pub struct Deployment {
    pub name: DeploymentName,
    pub description: Option<String>,
    pub labels: Labels,
    /// The stacks to load, in import order; nothing else is loaded.
    pub stacks: Vec<StackImport>,
    pub context: DeploymentContext,
    /// In file order.
    pub components: Vec<Component>,
    /// In file order.
    pub targets: IndexMap<TargetName, Target>,
    /// The `vendor` section.
    pub vendor: Option<VendorSection>,
}

impl Deployment {
    /// A deployment without a file: it has no targets and components, so that everything in its
    /// ledger counts as removed.
    #[must_use]
    pub fn undeclared(name: DeploymentName) -> Self {
        Self {
            name,
            description: None,
            labels: Labels::new(),
            stacks: Vec::new(),
            context: DeploymentContext::default(),
            components: Vec::new(),
            targets: IndexMap::new(),
            vendor: None,
        }
    }
}

/// A stack that a deployment imports. It is resolved when a component needs it, and may not exist:
/// the position serves the error message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StackImport {
    /// As in the `import` list of a stack.
    pub path: String,
    /// The deployment's file, relative to the repository's root.
    pub file: String,
    /// Counted from 1.
    pub line: usize,
    /// Counted from 1.
    pub column: usize,
}

/// The `context` section of a deployment.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct DeploymentContext {
    /// The target of a rollout without `--target`.
    pub default_target: Option<TargetName>,
    pub promote_by: PromoteBy,
}

/// How an image travels from target to target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PromoteBy {
    /// By the digest that was recorded: bit for bit the same image.
    #[default]
    Digest,
    /// By its tag, for registries that rewrite digests.
    Tag,
}

/// One component of a deployment.
#[derive(Debug, Clone, PartialEq)]
pub struct Component {
    pub name: ComponentName,
    pub kind: ComponentKind,
    /// The folder under the kind's base path; the component's name where absent.
    pub folder: Option<String>,
    pub labels: Labels,
    /// The components that must be deployed before this one, resolved to names.
    pub depends_on: Vec<ComponentName>,
    pub vars: Values,
    pub settings: ComponentSettings,
}

/// The `settings` of a component.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ComponentSettings {
    pub limits: RunLimits,
    pub command: Option<CommandSettings>,
    pub nixpack: Option<NixpackSettings>,
    pub terraform: TerraformOptions,
    pub helmfile: HelmfileOptions,
    /// Absent: the component has no health check, so its health is unknown.
    pub health: Option<HealthCheck>,
}

/// The limits of a component's run: timeout and retries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RunLimits {
    /// The timeout after which the process group is stopped and the attempt has failed.
    pub timeout: Option<Duration>,
    /// The number of attempts after a failed one.
    pub retries: u32,
}

/// The settings of a `terraform` component.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TerraformOptions {
    /// The timeout for a state lock that another process holds.
    pub lock_timeout: Option<Duration>,
}

/// The settings of a `helmfile` component.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HelmfileOptions {
    /// `--environment`.
    pub environment: Option<String>,
    /// One `--selector` each.
    pub selectors: Vec<String>,
}

/// The plan and apply commands of a `command` component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandSettings {
    /// The argument vector of a dry run; without it, `--plan` only names the component.
    pub plan: Option<Vec<String>>,
    /// The argument vector that deploys.
    pub apply: Vec<String>,
    /// Relative to the root of the deployed commit; its root where absent.
    pub working_directory: Option<String>,
}

/// The build and publication settings of a `nixpack` component's image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NixpackSettings {
    /// Whether the image is pushed to its registry.
    pub publish: bool,
    /// Whether the source's own Dockerfile is used, if there is one.
    pub dockerfile_escape: bool,
    /// Whether a rollout without an SBOM is refused.
    pub sbom_required: bool,
    /// The SBOM formats to attach.
    pub sbom_formats: Vec<String>,
    /// The argument vector of the tests, which run in the image; empty without tests.
    pub test: Vec<String>,
}

impl Default for NixpackSettings {
    fn default() -> Self {
        Self {
            publish: true,
            dockerfile_escape: false,
            sbom_required: false,
            sbom_formats: vec!["cyclonedx-json".to_owned()],
            test: Vec::new(),
        }
    }
}

/// An environment of a deployment.
#[derive(Debug, Clone, PartialEq)]
pub struct Target {
    pub name: TargetName,
    pub labels: Labels,
    pub context: Values,
    /// The stack whose components and state the target has, its templates filled in.
    pub stack: Option<StackImport>,
    /// Absent: an entry point without any rule.
    pub promotion: Option<PromotionRule>,
    /// Per-component overrides.
    pub components: IndexMap<ComponentName, ComponentOverride>,
}

/// A target's overrides of one component.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ComponentOverride {
    pub vars: Values,
}

/// The sources that a target may be promoted from, and its approval settings
/// (`target-promotion.md`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PromotionRule {
    /// One for `from`, any number for `allowed_from`; empty for an entry point, which accepts any
    /// commit.
    pub sources: Vec<TargetName>,
    pub requires_approval: bool,
    pub approval_method: ApprovalMethod,
    /// The validity period of an approval.
    pub approval_expires: Duration,
    /// Whether only an approval of a plan that was seen counts: an approved digest, or `--digest`.
    pub require_digest: bool,
    /// Whether automatic rollouts wait for a person after a rollback. Absent: promotions do, and
    /// everything does where `sources` are named.
    pub hold: Option<bool>,
}

impl PromotionRule {
    /// The default validity period of an approval.
    pub const APPROVAL_EXPIRES: Duration = Duration::from_hours(24);

    /// Whether commits come here by promotion only.
    #[must_use]
    pub const fn is_guarded(&self) -> bool {
        !self.sources.is_empty()
    }
}

impl Default for PromotionRule {
    fn default() -> Self {
        Self {
            sources: Vec::new(),
            requires_approval: false,
            approval_method: ApprovalMethod::default(),
            approval_expires: Self::APPROVAL_EXPIRES,
            require_digest: false,
            hold: None,
        }
    }
}

/// Who is asked when a promotion requires an approval.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ApprovalMethod {
    /// The CI platform: who approved this run's environment.
    #[default]
    Ci,
    /// The person at the terminal, or `--approve`.
    Manual,
    /// Atmos Pro, over HTTP.
    Pro,
}

impl ApprovalMethod {
    /// The method as written in files.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ci => "ci",
            Self::Manual => "manual",
            Self::Pro => "pro",
        }
    }

    /// The method of this name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Ci, Self::Manual, Self::Pro].into_iter().find(|method| method.as_str() == text)
    }
}

impl Deployment {
    /// Finds the referenced component: by its name, or by `kind/name`.
    ///
    /// A name wins over a reading with a kind, so that a component called
    /// `terraform/x` stays reachable.
    #[must_use]
    pub fn find(&self, reference: &ComponentReference) -> Option<&Component> {
        let text = reference.0.as_str();
        self.components.iter().find(|component| component.name.as_str() == text).or_else(|| {
            let (kind, name) = text.split_once('/')?;
            let kind = ComponentKind::parse(kind)?;
            self.components.iter().find(|component| component.kind == kind && component.name.as_str() == name)
        })
    }

    /// Whether any component is configured by stacks.
    #[must_use]
    pub fn has_stacks(&self) -> bool {
        !self.stacks.is_empty() || self.targets.values().any(|target| target.stack.is_some())
    }

    /// The stack that a target names.
    #[must_use]
    pub fn stack_of(&self, target: &TargetName) -> Option<&StackImport> {
        self.targets.get(target)?.stack.as_ref()
    }

    /// The paths of the stacks, in import order.
    pub fn stack_paths(&self) -> impl Iterator<Item = &str> {
        self.stacks.iter().map(|stack| stack.path.as_str())
    }

    /// The component of this name.
    #[must_use]
    pub fn component(&self, name: &ComponentName) -> Option<&Component> {
        self.components.iter().find(|component| component.name == *name)
    }
}

impl Component {
    /// `kind/name`, for messages in which the kind matters.
    #[must_use]
    pub fn qualified_name(&self) -> String {
        format!("{}/{}", self.kind, self.name)
    }

    /// The folder under the kind's base path.
    #[must_use]
    pub fn folder(&self) -> &str {
        self.folder.as_deref().unwrap_or(self.name.as_str())
    }
}
