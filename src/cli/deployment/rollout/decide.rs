//! The facts of a decision, read where they are needed, and the decision itself.

use std::collections::BTreeMap;

use super::prepare::Prepared;
use super::refusal::refused;

use crate::cli::context::Context;
use crate::cli::error::CommandError;
use crate::deployment::rollout_plan::{
    Ancestry, PastFacts, Refusal, RolloutBasis, RolloutPlan, RolloutSource, plan,
};
use crate::deployment::state::DeploymentState;
use crate::deployment::{CommitId, Component, ComponentName};
use crate::ledger::{Scope, Snapshot};

impl Prepared<'_> {
    /// The part of the ledger that the rollout reads: its target, and where it is promoted from.
    pub(super) fn scope(&self) -> Scope {
        let mut targets = vec![self.request.target.clone()];
        if let RolloutSource::Promotion { from } = &self.request.source {
            targets.push(from.clone());
        }
        Scope::Targets(self.policy.name.clone(), targets)
    }

    /// The components that can be rolled out.
    pub(super) fn components(&self) -> &[Component] {
        &self.at_commit.as_ref().unwrap_or(&self.policy).components
    }

    /// Decides on what was read.
    pub(super) fn decide(&self, snapshot: &Snapshot) -> Result<Result<RolloutPlan, Refusal>, CommandError> {
        let state = snapshot.deployment(&self.policy.name);
        let past = self.past(&state)?;
        let basis = RolloutBasis {
            policy: &self.policy,
            components: self.components(),
            state: &state,
            past: &past,
            now: self.ledger.now(),
        };
        Ok(plan(basis, &self.request))
    }

    /// What the decision has to know of the past. Only a commit is compared with it: a promotion goes where its source is.
    fn past(&self, state: &DeploymentState) -> Result<PastFacts, CommandError> {
        let RolloutSource::Commit(commit) = &self.request.source else { return Ok(PastFacts::default()) };
        let target = &self.request.target;
        let running: BTreeMap<ComponentName, CommitId> = self
            .components()
            .iter()
            .filter_map(|component| {
                let commit = state.component(target, &component.name)?.commit.clone()?;
                Some((component.name.clone(), commit))
            })
            .collect();
        let mut facts = PastFacts::default();
        let objects = self.repository.objects().map_err(CommandError::from)?;
        let mut known: BTreeMap<&CommitId, Ancestry> = BTreeMap::new();
        let mut unclear = Vec::new();
        for (component, running) in &running {
            let ancestry = match known.get(running) {
                Some(ancestry) => *ancestry,
                None => objects.ancestry(commit, running)?,
            };
            known.insert(running, ancestry);
            facts.ancestry.insert(component.clone(), ancestry);
            // Where history ends early, a newer commit is taken for what it most likely is: the next one.
            let newer = || objects.commit_time(commit) > objects.commit_time(running);
            if ancestry == Ancestry::Unrelated && !(self.repository.is_shallow() && newer()) {
                unclear.push(component.clone());
            }
        }
        let guarded = self.policy.targets.get(target).is_some_and(|target| target.promotion.is_some());
        if guarded {
            unclear = running
                .iter()
                .filter(|(_, running)| *running != commit)
                .map(|(component, _)| component.clone())
                .collect();
        }
        if !unclear.is_empty() {
            facts.succeeded = self.ledger.succeeded_commits(&self.policy.name, target, &unclear)?;
        }
        Ok(facts)
    }

    /// The error for a refusal.
    pub(super) fn refusal(&self, refusal: &Refusal, context: &Context) -> CommandError {
        refused(&self.policy.name, refusal, &context.clock())
    }
}
