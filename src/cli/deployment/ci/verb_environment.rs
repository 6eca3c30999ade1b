//! The working directory of a job's verb, and the variables of the verb and its git.

use std::ffi::OsString;
use std::path::PathBuf;

use super::credentials::{self, Source};
use super::inputs::{Inputs, is_input};
use crate::ci::System;
use crate::context::Context;
use crate::context::flags::GlobalArgs;
use crate::error::CommandError;

/// The working directory of the verb, relative to that of the job's command.
///
/// # Errors
///
/// Fails where the input names no directory.
pub(super) fn directory(
    outer: &Context,
    inputs: &Inputs,
    global: &GlobalArgs,
) -> Result<PathBuf, CommandError> {
    let mut directory = PathBuf::from(inputs.get("working-directory").unwrap_or_default());
    if !outer.directory().join(&directory).is_dir() {
        let message = format!("input `working-directory`: {} is not a directory", directory.display());
        return Err(CommandError::usage(message));
    }
    // The job's own command has already changed to a directory that the environment names.
    directory.extend(global.chdir.as_ref().filter(|chdir| outer.global().chdir.as_ref() != Some(chdir)));
    Ok(directory)
}

/// The variables of the verb and its child processes, without the inputs. Only `protect` gets the
/// token of the input: it calls the platform itself, and runs nothing.
pub(super) fn environment(
    outer: &Context,
    verb: &str,
    inputs: &Inputs,
    system: Option<System>,
) -> Vec<(OsString, OsString)> {
    let variable = match system {
        Some(System::GitHubActions) => "ATMOS_GITHUB_TOKEN",
        Some(System::GitLabCi) | None => "ATMOS_GITLAB_TOKEN",
    };
    let token = inputs.get("token").filter(|_| verb == "protect");
    let replaced = |name: &OsString| is_input(name) || (token.is_some() && name == variable);
    let kept = outer.environment().iter().filter(|(name, _)| !replaced(name)).cloned();
    kept.chain(token.map(|token| (variable.into(), token.into()))).collect()
}

/// Additional variables of git: the token of the input, by default one from the environment.
pub(super) fn git_environment(
    outer: &Context,
    inputs: &Inputs,
    system: Option<System>,
) -> Vec<(OsString, OsString)> {
    let variables: &[&str] = match system {
        Some(System::GitHubActions) => &["ATMOS_GITHUB_TOKEN", "GITHUB_TOKEN", "GH_TOKEN"],
        Some(System::GitLabCi) => &["ATMOS_GITLAB_TOKEN", "GITLAB_TOKEN"],
        None => &[],
    };
    let given = inputs.get("token").map(|token| (token, Source::Input));
    let of_environment = || {
        let token = variables.iter().find_map(|name| outer.variable(name))?;
        Some((token, Source::Environment))
    };
    match (system, given.or_else(of_environment)) {
        (Some(system), Some((token, source))) => {
            credentials::git_environment(system, token, source, |name| outer.variable(name))
        }
        _ => Vec::new(),
    }
}
