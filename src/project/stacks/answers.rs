//! The answers to functions in the stacks of a deployment's component: environment and outputs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use serde_json::Value;

use super::World;
use super::outputs::{self, Found, Memory};
use crate::deployment::definition::Values;
use crate::deployment::stack_layer::{KnownOutputs, StackRequest, UnappliedKey};
use crate::deployment::{ComponentKind, ComponentName, Deployment};
use crate::stacks::{Functions, Location, OutputRequest, StackCache, StackFiles, StackReader, StackSettings};

/// The answers to functions in stacks while a deployment's component is resolved.
pub(super) struct Answers<'a> {
    /// The name of the stack that the component belongs to, once it is known.
    pub(super) own_stack: OnceLock<String>,
    pub(super) request: &'a StackRequest<'a>,
    pub(super) environment: Option<&'a BTreeMap<String, String>>,
    /// The values that were read from the environment.
    pub(super) read: Mutex<BTreeSet<String>>,
    /// The missing outputs that were requested.
    pub(super) lacking: Mutex<Option<Lacking>>,
    pub(super) others: Others<'a>,
    pub(super) memory: Memory,
    /// Outputs that no run of this deployment can read.
    pub(super) unread: Mutex<Vec<UnappliedKey>>,
}

/// Where the stacks of others are read.
#[derive(Clone, Copy)]
pub(super) struct Others<'a> {
    pub(super) files: &'a dyn StackFiles,
    pub(super) settings: &'a StackSettings,
    pub(super) cache: &'a Arc<StackCache>,
}

/// The hint for an output that cannot be read.
const UNREAD_HINT: &str = "Outputs are known of the deployment's own terraform components, and of other stacks where \
                           `remote_state_backend_type: static` writes them out or a local backend keeps them under an \
                           absolute path";

/// The missing outputs of a component.
pub(super) enum Lacking {
    /// All its outputs are unknown so far.
    Outputs(ComponentName),
    /// The requested output is missing.
    Output(ComponentName),
}

impl Answers<'_> {
    /// Whether a stack is the deployment's own on the target.
    fn is_own(&self, stack: &str) -> bool {
        self.own_stack.get().is_some_and(|own| own == stack) || stack == self.request.target.as_str()
    }

    /// The outputs of a component of another stack.
    fn of_other_stack(&self, component: &str, stack: &str) -> Found {
        let Others { files, settings, cache } = self.others;
        self.memory.remembered(component, stack, || {
            let reader = StackReader::with_cache(files, settings, Arc::clone(cache));
            let world =
                World { environment: self.environment.cloned().unwrap_or_default(), repository_root: None };
            match reader.all() {
                Ok(stacks) => outputs::read(&reader, &stacks, &world, None, (component, stack)),
                Err(error) => Found::Never(error.to_string()),
            }
        })
    }

    fn lack(&self, lacking: Lacking) {
        *self.lacking.lock().unwrap_or_else(PoisonError::into_inner) = Some(lacking);
    }
}

impl Functions for Answers<'_> {
    fn environment(&self, name: &str) -> Option<String> {
        match self.environment {
            Some(environment) => {
                let value = environment.get(name).cloned();
                self.read.lock().unwrap_or_else(PoisonError::into_inner).extend(value.clone());
                value
            }
            None => Some(format!("!env {name}")),
        }
    }

    fn repository_root(&self) -> Option<String> {
        self.request.repository_root.map(str::to_owned)
    }

    fn terraform_output(&self, request: &OutputRequest<'_>) -> Result<Value, String> {
        let KnownOutputs::Of(known) = self.request.outputs else {
            return Err("outputs are only known when a component runs".to_owned());
        };
        let deployment = self.request.deployment;
        let target = self.request.target;
        if !self.is_own(request.stack) {
            return Err(match self.of_other_stack(request.component, request.stack) {
                Found::NotHere(why) | Found::Never(why) => why,
                Found::Outputs(_) => format!("it is no stack of {} on {target}", deployment.name),
            });
        }
        let component = terraform_component(deployment, request.component).ok_or_else(|| {
            format!("{} has no terraform component called {}", deployment.name, request.component)
        })?;
        let Some(outputs) = known.get(component) else {
            self.lack(Lacking::Outputs(component.clone()));
            return Err(format!("the outputs of {component} are not known"));
        };
        let value = outputs.get(request.output).cloned();
        value.or(request.has_default.then_some(Value::Null)).ok_or_else(|| {
            self.lack(Lacking::Output(component.clone()));
            format!(
                "{component} has no output {} on {target}: it is sensitive, or not there before the component \
                 has been deployed",
                request.output
            )
        })
    }

    fn outputs_of(&self, component: &str, stack: &str) -> Option<Values> {
        // If stacks are only shown, values stay as written.
        let reads = self.environment.is_some() && !self.is_own(stack);
        match reads.then(|| self.of_other_stack(component, stack))? {
            Found::Outputs(outputs) => Some(outputs),
            Found::NotHere(_) | Found::Never(_) => None,
        }
    }

    fn note_unread(&self, request: &OutputRequest<'_>, at: &Location) {
        let OutputRequest { component, stack, output, .. } = *request;
        let deployment = self.request.deployment;
        let why = if self.is_own(stack) {
            let is_known = terraform_component(deployment, component).is_some();
            (!is_known).then(|| format!("{} has no terraform component of that name", deployment.name))
        } else {
            match self.of_other_stack(component, stack) {
                Found::Never(why) => Some(why),
                // An output that is missing here may exist where the rollout runs.
                Found::NotHere(why) => self.environment.is_some().then_some(why),
                Found::Outputs(_) => None,
            }
        };
        if let Some(why) = why {
            self.unread.lock().unwrap_or_else(PoisonError::into_inner).push(UnappliedKey {
                key: "!terraform.output".to_owned(),
                message: format!(
                    "{at}: the output \"{output}\" of {component} in {stack} cannot be read: {why}"
                ),
                hint: UNREAD_HINT.to_owned(),
            });
        }
    }

    fn shows_outputs_as_written(&self) -> bool {
        !matches!(self.request.outputs, KnownOutputs::Of(_))
    }
}

fn terraform_component<'d>(deployment: &'d Deployment, name: &str) -> Option<&'d ComponentName> {
    let of_kind = deployment.components.iter().filter(|component| component.kind == ComponentKind::Terraform);
    of_kind.map(|component| &component.name).find(|component| component.as_str() == name)
}
