//! Templates in values: `{{ git.sha }}`, `{{ context.cpu }}`, `{{ nixpack.api.image }}`.
//!
//! Handlebars in strict mode: every name in a template must exist. A value that consists of a
//! single name keeps its type, so that `"{{ context.cpu }}"` is a number where the context has one.

mod output_references;

use std::collections::BTreeMap;

use handlebars::template::{Parameter, TemplateElement};
use handlebars::{
    Context, Handlebars, Helper, HelperDef, Path, PathSeg, RenderContext, RenderError, RenderErrorReason,
    ScopedJson, Template, no_escape,
};
use serde_json::{Value, json};

use super::commit::CommitId;
use super::names::{ComponentName, TargetName};
use super::values::Values;

pub use output_references::{NamedOutput, named_outputs};

/// The values that templates can refer to.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// `git.sha`: the commit to deploy.
    pub commit: &'a CommitId,
    /// `git.branch`; absent on a detached head.
    pub branch: Option<&'a str>,
    /// `target.name`.
    pub target: &'a TargetName,
    /// `context.…`: the target's context, with the overrides of the command line.
    pub context: &'a Values,
    /// `nixpack.<component>.image` and `.digest`: component to `registry/name@sha256:…`.
    pub images: &'a BTreeMap<String, String>,
    /// `outputs.<component>.<name>`: the outputs of the components that ran before.
    pub outputs: &'a BTreeMap<ComponentName, Values>,
    /// `env "NAME"`: the environment variables that templates may read, already filtered.
    pub environment: &'a BTreeMap<String, String>,
}

/// A template that cannot be rendered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: line {line}, column {column} of the template: {message}")]
pub struct TemplateError {
    /// The value's path: `image.tag`, `list[2]`.
    pub path: String,
    /// In the template, from 1.
    pub line: usize,
    /// In the template, from 1.
    pub column: usize,
    pub message: String,
    /// The component whose outputs the template refers to, if these are unknown.
    pub lacks_outputs_of: Option<ComponentName>,
    /// Whether the template needs a value that only the rollout's job has: an environment variable,
    /// the branch.
    pub lacks_surroundings: bool,
    /// The unknown name, if that is the error.
    pub unknown: Option<Box<UnknownName>>,
}

/// An unknown name in a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UnknownName {
    /// `context.memory`.
    Value(String),
    /// `upper`.
    Helper(String),
    /// An environment variable that is not set, or that templates may not read.
    Environment(String),
}

/// The helpers that templates can use.
pub const HELPERS: [&str; 18] = [
    "env", "if", "unless", "each", "with", "lookup", "raw", "log", "eq", "ne", "gt", "gte", "lt", "lte",
    "and", "or", "not", "len",
];

/// The values with templates at any depth, each with its path: `image.tag`, `list[2]`.
#[must_use]
pub fn texts(values: &Values) -> Vec<(String, &str)> {
    fn collect<'v>(path: String, value: &'v Value, found: &mut Vec<(String, &'v str)>) {
        match value {
            Value::String(text) if text.contains("{{") => found.push((path, text)),
            Value::Array(items) => {
                items
                    .iter()
                    .enumerate()
                    .for_each(|(index, item)| collect(format!("{path}[{index}]"), item, found));
            }
            Value::Object(values) => {
                values.iter().for_each(|(name, value)| collect(format!("{path}.{name}"), value, found));
            }
            _ => {}
        }
    }
    let mut found = Vec::new();
    values.iter().for_each(|(name, value)| collect(name.clone(), value, &mut found));
    found
}

/// Renders templates against one set of facts.
pub struct Renderer {
    handlebars: Handlebars<'static>,
    facts: Context,
}

impl Renderer {
    /// Creates a renderer for these facts.
    #[must_use]
    pub fn new(facts: Facts<'_>) -> Self {
        let mut handlebars = Handlebars::new();
        handlebars.set_strict_mode(true);
        handlebars.register_escape_fn(no_escape);
        handlebars.register_helper("env", Box::new(Env(facts.environment.clone())));
        Self { handlebars, facts: facts.data().into() }
    }

    /// Creates a renderer for these names alone, without helpers that read anything.
    #[must_use]
    pub fn of_names(names: Value) -> Self {
        let mut handlebars = Handlebars::new();
        handlebars.set_strict_mode(true);
        handlebars.register_escape_fn(no_escape);
        Self { handlebars, facts: names.into() }
    }

    /// Renders every string in the values, at any depth. Keys are unchanged.
    pub fn render(&self, values: &Values) -> Result<Values, TemplateError> {
        let rendered = values.iter().map(|(name, value)| Ok((name.clone(), self.any(name, value)?)));
        rendered.collect()
    }

    /// Renders the single text at `path`.
    pub fn value(&self, path: &str, text: &str) -> Result<Value, TemplateError> {
        if text.contains("{{") { self.text(path, text) } else { Ok(text.into()) }
    }

    fn any(&self, path: &str, value: &Value) -> Result<Value, TemplateError> {
        match value {
            Value::String(text) => self.value(path, text),
            Value::Array(items) => {
                let items = items.iter().enumerate();
                items.map(|(index, item)| self.any(&format!("{path}[{index}]"), item)).collect()
            }
            Value::Object(values) => {
                let values = values.iter();
                values
                    .map(|(name, value)| Ok((name.clone(), self.any(&format!("{path}.{name}"), value)?)))
                    .collect::<Result<Values, _>>()
                    .map(Value::Object)
            }
            _ => Ok(value.clone()),
        }
    }

    fn text(&self, path: &str, text: &str) -> Result<Value, TemplateError> {
        let error = |line, column, message| {
            let path = path.to_owned();
            TemplateError {
                path,
                line,
                column,
                message,
                lacks_outputs_of: None,
                lacks_surroundings: false,
                unknown: None,
            }
        };
        let template = Template::compile(text).map_err(|refused| {
            let (line, column) = refused.pos().unwrap_or((1, 1));
            error(line, column, refused.reason().to_string())
        })?;
        if let Some(value) = self.whole(&template) {
            return Ok(value.clone());
        }
        if let Some(component) = output_references::unknown_component(&template, self.facts.data()) {
            let message = format!("the outputs of {component} are not known here");
            return Err(TemplateError { lacks_outputs_of: Some(component), ..error(1, 1, message) });
        }
        let mut rendering = RenderContext::new(None);
        let mut rendered = handlebars::StringOutput::new();
        handlebars::Renderable::render(
            &template,
            &self.handlebars,
            &self.facts,
            &mut rendering,
            &mut rendered,
        )
        .map_err(|refused| {
            let (line, column) = (refused.line_no.unwrap_or(1), refused.column_no.unwrap_or(1));
            let lacks_outputs_of = output_references::lacking(&template, self.facts.data());
            let lacks_surroundings = lacks_surroundings(&refused);
            TemplateError {
                lacks_outputs_of,
                lacks_surroundings,
                unknown: unknown_name(&refused).map(Box::new),
                ..error(line, column, explain(&refused))
            }
        })?;
        rendered.into_string().map(Value::String).map_err(|broken| error(1, 1, broken.to_string()))
    }

    /// The value of a template that consists of a single name.
    fn whole(&self, template: &Template) -> Option<&Value> {
        let [TemplateElement::Expression(expression)] = template.elements.as_slice() else { return None };
        let Parameter::Path(Path::Relative((segments, _))) = &expression.name else { return None };
        if !expression.params.is_empty() || !expression.hash.is_empty() {
            return None;
        }
        segments.iter().try_fold(self.facts.data(), |value, segment| match segment {
            PathSeg::Named(name) => value.get(name),
            _ => None,
        })
    }
}

impl Facts<'_> {
    fn data(&self) -> Value {
        let mut git = json!({ "sha": self.commit });
        if let Some(branch) = self.branch {
            git["branch"] = branch.into();
        }
        let images = self.images.iter().map(|(name, image)| {
            let mut described = json!({ "image": image });
            if let Some((_, digest)) = image.rsplit_once('@') {
                described["digest"] = digest.into();
            }
            (name.clone(), described)
        });
        let outputs = self.outputs.iter().map(|(name, outputs)| (name.to_string(), outputs.clone().into()));
        json!({
            "git": git,
            "target": { "name": self.target },
            "context": self.context,
            "nixpack": images.collect::<Values>(),
            "outputs": outputs.collect::<Values>(),
        })
    }
}

/// Explains a render error in terms of the template's text.
fn explain(error: &RenderError) -> String {
    match error.reason() {
        RenderErrorReason::MissingVariable(Some(name)) => format!("{name} is not known here"),
        RenderErrorReason::NestedError(error) => error.to_string(),
        RenderErrorReason::HelperNotFound(name) => format!("there is no helper called {name}"),
        reason => reason.to_string(),
    }
}

/// The unknown name, if that is the error.
fn unknown_name(error: &RenderError) -> Option<UnknownName> {
    match error.reason() {
        RenderErrorReason::MissingVariable(name) => name.clone().map(UnknownName::Value),
        RenderErrorReason::HelperNotFound(name) => Some(UnknownName::Helper(name.clone())),
        RenderErrorReason::NestedError(error) => {
            error.downcast_ref().map(|UnsetVariable(name)| UnknownName::Environment(name.clone()))
        }
        _ => None,
    }
}

/// Whether the rollout's job may know the missing value.
fn lacks_surroundings(error: &RenderError) -> bool {
    match error.reason() {
        RenderErrorReason::MissingVariable(Some(name)) => name == "git.branch",
        RenderErrorReason::NestedError(error) => error.is::<UnsetVariable>(),
        _ => false,
    }
}

/// An environment variable that is not set, or that templates may not read.
#[derive(Debug, thiserror::Error)]
#[error("the environment variable {0} is not set, or templates may not read it")]
struct UnsetVariable(String);

/// `{{ env "NAME" }}`: one of the allowed variables.
struct Env(BTreeMap<String, String>);

impl HelperDef for Env {
    fn call_inner<'reg: 'rc, 'rc>(
        &self,
        helper: &Helper<'rc>,
        _: &'reg Handlebars<'reg>,
        _: &'rc Context,
        _: &mut RenderContext<'reg, 'rc>,
    ) -> Result<ScopedJson<'rc>, RenderError> {
        let name = helper.param(0).and_then(|name| name.value().as_str()).ok_or_else(|| {
            RenderErrorReason::Other("env needs the name of a variable: {{ env \"NAME\" }}".to_owned())
        })?;
        let value = self
            .0
            .get(name)
            .ok_or_else(|| RenderErrorReason::NestedError(Box::new(UnsetVariable(name.to_owned()))))?;
        Ok(ScopedJson::Derived(value.as_str().into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(value: &Value) -> Result<Value, TemplateError> {
        let context = json!({"cpu": 256, "zones": ["a", "b"], "owner": "R&D <ops>"});
        let image = "registry.example.com:5000/my-api@sha256:aa".to_owned();
        let outputs = json!({"id": "vpc-1"}).as_object().unwrap().clone();
        let renderer = Renderer::new(Facts {
            commit: &"1".repeat(40).parse().unwrap(),
            branch: Some("main"),
            target: &"dev".parse().unwrap(),
            context: context.as_object().unwrap(),
            images: &[("my-api".to_owned(), image.clone()), ("ecs/api".to_owned(), image)].into(),
            outputs: &[("vpc".parse().unwrap(), outputs)].into(),
            environment: &[("REGION".to_owned(), "eu-1".to_owned())].into(),
        });
        renderer.render(value.as_object().unwrap()).map(Value::Object)
    }

    #[test]
    fn everything_that_there_is_can_be_named() {
        let templates = json!({
            "plain": "no template",
            "text": "{{ git.branch }}-{{ target.name }}-{{context.cpu}}",
            "sha": "{{ git.sha }}",
            "images": ["{{ nixpack.my-api.image }}", {"digest": "{{ nixpack.[ecs/api].digest }}"}],
            "output": "{{ outputs.vpc.id }}",
            "region": "{{ env \"REGION\" }}",
            "unescaped": "<{{ context.owner }}>",
        });
        let rendered = json!({
            "plain": "no template",
            "text": "main-dev-256",
            "sha": "1".repeat(40),
            "images": ["registry.example.com:5000/my-api@sha256:aa", {"digest": "sha256:aa"}],
            "output": "vpc-1",
            "region": "eu-1",
            "unescaped": "<R&D <ops>>",
        });
        assert_eq!(render(&templates), Ok(rendered));
    }

    #[test]
    fn a_value_that_is_one_name_keeps_its_type() {
        let templates =
            json!({"cpu": "{{ context.cpu }}", "zones": "{{context.zones}}", "text": "{{ context.cpu }} "});
        let rendered = json!({"cpu": 256, "zones": ["a", "b"], "text": "256 "});
        assert_eq!(render(&templates), Ok(rendered));
    }

    #[test]
    fn outputs_that_are_not_known_name_their_component() {
        let lacks = |template: &str| {
            let error = render(&json!({ "value": template })).unwrap_err();
            error.lacks_outputs_of.map(|component| component.to_string())
        };
        assert_eq!(lacks("{{ outputs.database.url }}").unwrap(), "database");
        assert_eq!(lacks("jdbc:{{ outputs.[ecs/db].url }}/{{ context.cpu }}").unwrap(), "ecs/db");
        assert_eq!(lacks("{{#if outputs.database.url}}x{{/if}}").unwrap(), "database");
        assert_eq!(lacks("{{#if context.cpu}}{{ outputs.database.url }}{{/if}}").unwrap(), "database");
        assert_eq!(lacks("{{ outputs.vpc.cidr }}").unwrap(), "vpc");
        assert_eq!(lacks("{{ outputs.vpc.id }} {{ context.memory }}"), None);
    }

    #[test]
    fn errors_say_which_value_and_where_in_its_template() {
        let error =
            render(&json!({"image": {"tags": ["x", "a\n  {{ nixpack.worker.digest }}"]}})).unwrap_err();
        assert_eq!((error.path.as_str(), error.line), ("image.tags[1]", 2));
        assert!(error.message.contains("nixpack.worker.digest is not known here"), "{error}");
        let error = render(&json!({"cpu": "{{ context.memory }}"})).unwrap_err();
        assert_eq!(
            error.to_string(),
            "cpu: line 1, column 1 of the template: context.memory is not known here"
        );
        assert!(render(&json!({"broken": "{{ context.cpu"})).is_err());
        let error = render(&json!({"secret": "{{ env \"AWS_SECRET\" }}"})).unwrap_err();
        assert!(error.message.contains("AWS_SECRET is not set, or templates may not read it"), "{error}");
        assert!(error.lacks_surroundings);
    }
}
