//! The list of a deployment's targets.

use std::process::ExitCode;

use super::labels::holds_all;
use crate::context::Context;
use crate::deployment::DeploymentName;
use crate::error::CommandError;
use crate::git::Repository;
use crate::ledger::Scope;
use crate::project::Project;
use crate::project::rules::{Certainty, TrustedRules};
use crate::project::subjects::Subjects;
use crate::render;
use crate::render::document::list::TargetList;
use crate::text::KeyValue;

/// Lists the targets of a deployment, with the rules that bind on them.
pub(super) fn list(
    labels: &[KeyValue],
    context: &Context,
    repository: &Repository,
    project: &Project<'_>,
    name: &DeploymentName,
) -> Result<ExitCode, CommandError> {
    let subjects = Subjects::read(context, project, Some(name))?;
    let deployment = subjects.one(name);
    let ledger = context.ledger(repository, &project.config)?;
    let scope = Scope::Deployment(name.clone());
    let snapshot = context.snapshot_with_rules(&ledger, &scope)?;
    let state = snapshot.into_deployment(name);
    subjects.has_file_or_state(&state)?;
    let mut list = if subjects.lacks(name) {
        TargetList::removed(&state, context.now())
    } else {
        // Rollouts obey the default branch's rules too, so the combined rules are shown.
        let trusted =
            TrustedRules::read(context, repository, project, &ledger, &deployment, Certainty::Provisional)?;
        let (policy, _) = trusted.everywhere(&deployment);
        TargetList::new(&policy, Some(&state), context.now())
    };
    if state.used_targets().next().is_none() && ledger.never_heard_of(&scope) {
        context.say_unheard(&ledger, &[name]);
    }
    list.observe(&ledger.observations(&state)?);
    list.targets.retain(|item| holds_all(labels, &[&deployment.labels, &item.labels]));
    context.print(&list, render::list::targets)?;
    context.say_warnings(&ledger);
    Ok(ExitCode::SUCCESS)
}
