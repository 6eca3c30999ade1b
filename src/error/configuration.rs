//! Errors of configuration: unreadable files, invalid contents, and values that cannot be resolved.

use crate::config::{ConfigError, Problem, SourceError};
use crate::deployment::DeploymentName;
use crate::deployment::resolution::ResolutionError;
use crate::deployment::stack_layer::StackRefusal;
use crate::render::document::error::Hint;
use crate::text::error_chain;

use super::{Code, CommandError};

impl From<SourceError> for CommandError {
    fn from(error: SourceError) -> Self {
        if let SourceError::Uncommitted { .. } = error {
            let message = format!("Refused in CI: {error}");
            let hint = Hint::command("What is done is what is committed; to see the changes", "git status");
            return Self::new(Code::Dirty, message).hint(hint);
        }
        Self::new(Code::Files, error_chain(&error))
    }
}

impl From<ConfigError> for CommandError {
    fn from(error: ConfigError) -> Self {
        match error {
            ConfigError::NotFound { name, nearest, available } => {
                unknown_deployment(&name, nearest, &available)
            }
            ConfigError::Invalid(problems) => invalid_configuration(&problems),
            ConfigError::Source(error) => error.into(),
        }
    }
}

impl From<ResolutionError> for CommandError {
    fn from(error: ResolutionError) -> Self {
        let shown = Self::new(Code::Configuration, error.to_string());
        match error {
            ResolutionError::Stack(StackRefusal::Invalid { hint: Some(hint), .. }) => {
                shown.hint(Hint::note(hint))
            }
            ResolutionError::Template(_) | ResolutionError::Stack(_) => shown,
        }
    }
}

/// The error of these problems: one problem is the message itself; several are listed below their
/// number.
fn invalid_configuration(problems: &[Problem]) -> CommandError {
    let validate = || Hint::command("To check the whole configuration", "atmos deployment validate --all");
    let error = |message| CommandError::new(Code::Configuration, message).locations(problems);
    if let [problem] = problems {
        let Problem { file, line, column, message, hint, .. } = problem;
        let error = error(format!("{file}:{line}:{column}: {message}"))
            .details(problem.render_place().lines().map(str::to_owned));
        return error.hint(hint.as_ref().map_or_else(validate, Hint::note));
    }
    let rendered = problems.iter().flat_map(|problem| {
        let lines = problem.render(false);
        lines.lines().map(str::to_owned).chain([String::new()]).collect::<Vec<_>>()
    });
    error(format!("the configuration has {} problems", problems.len())).details(rendered).hint(validate())
}

fn unknown_deployment(
    name: &DeploymentName,
    nearest: Option<DeploymentName>,
    available: &[DeploymentName],
) -> CommandError {
    let error = CommandError::new(Code::UnknownDeployment, format!("there is no deployment called {name}"));
    if let Some(nearest) = nearest {
        return error.hint(Hint::note(format!("Did you mean {nearest}?")));
    }
    if available.is_empty() {
        return error.hint(Hint::note(format!("Describe it in deployments/{name}.yaml")));
    }
    error.hint(Hint::command("To see which there are", "atmos deployment list"))
}
