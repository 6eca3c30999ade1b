//! The configuration of components from imported stacks: the lowest layer of their
//! variables, and their run settings.
//!
//! Stacks are not read by the domain, but through [`StackLayers`].

use std::collections::{BTreeMap, BTreeSet};

use indexmap::IndexMap;
use serde_json::Value;

use super::definition::{Component, Deployment, Values};
use super::names::{ComponentName, TargetName};

/// The stacks' configuration of one component on one target.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct StackLayer {
    /// The name of the stack that consists of the deployment's imports.
    pub stack: String,
    /// The component's variables, including the deployment's own, which templates in stacks see.
    pub vars: Values,
    /// The stack manifest that a variable's value comes from, relative to the stacks directory and
    /// without its extension; only for variables set by a stack.
    pub files: IndexMap<String, String>,
    /// The folder of the component's code under the base path of its kind.
    pub folder: String,
    /// The terraform workspace; absent for other kinds.
    pub workspace: Option<String>,
    /// The location of the terraform state; absent where the stacks configure no backend.
    pub state: Option<StateLocation>,
    /// Variables to set in the component's environment, or to remove if they have no value.
    pub env: BTreeMap<String, Option<String>>,
    /// The program that runs a terraform component.
    pub program: Option<String>,
    /// The files to write into the folder first, by name: `backend.tf.json`,
    /// `providers_override.tf.json`.
    pub generated_files: BTreeMap<String, Value>,
    /// Values from the environment (`!env`), which may be secret and must not be logged.
    pub from_environment: BTreeSet<String>,
    pub deployable: Deployable,
    /// The components of the deployment that must precede this one.
    pub comes_after: Vec<ComponentName>,
    /// Settings of the stacks that rollouts do not support: a refusal.
    pub unapplied: Vec<UnappliedKey>,
}

/// The location of a component's terraform state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateLocation {
    /// The type of the backend, such as `s3`.
    pub backend: String,
    /// The key of the state in its backend, as far as the stacks say it.
    pub key: Option<String>,
    /// The backend's configuration, if all components with the same one and the same workspace
    /// share their state, wherever they run.
    pub shared: Option<Value>,
}

impl StateLocation {
    /// The location in words: `s3 bucket/prefix/key`.
    #[must_use]
    pub fn words(&self) -> String {
        match &self.key {
            Some(key) => format!("{} {key}", self.backend),
            None => self.backend.clone(),
        }
    }
}

impl StackLayer {
    /// Whether this component and another one, both to be deployed, have the same state.
    #[must_use]
    pub fn has_the_state_of(&self, other: &Self) -> bool {
        let shared = |layer: &Self| {
            let state = layer.state.as_ref().filter(|_| layer.deployable == Deployable::Yes)?;
            Some((state.shared.clone()?, layer.workspace.clone()))
        };
        shared(self).is_some_and(|state| shared(other) == Some(state))
    }

    /// The refusal of targets that share the state of a component.
    #[must_use]
    pub fn shared_state(&self, component: &str, targets: [&TargetName; 2]) -> String {
        let [one, other] = targets;
        let place = self.state.as_ref().map(StateLocation::words).unwrap_or_default();
        let workspace = self.workspace.as_deref().unwrap_or("default");
        format!("{component} has the same state on {one} and {other}: {place}, workspace {workspace}")
    }
}

/// The hint for targets that share state.
pub const SHARED_STATE_HINT: &str =
    "Give each of them a stack of its own (targets: {<target>: {stack: <stack>}}), or a backend of its own";

/// A key of the stacks that affects how a component is applied, but is not supported by rollouts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnappliedKey {
    /// The path in the component, such as `settings.validation`.
    pub key: String,
    /// The unsupported setting, with file, line and column.
    pub message: String,
    /// The hint on the change to make.
    pub hint: String,
}

/// Whether a component may be rolled out, by its `metadata` in the stacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Deployable {
    #[default]
    Yes,
    /// `type: abstract`: only for inheritance.
    Abstract,
    /// `locked: true`: the component must not be changed.
    Locked,
    /// `enabled: false`: the component is left out.
    Disabled,
}

/// The request for one component's layer.
#[derive(Debug, Clone, Copy)]
pub struct StackRequest<'a> {
    pub deployment: &'a Deployment,
    pub component: &'a Component,
    pub target: &'a TargetName,
    /// The component's variables as the deployment declares them for the target.
    pub vars: &'a Values,
    pub outputs: KnownOutputs<'a>,
    /// `!repo-root`: the path of the commit's files.
    pub repository_root: Option<&'a str>,
}

/// The outputs for `!terraform.output`.
#[derive(Debug, Clone, Copy)]
pub enum KnownOutputs<'a> {
    /// No lookup: the call is shown as written.
    AsWritten,
    /// The outputs of the components requested so far. Those of others are
    /// [needed](StackRefusal::OutputsNeeded) first.
    Of(&'a BTreeMap<ComponentName, Values>),
}

/// The reason that the stacks cannot provide a component's layer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StackRefusal {
    /// A value refers to an output of another component of the deployment, which is not known yet.
    #[error("the outputs of {0} are not known")]
    OutputsNeeded(ComponentName),
    /// A value refers to an output that the component does not have: it was never deployed, or the
    /// output is sensitive.
    #[error("{message}")]
    NoOutput { component: ComponentName, message: String },
    /// The stacks are invalid, or use unsupported features.
    #[error("{message}")]
    Invalid {
        /// With file, line and column, if known.
        message: String,
        /// The hint on the change to make.
        hint: Option<String>,
    },
}

/// The source of the stack layers of components.
pub trait StackLayers: Send + Sync {
    /// The stacks' layer of a component; `None` where the deployment imports none.
    fn layer(&self, request: &StackRequest<'_>) -> Result<Option<StackLayer>, StackRefusal>;
}

/// The layers of a deployment that imports no stacks.
#[derive(Debug, Clone, Copy)]
pub struct NoStacks;

impl StackLayers for NoStacks {
    fn layer(&self, _: &StackRequest<'_>) -> Result<Option<StackLayer>, StackRefusal> {
        Ok(None)
    }
}
