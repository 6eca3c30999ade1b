//! The list of deployments.

use std::process::ExitCode;

use super::labels::has_labels;
use crate::config::{ConfigError, LoadedAll, Problem, Severity, load_all};
use crate::context::Context;
use crate::error::CommandError;
use crate::git::Repository;
use crate::ledger::Scope;
use crate::project::Project;
use crate::render;
use crate::render::document::list::{DeploymentItem, DeploymentList};
use crate::text::KeyValue;

/// Lists the deployments of the files, and those that only the ledger knows.
pub(super) fn list(
    labels: &[KeyValue],
    context: &Context,
    repository: &Repository,
    project: &Project<'_>,
) -> Result<ExitCode, CommandError> {
    let LoadedAll { deployments, problems } = load_all(&*project.source, &project.config)?;
    if deployments.is_empty() {
        project.say_there_are_none(context);
    }
    let ledger = context.ledger(repository, &project.config)?;
    let snapshot = context.snapshot(&ledger, &Scope::All)?;
    say_left_out(context, &problems);
    let removed = snapshot.deployments.values().filter(|state| !deployments.contains_key(&state.deployment));
    let removed = removed.filter(|state| labels.is_empty() && state.used_targets().next().is_some());
    let removed: Vec<_> = removed.map(DeploymentItem::removed).collect();
    let (mut items, mut unheard) = (Vec::new(), Vec::new());
    for loaded in deployments.into_values() {
        match loaded {
            Ok(loaded) if has_labels(&loaded.deployment, labels) => {
                let name = loaded.deployment.name.clone();
                let state = snapshot.deployments.get(&name);
                items.push(DeploymentItem::new(&loaded.deployment, state));
                if state.is_none() && ledger.never_heard_of(&Scope::Deployment(name.clone())) {
                    unheard.push(name);
                }
            }
            Ok(_) => {}
            Err(ConfigError::Invalid(problems)) => say_left_out(context, &problems),
            Err(error) => return Err(error.into()),
        }
    }
    items.extend(removed);
    context.say_unheard(&ledger, &unheard.iter().collect::<Vec<_>>());
    context.print(&DeploymentList { deployments: items }, render::list::deployments)?;
    context.say_warnings(&ledger);
    Ok(ExitCode::SUCCESS)
}

/// Warns about the files that are not listed, with the reason.
fn say_left_out(context: &Context, problems: &[Problem]) {
    for problem in problems.iter().filter(|problem| problem.severity == Severity::Error) {
        context.warn(&format!("not listed: {problem}"));
    }
}
