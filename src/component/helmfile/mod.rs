//! `helmfile` components: a set of Helm releases, diffed or applied as Atmos does it.
//!
//! `helmfile --state-values-file <stack>-<component>.helmfile.vars.yaml diff|apply` in the
//! component's folder. The environment selects the cluster (`KUBECONFIG`).

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::environment::Environment;
use super::files::write_json;
use super::process::{self, Invocation, ProcessError, StdoutUse};
use super::{ComponentError, ComponentResult, ComponentRun, Mode, checkout};

/// The variables that locate a component, each passed as the environment variable of its name in
/// upper case.
const PLACE: [&str; 5] = ["namespace", "tenant", "environment", "stage", "region"];

/// The exit status of `diff --detailed-exitcode` if there are changes.
const CHANGES: i32 = 2;

/// `components.helmfile` of `atmos.yaml`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HelmfileSettings {
    /// A name on `PATH` or an absolute path.
    pub program: String,
    /// The folder of the components, relative to the root of the checkout.
    pub base_path: PathBuf,
}

impl Default for HelmfileSettings {
    fn default() -> Self {
        Self { program: "helmfile".to_owned(), base_path: PathBuf::from("components/helmfile") }
    }
}

impl HelmfileSettings {
    /// The program's file, if it exists.
    #[must_use]
    pub fn find_program(&self, environment: &Environment) -> Option<PathBuf> {
        environment.find(&self.program)
    }

    /// The hint how to install the program.
    pub(super) fn hint() -> String {
        "install it (https://helmfile.readthedocs.io/en/latest/#installation) with helm and the helm-diff \
         plugin, or name another in components.helmfile.command of atmos.yaml"
            .to_owned()
    }
}

/// Diffs in a dry run, else applies.
pub(super) async fn run(run: ComponentRun<'_>) -> Result<ComponentResult, ComponentError> {
    let command: &[&str] = match run.mode {
        Mode::Plan => &["diff"],
        Mode::Apply => &["apply"],
    };
    call(run, command).await?;
    Ok(ComponentResult::default())
}

/// Whether the cluster differs from the deployed state.
pub(super) async fn drifted(run: ComponentRun<'_>) -> Result<bool, ComponentError> {
    match call(run, &["diff", "--detailed-exitcode"]).await {
        Ok(()) => Ok(false),
        Err(error) if error.exit_code() == Some(CHANGES) => Ok(true),
        Err(error) => Err(error),
    }
}

async fn call(run: ComponentRun<'_>, command: &[&str]) -> Result<(), ComponentError> {
    let settings = run.helmfile;
    let program = settings
        .find_program(run.environment)
        .ok_or_else(|| ProcessError::Missing { program: settings.program.clone() })?;
    let folder = checkout::folder(run.checkout, &settings.base_path.join(run.component.folder()))?;
    let values = values_file(run, &folder)?;
    let options = &run.component.settings.helmfile;
    let mut arguments: Vec<OsString> = vec!["--state-values-file".into(), values.into()];
    if let Some(environment) = &options.environment {
        arguments.extend(["--environment".into(), environment.into()]);
    }
    for selector in &options.selectors {
        arguments.extend(["--selector".into(), selector.into()]);
    }
    arguments.extend(command.iter().map(OsString::from));
    let invocation = Invocation {
        name: format!("{} {}", settings.program, command.first().unwrap_or(&"")),
        program,
        arguments,
        directory: folder,
        environment: environment(run),
        timeout: None,
        input: Vec::new(),
        stdout: StdoutUse::Log,
    };
    process::run(&invocation, run.supervision()).await?;
    Ok(())
}

/// Writes the variables and returns the file's name. JSON is valid YAML.
fn values_file(run: ComponentRun<'_>, folder: &Path) -> Result<String, ComponentError> {
    let name = format!("{}-{}.helmfile.vars.yaml", run.stack.name, run.component.name).replace('/', "-");
    write_json(folder, &name, &Value::Object(run.vars.clone()))?;
    Ok(name)
}

fn environment(run: ComponentRun<'_>) -> Environment {
    let mut environment = run.environment.clone();
    environment.set("STACK", &run.stack.name);
    for name in PLACE {
        if let Some(Value::String(value)) = run.vars.get(name) {
            environment.set(name.to_uppercase(), value);
        }
    }
    environment
}

#[cfg(test)]
mod tests;
