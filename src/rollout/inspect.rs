//! Inspection of a target's health and drift, with the commits, configuration and tools that a
//! rollout of the running components would use.

use std::cell::RefCell;
use std::collections::BTreeMap;

use super::Options;
use super::command::RolloutCommand;
use super::decide::Decided;
use super::digest::Digests;
use super::gather::Gathered;
use super::prepare::Prepared;
use super::tools::missing;
use crate::component::{Mode, knows_drift, preflight_health};
use crate::context::{Context, signals};
use crate::deployment::dependencies::among;
use crate::deployment::diff::Drift;
use crate::deployment::graph::Graph;
use crate::deployment::health::HealthStatus;
use crate::deployment::observation::Observation;
use crate::deployment::overrides::{ContextOverrides, is_hash};
use crate::deployment::rollout_plan::{ComponentPlan, RolloutPlan, RolloutRequest, RolloutSource};
use crate::deployment::rollout_report::RolloutKind;
use crate::deployment::rules::RulesOrigin;
use crate::deployment::{CommitId, ComponentKind, ComponentName, Deployment, TargetName};
use crate::error::{Code, CommandError};
use crate::execution::{self, EventSink, Inspected, Looks};
use crate::git::Repository;
use crate::ledger::{Observed, Snapshot};
use crate::project::Project;
use crate::project::declared::CommitReader;
use crate::project::rules::TrustedRules;
use crate::project::run::Run;

/// The `--context` of running components, where the values are known.
type Overrides = BTreeMap<ComponentName, ContextOverrides>;

/// Components that cannot be planned, and why.
type Unplannable = BTreeMap<ComponentName, String>;

/// Components without an inspection, by its kind (health, drift) and the reason.
#[derive(Debug, Default)]
struct Unasked(BTreeMap<(&'static str, String), Vec<ComponentName>>);

impl Unasked {
    fn add(&mut self, about: &'static str, why: &str, component: &ComponentName) {
        self.0.entry((about, why.to_owned())).or_default().push(component.clone());
    }
}

/// The findings of an inspection.
#[derive(Debug, Default)]
pub struct Findings {
    /// The observations to store as notes.
    pub observed: Observed,
    pub drift: Drift,
    /// A component is known not to be healthy.
    pub unhealthy: bool,
    /// A component could not be checked for drift.
    pub incomplete: bool,
}

/// Inspects the running components of a target.
///
/// # Errors
///
/// Fails where the ledger cannot be opened, where tools that the checks need are missing, or where
/// the components' commits cannot be checked out. A check that fails is a finding.
pub fn inspect(
    context: &Context,
    repository: &Repository,
    project: &Project<'_>,
    policy: &Deployment,
    snapshot: &Snapshot,
    target: &TargetName,
    looks: Looks,
) -> Result<Findings, CommandError> {
    let options = Options::plan_of(policy.name.clone());
    let prepared = Prepared {
        repository,
        project,
        ledger: context.ledger(repository, &project.config)?,
        checkout: policy.clone(),
        request: RolloutRequest::new(target.clone(), RolloutSource::Promotion { from: target.clone() }),
        at_commit: None,
        components: policy.components.clone(),
        overrides: ContextOverrides::default(),
        expected: None,
        metadata: BTreeMap::new(),
        run: Run::unnamed(context.actor(repository)),
        branch: repository.branch(),
        typed: options.command_line(&|_, _| true),
        known_histories: RefCell::default(),
        known_definitions: RefCell::default(),
        reader: CommitReader::new(context, repository, project, &policy.name),
    };
    let events: EventSink = std::sync::Arc::new(|_| {});
    let cancellation = signals::cancellation(context);
    let command = RolloutCommand::new(&options, context, &prepared, events, cancellation, None);
    command.inspect(target, snapshot, looks)
}

impl RolloutCommand<'_, '_> {
    fn inspect(
        &self,
        target: &TargetName,
        snapshot: &Snapshot,
        looks: Looks,
    ) -> Result<Findings, CommandError> {
        let mut plan = self.running(target, snapshot);
        let definitions = self.definitions(&plan)?;
        let mut unasked = Unasked::default();
        plan.components.retain_mut(|planned| {
            let component = definitions.get(&planned.commit).and_then(|at| at.component(&planned.component));
            let name = &planned.component;
            let Some(component) = component else {
                let about = match looks {
                    Looks { health: true, drift: true } => "health and drift",
                    Looks { health: true, .. } => "health",
                    Looks { .. } => "drift",
                };
                unasked.add(about, "its commit does not declare it", name);
                return false;
            };
            planned.kind = component.kind;
            let (health, drift) = (component.settings.health.is_some(), knows_drift(component.kind));
            if looks.health && !health {
                unasked.add("health", "no health check is configured", name);
            }
            if looks.drift && !drift {
                unasked.add("drift", &format!("{} components have no plan that tells", component.kind), name);
            }
            (looks.health && health) || (looks.drift && drift)
        });
        self.say(target, &unasked);
        if plan.components.is_empty() {
            return Ok(Findings::default());
        }
        let components = || {
            plan.components
                .iter()
                .filter_map(|planned| definitions.get(&planned.commit)?.component(&planned.component))
        };
        if looks.health {
            preflight_health(components(), &self.environment()).map_err(missing)?;
        }
        if looks.drift {
            let mut drifting = plan.clone();
            drifting.components.retain(|planned| knows_drift(planned.kind));
            self.check_tools(&drifting, &definitions)?;
        }
        let (overrides, mut unplannable) = Self::running_overrides(&plan, snapshot);
        let state = snapshot.deployment(&plan.deployment);
        unplannable.extend(Self::moved_since(&self.vendored(&plan, &definitions)?, &plan, |name| {
            let running = state.component(&plan.target, name)?.running.as_ref()?;
            Some(running.record.sources.clone())
        }));
        let checkouts = self.check_out(&plan, &definitions)?;
        let stacks = self.stacks(&definitions)?;
        let images = self.images(&plan, &definitions, &stacks, snapshot)?;
        let (digests, done) = (Digests::none(), BTreeMap::new());
        let gathered = Gathered { definitions, stacks, images, digests, done };
        let rules = RulesOrigin::Uncommitted;
        let policy = self.prepared.checkout.clone();
        let chosen = plan.components.iter().map(|planned| planned.component.clone()).collect();
        plan.needs = among(self.prepared.components(), &chosen);
        let trusted = TrustedRules::of_nothing(rules);
        let decided = Decided { plan, policy, trusted };
        let mut rollout = self.rollout(&decided, gathered, Mode::Plan, "", None)?;
        rollout.overrides = overrides;
        let inspected = execution::inspect(rollout, &checkouts, looks, &unplannable, &self.cancellation)?;
        if self.cancellation.is_cancelled() {
            return Err(CommandError::new(Code::Cancelled, "the look was cancelled"));
        }
        Ok(self.findings(target, inspected))
    }

    /// Prints which components were not inspected and why: silence would look like a good result.
    fn say(&self, target: &TargetName, Unasked(all): &Unasked) {
        for ((about, why), names) in all {
            let names: Vec<_> = names.iter().map(ComponentName::as_str).collect();
            let (deployment, names) = (&self.prepared.checkout.name, names.join(", "));
            let note = format!("{deployment} → {target}: not asked about {about}: {names} ({why})\n");
            self.context.streams().note(&note);
        }
    }

    /// The running components, as a plan that deploys them again.
    fn running(&self, target: &TargetName, snapshot: &Snapshot) -> RolloutPlan {
        let deployment = &self.prepared.checkout.name;
        let state = snapshot.deployment(deployment);
        let components = state.targets.get(target).into_iter().flat_map(|target| &target.components);
        let planned = |(component, commit, artifacts): (_, &CommitId, _)| ComponentPlan {
            component,
            // Replaced by the kind in the commit's own definition.
            kind: ComponentKind::Command,
            commit: commit.clone(),
            previous_commit: Some(commit.clone()),
            replaces: None,
            rollback_of: None,
            needs_approval: false,
            source_deployed_at: None,
            artifacts,
            build_id: None,
            trusts_state: false,
        };
        RolloutPlan {
            deployment: deployment.clone(),
            target: target.clone(),
            kind: RolloutKind::Deploy,
            components: components
                .filter_map(|(name, state)| {
                    let artifacts = state.running.as_ref().map(|running| running.record.artifacts.clone());
                    Some((name.clone(), state.commit.as_ref()?, artifacts.unwrap_or_default()))
                })
                .map(planned)
                .collect(),
            left_out: Vec::new(),
            partial: false,
            approval: None,
            promotion_check_skipped: false,
            obstacles: Vec::new(),
            needs: Graph::default(),
        }
    }

    /// The `--context` that running components were deployed with. A component with a redacted
    /// value (only its hash is recorded) cannot be planned; its health can be checked.
    fn running_overrides(plan: &RolloutPlan, snapshot: &Snapshot) -> (Overrides, Unplannable) {
        let state = snapshot.deployment(&plan.deployment);
        let (mut overrides, mut unplannable) = (Overrides::new(), Unplannable::new());
        for planned in &plan.components {
            let running = state.component(&plan.target, &planned.component);
            let Some(running) = running.and_then(|state| state.running.as_ref()) else { continue };
            let recorded = running.record.context_overrides.iter();
            let (hidden, known): (Vec<_>, Vec<_>) = recorded.partition(|(_, text)| is_hash(text));
            overrides.insert(planned.component.clone(), known.into_iter().collect());
            let keys: Vec<_> = hidden.into_iter().map(|(key, _)| key.as_str()).collect();
            if !keys.is_empty() {
                let keys = keys.join(", ");
                let reason = format!("it runs with --context {keys}, of which only a hash is recorded");
                unplannable.insert(planned.component.clone(), reason);
            }
        }
        (overrides, unplannable)
    }

    fn findings(&self, target: &TargetName, inspected: Vec<Inspected>) -> Findings {
        let checked_at = self.context.now();
        let mut findings = Findings::default();
        for Inspected { component, commit, health, drift } in inspected {
            if let Some(health) = health {
                findings.unhealthy |= health.status != HealthStatus::Healthy;
                let (target, component) = (target.clone(), component.clone());
                let observation = Observation { target, component, checked_at, finding: health };
                findings.observed.health.push((commit.clone(), observation));
            }
            match drift {
                None => {}
                Some(Err(reason)) => {
                    findings.incomplete = true;
                    self.context
                        .warn(&format!("{component} on {target} cannot be looked at for drift: {reason}"));
                }
                Some(Ok(finding)) if finding.drift == Drift::NotChecked => {}
                Some(Ok(finding)) => {
                    findings.drift = findings.drift.and(finding.drift);
                    let (target, component) = (target.clone(), component);
                    let observation = Observation { target, component, checked_at, finding };
                    findings.observed.drift.push((commit, observation));
                }
            }
        }
        findings
    }
}
