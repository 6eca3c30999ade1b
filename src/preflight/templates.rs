//! Templates in a component's values, rendered with the known facts.

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

/// The names that templates can refer to.
const NAMES: &str = "templates know git.sha, git.branch, target.name, context.<name>, nixpack.<component>.image and \
                     .digest, outputs.<component>.<name>, and {{ env \"NAME\" }}";

/// The hint for a missing branch.
const NO_BRANCH: &str =
    "the checkout is on no branch, and no CI job names one: git switch <branch>, or name git.sha";

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
            // Its other errors would only be about the unknown outputs.
            if named.is_empty()
                && let Err(error) = renderer.value(&path, text)
            {
                self.add_template(&error, self.keys_of_variable(&path), &context);
            }
        }
        // A probe may also refer to the component's own outputs, which exist when it runs.
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

    /// The component's own variables and the target's overrides of them, rendered as for a build.
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

    /// The hint for an unknown name: the nearest known one.
    fn known_value(&self, name: &str, context: &Values) -> String {
        // The name is valid, but has no value here.
        if name == "git.branch" {
            return NO_BRANCH.to_owned();
        }
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

#[cfg(test)]
mod tests {
    use super::super::Moment;
    use super::super::testing::Shop;
    use super::*;

    const AT_HOME: &str = "components.command.api.vars.home: command/api: home: line 1, column ";

    /// The shop with this value in a variable of `api`.
    fn home(template: &str) -> Shop {
        Shop::with("home: plain", &format!("home: '{template}'"))
    }

    fn told(shop: &Shop) -> Vec<String> {
        shop.told(&[Check::Context, Check::Outputs])
    }

    #[test]
    fn what_a_template_cannot_name_is_found() {
        let health = |name: &str| {
            let command = format!(
                "settings: {{ health: {{ command: [probe, '{{{{ {name} }}}}'] }}, command: {{ apply: [./run.sh] }} }}\n  targets"
            );
            Shop::with("settings: { command: { apply: [./run.sh] } }\n  targets", &command)
        };
        let rows: [(Shop, String); 7] = [
            (
                home("{{ git.shaa }}"),
                format!("{AT_HOME}1 of the template: git.shaa is not known here [did you mean git.sha?]"),
            ),
            (
                home("{{ contxt.cpu }}"),
                format!("{AT_HOME}1 of the template: contxt.cpu is not known here [did you mean context.cpu?]"),
            ),
            (
                home("{{ nixpack.wbe.image }}"),
                format!(
                    "{AT_HOME}1 of the template: nixpack.wbe.image is not known here [did you mean nixpack.web.image?]"
                ),
            ),
            (
                home("{{ something }}"),
                format!("{AT_HOME}1 of the template: something is not known here [{NAMES}]"),
            ),
            (
                home("{{ lokup git \"sha\" }}"),
                format!("{AT_HOME}1 of the template: there is no helper called lokup [did you mean lookup?]"),
            ),
            (
                home("{{ uppercase \"x\" }}"),
                format!(
                    "{AT_HOME}1 of the template: there is no helper called uppercase [templates can use {}]",
                    HELPERS.join(", ")
                ),
            ),
            (
                health("git.shaa"),
                "components.command.api.settings.health.command: command/api: settings.health.command: line 1, \
                 column 1 of the template: git.shaa is not known here [did you mean git.sha?]"
                    .to_owned(),
            ),
        ];
        for (shop, expected) in rows {
            assert_eq!(told(&shop), [format!("error at {expected}")]);
        }
        // The parser's own message about the syntax.
        let told = told(&home("{{#if context.cpu}}x"));
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].starts_with(&format!("error at {AT_HOME}21 of the template: ")), "{told:?}");
    }

    #[test]
    fn what_others_may_know_is_warned_of() {
        let readable = |shop: Shop| {
            let mut config = shop.config.clone();
            config.deployments.template_env.push("HOME".to_owned());
            Shop { config, ..shop }
        };
        let rows: [(Shop, &str, String); 7] = [
            (
                home("{{ context.cpuu }}").at(Moment::Plan),
                "error",
                format!(
                    "{AT_HOME}1 of the template: context.cpuu is not known here [did you mean context.cpu?]"
                ),
            ),
            (
                home("{{ context.cpuu }}").at(Moment::Validation),
                "warning",
                format!(
                    "{AT_HOME}1 of the template: context.cpuu is not known here [did you mean context.cpu?]"
                ),
            ),
            (
                Shop { branch: None, ..home("{{ git.branch }}") },
                "error",
                format!("{AT_HOME}1 of the template: git.branch is not known here [{NO_BRANCH}]"),
            ),
            (
                Shop { branch: None, ..home("{{ git.branch }}") }.at(Moment::Plan),
                "warning",
                format!("{AT_HOME}1 of the template: git.branch is not known here [{NO_BRANCH}]"),
            ),
            (
                home("{{ env \"HOME\" }}").at(Moment::Plan),
                "error",
                format!(
                    "{AT_HOME}1 of the template: the environment variable HOME is not set, or templates may not read \
                     it [add HOME to deployments.template_env of atmos.yaml]"
                ),
            ),
            (
                readable(home("{{ env \"HOME\" }}")).at(Moment::Plan),
                "warning",
                format!(
                    "{AT_HOME}1 of the template: the environment variable HOME is not set, or templates may not read \
                     it [set HOME where this is rolled out]"
                ),
            ),
            (
                readable(home("{{ env \"HOME\" }}")),
                "error",
                format!(
                    "{AT_HOME}1 of the template: the environment variable HOME is not set, or templates may not read \
                     it [set HOME where this is rolled out]"
                ),
            ),
        ];
        for (shop, severity, expected) in rows {
            assert_eq!(told(&shop), [format!("{severity} at {expected}")]);
        }
    }

    #[test]
    fn a_value_of_the_target_is_said_of_the_target_once() {
        let shop = Shop::with("cpu: 256", "cpu: '{{ git.shaa }}'");
        let expected = "error at targets.dev.context.cpu: context of dev: cpu: line 1, column 1 of the template: \
                        git.shaa is not known here [did you mean git.sha?]";
        assert_eq!(told(&shop), [expected]);
        let of_component = "context: { cpu: 256 }, components: { api: { vars: { home: '{{ git.shaa }}' } } }";
        let shop = Shop::with("context: { cpu: 256 }", of_component);
        let expected = "error at targets.dev.components.api.vars.home: command/api: home: line 1, column 1 of the \
                        template: git.shaa is not known here [did you mean git.sha?]";
        assert_eq!(told(&shop), [expected]);
        let listed = Shop::with("home: plain", "home: { list: [1, '{{ git.shaa }}'] }");
        let expected = "error at components.command.api.vars.home.list: command/api: home.list[1]: line 1, column 1 \
                        of the template: git.shaa is not known here [did you mean git.sha?]";
        assert_eq!(told(&listed), [expected]);
    }

    #[test]
    fn what_a_template_can_name_is_passed_over() {
        let mut with_variable = home("{{ env \"HOME\" }}");
        with_variable.template_environment.insert("HOME".to_owned(), String::new());
        for shop in [
            home("{{ git.sha }} {{ git.branch }} {{ target.name }} {{ context.cpu }}"),
            home("{{ nixpack.web.image }} {{ nixpack.web.digest }}"),
            home("{{#if (eq context.cpu 256)}}a{{else}}b{{/if}}"),
            home("{{ outputs.first.url }}"),
            home("{{ context.given }}").context("given", "1"),
            home("no template: { }"),
            with_variable,
        ] {
            assert_eq!(told(&shop), [""; 0], "{}", shop.text);
        }
    }
}
