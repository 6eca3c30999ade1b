//! Detects components that are the same in two commits, apart from the commit itself.

use std::collections::BTreeMap;

use super::changes::{Changes, Place};
use super::configurations::Configurations;
use crate::config::AtmosConfig;
use crate::deployment::diff::ComponentDifference;
use crate::deployment::{CommitId, DeploymentName, TargetName};
use crate::error::CommandError;
use crate::git::Repository;
use crate::ledger::Ledger;

/// The repository and configuration that both commits are read from.
pub struct Comparison<'a> {
    pub repository: &'a Repository,
    pub config: &'a AtmosConfig,
    pub ledger: &'a Ledger<'a>,
    pub deployment: &'a DeploymentName,
}

impl Comparison<'_> {
    /// Marks the components that differ in nothing but the commit.
    ///
    /// Neither their source files differ, nor their configuration on the compared
    /// targets (for commits, on any target).
    ///
    /// # Errors
    ///
    /// Fails where a commit cannot be read.
    pub fn mark_same(
        &self,
        components: &mut [ComponentDifference],
        on: [Option<&TargetName>; 2],
        configurations: &Configurations,
    ) -> Result<(), CommandError> {
        let on: Vec<_> = on.into_iter().flatten().collect();
        let mut by_commit: BTreeMap<CommitId, Changes<'_>> = BTreeMap::new();
        for component in components {
            let (Some(from), Some(to)) = (&component.from, &component.to) else { continue };
            let Some(declared) = configurations.at(to).filter(|_| from != to) else { continue };
            let declared_targets = declared.targets.keys();
            let targets: Vec<_> = match on.as_slice() {
                [] => declared_targets.collect(),
                on => declared_targets.filter(|target| on.contains(target)).collect(),
            };
            let Some(first) = targets.first() else { continue };
            if !by_commit.contains_key(to) {
                let Self { repository, config, ledger, deployment } = *self;
                let place = Place { repository, config, ledger, deployment, target: first };
                by_commit.insert(to.clone(), Changes::new(place, to, declared)?);
            }
            let Some(changes) = by_commit.get_mut(to) else { continue };
            let mut is_same = true;
            for target in targets {
                is_same = is_same && changes.is_same_on(target, &component.component, from)?;
            }
            component.is_same = is_same;
        }
        Ok(())
    }
}
