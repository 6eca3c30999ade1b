//! The rules of a rollout, applied to facts.

use std::collections::BTreeMap;

use super::super::commit::CommitId;
use super::super::declarations::Declarations;
use super::super::definition::{Component, PromotionRule};
use super::super::graph::Graph;
use super::super::names::{ComponentName, TargetName};
use super::super::promotable::{Exceptions, LeftOut, LeftOutReason, promotable};
use super::super::promotion::check_path;
use super::super::record::Record;
use super::super::rollout_report::RolloutKind;
use super::super::state::ComponentState;
use super::refusal::{NotPromotedReason, StepBack};
use super::{
    Ancestry, ComponentPlan, Refusal, RolloutBasis, RolloutPlan, RolloutRequest, RolloutSource, dependencies,
};

/// Decides a rollout.
///
/// # Errors
///
/// The first rule that forbids it. Temporary obstacles are part of the plan: see
/// [`RolloutPlan::obstacles`].
pub fn plan(basis: RolloutBasis<'_>, request: &RolloutRequest) -> Result<RolloutPlan, Refusal> {
    Decision { basis, request }.plan()
}

/// The inputs of a decision.
#[derive(Clone, Copy)]
struct Decision<'a> {
    basis: RolloutBasis<'a>,
    request: &'a RolloutRequest,
}

/// The selected components of a rollout, those left out, and whether the path check was skipped.
struct Chosen {
    planned: Vec<ComponentPlan>,
    left_out: Vec<LeftOut>,
    partial: bool,
    promotion_check_skipped: bool,
}

impl Decision<'_> {
    fn plan(self) -> Result<RolloutPlan, Refusal> {
        let Self { basis, request } = self;
        let mut chosen = match &request.source {
            RolloutSource::Commit(commit) => self.deployed(commit)?,
            RolloutSource::Promotion { from } => self.promoted(from)?,
        };
        let kind = match &request.source {
            RolloutSource::Promotion { from } => RolloutKind::Promotion { from: from.clone() },
            RolloutSource::Commit(to) if chosen.planned.iter().any(ComponentPlan::goes_back) => {
                RolloutKind::Rollback { to: to.clone() }
            }
            RolloutSource::Commit(_) => RolloutKind::Deploy,
        };
        self.keep_no_rollback_waiting(&mut chosen.planned);
        let needs = self.needs(&chosen.planned);
        let needs_approval = chosen.planned.iter().any(|planned| planned.needs_approval);
        let rule = self.rule().filter(|rule| rule.requires_approval && needs_approval);
        Ok(RolloutPlan {
            deployment: basis.policy.name.clone(),
            target: request.target.clone(),
            kind,
            left_out: chosen.left_out,
            partial: chosen.partial,
            approval: rule.map(|rule| rule.approval_method),
            promotion_check_skipped: chosen.promotion_check_skipped,
            obstacles: self.obstacles(&chosen.planned),
            components: in_order(&needs, chosen.planned),
            needs,
        })
    }

    /// The dependencies between planned components. A single commit for all components is ordered
    /// by its own declaration alone.
    fn needs(&self, planned: &[ComponentPlan]) -> Graph<ComponentName> {
        let none = Declarations::default();
        let declarations = match self.request.source {
            RolloutSource::Commit(_) => &none,
            RolloutSource::Promotion { .. } => &self.basis.past.declarations,
        };
        dependencies(self.basis.components, planned, declarations)
    }

    /// The target's rule.
    fn rule(&self) -> Option<&PromotionRule> {
        self.basis.policy.targets.get(&self.request.target)?.promotion.as_ref()
    }

    fn state(&self, component: &ComponentName) -> Option<&ComponentState> {
        self.basis.state.component(&self.request.target, component)
    }

    fn selected(&self) -> impl Iterator<Item = &Component> {
        self.basis.components.iter().filter(|component| self.request.includes(&component.name))
    }

    /// The components at one commit. A guarded target accepts it only where it runs already, or
    /// where this is a return to it.
    fn deployed(&self, commit: &CommitId) -> Result<Chosen, Refusal> {
        let planned: Vec<_> = self.selected().map(|component| self.component(component, commit)).collect();
        let left_out = Vec::new();
        let mut chosen = Chosen { planned, left_out, partial: false, promotion_check_skipped: false };
        let Some(rule) = self.rule().filter(|rule| rule.is_guarded()) else { return Ok(chosen) };
        let is_new = |planned: &&ComponentPlan| {
            planned.previous_commit.as_ref() != Some(commit) && planned.needs_approval
        };
        let new: Vec<_> = chosen.planned.iter().filter(is_new).collect();
        if new.is_empty() {
            return Ok(chosen);
        }
        if self.request.skip_promotion_check {
            chosen.promotion_check_skipped = true;
            return Ok(chosen);
        }
        Err(Refusal::NotPromoted {
            target: self.request.target.clone(),
            sources: rule.sources.clone(),
            why: self.why_not(&new, commit),
            components: new.into_iter().map(|planned| planned.component.clone()).collect(),
        })
    }

    /// The reason that a commit is new to a guarded target.
    fn why_not(&self, new: &[&ComponentPlan], commit: &CommitId) -> NotPromotedReason {
        let has_run = |planned: &&ComponentPlan| {
            let chain = self.basis.past.chains.get(&planned.component);
            chain.is_some_and(|chain| chain.successes().iter().any(|success| success.commit == *commit))
        };
        if self.request.overridden && new.iter().all(|planned| self.returns(&planned.component, commit)) {
            NotPromotedReason::Overridden
        } else if new.iter().all(has_run) {
            NotPromotedReason::Left
        } else {
            NotPromotedReason::New
        }
    }

    /// The components of a promotion, each at its own commit.
    fn promoted(&self, from: &TargetName) -> Result<Chosen, Refusal> {
        let Self { basis, request } = self;
        let target = &request.target;
        let path = check_path(basis.policy, from, target);
        let promotion_check_skipped = path.is_err() && request.skip_promotion_check;
        if !promotion_check_skipped {
            path.map_err(Refusal::Path)?;
        }
        let state = |name| (name, basis.state.targets.get(name));
        let exceptions = Exceptions {
            disabled: &basis.past.disabled,
            declarations: &basis.past.declarations,
            all: request.components.is_empty(),
            trust_state: request.trust_state,
        };
        let found = promotable(self.selected(), state(from), state(target), exceptions);
        let is_named = |left_out: &&LeftOut| request.components.contains(&left_out.component);
        if let Some(left_out) = found.left_out.iter().find(is_named).filter(|_| !request.allow_partial) {
            let (left_out, together) = (Box::new(left_out.clone()), self.together(from));
            return Err(Refusal::NotPromotable { from: from.clone(), left_out, together });
        }
        let partial = found.is_partial();
        let left_out = found.left_out;
        if found.promoted.is_empty() {
            return Err(Refusal::NothingToPromote { from: from.clone(), left_out });
        }
        if partial && !request.allow_partial {
            let left_out = left_out.into_iter().filter(|left_out| left_out.reason.makes_partial());
            return Err(Refusal::Partial { from: from.clone(), left_out: left_out.collect() });
        }
        let planned: Vec<_> = found
            .promoted
            .iter()
            .map(|(component, commit)| {
                let source = basis.state.component(from, &component.name);
                let record = source.and_then(|state| state.running.as_ref()).map(|running| &running.record);
                ComponentPlan {
                    trusts_state: source.is_some_and(ComponentState::is_unrecorded),
                    source_deployed_at: record.map(|record| record.timestamp),
                    artifacts: record.map(|record| record.artifacts.clone()).unwrap_or_default(),
                    build_id: record.and_then(|record| record.build_id.clone()),
                    ..self.component(component, commit)
                }
            })
            .collect();
        if request.require_uniform {
            let mut commits: BTreeMap<CommitId, Vec<ComponentName>> = BTreeMap::new();
            for component in &planned {
                commits.entry(component.commit.clone()).or_default().push(component.component.clone());
            }
            if commits.len() > 1 {
                return Err(Refusal::Mixed { from: from.clone(), commits });
            }
        }
        Ok(Chosen { planned, left_out, partial, promotion_check_skipped })
    }

    /// The requested components with all their dependencies that the target lacks, if that can be
    /// promoted.
    fn together(&self, from: &TargetName) -> Vec<ComponentName> {
        let Self { basis, request } = self;
        let target = &request.target;
        let state = |name| (name, basis.state.targets.get(name));
        let (disabled, declarations) = (&basis.past.disabled, &basis.past.declarations);
        let exceptions = Exceptions { disabled, declarations, all: false, trust_state: request.trust_state };
        let mut names = request.components.clone();
        loop {
            let chosen = basis.components.iter().filter(|component| names.contains(&component.name));
            let found = promotable(chosen, state(from), state(target), exceptions);
            let mut missing = Vec::new();
            for left_out in found.left_out {
                match left_out.reason {
                    LeftOutReason::Needs { dependency, .. } => missing.push(dependency),
                    _ => return Vec::new(),
                }
            }
            if missing.is_empty() {
                return names;
            }
            missing.retain(|dependency| !names.contains(dependency));
            if missing.is_empty() {
                return Vec::new();
            }
            names.extend(missing);
        }
    }

    /// One component at a commit.
    fn component(&self, component: &Component, commit: &CommitId) -> ComponentPlan {
        let state = self.state(&component.name);
        let running = state.and_then(|state| state.running.as_ref());
        ComponentPlan {
            component: component.name.clone(),
            kind: component.kind,
            commit: commit.clone(),
            previous_commit: state.and_then(|state| state.commit.clone()),
            replaces: running.map(|running| running.object.clone()),
            rollback_of: self.rollback_of(&component.name, commit),
            needs_approval: self.request.overridden || !self.returns(&component.name, commit),
            trusts_state: false,
            source_deployed_at: None,
            artifacts: BTreeMap::new(),
            build_id: None,
        }
    }

    /// The commit that a record would be a rollback of: the running one, if the new commit is
    /// older.
    fn rollback_of(&self, component: &ComponentName, commit: &CommitId) -> Option<String> {
        let state = self.state(component)?;
        let running = state.commit.as_ref()?;
        if running == commit {
            // An automatic run preserves a running rollback as such, with its hold unless that was
            // lifted.
            let record = &state.running.as_ref()?.record;
            let is_held = self.request.automatic && !self.basis.past.lifted.contains(component);
            return record.rollback_of.clone().filter(|_| is_held);
        }
        let goes_back = match self.basis.past.ancestry.get(component) {
            Some(Ancestry::Ancestor) => true,
            Some(Ancestry::Unrelated) => self.ran_before(component, commit, running),
            Some(Ancestry::Same | Ancestry::Descendant | Ancestry::Unknown) | None => false,
        };
        goes_back.then(|| running.to_string())
    }

    /// Exempts components from approval that stay unchanged while others return to a known good
    /// commit (after a promotion that failed half-way): a rollback must not wait.
    fn keep_no_rollback_waiting(&self, planned: &mut [ComponentPlan]) {
        if planned.iter().any(|planned| planned.goes_back() && !planned.needs_approval) {
            for planned in planned {
                planned.needs_approval &= !self.stays(planned);
            }
        }
    }

    /// Whether a component keeps its running commit and configuration.
    fn stays(&self, planned: &ComponentPlan) -> bool {
        let running = self.state(&planned.component).and_then(|state| state.running.as_ref());
        let is_same = |record: &Record| {
            record.commit == planned.commit && record.context_overrides.is_empty() && !self.request.overridden
        };
        running.is_some_and(|running| is_same(&running.record))
    }

    /// Whether a component returns to a known good commit: the rollback that needs no approval. A
    /// re-run of such a rollback counts too.
    fn returns(&self, component: &ComponentName, commit: &CommitId) -> bool {
        let Some(state) = self.state(component) else { return false };
        let Some(running) = &state.commit else { return false };
        let is_older = match self.basis.past.ancestry.get(component) {
            Some(Ancestry::Ancestor | Ancestry::Unrelated) => true,
            Some(Ancestry::Same) => state.runs_a_rollback(),
            Some(Ancestry::Descendant | Ancestry::Unknown) | None => false,
        };
        is_older && self.ran_before(component, commit, running)
    }

    fn ran_before(&self, component: &ComponentName, commit: &CommitId, running: &CommitId) -> bool {
        let chain = self.basis.past.chains.get(component);
        chain.is_some_and(|chain| chain.returns_to(commit, running))
    }

    /// The temporary obstacles of these components.
    fn obstacles(&self, planned: &[ComponentPlan]) -> Vec<Refusal> {
        [self.freeze(), self.hold(planned), self.backwards(planned)].into_iter().flatten().collect()
    }

    fn freeze(&self) -> Option<Refusal> {
        let target = &self.request.target;
        let freeze = self.basis.state.targets.get(target)?.freeze()?;
        let holds = !freeze.lock.expired(self.basis.now);
        holds.then(|| Refusal::Frozen { target: target.clone(), lock: Box::new(freeze.clone()) })
    }

    /// After a rollback, a pipeline must not restore by itself the version that a person has just
    /// removed.
    fn hold(&self, planned: &[ComponentPlan]) -> Option<Refusal> {
        let rule = self.rule();
        let is_promotion = matches!(self.request.source, RolloutSource::Promotion { .. });
        let by_default = is_promotion || rule.is_some_and(PromotionRule::is_guarded);
        if !rule.and_then(|rule| rule.hold).unwrap_or(by_default) {
            return None;
        }
        let past = self.basis.past;
        let is_gated = rule.is_some_and(|rule| rule.requires_approval);
        let held: Vec<_> = planned
            .iter()
            .filter(|planned| self.request.automatic || past.retried.contains(&planned.component))
            .filter(|planned| {
                let moves = planned.previous_commit.as_ref() != Some(&planned.commit);
                moves && !planned.goes_back() && !past.lifted.contains(&planned.component)
            })
            .filter(|planned| self.state(&planned.component).is_some_and(ComponentState::runs_a_rollback))
            // A person approves it after the rollback: earlier approvals are used up. A pipeline's
            // own approval does not count.
            .filter(|planned| self.request.approves || !(planned.needs_approval && is_gated))
            .map(|planned| planned.component.clone())
            .collect();
        let target = self.request.target.clone();
        (!held.is_empty()).then_some(Refusal::OnHold { target, components: held })
    }

    /// A re-run or delayed old pipeline must not undo the work of newer ones.
    fn backwards(&self, planned: &[ComponentPlan]) -> Option<Refusal> {
        let RolloutRequest { automatic, commit_named, allow_rollback, retry_is_meant, .. } = self.request;
        if *commit_named || *allow_rollback {
            return None;
        }
        let past = self.basis.past;
        let is_retried = |planned: &ComponentPlan| past.retried.contains(&planned.component);
        let back: Vec<_> = planned
            .iter()
            .filter(|planned| past.ancestry.get(&planned.component) == Some(&Ancestry::Ancestor))
            .filter(|planned| if is_retried(planned) { !retry_is_meant } else { *automatic })
            .filter_map(|planned| {
                let running = planned.previous_commit.clone()?;
                let (component, commit) = (planned.component.clone(), planned.commit.clone());
                Some(StepBack { component, running, commit })
            })
            .collect();
        let target = self.request.target.clone();
        (!back.is_empty()).then_some(Refusal::Backwards { target, components: back })
    }
}

/// The planned components in dependency order. Cycles were refused with the configuration.
fn in_order(needs: &Graph<ComponentName>, planned: Vec<ComponentPlan>) -> Vec<ComponentPlan> {
    let Ok(order) = needs.order() else { return planned };
    let mut by_name: BTreeMap<_, _> =
        planned.into_iter().map(|plan| (plan.component.clone(), plan)).collect();
    order.iter().filter_map(|name| by_name.remove(name)).collect()
}
