//! The decision of a rollout, and the facts that it reads on demand.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::prepare::{Prepared, ordered_at};
use super::refusal::refused;
use crate::context::Context;
use crate::deployment::chain::Chain;
use crate::deployment::declarations::Definitions;
use crate::deployment::record::LedgerRecord;
use crate::deployment::rollout_plan::{
    Ancestry, PastFacts, Refusal, RolloutBasis, RolloutPlan, RolloutSource, plan,
};
use crate::deployment::state::{ComponentState, DeploymentState};
use crate::deployment::{CommitId, Component, ComponentName, Deployment, PromotionRule, TargetName};
use crate::error::CommandError;
use crate::ledger::{Scope, Snapshot};
use crate::project::declared::in_commit;
use crate::project::disabled::disabled_on_target;
use crate::project::rules::{Certainty, TrustedRules};

/// A plan, with the rules by which it was decided.
#[derive(Debug, Clone)]
pub(super) struct Decided {
    pub(super) plan: RolloutPlan,
    /// The checkout's deployment with the rules that bind.
    pub(super) policy: Deployment,
    pub(super) trusted: TrustedRules,
}

impl Decided {
    /// The target's rule.
    pub(super) fn rule(&self) -> Option<&PromotionRule> {
        self.policy.targets.get(&self.plan.target)?.promotion.as_ref()
    }
}

impl Prepared<'_> {
    /// The part of the ledger that the rollout reads: its target and the source of its promotion.
    pub(super) fn scope(&self) -> Scope {
        let mut targets = vec![self.request.target.clone()];
        if let RolloutSource::Promotion { from } = &self.request.source {
            targets.push(from.clone());
        }
        Scope::Targets(self.checkout.name.clone(), targets)
    }

    /// The components that can be rolled out.
    pub(super) fn components(&self) -> &[Component] {
        &self.components
    }

    /// Decides on a snapshot.
    pub(super) fn decide(
        &self,
        context: &Context,
        snapshot: &Snapshot,
        certainty: Certainty,
    ) -> Result<Result<Decided, Refusal>, CommandError> {
        let target = &self.request.target;
        let trusted = TrustedRules::read(
            context,
            self.repository,
            self.project,
            &self.ledger,
            &self.checkout,
            certainty,
        )?;
        let is_promotion = matches!(self.request.source, RolloutSource::Promotion { .. });
        if is_promotion && certainty == Certainty::Binding && context.in_ci() {
            trusted.refuse_uncommitted()?;
        }
        let policy = match trusted.policy(&self.checkout, target) {
            Ok(policy) => policy,
            Err(conflict) => return Ok(Err(Refusal::Rules(conflict))),
        };
        let state = snapshot.deployment(&self.checkout.name);
        let mut past = self.past(&policy, &state, &trusted)?;
        let decide = |past: &PastFacts| {
            let (policy, components, state) = (&policy, self.components(), &*state);
            plan(RolloutBasis { policy, components, state, past, now: self.ledger.now() }, &self.request)
        };
        let mut decided = decide(&past);
        // Leaving out one disabled component can reveal the next missing dependency.
        while let Err(refusal) = &decided {
            let missing = refusal.missing_dependencies();
            let (checkout, committed) = (&self.checkout, past.declarations.committed.as_deref());
            let disabled =
                disabled_on_target(self.repository, self.project, checkout, committed, target, missing)?;
            if disabled.is_subset(&past.disabled) {
                break;
            }
            past.disabled.extend(disabled);
            decided = decide(&past);
        }
        Ok(decided.map(|plan| Decided { plan, policy, trusted }))
    }

    /// The facts about earlier rollouts.
    fn past(
        &self,
        policy: &Deployment,
        state: &DeploymentState,
        trusted: &TrustedRules,
    ) -> Result<PastFacts, CommandError> {
        let declarations = trusted.declarations(self.promoted_definitions(state)?);
        let mut facts = PastFacts { declarations, ..PastFacts::default() };
        let moves = self.moves(state);
        let pairs: BTreeSet<_> =
            moves.iter().map(|(_, commit, running)| (commit.clone(), running.clone())).collect();
        let pairs: Vec<_> = pairs.into_iter().collect();
        let known: BTreeMap<_, _> = pairs.iter().zip(self.ledger.ancestry(&pairs)?).collect();
        for (component, commit, running) in &moves {
            let ancestry = known.get(&(commit.clone(), running.clone())).copied();
            facts.ancestry.insert(component.clone(), ancestry.unwrap_or(Ancestry::Unknown));
        }
        let target = &self.request.target;
        let rule = policy.targets.get(target).and_then(|target| target.promotion.as_ref());
        let is_ruled = rule.is_some_and(|rule| rule.is_guarded() || rule.requires_approval);
        let may_be_retry = self.run.platform_id.starts_with("gitlab:");
        let wanted: Vec<_> = moves
            .iter()
            .filter(|(component, ..)| {
                let ancestry = facts.ancestry.get(component);
                let is_held = state.component(target, component).is_some_and(ComponentState::runs_a_rollback);
                is_ruled
                    || ancestry == Some(&Ancestry::Unrelated)
                    || (may_be_retry && (is_held || ancestry == Some(&Ancestry::Ancestor)))
            })
            .map(|(component, ..)| component.clone())
            .collect();
        for (component, records) in self.histories(state, &wanted)? {
            let chain = Chain::new(&*records);
            // In a retried job the commit may differ: a promotion
            // takes what runs on the source now.
            let is_of_it = |success| self.run.is_another_job_of_the_pipeline_of(success);
            if may_be_retry && chain.successes().iter().any(is_of_it) {
                facts.retried.insert(component.clone());
            }
            facts.chains.insert(component, chain);
        }
        if (self.request.automatic || !facts.retried.is_empty()) && self.is_held(state) {
            let lifted = self.ledger.lifted_holds_now(state)?.into_iter();
            facts.lifted = lifted.filter(|(at, _)| at == target).map(|(_, component)| component).collect();
        }
        Ok(facts)
    }

    /// The definitions at the commits of the promotion's source.
    fn promoted_definitions(&self, state: &DeploymentState) -> Result<Definitions, CommandError> {
        let mut definitions = Definitions::new();
        let RolloutSource::Promotion { from } = &self.request.source else { return Ok(definitions) };
        let chosen = self.components().iter().map(|component| &component.name);
        let chosen = chosen.filter(|name| self.request.includes(name));
        for commit in chosen.filter_map(|name| state.component(from, name)?.commit.as_ref()) {
            if !definitions.contains_key(commit) {
                definitions.insert(commit.clone(), self.definition_at(commit)?);
            }
        }
        Ok(definitions)
    }

    /// The deployment as a commit declares it, cached; `None` where it
    /// does not. Fetches missing commits.
    pub(super) fn definition_at(&self, commit: &CommitId) -> Result<Option<Rc<Deployment>>, CommandError> {
        if let Some(known) = self.known_definitions.borrow().get(commit) {
            return Ok(known.clone());
        }
        if !self.repository.objects()?.contains(&commit.0) {
            self.ledger.fetch_commit(commit)?;
        }
        let declared = self.reader.declared(commit).map_err(|error| in_commit(error, commit))?;
        let target = &self.request.target;
        let declared = match declared.map(|declared| declared.deployment) {
            Some(deployment) if deployment.has_stacks() => {
                let deployment = Rc::unwrap_or_clone(deployment);
                Some(Rc::new(ordered_at(self.repository, self.project, deployment, commit, target)?))
            }
            declared => declared,
        };
        self.known_definitions.borrow_mut().insert(commit.clone(), declared.clone());
        Ok(declared)
    }

    /// The components that run already, with their new and their running commits.
    fn moves(&self, state: &DeploymentState) -> Vec<(ComponentName, CommitId, CommitId)> {
        let wanted = |name: &ComponentName| match &self.request.source {
            RolloutSource::Commit(commit) => Some(commit.clone()),
            RolloutSource::Promotion { from } => state.component(from, name)?.commit.clone(),
        };
        self.components()
            .iter()
            .map(|component| &component.name)
            .filter(|name| self.request.includes(name))
            .filter_map(|name| {
                let running = state.component(&self.request.target, name)?.commit.clone()?;
                Some((name.clone(), wanted(name)?, running))
            })
            .collect()
    }

    fn is_held(&self, state: &DeploymentState) -> bool {
        let target = state.targets.get(&self.request.target);
        target.is_some_and(|target| target.components.values().any(ComponentState::runs_a_rollback))
    }

    /// The histories of components on the target, newest first. Cached
    /// until the end of a chain moves.
    pub(super) fn histories(
        &self,
        state: &DeploymentState,
        wanted: &[ComponentName],
    ) -> Result<BTreeMap<ComponentName, Rc<[LedgerRecord]>>, CommandError> {
        let target = &self.request.target;
        let newest = |name: &ComponentName| {
            let newest = state.component(target, name)?.newest.as_ref()?;
            Some(newest.object.clone())
        };
        let mut known = self.known_histories.borrow_mut();
        let is_known = |name: &&ComponentName| {
            known.get(*name).is_some_and(|(object, _)| Some(object) == newest(name).as_ref())
        };
        let unknown: Vec<_> = wanted.iter().filter(|name| !is_known(name)).cloned().collect();
        if !unknown.is_empty() {
            for (name, records) in self.ledger.histories(&self.checkout.name, target, &unknown)? {
                let newest = records.iter().find(|record| !record.is_late());
                if let Some(newest) = newest.map(|record| record.object.clone()) {
                    known.insert(name, (newest, records.into()));
                }
            }
        }
        Ok(wanted.iter().filter_map(|name| Some((name.clone(), Rc::clone(&known.get(name)?.1)))).collect())
    }

    /// The error of a refusal.
    pub(super) fn refusal(&self, refusal: &Refusal, context: &Context) -> CommandError {
        let empty = match refusal {
            Refusal::NotPromoted { sources, components, .. } => self.empty(sources, components),
            _ => BTreeSet::new(),
        };
        refused(refusal, &self.checkout, &empty, &self.typed, &context.clock())
    }

    /// The targets that are known to run none of the components, so that
    /// nothing can be promoted from there.
    fn empty(&self, targets: &[TargetName], components: &[ComponentName]) -> BTreeSet<TargetName> {
        let scope = Scope::Targets(self.checkout.name.clone(), targets.to_vec());
        // Without an answer of the remote, emptiness is unknown.
        if self.ledger.remote().is_some() && self.ledger.refresh_states_or_fail(&scope).is_err() {
            return BTreeSet::new();
        }
        let Ok(snapshot) = self.ledger.read(&scope) else { return BTreeSet::new() };
        let state = snapshot.deployment(&self.checkout.name);
        let runs = |target: &TargetName, component| {
            state.component(target, component).is_some_and(|state| state.commit.is_some())
        };
        let is_empty = |target: &&TargetName| !components.iter().any(|component| runs(target, component));
        targets.iter().filter(is_empty).cloned().collect()
    }
}
