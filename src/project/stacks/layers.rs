//! The stack layers of a deployment's components: the imports and the deployment's own components
//! as one synthetic manifest.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use serde_json::Value;

use crate::config::AtmosConfig;
use crate::deployment::definition::Values;
use crate::deployment::stack_layer::{
    Deployable, StackLayer, StackLayers, StackRefusal, StackRequest, StateLocation, UnappliedKey,
};
use crate::deployment::{ComponentKind, ComponentName, Deployment};
use crate::stacks::{
    BACKEND_FILE, Describer, PROVIDERS_FILE, Processing, REQUIREMENTS_FILE, StackCache, StackComponent,
    StackError, StackFiles, StackReader, StackSettings,
};

use super::answers::{Answers, Lacking, Others};
use super::outputs::Memory;
use super::own_manifest::{import_request, manifest, own_file, stack_name};
use super::selected::{self, Selections, Unselected};
use super::unapplied::Allowed;

/// The stacks of one tree of files, as its deployments import them. Only imported files are read.
pub struct ImportedStacks {
    pub(super) files: Box<dyn StackFiles + Send>,
    pub(super) settings: StackSettings,
    /// Whether the backend of the stacks is written for terraform.
    writes_backend: bool,
    allowed: Allowed,
    /// Absent where stacks are only shown: values of the environment may be secret.
    pub(super) environment: Option<BTreeMap<String, String>>,
    pub(super) cache: Arc<StackCache>,
    selections: Selections,
}

impl ImportedStacks {
    /// The stacks in these files, for display: `!env` stays as written.
    pub fn new(files: impl StackFiles + Send + 'static, config: &AtmosConfig) -> Self {
        Self {
            files: Box::new(files),
            settings: super::settings(config),
            writes_backend: config.terraform.auto_generate_backend_file.unwrap_or(true),
            allowed: Allowed::by(config),
            environment: None,
            cache: Arc::default(),
            selections: Selections::default(),
        }
    }

    /// Reads with these variables for `!env`, for use rather than for display.
    #[must_use]
    pub fn with_environment(self, environment: BTreeMap<String, String>) -> Self {
        Self { environment: Some(environment), ..self }
    }

    fn component(
        &self,
        request: &StackRequest<'_>,
        functions: &Answers<'_>,
        processing: Processing,
    ) -> Result<Composed, StackError> {
        let (deployment, component) = (request.deployment, request.component);
        let mut imports: Vec<_> = deployment.stacks.iter().map(import_request).collect();
        let reader = StackReader::with_cache(&*self.files, &self.settings, Arc::clone(&self.cache));
        let describer = Describer::new(&reader, functions, processing);
        let selected = self.selections.select(request, &reader, &describer)?;
        let name = selected.as_ref().map_or_else(|| stack_name(request), |it| it.placement.stack.clone());
        functions.own_stack.get_or_init(|| name.clone());
        imports.extend(selected.iter().map(|selected| selected.import.clone()));
        let file = own_file(request).unwrap_or_default();
        let stack = reader.compose(&name, file, &imports, &manifest(request))?;
        let as_declared =
            describer.component(&stack, Some(component.kind.as_str()), component.name.as_str())?;
        let unapplied = self.allowed.unapplied(request, &describer, &stack, &as_declared);
        let comes_after = self.allowed.needs(request, &describer, &stack, &as_declared);
        Ok(Composed {
            described: as_declared,
            unapplied,
            comes_after,
            placement: selected.map(|selected| selected.placement),
        })
    }

    fn layer_of(
        &self,
        request: &StackRequest<'_>,
        Composed { mut described, unapplied, comes_after, placement }: Composed,
    ) -> StackLayer {
        let component = request.component;
        let files = deciding_files(&described, own_file(request));
        // The stack alone decides where its state is kept, whatever the deployment overrides.
        let placed = placement.as_ref().unwrap_or(&described);
        let state = placed.state_location().filter(|_| self.writes_backend).map(|location| StateLocation {
            shared: placed.backend_file().filter(|_| placed.has_shared_state()),
            backend: location.backend,
            key: location.key,
        });
        let (workspace, backend) = (placed.workspace.clone(), placed.backend_file());
        let mut generated_files = BTreeMap::new();
        let mut program = None;
        if component.kind == ComponentKind::Terraform {
            program = described.sections.get("command").and_then(Value::as_str).map(str::to_owned);
            let backend = backend.filter(|_| self.writes_backend);
            generated_files.extend(backend.map(|backend| (BACKEND_FILE.to_owned(), backend)));
            let providers = described.providers_file();
            generated_files.extend(providers.map(|providers| (PROVIDERS_FILE.to_owned(), providers)));
            let requirements = described.requirements_file();
            generated_files.extend(requirements.map(|versions| (REQUIREMENTS_FILE.to_owned(), versions)));
        }
        let env = described.sections.remove("env");
        StackLayer {
            vars: described.variables(),
            files,
            folder: component.folder.clone().unwrap_or_else(|| described.folder().to_owned()),
            env: env.as_ref().and_then(Value::as_object).map(environment).unwrap_or_default(),
            program: program.filter(|program| !program.is_empty()),
            generated_files,
            deployable: if described.is_abstract {
                Deployable::Abstract
            } else if !described.is_enabled {
                Deployable::Disabled
            } else if described.is_locked {
                Deployable::Locked
            } else {
                Deployable::Yes
            },
            workspace,
            state: state.filter(|_| component.kind == ComponentKind::Terraform),
            stack: described.stack,
            from_environment: BTreeSet::new(),
            comes_after,
            unapplied,
        }
    }
}

impl ImportedStacks {
    /// The stack layer of a component, evaluated as far as `processing` requires.
    pub(super) fn processed(
        &self,
        request: &StackRequest<'_>,
        processing: Processing,
    ) -> Result<Option<StackLayer>, StackRefusal> {
        if request.deployment.stacks.is_empty() && request.deployment.stack_of(request.target).is_none() {
            return Ok(None);
        }
        let functions = Answers {
            own_stack: OnceLock::new(),
            request,
            environment: self.environment.as_ref(),
            read: Mutex::default(),
            lacking: Mutex::default(),
            others: Others { files: &*self.files, settings: &self.settings, cache: &self.cache },
            memory: Memory::default(),
            unread: Mutex::default(),
        };
        let mut composed = self.component(request, &functions, processing).map_err(|error| {
            let message = crate::text::error_chain(&error);
            match functions.lacking.lock().unwrap_or_else(PoisonError::into_inner).take() {
                Some(Lacking::Outputs(component)) => StackRefusal::OutputsNeeded(component),
                Some(Lacking::Output(component)) => StackRefusal::NoOutput { component, message },
                None => {
                    let hint = super::hint(&error, Some(&self.settings.base_path));
                    StackRefusal::Invalid { message, hint }
                }
            }
        })?;
        let unread = functions.unread.into_inner().unwrap_or_else(PoisonError::into_inner);
        composed.unapplied.extend(unread);
        let from_environment = functions.read.into_inner().unwrap_or_else(PoisonError::into_inner);
        let mut layer = self.layer_of(request, composed);
        // A location is shown, and values of the environment may be secret.
        if let Some(state) = &mut layer.state {
            let is_secret = |key: &String| from_environment.iter().any(|value| key.contains(value.as_str()));
            state.key = state.key.take().filter(|key| !is_secret(key));
        }
        Ok(Some(StackLayer { from_environment, ..layer }))
    }
}

impl ImportedStacks {
    /// The stack that a deployment with one target imports and does not deploy the state of.
    #[must_use]
    pub fn unselected(&self, deployment: &Deployment) -> Option<Unselected> {
        let reader = StackReader::with_cache(&*self.files, &self.settings, Arc::clone(&self.cache));
        selected::unselected(deployment, &reader)
    }
}

impl StackLayers for ImportedStacks {
    fn layer(&self, request: &StackRequest<'_>) -> Result<Option<StackLayer>, StackRefusal> {
        self.processed(request, Processing::STRICT)
    }
}

/// A component of the stack that consists of a deployment's imports.
struct Composed {
    described: StackComponent,
    unapplied: Vec<UnappliedKey>,
    comes_after: Vec<ComponentName>,
    /// The component as the target's stack alone has it.
    placement: Option<StackComponent>,
}

/// The stack manifest that each variable's value comes from, unless it comes from the deployment's
/// own file alone.
fn deciding_files(described: &StackComponent, own_file: Option<&str>) -> indexmap::IndexMap<String, String> {
    let vars = described.sections.get("sources").and_then(|sources| sources.get("vars"));
    let vars = vars.and_then(Value::as_object).into_iter().flatten();
    vars.filter_map(|(name, source)| {
        let places = source.get("stack_dependencies")?.as_array()?;
        let mut files = places.iter().filter_map(|place| place.get("stack_file")?.as_str());
        Some((name.clone(), files.find(|file| Some(*file) != own_file)?.to_owned()))
    })
    .collect()
}

/// The `env` section as variables: null removes a variable, other values are converted to text.
fn environment(section: &Values) -> BTreeMap<String, Option<String>> {
    let text = |value: &Value| match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    };
    section.iter().map(|(name, value)| (name.clone(), text(value))).collect()
}
