//! `terraform` components: a root module is planned to a file, and exactly that plan is applied.

mod answers;
mod local_modules;
mod module;
mod needs;
mod plugin_cache;
mod sensitive;
mod version;
mod workspace;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::environment::Environment;
use super::process::{self, Invocation, ProcessError, StdoutUse};
use super::{Changes, ComponentError, ComponentResult, ComponentRun, Mode, Notice, checkout};
use crate::deployment::definition::Values;
use crate::deployment::diff::Drift;
use crate::deployment::observation::DriftFinding;
use module::Module;
use tempfile::TempDir;

pub use local_modules::local_modules;
pub use module::{ModuleError, ModuleInterface, is_module_file};
pub use needs::{ModuleNeeds, Written, is_variables_file, plain_program, variables_in};
pub use sensitive::sensitive_variables;
pub use version::TooOld;

/// `components.terraform` of `atmos.yaml`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TerraformSettings {
    /// `terraform` or `tofu`; a name on `PATH` or an absolute path.
    pub program: String,
    /// The folder of the root modules, relative to the root of the checkout.
    pub base_path: PathBuf,
    /// The timeout for a state lock that another process holds.
    pub lock_timeout: Duration,
}

impl Default for TerraformSettings {
    fn default() -> Self {
        Self {
            program: "terraform".to_owned(),
            base_path: PathBuf::from("components/terraform"),
            lock_timeout: Duration::from_mins(5),
        }
    }
}

impl TerraformSettings {
    /// The program's file, if it exists.
    #[must_use]
    pub fn find_program(&self, environment: &Environment) -> Option<PathBuf> {
        environment.find(&self.program)
    }

    /// The hint how to install the program.
    pub(super) fn hint(&self) -> String {
        let page = if self.is_opentofu() {
            "https://opentofu.org/docs/intro/install/"
        } else {
            "https://developer.hashicorp.com/terraform/install"
        };
        format!("install it ({page}), or name another in components.terraform.command of atmos.yaml")
    }

    fn is_opentofu(&self) -> bool {
        Path::new(&self.program).file_name().is_some_and(|name| name == "tofu")
    }
}

/// The settings that a component's stack adds to its module.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TerraformStack {
    /// The stack's name, for the name of the variables file.
    pub name: String,
    /// The workspace of the module's backend; absent: the default one. Created if missing. Local
    /// state is kept per deployment, target and component and needs none.
    pub workspace: Option<String>,
    /// Files to write into the module's folder first: `backend.tf.json`,
    /// `providers_override.tf.json`.
    pub generated_files: BTreeMap<String, serde_json::Value>,
}

impl TerraformStack {
    /// A stack that adds nothing but its name.
    #[must_use]
    pub fn named(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }
}

/// The exit status of `plan -detailed-exitcode` if there are changes.
const CHANGES: i32 = 2;

/// The message of Terraform and OpenTofu for a plan of an outdated state.
const STALE_PLAN: &str = "Saved plan is stale";

/// The commands of one module.
struct Terraform<'a> {
    run: ComponentRun<'a>,
    program: PathBuf,
    folder: PathBuf,
    module: Module,
    /// The file of the state, if it is local.
    state: Option<PathBuf>,
    environment: Environment,
    /// The cache of providers, unless Terraform's own configuration names one.
    plugin_cache: Option<PathBuf>,
    lock_timeout: String,
    /// The output of `init` and plan files, which may contain secrets. Removed on drop.
    scratch: TempDir,
}

/// Plans, and applies that plan.
pub(super) async fn run(run: ComponentRun<'_>) -> Result<ComponentResult, ComponentError> {
    let terraform = Terraform::set_up(run)?;
    let mut result = ComponentResult::default();
    if run.in_ci && terraform.state.is_some() {
        result.notices.push(Notice::LocalStateInCi);
    }
    let undeclared = terraform.module.undeclared(run.sources);
    if !undeclared.is_empty() {
        result.notices.push(Notice::Undeclared { variables: undeclared });
    }
    let variables = workspace::write_variables(run, &terraform.folder, &terraform.module)?;
    terraform.init().await?;
    let plan = terraform.scratch.path().join("plan");
    terraform.plan(&variables, &plan, &[]).await?;
    result.changes = Some(terraform.changes(&plan).await?);
    if run.mode == Mode::Apply {
        terraform.apply(&plan).await?;
        result.outputs = terraform.outputs().await?;
    }
    Ok(result)
}

/// Detects drift: whether a plan has changes, and how many.
pub(super) async fn drift(run: ComponentRun<'_>) -> Result<DriftFinding, ComponentError> {
    let terraform = Terraform::set_up(run)?;
    let variables = workspace::write_variables(run, &terraform.folder, &terraform.module)?;
    terraform.init().await?;
    let plan = terraform.scratch.path().join("plan");
    match terraform.plan(&variables, &plan, &["-detailed-exitcode"]).await {
        Ok(()) => Ok(DriftFinding { drift: Drift::None, changes: Some(Changes::default()) }),
        Err(error) if error.exit_code() == Some(CHANGES) => {
            Ok(DriftFinding { drift: Drift::Found, changes: Some(terraform.changes(&plan).await?) })
        }
        Err(error) => Err(error),
    }
}

/// Reads the outputs of a component from its state, without sensitive ones.
pub(super) async fn outputs(run: ComponentRun<'_>) -> Result<Values, ComponentError> {
    let terraform = Terraform::set_up(run)?;
    terraform.init().await?;
    terraform.outputs().await
}

/// The captured environment with settings for unattended runs. `TF_*` is passed on, except for
/// variables that would move the module's own files or its state.
fn environment(run: ComponentRun<'_>, scratch: &Path, local_state: bool) -> Environment {
    let mut environment = run.environment.clone();
    environment.set("TF_IN_AUTOMATION", "1");
    environment.set("TF_INPUT", "0");
    // Components may share a module's folder; the output of `init` is specific to one of them.
    environment.set("TF_DATA_DIR", scratch.join("data"));
    if local_state || run.stack.workspace.is_some() {
        environment.remove("TF_WORKSPACE");
    }
    environment
}

impl<'a> Terraform<'a> {
    /// Finds the program and the module, and writes the generated files.
    fn set_up(run: ComponentRun<'a>) -> Result<Self, ComponentError> {
        let settings = run.terraform;
        let program = settings
            .find_program(run.environment)
            .ok_or_else(|| ProcessError::Missing { program: settings.program.clone() })?;
        let mut folder = checkout::folder(run.checkout, &settings.base_path.join(run.component.folder()))?;
        let scratch = tempfile::Builder::new()
            .prefix("terraform-")
            .tempdir_in(run.scratch)
            .map_err(ComponentError::files("make a folder for temporary files"))?;
        let scratch_path =
            scratch.path().canonicalize().map_err(ComponentError::files("find the temporary files"))?;
        if !run.stack.generated_files.is_empty() {
            folder = workspace::folder_of_its_own(run, folder)?;
            workspace::write_generated(&folder, &run.stack.generated_files)?;
        }
        let module = Module::read(&folder)?;
        let ambient = run.environment.get("TF_WORKSPACE").and_then(|workspace| workspace.to_str());
        let workspace = run.stack.workspace.as_deref().or(ambient.filter(|workspace| !workspace.is_empty()));
        let state =
            if module.keeps_its_state(workspace) { None } else { Some(workspace::keep_state(run, &folder)?) };
        let mut environment = environment(run, &scratch_path, state.is_some());
        let plugin_cache = plugin_cache::folder(run)?;
        if let Some(folder) = &plugin_cache {
            environment.set(plugin_cache::VARIABLE, folder);
        }
        let lock_timeout = run.component.settings.terraform.lock_timeout.unwrap_or(settings.lock_timeout);
        Ok(Self {
            environment,
            plugin_cache,
            lock_timeout: format!("-lock-timeout={}ms", lock_timeout.as_millis()),
            run,
            program,
            folder,
            module,
            state,
            scratch,
        })
    }

    /// Initialises the module, in its workspace.
    async fn init(&self) -> Result<(), ComponentError> {
        let mut arguments: Vec<OsString> = ["init", "-input=false", "-no-color"].map(Into::into).into();
        if let Some(state) = &self.state {
            arguments.push(joined("-backend-config=path=", state));
        }
        let turn = match &self.plugin_cache {
            Some(folder) => plugin_cache::turn(self.run, folder).await?,
            None => None,
        };
        self.call(arguments, StdoutUse::Log).await?;
        drop(turn);
        if let (Some(workspace), None) = (&self.run.stack.workspace, &self.state) {
            let arguments = ["workspace", "select", "-or-create", "-no-color", workspace.as_str()];
            self.call(arguments.map(Into::into), StdoutUse::Log).await?;
        }
        Ok(())
    }

    async fn outputs(&self) -> Result<Values, ComponentError> {
        let arguments = ["output", "-json", "-no-color"].map(Into::into);
        let outputs = self.call(arguments, StdoutUse::Data).await?;
        self.answer(answers::outputs(&outputs))
    }

    async fn plan(&self, variables: &Path, plan: &Path, flags: &[&str]) -> Result<(), ComponentError> {
        let mut arguments = vec![
            "plan".into(),
            "-input=false".into(),
            "-no-color".into(),
            self.lock_timeout.as_str().into(),
            joined("-var-file=", variables),
            joined("-out=", plan),
        ];
        arguments.extend(flags.iter().map(OsString::from));
        self.call(arguments, StdoutUse::Log).await.map(drop)
    }

    /// The changes in a plan.
    async fn changes(&self, plan: &Path) -> Result<Changes, ComponentError> {
        let arguments = ["show".into(), "-json".into(), "-no-color".into(), plan.into()];
        let shown = self.call(arguments, StdoutUse::Data).await?;
        self.answer(answers::changes(&shown))
    }

    async fn apply(&self, plan: &Path) -> Result<(), ComponentError> {
        let arguments = [
            "apply".into(),
            "-input=false".into(),
            "-no-color".into(),
            self.lock_timeout.as_str().into(),
            plan.into(),
        ];
        match self.call(arguments, StdoutUse::Log).await {
            Ok(_) => Ok(()),
            Err(error) if error.tail().iter().any(|line| line.contains(STALE_PLAN)) => {
                Err(ComponentError::StalePlan { tail: error.tail().to_vec() })
            }
            Err(error) => Err(error),
        }
    }

    /// Runs one command in the module's folder.
    async fn call(
        &self,
        arguments: impl IntoIterator<Item = OsString>,
        stdout: StdoutUse,
    ) -> Result<Vec<u8>, ComponentError> {
        let arguments: Vec<OsString> = arguments.into_iter().collect();
        let command = arguments.first().map(|command| command.to_string_lossy()).unwrap_or_default();
        let invocation = Invocation {
            name: format!("{} {command}", self.run.terraform.program),
            program: self.program.clone(),
            directory: self.folder.clone(),
            environment: self.environment.clone(),
            timeout: None,
            input: Vec::new(),
            stdout,
            arguments,
        };
        Ok(process::run(&invocation, self.run.supervision()).await?)
    }

    fn answer<T>(&self, answer: Result<T, serde_json::Error>) -> Result<T, ComponentError> {
        answer
            .map_err(|source| ComponentError::Answer { program: self.run.terraform.program.clone(), source })
    }
}

/// `-flag=path`, for paths of arbitrary bytes.
fn joined(flag: &str, path: &Path) -> OsString {
    let mut argument = OsString::from(flag);
    argument.push(path);
    argument
}

#[cfg(test)]
mod tests;
