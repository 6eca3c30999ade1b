//! `command` components: deployed by a team's own commands.

pub(super) mod outputs;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tempfile::TempPath;

use super::environment::Environment;
use super::process::{self, Invocation, ProcessError, StdoutUse};
use super::{ComponentError, ComponentResult, ComponentRun, Mode, Notice, checkout};

pub(super) async fn run(run: ComponentRun<'_>) -> Result<ComponentResult, ComponentError> {
    let settings = run.component.settings.command.as_ref().ok_or(ComponentError::NoCommand)?;
    let argv = match run.mode {
        Mode::Apply => &settings.apply,
        Mode::Plan => match &settings.plan {
            Some(plan) => plan,
            None => {
                return Ok(ComponentResult { notices: vec![Notice::NoPlanCommand], ..Default::default() });
            }
        },
    };
    let (program, arguments) = argv.split_first().ok_or(ComponentError::NoCommand)?;
    let directory = settings.working_directory.as_deref().unwrap_or(".");
    let directory = checkout::folder(run.checkout, Path::new(directory))?;

    let (vars_file, output_file) =
        exchange_files(run).map_err(ComponentError::files("write the variables file"))?;

    let invocation = Invocation {
        name: program.clone(),
        program: resolve(program, &directory, run.environment)?,
        arguments: arguments.iter().map(OsString::from).collect(),
        directory,
        environment: environment(run, &vars_file, &output_file)?,
        timeout: None,
        input: Vec::new(),
        stdout: StdoutUse::Log,
    };
    process::run(&invocation, run.supervision()).await?;
    Ok(ComponentResult { outputs: outputs::read(&output_file)?, ..Default::default() })
}

/// Writes the file that tells the command its variables, and an empty one for its outputs. Both are
/// readable only by their owner.
fn exchange_files(run: ComponentRun<'_>) -> io::Result<(TempPath, TempPath)> {
    let mut vars = tempfile::Builder::new().prefix("vars-").suffix(".json").tempfile_in(run.scratch)?;
    serde_json::to_writer_pretty(&mut vars, run.vars)?;
    vars.flush()?;
    let output = tempfile::Builder::new().prefix("output-").tempfile_in(run.scratch)?;
    Ok((vars.into_temp_path(), output.into_temp_path()))
}

/// The program's file: a path is relative to the working directory, a name is looked up on `PATH`.
pub(super) fn resolve(
    program: &str,
    directory: &Path,
    environment: &Environment,
) -> Result<PathBuf, ProcessError> {
    if program.contains('/') {
        Ok(directory.join(program))
    } else {
        environment.find_program(program).ok_or_else(|| ProcessError::Missing { program: program.to_owned() })
    }
}

/// The captured environment, extended by the variables on the rollout.
fn environment(
    run: ComponentRun<'_>,
    vars_file: &Path,
    output_file: &Path,
) -> Result<Environment, ComponentError> {
    let mut environment = told(run, run.environment.clone());
    // A rollout inside another's command must not see the other's images.
    environment.remove_prefix("ATMOS_ARTIFACT_");
    environment.set("ATMOS_VARS_FILE", vars_file);
    environment.set("ATMOS_OUTPUT", output_file);
    let mut owners: BTreeMap<String, &str> = BTreeMap::new();
    for (name, image) in run.artifacts {
        let variable = format!("ATMOS_ARTIFACT_{}", variable_part(name));
        if let Some(first) = owners.insert(variable.clone(), name) {
            let (first, second) = (first.to_owned(), name.clone());
            return Err(ComponentError::AmbiguousVariable { first, second, variable });
        }
        environment.set(variable, image);
    }
    Ok(environment)
}

/// Adds the variables on the deployment, component and run to an environment.
pub(super) fn told(run: ComponentRun<'_>, mut environment: Environment) -> Environment {
    environment.set("ATMOS_DEPLOYMENT", run.deployment.as_str());
    environment.set("ATMOS_TARGET", run.target.as_str());
    environment.set("ATMOS_COMPONENT", run.component.name.as_str());
    environment.set("ATMOS_GIT_SHA", run.commit.as_str());
    match run.previous_commit {
        Some(commit) => environment.set("ATMOS_PREVIOUS_GIT_SHA", commit.as_str()),
        None => environment.remove("ATMOS_PREVIOUS_GIT_SHA"),
    }
    environment.set("ATMOS_RUN_ID", run.run_id);
    environment
}

/// A name as part of a variable's name: upper case, with underscores for all but letters and
/// digits.
fn variable_part(name: &str) -> String {
    name.chars()
        .map(|character| if character.is_ascii_alphanumeric() { character.to_ascii_uppercase() } else { '_' })
        .collect()
}

#[cfg(test)]
mod tests;
