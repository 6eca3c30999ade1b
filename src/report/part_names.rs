//! The names of the components that a rollout is limited to, resolved from any way to write them.

use super::Subject;
use crate::config::load_deployment;
use crate::context::Context;
use crate::deployment::Deployment;
use crate::error::CommandError;
use crate::project::commit_source::CommitSource;

/// The distinct names, in the order of the deployment file. An undeclared one stays as it was
/// written.
pub fn part_names(context: &Context, subject: &Subject) -> Vec<String> {
    if subject.components.is_empty() {
        return Vec::new();
    }
    let declared = declared(context, subject).ok();
    let found = |reference| declared.as_ref().and_then(|deployment| deployment.find(reference));
    let place = |name: &String| {
        let mut components = declared.iter().flat_map(|deployment| &deployment.components);
        components.position(|component| component.name.as_str() == name).unwrap_or(usize::MAX)
    };
    let name = |reference| found(reference).map_or_else(|| reference.to_string(), |it| it.name.to_string());
    let mut names: Vec<_> = subject.components.iter().map(name).collect();
    names.sort_by_key(|name| (place(name), name.clone()));
    names.dedup();
    names
}

/// The deployment at the requested commit, else of the checkout.
fn declared(context: &Context, subject: &Subject) -> Result<Deployment, CommandError> {
    let repository = context.repository()?;
    let project = context.project(&repository)?;
    let named = subject.revision.as_deref().and_then(|revision| repository.resolve(revision).ok().flatten());
    let loaded = match named {
        Some(commit) => {
            let source = CommitSource::new(&repository, commit)?;
            load_deployment(&source, &project.config, &subject.deployment)?
        }
        None => load_deployment(&*project.source, &project.config, &subject.deployment)?,
    };
    Ok(loaded.deployment)
}
