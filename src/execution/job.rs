//! A component's job: resolves its definition at its commit into the inputs of a run.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::PoisonError;

use crate::cancellation::Cancellation;
use crate::component::{
    self, ComponentRun, Environment, LogSink, Masks, Mode, TerraformSettings, TerraformStack,
};
use crate::deployment::definition::Values;
use crate::deployment::health::HealthCheck;
use crate::deployment::resolution::{Resolution, ResolutionError, Resolved};
use crate::deployment::rollout_plan::ComponentPlan;
use crate::deployment::stack_layer::{KnownOutputs, NoStacks, StackLayers, StackRefusal};
use crate::deployment::template::{Facts, Renderer};
use crate::deployment::variables::{Variables, merge};
use crate::deployment::{Component, ComponentKind, ComponentName, Deployment, Target};

use super::run_error::RunError;
use super::shared::Shared;

/// Terraform's initial workspace.
const DEFAULT_WORKSPACE: &str = "default";

/// A component to run.
pub(super) struct Job<'a> {
    shared: &'a Shared,
    plan: &'a ComponentPlan,
    deployment: &'a Deployment,
    component: &'a Component,
    target: &'a Target,
    /// The root of the commit's checkout.
    checkout: &'a Path,
    log: &'a dyn LogSink,
    cancellation: &'a Cancellation,
}

/// The resolved inputs of one component.
pub(super) struct Prepared {
    component: Component,
    vars: Variables,
    environment: Environment,
    terraform: TerraformSettings,
    stack: TerraformStack,
    /// The secrets to mask in the component's log.
    masks: Masks,
}

impl Prepared {
    /// Masks for the component's input values, which records must not contain.
    pub(super) fn values(&self) -> Masks {
        let mut texts = Vec::new();
        self.vars.values.values().for_each(|value| collect_texts(value, &mut texts));
        Masks::default().with_suspects(texts)
    }

    pub(super) const fn masks(&self) -> &Masks {
        &self.masks
    }
}

fn collect_texts<'v>(value: &'v serde_json::Value, texts: &mut Vec<&'v str>) {
    match value {
        serde_json::Value::String(text) => texts.push(text),
        serde_json::Value::Array(items) => items.iter().for_each(|item| collect_texts(item, texts)),
        serde_json::Value::Object(map) => map.values().for_each(|value| collect_texts(value, texts)),
        _ => {}
    }
}

/// The component's own outputs, for its health check.
#[derive(Clone, Copy)]
pub(super) enum OwnOutputs<'o> {
    /// None, because the component has not run yet.
    NotYet,
    Are(&'o Values),
    /// The outputs of the last apply, read from the component's state.
    Recorded,
}

impl<'a> Job<'a> {
    /// Looks the component up in the definition at its commit.
    pub(super) fn new(
        shared: &'a Shared,
        plan: &'a ComponentPlan,
        log: &'a dyn LogSink,
        cancellation: &'a Cancellation,
    ) -> Result<Self, RunError> {
        let rollout = &shared.rollout;
        let deployment = rollout.definitions.get(&plan.commit).ok_or(RunError::NotInCommit)?;
        Ok(Self {
            component: deployment.component(&plan.component).ok_or(RunError::NotInCommit)?,
            target: deployment.targets.get(&rollout.plan.target).ok_or(RunError::NotInCommit)?,
            checkout: shared.checkouts.get(&plan.commit).map_or(Path::new(""), |folder| folder),
            shared,
            plan,
            deployment,
            log,
            cancellation,
        })
    }

    /// Resolves the component. Outputs of components outside of this
    /// rollout are read from their state.
    pub(super) async fn prepare(&self) -> Result<Prepared, RunError> {
        let mut known = BTreeMap::new();
        let command_line = self.overrides_of(self.component);
        loop {
            let renderer = self.renderer(&known);
            let outputs = KnownOutputs::Of(&known);
            let resolution = self.resolution(self.component, &command_line, outputs, Some(&renderer));
            let error = match resolution.resolve() {
                Ok(resolved) => return Ok(self.prepared(self.component, resolved)),
                Err(error) => error,
            };
            let needed = match &error {
                ResolutionError::Stack(StackRefusal::OutputsNeeded(needed)) => Some(needed),
                ResolutionError::Template(error) => error.lacks_outputs_of.as_ref(),
                ResolutionError::Stack(_) => None,
            };
            let needed = needed.filter(|needed| !known.contains_key(*needed)).cloned();
            let Some(needed) = needed else { return Err(self.unresolved(error)) };
            if needed == self.component.name {
                return Err(RunError::OwnOutputs);
            }
            let outputs = self.outputs_of(&needed).await?;
            known.insert(needed, outputs);
        }
    }

    /// The component with templates of other components' outputs left unrendered: enough to
    /// find its state, not to apply it.
    pub(super) fn prepare_as_written(&self) -> Result<Prepared, RunError> {
        self.as_written(self.component)
    }

    /// The component's health check with its templates rendered. `None` where it has none, or where
    /// a template needs outputs that the component does not have yet.
    pub(super) async fn health_check(&self, own: OwnOutputs<'_>) -> Result<Option<HealthCheck>, RunError> {
        let Some(check) = &self.component.settings.health else { return Ok(None) };
        let mut known = BTreeMap::new();
        if let OwnOutputs::Are(own) = own {
            known.insert(self.component.name.clone(), own.clone());
        }
        loop {
            let error = match check.probe.render(&self.renderer(&known)) {
                Ok(probe) => return Ok(Some(HealthCheck { probe, ..check.clone() })),
                Err(error) => error,
            };
            let needed = error.lacks_outputs_of.clone().filter(|needed| !known.contains_key(needed));
            let Some(needed) = needed else { return Err(self.unresolved(error.into())) };
            if needed == self.component.name && matches!(own, OwnOutputs::NotYet) {
                return Ok(None);
            }
            let outputs = self.outputs_of(&needed).await?;
            known.insert(needed, outputs);
        }
    }

    fn renderer(&self, outputs: &BTreeMap<ComponentName, Values>) -> Renderer {
        let rollout = &self.shared.rollout;
        let mut context = self.target.context.clone();
        merge(&mut context, &self.overrides_of(self.component));
        Renderer::new(Facts {
            commit: &self.plan.commit,
            branch: rollout.branch.as_deref(),
            target: &self.target.name,
            context: &context,
            images: &rollout.images,
            outputs,
            environment: &rollout.template_environment,
        })
    }

    /// The error of a failed resolution. Names outputs that are
    /// missing because they are not stored.
    fn unresolved(&self, error: ResolutionError) -> RunError {
        let ResolutionError::Template(error) = error else { return error.into() };
        let Some(component) = error.lacks_outputs_of.clone() else {
            return ResolutionError::Template(error).into();
        };
        let source = Box::new(error);
        let kind = self.deployment.component(&component).map(|component| component.kind);
        match kind.filter(|kind| *kind != ComponentKind::Terraform) {
            Some(kind) if self.just_put_out(&component).is_none() => {
                RunError::NotKept { component, kind, source }
            }
            _ => RunError::NoOutput { component, target: self.target.name.clone(), source },
        }
    }

    /// The run of a resolved component.
    pub(super) fn component_run<'r>(&'r self, prepared: &'r Prepared) -> ComponentRun<'r> {
        let rollout = &self.shared.rollout;
        ComponentRun {
            component: &prepared.component,
            deployment: &rollout.plan.deployment,
            target: &rollout.plan.target,
            commit: &self.plan.commit,
            previous_commit: self.plan.previous_commit.as_ref(),
            run_id: &rollout.run_id,
            mode: rollout.mode,
            vars: &prepared.vars.values,
            sources: &prepared.vars.sources,
            artifacts: &rollout.images,
            checkout: self.checkout,
            state: &rollout.state,
            plugin_cache: &rollout.plugin_cache,
            scratch: self.shared.scratch.path(),
            environment: &prepared.environment,
            in_ci: rollout.in_ci,
            terraform: &prepared.terraform,
            helmfile: &rollout.helmfile,
            stack: &prepared.stack,
            log: self.log,
            masks: &prepared.masks,
            cancellation: self.cancellation,
        }
    }

    /// A component's outputs in this rollout; `None` in a dry run, which has no outputs.
    fn just_put_out(&self, component: &ComponentName) -> Option<Values> {
        if self.shared.rollout.mode == Mode::Plan {
            return None;
        }
        self.shared.outputs.lock().unwrap_or_else(PoisonError::into_inner).get(component).cloned()
    }

    /// A component's outputs: of this rollout, or else of its last apply.
    async fn outputs_of(&self, needed: &ComponentName) -> Result<Values, RunError> {
        let rollout = &self.shared.rollout;
        if let Some(outputs) = self.just_put_out(needed) {
            return Ok(outputs);
        }
        let is_to_run = self.shared.is_planned(needed)
            && !rollout.done.contains_key(needed)
            && !rollout.disabled.contains(needed);
        if rollout.mode == Mode::Apply && is_to_run {
            return Err(RunError::NotAfter(needed.clone()));
        }
        let cache = || self.shared.recorded_outputs.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(outputs) = cache().get(needed).cloned() {
            return Ok(outputs);
        }
        let component = self.deployment.component(needed);
        let component = component.ok_or_else(|| RunError::OutputsOfNobody(needed.clone()))?;
        // The location of its state must not depend on other components' outputs.
        let prepared = self.as_written(component)?;
        let outputs = component::recorded_outputs(self.component_run(&prepared)).await;
        let outputs = outputs.map_err(|source| RunError::Outputs { component: needed.clone(), source })?;
        cache().insert(needed.clone(), outputs.clone());
        Ok(outputs)
    }

    fn as_written(&self, component: &Component) -> Result<Prepared, RunError> {
        let command_line = self.overrides_of(component);
        let resolved = self.resolution(component, &command_line, KnownOutputs::AsWritten, None).resolve()?;
        Ok(self.prepared(component, resolved))
    }

    fn resolution<'r>(
        &'r self,
        component: &'r Component,
        command_line: &'r Values,
        outputs: KnownOutputs<'r>,
        templates: Option<&'r Renderer>,
    ) -> Resolution<'r> {
        let rollout = &self.shared.rollout;
        let stacks = rollout.stacks.get(&self.plan.commit).map(|stacks| &**stacks as &dyn StackLayers);
        Resolution {
            deployment: self.deployment,
            component,
            target: self.target,
            command_line,
            stacks: stacks.unwrap_or(&NoStacks),
            outputs,
            images: &rollout.images,
            repository_root: self.checkout.to_str(),
            templates,
        }
    }

    /// The `--context` of a component, with values of the types that they override.
    fn overrides_of(&self, component: &Component) -> Values {
        let overrides = self.shared.rollout.overrides.get(&component.name);
        overrides
            .map(|overrides| overrides.values(&[&self.target.context, &component.vars]))
            .unwrap_or_default()
    }

    fn prepared(&self, component: &Component, resolved: Resolved) -> Prepared {
        let rollout = &self.shared.rollout;
        let name = format!("{}-{}", self.deployment.name, self.target.name);
        let mut prepared = Prepared {
            component: component.clone(),
            vars: resolved.variables,
            environment: rollout.environment.clone(),
            terraform: rollout.terraform.clone(),
            stack: TerraformStack::named(name),
            masks: rollout.masks.clone(),
        };
        let Some(stack) = resolved.stack else { return prepared };
        prepared.masks = rollout.masks.with_suspects(&stack.from_environment);
        prepared.component.folder = Some(stack.folder);
        for (name, value) in stack.env {
            match value {
                Some(value) => prepared.environment.set(name, value),
                None => prepared.environment.remove(name),
            }
        }
        if let Some(program) = stack.program {
            prepared.terraform.program = program;
        }
        prepared.stack = TerraformStack {
            name: stack.stack,
            workspace: stack.workspace.filter(|workspace| workspace != DEFAULT_WORKSPACE),
            generated_files: stack.generated_files,
        };
        prepared
    }
}
