//! Components: runs them, one module for each kind.
//!
//! A component runs in a checkout of the deployed commit with an explicit environment; nothing here
//! reads that of the process. Output of child processes goes to a [`LogSink`], line by line.

mod attempt;
pub(crate) mod checkout;
mod command;
mod environment;
mod error;
mod files;
mod health;
mod helmfile;
mod log;
mod nixpack;
mod preflight;
pub(crate) mod process;
mod reason;
mod terraform;

use std::collections::BTreeMap;
use std::path::Path;

use indexmap::IndexMap;

use crate::cancellation::Cancellation;
use crate::deployment::definition::Values;
use crate::deployment::diff::Drift;
use crate::deployment::health::Health;
use crate::deployment::observation::DriftFinding;
use crate::deployment::variables::ValueSource;
use crate::deployment::{CommitId, Component, ComponentKind, ComponentName, DeploymentName, TargetName};

pub use crate::deployment::rollout_report::Changes;
pub use checkout::FolderError;
pub use command::outputs::OutputsError;
pub use environment::Environment;
pub use error::ComponentError;
pub use health::{check as check_health, wait as wait_until_healthy};
pub use helmfile::HelmfileSettings;
pub use log::{LogSink, Masks, Stream};
pub use preflight::{MissingTool, preflight, preflight_health};
pub use process::ProcessError;
pub use terraform::{
    ModuleError, ModuleInterface, ModuleNeeds, TerraformSettings, TerraformStack, TooOld, Written,
    is_module_file, is_variables_file, local_modules, plain_program, sensitive_variables, variables_in,
};

/// Whether to plan or to apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Plan only, without changes (`--plan`).
    Plan,
    Apply,
}

/// The inputs of one component's run.
#[derive(Clone, Copy)]
pub struct ComponentRun<'a> {
    pub component: &'a Component,
    pub deployment: &'a DeploymentName,
    pub target: &'a TargetName,
    /// The commit to deploy.
    pub commit: &'a CommitId,
    /// The running commit; absent where the component never ran on this target.
    pub previous_commit: Option<&'a CommitId>,
    pub run_id: &'a str,
    pub mode: Mode,
    /// The resolved variables, with templates rendered and outputs of earlier components filled in.
    pub vars: &'a Values,
    /// The source of each variable.
    pub sources: &'a IndexMap<String, ValueSource>,
    /// The images of this commit: component to `registry/name@sha256:…`.
    pub artifacts: &'a BTreeMap<String, String>,
    /// The root of a checkout of the commit.
    pub checkout: &'a Path,
    /// The folder of Terraform's state for modules without a backend: `.atmos/state` of the user's
    /// working copy, not of `checkout`, which is temporary.
    pub state: &'a Path,
    /// The folder of Terraform's plugin cache, unless the environment
    /// sets one: `.atmos/plugin-cache`.
    pub plugin_cache: &'a Path,
    /// A folder for the rollout's temporary files, which may hold secrets; outside the checkout.
    pub scratch: &'a Path,
    pub environment: &'a Environment,
    /// Whether this runs in CI, where local state does not outlive the job.
    pub in_ci: bool,
    pub terraform: &'a TerraformSettings,
    pub helmfile: &'a HelmfileSettings,
    pub stack: &'a TerraformStack,
    pub log: &'a dyn LogSink,
    /// The secrets to mask in the log.
    pub masks: &'a Masks,
    pub cancellation: &'a Cancellation,
}

/// The result of a component's run.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ComponentResult {
    /// The applied or planned changes, for kinds that report them.
    pub changes: Option<Changes>,
    /// The outputs for later components, without sensitive ones.
    pub outputs: Values,
    /// The deployed images: component to `registry/name@sha256:…`.
    pub artifacts: BTreeMap<String, String>,
    /// The result of its health check, if it has one.
    pub health: Option<Health>,
    /// Notices for the user.
    pub notices: Vec<Notice>,
}

/// A notice about a run, besides its status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// A dry run of a `command` component that has no plan command: nothing ran.
    NoPlanCommand,
    /// A `nixpack` component without an image of its commit.
    NoBuildRecord { commit: CommitId },
    /// The module has no remote backend: its state was written to a file that is lost with the job.
    LocalStateInCi,
    /// The module does not declare these variables, which were set for it; each with the most
    /// similar declared one.
    Undeclared { variables: Vec<(String, Option<String>)> },
    /// Succeeded after retries.
    Retried { attempts: u32 },
    /// A dry run of a component that needs outputs of one that was never applied.
    NotPlannedBefore { component: ComponentName },
    /// A dry run of a component that needs inputs of the rollout's own job.
    NotPlannedHere { reason: String },
}

impl Notice {
    /// Whether it is a warning rather than information.
    #[must_use]
    pub const fn is_warning(&self) -> bool {
        match self {
            Self::NoPlanCommand | Self::NotPlannedBefore { .. } | Self::NotPlannedHere { .. } => false,
            Self::NoBuildRecord { .. }
            | Self::LocalStateInCi
            | Self::Undeclared { .. }
            | Self::Retried { .. } => true,
        }
    }
}

impl std::fmt::Display for Notice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoPlanCommand => f.write_str("no plan command is configured, so nothing was run"),
            Self::NoBuildRecord { commit } => write!(f, "no build record for commit {}", commit.short()),
            Self::Undeclared { variables } => {
                let variables = variables.iter().map(|(name, nearest)| match nearest {
                    Some(nearest) => format!("{name} (did you mean {nearest}?)"),
                    None => name.clone(),
                });
                let names = variables.collect::<Vec<_>>().join(", ");
                write!(f, "the module declares no such variable, so it is not passed: {names}")
            }
            Self::Retried { attempts } => write!(f, "succeeded at attempt {attempts}"),
            Self::NotPlannedBefore { component } => {
                write!(f, "cannot be planned before {component} is deployed, whose outputs it needs")
            }
            Self::NotPlannedHere { reason } => write!(f, "cannot be planned here: {reason}"),
            Self::LocalStateInCi => f.write_str(
                "the module configures no remote backend: its state is kept in a file on this machine \
                 and is lost with the CI job unless the job keeps it",
            ),
        }
    }
}

/// Runs one component, with its timeout and retries. Dropping the future kills its processes.
pub async fn run(run: ComponentRun<'_>) -> Result<ComponentResult, ComponentError> {
    attempt::within_limits(run).await
}

/// Runs one component once, without retries.
async fn run_once(run: ComponentRun<'_>) -> Result<ComponentResult, ComponentError> {
    match run.component.kind {
        ComponentKind::Command => command::run(run).await,
        ComponentKind::Nixpack => Ok(nixpack::run(run)),
        ComponentKind::Terraform => terraform::run(run).await,
        ComponentKind::Helmfile => helmfile::run(run).await,
    }
}

/// Whether this kind supports drift detection.
#[must_use]
pub const fn knows_drift(kind: ComponentKind) -> bool {
    matches!(kind, ComponentKind::Terraform | ComponentKind::Helmfile)
}

/// Checks a component for drift: whether its resources still are as deployed. The run's mode is
/// [`Mode::Plan`].
pub async fn check_drift(run: ComponentRun<'_>) -> Result<DriftFinding, ComponentError> {
    let found = |found| if found { Drift::Found } else { Drift::None };
    match run.component.kind {
        ComponentKind::Terraform => terraform::drift(run).await,
        ComponentKind::Helmfile => {
            Ok(DriftFinding { drift: found(helmfile::drifted(run).await?), changes: None })
        }
        // These kinds have no drift detection.
        ComponentKind::Command | ComponentKind::Nixpack => Ok(DriftFinding::default()),
    }
}

/// Reads a component's outputs of its last apply from its state, for kinds that store them;
/// empty where it was never applied.
pub async fn recorded_outputs(run: ComponentRun<'_>) -> Result<Values, ComponentError> {
    match run.component.kind {
        ComponentKind::Terraform => terraform::outputs(run).await,
        ComponentKind::Command | ComponentKind::Nixpack | ComponentKind::Helmfile => Ok(Values::new()),
    }
}

impl<'a> ComponentRun<'a> {
    fn supervision(&self) -> process::Supervision<'a> {
        process::Supervision { log: self.log, masks: self.masks, cancellation: self.cancellation }
    }
}

#[cfg(test)]
mod testing;
