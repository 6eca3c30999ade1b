//! The list of a deployment's components.

use std::process::ExitCode;

use super::labels::holds_all;
use crate::context::Context;
use crate::deployment::state::TargetState;
use crate::deployment::{DeploymentName, TargetName};
use crate::error::CommandError;
use crate::git::Repository;
use crate::ledger::Scope;
use crate::project::Project;
use crate::project::known::known_target;
use crate::project::ledger::refuse_unheard;
use crate::project::subjects::Subjects;
use crate::render;
use crate::render::document::list::ComponentList;
use crate::text::KeyValue;

/// Lists the components of a deployment, as declared or as they are on a target.
pub(super) fn list(
    labels: &[KeyValue],
    context: &Context,
    repository: &Repository,
    project: &Project<'_>,
    name: &DeploymentName,
    target: Option<&TargetName>,
) -> Result<ExitCode, CommandError> {
    let subjects = Subjects::read(context, project, Some(name))?;
    let deployment = subjects.one(name);
    let removed = subjects.lacks(name);
    let matching = |mut list: ComponentList| {
        let target = target.and_then(|target| deployment.targets.get(target));
        list.components.retain(|item| {
            let mut sets = vec![&deployment.labels, &item.labels];
            sets.extend(target.map(|target| &target.labels));
            holds_all(labels, &sets)
        });
        list
    };
    let ledger = context.ledger(repository, &project.config)?;
    let scope = match target {
        Some(target) if !removed => Scope::Targets(name.clone(), vec![target.clone()]),
        None if !removed => {
            // Declared components are in the file alone.
            context.print(&matching(ComponentList::new(&deployment, None)), render::list::components)?;
            return Ok(ExitCode::SUCCESS);
        }
        // A deployment without a file is known to the ledger alone.
        _ => Scope::Deployment(name.clone()),
    };
    let state = context.snapshot_with_observations(&ledger, &scope)?.into_deployment(name);
    subjects.has_file_or_state(&state)?;
    let nothing = TargetState::default();
    let mut list = match target {
        Some(target) => {
            if !state.targets.contains_key(target) {
                known_target(&deployment, target)?;
                refuse_unheard(&ledger, &scope, &state)?;
            }
            let on_target = state.targets.get(target).unwrap_or(&nothing);
            ComponentList { removed, ..ComponentList::new(&deployment, Some((target, on_target))) }
        }
        None => ComponentList::removed(&state),
    };
    list.observe(&ledger.observations(&state)?);
    context.print(&matching(list), render::list::components)?;
    context.say_warnings(&ledger);
    Ok(ExitCode::SUCCESS)
}
