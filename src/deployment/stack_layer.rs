//! The configuration of components from imported stacks: the lowest layer of their
//! variables, and their run settings.
//!
//! Who reads stacks is not the domain's business: it asks through [`StackLayers`].

use std::collections::{BTreeMap, BTreeSet};

use indexmap::IndexMap;
use serde_json::Value;

use super::definition::{Component, Deployment, Values};
use super::names::{ComponentName, TargetName};

/// The stacks' configuration of one component on one target.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct StackLayer {
    /// The name of the stack that the deployment's imports make up.
    pub stack: String,
    /// The component's variables, the deployment's own among them: templates in stacks see those.
    pub vars: Values,
    /// The stack manifest that decides a variable's value, relative to the stacks directory and
    /// without its extension; for those that a stack sets.
    pub files: IndexMap<String, String>,
    /// The folder of the component's code under the base path of its kind.
    pub folder: String,
    /// The terraform workspace; absent for other kinds.
    pub workspace: Option<String>,
    /// Variables to set in the component's environment, or without a value to remove from it.
    pub env: BTreeMap<String, Option<String>>,
    /// The program that runs a terraform component.
    pub program: Option<String>,
    /// The files that are written into the folder first, by name:
    /// `backend.tf.json`, `providers_override.tf.json`.
    pub generated_files: BTreeMap<String, Value>,
    /// Values from the environment (`!env`), which may be secret and must not be logged.
    pub from_environment: BTreeSet<String>,
    pub deployable: Deployable,
    /// Settings of the stacks that rollouts do not support: a refusal.
    pub unapplied: Vec<UnappliedKey>,
}

/// A key of the stacks that decides how a component is applied, and that a rollout does not act on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnappliedKey {
    /// Its path in the component: `settings.validation`.
    pub key: String,
    /// The unsupported setting, with file, line and column.
    pub message: String,
    /// What to do about it.
    pub hint: String,
}

/// Whether a component may be rolled out, by its `metadata` in the stacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Deployable {
    #[default]
    Yes,
    /// `type: abstract`: it is there to be inherited from.
    Abstract,
    /// `locked: true`: the component must not be changed.
    Locked,
    /// `enabled: false`: it is left out.
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
    /// `!repo-root`: where the files of the commit are.
    pub repository_root: Option<&'a str>,
}

/// The outputs for `!terraform.output`.
#[derive(Debug, Clone, Copy)]
pub enum KnownOutputs<'a> {
    /// Nothing is looked up: the call is shown as it is written.
    AsWritten,
    /// The outputs of the components that have been asked for. Those of others are
    /// [needed](StackRefusal::OutputsNeeded) first.
    Of(&'a BTreeMap<ComponentName, Values>),
}

/// Why the stacks cannot say what they say of a component.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StackRefusal {
    /// A value is an output of another component of the deployment, which is not known yet.
    #[error("the outputs of {0} are not known")]
    OutputsNeeded(ComponentName),
    /// A value is an output that the component does not have: it was never
    /// deployed, or the output is sensitive.
    #[error("{message}")]
    NoOutput { component: ComponentName, message: String },
    /// The stacks are wrong, or use what is not supported.
    #[error("{message}")]
    Invalid {
        /// With file, line and column, where there are such.
        message: String,
        /// What to do about it.
        hint: Option<String>,
    },
}

/// Gives the stack layers of components.
pub trait StackLayers: Send + Sync {
    /// The stacks' layer of a component; `None` where the deployment imports none.
    fn layer(&self, request: &StackRequest<'_>) -> Result<Option<StackLayer>, StackRefusal>;
}

/// The stacks of a deployment that imports none.
#[derive(Debug, Clone, Copy)]
pub struct NoStacks;

impl StackLayers for NoStacks {
    fn layer(&self, _: &StackRequest<'_>) -> Result<Option<StackLayer>, StackRefusal> {
        Ok(None)
    }
}
