//! Templates in a component's values, filled in with what is known.

use std::collections::BTreeMap;

use super::Subject;
use crate::config::Severity;
use crate::deployment::ComponentName;
use crate::deployment::definition::Values;
use crate::deployment::nearest::nearest;
use crate::deployment::template::{
    self, HELPERS, Renderer, TemplateError, UnknownName, named_outputs, texts,
};
use crate::deployment::variables::merge;
use crate::error::CommandError;
use crate::render::document::validate::Check;

/// What templates can name.
const NAMES: &str = "templates know git.sha, git.branch, target.name, context.<name>, nixpack.<component>.image and \
                     .digest, outputs.<component>.<name>, and {{ env \"NAME\" }}";

impl Subject<'_> {
    /// Checks the templates of the component's variables and of its health check.
    pub(super) fn check_values(&mut self) -> Result<(), CommandError> {
        let context = self.context();
        let outputs = BTreeMap::new();
        let renderer = self.renderer(&context, &outputs);
        let declared = self.declared.values.clone();
        for (path, text) in texts(&declared) {
            let named = named_outputs(text);
            for output in &named {
                self.check_output(output, &path)?;
            }
            // What else is wrong with it would be told of the outputs.
            if named.is_empty()
                && let Err(error) = renderer.value(&path, text)
            {
                self.add_template(&error, self.keys_of_variable(&path), &context);
            }
        }
        // A probe may also name the component's own outputs, which are there when it is asked.
        if let Some(health) = &self.component.settings.health
            && let Err(error) = health.probe.render(&renderer)
            && error
                .lacks_outputs_of
                .as_ref()
                .is_none_or(|name| self.facts.deployment.component(name).is_none())
        {
            let below: Vec<_> = error.path.split('.').collect();
            self.add_template(&error, self.keys(&below), &context);
        }
        self.check_stack_outputs();
        Ok(())
    }

    /// The target's context with `--context`, as the component's templates see it.
    fn context(&self) -> Values {
        let mut context = self.facts.target.context.clone();
        merge(&mut context, &(self.facts.command_line)(self.component));
        context
    }

    pub(super) fn renderer(&self, context: &Values, outputs: &BTreeMap<ComponentName, Values>) -> Renderer {
        Renderer::new(template::Facts {
            commit: self.facts.commit,
            branch: self.facts.branch,
            target: &self.facts.target.name,
            context,
            images: self.facts.images,
            outputs,
            environment: self.facts.template_environment,
        })
    }

    /// The component's own variables and those of the target for it, filled in as a build does.
    pub(super) fn built_with(&self) -> Option<Values> {
        let mut values = self.component.vars.clone();
        if let Some(of_target) = self.facts.target.components.get(&self.component.name) {
            merge(&mut values, &of_target.vars);
        }
        self.renderer(&self.context(), &BTreeMap::new()).render(&values).ok()
    }

    fn add_template(&mut self, error: &TemplateError, keys: Vec<String>, context: &Values) {
        let mut severity = Severity::Error;
        let hint = match error.unknown.as_deref() {
            Some(UnknownName::Value(name)) => {
                if name.starts_with("context.") {
                    severity = self.facts.unless_told();
                } else if name == "git.branch" {
                    severity = self.facts.unless_elsewhere();
                }
                Some(self.known_value(name, context))
            }
            Some(UnknownName::Helper(name)) => Some(match nearest(name, HELPERS) {
                Some(near) => format!("did you mean {near}?"),
                None => format!("templates can use {}", HELPERS.join(", ")),
            }),
            Some(UnknownName::Environment(name)) => {
                let allowed = &self.facts.config.deployments.template_env;
                Some(if allowed.contains(name) {
                    severity = self.facts.unless_elsewhere();
                    format!("set {name} where this is rolled out")
                } else {
                    format!("add {name} to deployments.template_env of atmos.yaml")
                })
            }
            None => None,
        };
        self.add(Check::Context, severity, keys, error.to_string(), hint);
    }

    /// The hint for a name that is not known: the nearest one that is.
    fn known_value(&self, name: &str, context: &Values) -> String {
        let mut known: Vec<String> = ["git.sha", "git.branch", "target.name"].map(str::to_owned).into();
        known.extend(context.keys().map(|key| format!("context.{key}")));
        known.extend(
            self.facts
                .images
                .keys()
                .flat_map(|built| [format!("nixpack.{built}.image"), format!("nixpack.{built}.digest")]),
        );
        match nearest(name, known.iter().map(String::as_str)) {
            Some(near) => format!("did you mean {near}?"),
            None => NAMES.to_owned(),
        }
    }
}
