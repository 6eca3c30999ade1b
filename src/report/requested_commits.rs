//! The requested commits of a rollout that failed before its plan.

use super::Subject;
use crate::config::{AtmosConfig, ConfigError, load_deployment};
use crate::context::Context;
use crate::deployment::{CommitId, TargetName};
use crate::error::CommandError;
use crate::ledger::Scope;

/// Whether this deployment exists, with this target and these components. A status of one that does
/// not exist could never be corrected.
pub fn exists(context: &Context, subject: &Subject, target: &TargetName) -> bool {
    let find = || -> Result<bool, CommandError> {
        let repository = context.repository()?;
        let seen = |config: &AtmosConfig| -> Result<bool, CommandError> {
            let ledger = context.ledger(&repository, config)?;
            let scope = Scope::Targets(subject.deployment.clone(), vec![target.clone()]);
            ledger.refresh_for_reports(&scope);
            let state = ledger.read(&scope)?.into_deployment(&subject.deployment);
            drop(ledger.take_warnings());
            Ok(state.targets.get(target).is_some_and(|target| !target.components.is_empty()))
        };
        // A configuration outside of the repository declares nothing here.
        let Ok(project) = context.project(&repository) else { return seen(&AtmosConfig::default()) };
        match load_deployment(&*project.source, &project.config, &subject.deployment) {
            Ok(loaded) => {
                let deployment = loaded.deployment;
                let is_there = |reference| deployment.find(reference).is_some();
                Ok(deployment.targets.contains_key(target) && subject.components.iter().all(is_there))
            }
            Err(ConfigError::NotFound { .. }) => Ok(false),
            // The file is broken: the ledger has the targets that it declared earlier.
            Err(_) => seen(&project.config),
        }
    };
    find().unwrap_or(false)
}

/// The commit that was requested: the named one, else the checked-out one. For a promotion only the
/// plan tells it, so the job's own commit stands for it.
pub fn commits(context: &Context, subject: &Subject, of_job: Option<&CommitId>) -> Vec<CommitId> {
    let repository = || context.repository().ok();
    let commit = match &subject.revision {
        Some(revision) => repository().and_then(|found| found.resolve(revision).ok().flatten()),
        None if subject.is_promotion => of_job.cloned(),
        None => repository().and_then(|found| found.head().ok()).or_else(|| of_job.cloned()),
    };
    commit.into_iter().collect()
}
