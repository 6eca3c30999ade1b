//! The stack layers of a deployment's components: the imports and the deployment's own components
//! as one synthetic manifest.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};

use crate::config::AtmosConfig;
use crate::deployment::definition::Values;
use crate::deployment::stack_layer::{
    Deployable, KnownOutputs, StackLayer, StackLayers, StackRefusal, StackRequest, UnappliedKey,
};
use crate::deployment::{Component, ComponentKind, ComponentName, Deployment};
use crate::stacks::{
    BACKEND_FILE, Describer, Functions, ImportRequest, Location, OutputRequest, PROVIDERS_FILE, Processing,
    REQUIREMENTS_FILE, StackCache, StackComponent, StackError, StackFiles, StackReader, StackSettings,
};

use super::World;
use super::outputs::{self, Found, Memory};
use super::unapplied::Allowed;

/// The stacks of one tree of files, as its deployments import them. Only imported files are read.
pub struct ImportedStacks {
    files: Box<dyn StackFiles + Send>,
    settings: StackSettings,
    /// Whether the backend of the stacks is written for terraform.
    writes_backend: bool,
    allowed: Allowed,
    /// Absent where stacks are only shown: values of the environment may be secret.
    environment: Option<BTreeMap<String, String>>,
    cache: Arc<StackCache>,
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
        functions: &dyn Functions,
        processing: Processing,
    ) -> Result<(StackComponent, Vec<UnappliedKey>), StackError> {
        let (deployment, component) = (request.deployment, request.component);
        let imports: Vec<_> = deployment.stacks.iter().map(import_request).collect();
        let file = deployment.stacks.first().map(|stack| stack.file.as_str()).unwrap_or_default();
        let reader = StackReader::with_cache(&*self.files, &self.settings, Arc::clone(&self.cache));
        let stack = reader.compose(&stack_name(request), file, &imports, &manifest(request))?;
        let describer = Describer::new(&reader, functions, processing);
        let as_declared =
            describer.component(&stack, Some(component.kind.as_str()), component.name.as_str())?;
        let unapplied = self.allowed.unapplied(request, &describer, &stack, &as_declared);
        Ok((as_declared, unapplied))
    }

    fn layer_of(
        &self,
        request: &StackRequest<'_>,
        mut described: StackComponent,
        unapplied: Vec<UnappliedKey>,
    ) -> StackLayer {
        let component = request.component;
        let own_file = request.deployment.stacks.first().map(|stack| stack.file.as_str());
        let files = deciding_files(&described, own_file);
        let mut generated_files = BTreeMap::new();
        let mut program = None;
        if component.kind == ComponentKind::Terraform {
            program = described.sections.get("command").and_then(Value::as_str).map(str::to_owned);
            let backend = described.backend_file().filter(|_| self.writes_backend);
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
            workspace: described.workspace,
            stack: described.stack,
            from_environment: BTreeSet::new(),
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
        if request.deployment.stacks.is_empty() {
            return Ok(None);
        }
        let functions = Answers {
            request,
            environment: self.environment.as_ref(),
            read: Mutex::default(),
            lacking: Mutex::default(),
            stacks: self,
            memory: Memory::default(),
            unread: Mutex::default(),
        };
        let (described, unapplied) = self.component(request, &functions, processing).map_err(|error| {
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
        let unapplied = unapplied.into_iter().chain(unread).collect();
        let from_environment = functions.read.into_inner().unwrap_or_else(PoisonError::into_inner);
        Ok(Some(StackLayer { from_environment, ..self.layer_of(request, described, unapplied) }))
    }
}

impl StackLayers for ImportedStacks {
    fn layer(&self, request: &StackRequest<'_>) -> Result<Option<StackLayer>, StackRefusal> {
        self.processed(request, Processing::STRICT)
    }
}

/// The name of the stack that consists of a deployment's imports on a target. It is specific to the
/// deployment: two deployments that import the same stacks do not share the workspaces in which
/// terraform keeps their state.
fn stack_name(request: &StackRequest<'_>) -> String {
    format!("{}-{}", request.deployment.name, request.target)
}

fn import_request(import: &crate::deployment::definition::StackImport) -> ImportRequest {
    let at = Location { file: import.file.as_str().into(), line: import.line, column: import.column };
    ImportRequest { path: import.path.clone(), at }
}

/// The deployment's own part of a component, as a stack manifest.
fn manifest(request: &StackRequest<'_>) -> Values {
    let Component { name, kind, folder, .. } = request.component;
    let mut component = json!({ "vars": request.vars });
    if let Some(folder) = folder {
        // The name may be that of a component of the stacks, whose configuration is inherited; it
        // is the code's folder in any case.
        component["component"] = json!(folder);
        component["metadata"] = json!({ "component": folder });
    }
    let mut manifest = Values::new();
    manifest.insert("components".to_owned(), json!({ kind.as_str(): { name.as_str(): component } }));
    manifest
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

/// The answers to functions in stacks while a deployment's component is resolved.
struct Answers<'a> {
    request: &'a StackRequest<'a>,
    environment: Option<&'a BTreeMap<String, String>>,
    /// The values that were read from the environment.
    read: Mutex<BTreeSet<String>>,
    /// The missing outputs that were requested.
    lacking: Mutex<Option<Lacking>>,
    stacks: &'a ImportedStacks,
    memory: Memory,
    /// Outputs that no run of this deployment can read.
    unread: Mutex<Vec<UnappliedKey>>,
}

/// The hint for an output that cannot be read.
const UNREAD_HINT: &str = "Outputs are known of the deployment's own terraform components, and of other stacks where \
                           `remote_state_backend_type: static` writes them out or a local backend keeps them under an \
                           absolute path";

/// The missing outputs of a component.
enum Lacking {
    /// All its outputs are unknown so far.
    Outputs(ComponentName),
    /// The requested output is missing.
    Output(ComponentName),
}

impl Answers<'_> {
    /// Whether a stack is the deployment's own on the target.
    fn is_own(&self, stack: &str) -> bool {
        stack == stack_name(self.request) || stack == self.request.target.as_str()
    }

    /// The outputs of a component of another stack.
    fn of_other_stack(&self, component: &str, stack: &str) -> Found {
        let ImportedStacks { files, settings, cache, environment, .. } = self.stacks;
        self.memory.remembered(component, stack, || {
            let reader = StackReader::with_cache(&**files, settings, Arc::clone(cache));
            let world = World { environment: environment.clone().unwrap_or_default(), repository_root: None };
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
