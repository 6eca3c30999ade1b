//! Resolves a component on a target: its stacks, overridden by the deployment, the target and the
//! command line. Only this module defines that order.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use super::definition::{Component, Deployment, Target, Values};
use super::image_binding::image_variables;
use super::stack_layer::{KnownOutputs, StackLayer, StackLayers, StackRefusal, StackRequest};
use super::template::{Renderer, TemplateError};
use super::variables::{Layers, Variables};

/// The inputs of the resolution of one component on one target.
#[derive(Clone, Copy)]
pub struct Resolution<'a> {
    pub deployment: &'a Deployment,
    pub component: &'a Component,
    pub target: &'a Target,
    /// `--context`.
    pub command_line: &'a Values,
    pub stacks: &'a dyn StackLayers,
    pub outputs: KnownOutputs<'a>,
    /// The known images: component to `registry/name@sha256:…`.
    pub images: &'a BTreeMap<String, String>,
    /// The path of the commit's files, for commands that run it.
    pub repository_root: Option<&'a str>,
    /// Renders the templates of the deployment's own values; without it they are left as written.
    pub templates: Option<&'a Renderer>,
}

/// A resolved component on a target.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Resolved {
    pub variables: Variables,
    /// The layer of its stacks; absent where the deployment imports none.
    pub stack: Option<StackLayer>,
}

/// A component that cannot be resolved.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResolutionError {
    #[error(transparent)]
    Template(#[from] TemplateError),
    #[error(transparent)]
    Stack(#[from] StackRefusal),
}

/// The value of an absent `--context`.
static NO_VALUES: LazyLock<Values> = LazyLock::new(Values::new);

impl<'a> Resolution<'a> {
    /// The resolution of a component from its files alone: without `--context`, images and outputs,
    /// and with templates as written.
    pub fn as_declared(
        deployment: &'a Deployment,
        component: &'a Component,
        target: &'a Target,
        stacks: &'a dyn StackLayers,
    ) -> Self {
        const NO_IMAGES: &BTreeMap<String, String> = &BTreeMap::new();
        Self {
            deployment,
            component,
            target,
            command_line: &NO_VALUES,
            stacks,
            outputs: KnownOutputs::AsWritten,
            images: NO_IMAGES,
            repository_root: None,
            templates: None,
        }
    }

    /// Resolves the component's variables and its stack layer.
    pub fn resolve(&self) -> Result<Resolved, ResolutionError> {
        let none = Values::new();
        let changes = self.target.components.get(&self.component.name);
        let mut declared = Layers {
            images: &image_variables(self.deployment, self.component, self.images),
            component: &self.component.vars,
            target_context: &self.target.context,
            target_override: changes.map_or(&none, |changes| &changes.vars),
            command_line: self.command_line,
        }
        .resolve();
        if let Some(templates) = self.templates {
            declared.values = templates.render(&declared.values)?;
        }
        let stack = self.stacks.layer(&StackRequest {
            deployment: self.deployment,
            component: self.component,
            target: &self.target.name,
            vars: &declared.values,
            outputs: self.outputs,
            repository_root: self.repository_root,
        })?;
        let variables = match &stack {
            Some(stack) => declared.over_stacks(&stack.vars),
            None => declared,
        };
        Ok(Resolved { variables, stack })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::{Value, json};

    use super::super::fixtures::{deployment, target_name};
    use super::super::template::Facts;
    use super::*;

    /// Stacks that return a text that looks like a template, and all their inputs.
    struct Echo;

    impl StackLayers for Echo {
        fn layer(&self, request: &StackRequest<'_>) -> Result<Option<StackLayer>, StackRefusal> {
            let mut vars = request.vars.clone();
            vars.insert("name".to_owned(), json!(format!("{}-{}", request.target, vars["cpu"])));
            vars.insert("literal".to_owned(), json!("{{ for.somebody.else }}"));
            vars.insert("tags".to_owned(), json!({"of": "stack", "cpu": 0}));
            Ok(Some(StackLayer { vars, ..StackLayer::default() }))
        }
    }

    #[test]
    fn the_deployments_values_lie_over_the_stacks_and_are_alone_in_being_templates() {
        let mut deployment = deployment(&["api"], &[("dev", &[])]);
        let target = deployment.targets.get_mut(&target_name("dev")).unwrap();
        target.context = json!({"cpu": 256}).as_object().unwrap().clone();
        deployment.components[0].vars =
            json!({"tags": {"cpu": "{{ context.cpu }}"}}).as_object().unwrap().clone();
        let target = &deployment.targets[0];
        let (nothing, images, outputs) = (Values::new(), BTreeMap::new(), BTreeMap::new());
        let renderer = Renderer::new(Facts {
            commit: &"1".repeat(40).parse().unwrap(),
            branch: None,
            target: &target.name,
            context: &target.context,
            images: &images,
            outputs: &outputs,
            environment: &BTreeMap::new(),
        });
        let resolved = Resolution {
            deployment: &deployment,
            component: &deployment.components[0],
            target,
            command_line: &nothing,
            stacks: &Echo,
            outputs: KnownOutputs::AsWritten,
            images: &images,
            repository_root: None,
            templates: Some(&renderer),
        }
        .resolve()
        .unwrap();
        assert_eq!(
            Value::from(resolved.variables.values),
            json!({
                "tags": {"of": "stack", "cpu": 256}, "cpu": 256, "name": "dev-256",
                "literal": "{{ for.somebody.else }}"
            })
        );
        assert_eq!(
            serde_json::to_value(&resolved.variables.sources).unwrap(),
            json!({"tags": "component", "cpu": "target_context", "name": "stacks", "literal": "stacks"})
        );
    }
}
