//! Evaluates the templates and YAML functions in a component's sections.

mod frame;
mod scope;
#[cfg(test)]
mod tests;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use serde_json::Value as Json;

use super::error::StackError;
use super::failures::Failures;
use super::files::StackFiles;
use super::include::{self, Including};
use super::limits::Included;
use super::merge::{APPEND, merge_json};
use super::settings::StackSettings;
use super::template::{self, COMPONENT, Delimiters, Failure, NO_VALUE, Template};
use super::value::{Call, Function, Location, Map, Value};
use super::world::Functions;

pub(super) use frame::Frame;
use scope::Visible;

/// Selects which templates and functions are evaluated; the others are shown as written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Processing {
    pub templates: bool,
    pub functions: bool,
    /// Whether a template whose value is missing, or that refers to itself, is refused, so that no
    /// accidental value is deployed.
    ///
    /// Otherwise it is shown as the reference implementation shows it: `<no value>`, or as written.
    pub strict: bool,
}

impl Processing {
    /// The processing of components that are deployed.
    pub const STRICT: Self = Self { templates: true, functions: true, strict: true };
    /// The processing of components that are shown.
    pub const DESCRIBE: Self = Self { strict: false, ..Self::STRICT };
}

/// The maximum length of a chain of templates that refer to templates.
const MAX_DEPTH: usize = 64;
/// The maximum number of templates and functions that one component may evaluate.
const MAX_STEPS: usize = 100_000;

/// The number of steps that assembling another component counts as.
const STEPS_OF_COMPONENT: usize = 20;

/// The maximum length of a chain of components that need each other.
const MAX_COMPONENTS: usize = 16;

/// Evaluates the sections of one component.
pub(super) struct Evaluator<'e> {
    pub(super) functions: &'e dyn Functions,
    files: &'e dyn StackFiles,
    settings: &'e StackSettings,
    pub(super) processing: Processing,
    /// The number of passes over a template; with 1, its output is not evaluated again.
    evaluations: usize,
    delimiters: Delimiters,
    /// The variables that `atmos.yaml` sets for templates.
    pub(super) template_env: &'e BTreeMap<String, String>,
    /// The data that templates see: the component's unevaluated sections.
    pub(super) data: &'e Map,
    /// The default stack of functions that name none; empty while the stack's name is being
    /// determined.
    pub(super) stack: &'e str,
    /// The steps taken so far, shared with the other components that this one refers to.
    steps: Rc<Cell<usize>>,
    /// The cost of `!include` so far, shared in the same way.
    included: Rc<RefCell<Included>>,
    /// The functions that are shown as they are written, without `!`.
    skipped: &'e [String],
    /// Looks up the other components of the same stack that templates may refer to.
    others: Option<&'e dyn Others>,
    /// The current depth of components that need each other.
    depth: usize,
    /// Collects failures, if set; a value that fails is then shown as written.
    failures: Option<&'e Failures>,
}

/// The other components of a stack, assembled but not evaluated.
pub(super) trait Others {
    /// A component's sections; `None` where this stack has none of that name.
    fn sections(&self, component: &str, stack: &str) -> Result<Option<Map>, StackError>;
}

impl<'e> Evaluator<'e> {
    pub(super) fn new(
        functions: &'e dyn Functions,
        files: &'e dyn StackFiles,
        settings: &'e StackSettings,
        processing: Processing,
        data: &'e Map,
        stack: &'e str,
    ) -> Self {
        let processing = Processing { templates: processing.templates && settings.templates, ..processing };
        let evaluations = settings.template_evaluations;
        let template_env = &settings.template_env;
        let (left, right) = settings.template_delimiters.clone();
        let delimiters = Delimiters { left, right };
        Self {
            delimiters,
            functions,
            files,
            settings,
            processing,
            evaluations,
            template_env,
            data,
            stack,
            steps: Rc::default(),
            included: Rc::default(),
            others: None,
            depth: 0,
            skipped: &[],
            failures: None,
        }
    }

    /// Shows calls of these functions as they are written.
    pub(super) fn skipping(mut self, functions: &'e [String]) -> Self {
        self.skipped = functions;
        self
    }

    /// Evaluates with other components that templates may refer to.
    pub(super) fn among(self, others: &'e dyn Others) -> Self {
        Self { others: Some(others), ..self }
    }

    /// Collects failures instead of returning the first, and shows such values as written.
    pub(super) fn collecting(self, failures: Option<&'e Failures>) -> Self {
        Self { failures, ..self }
    }

    /// Evaluates a map; unset values are removed.
    pub(super) fn map(&self, map: &Map) -> Result<serde_json::Map<String, Json>, StackError> {
        self.map_in(map, None)
    }

    /// Evaluates a value; `None` where it is unset.
    pub(super) fn value(&self, value: &Value) -> Result<Option<Json>, StackError> {
        self.value_in(value, None)
    }

    /// Evaluates the templates in a name, regardless of the processing; fails if one of the values
    /// is missing.
    pub(super) fn name(&self, text: &str, at: &Location) -> Result<String, StackError> {
        let processing = Processing { strict: false, ..self.processing };
        let delimiters = Delimiters::default();
        let (steps, included) = (Rc::default(), Rc::clone(&self.included));
        let lenient = Evaluator { processing, delimiters, steps, included, ..*self };
        let call =
            Call { function: Function::Template, argument: Value::Null, at: at.clone(), context: None };
        let name = lenient.fill_in(text, &Frame::inside(None, &call))?;
        if name.contains(NO_VALUE) {
            return Err(refusal(&call, format!("the template `{text}` needs a value that is not there")));
        }
        Ok(name)
    }

    fn map_in(
        &self,
        map: &Map,
        outer: Option<&Frame<'_>>,
    ) -> Result<serde_json::Map<String, Json>, StackError> {
        let mut computed = serde_json::Map::with_capacity(map.len());
        for (key, value) in map {
            if let Some(value) = self.below(key, outer, || self.value_in(value, outer))? {
                computed.insert(self.key(key, outer)?, value);
            }
        }
        Ok(computed)
    }

    /// Evaluates the templates in a key.
    fn key(&self, key: &str, outer: Option<&Frame<'_>>) -> Result<String, StackError> {
        if !self.processing.templates || !key.contains(&self.delimiters.left) {
            return Ok(key.to_owned());
        }
        let file = self.data.get("atmos_stack_file").and_then(Value::as_str).unwrap_or_default();
        let whole_file = || Location { file: Arc::from(file), line: 1, column: 1 };
        let at = outer.map_or_else(whole_file, |outer| outer.call.at.clone());
        let call = Call { function: Function::Template, argument: Value::text(key), at, context: None };
        match (self.fill_in(key, &Frame::inside(outer, &call)), self.failures) {
            (Err(error), Some(failures)) if outer.is_none() => {
                failures.add(Some(key), &error);
                Ok(key.to_owned())
            }
            (key, _) => key,
        }
    }

    /// Evaluates the value below a key; where failures are collected, the key is part of their
    /// path.
    fn below<T>(&self, key: &str, outer: Option<&Frame<'_>>, compute: impl FnOnce() -> T) -> T {
        match self.failures {
            Some(failures) if outer.is_none() => failures.below(key, compute),
            _ => compute(),
        }
    }

    pub(super) fn value_in(
        &self,
        value: &Value,
        outer: Option<&Frame<'_>>,
    ) -> Result<Option<Json>, StackError> {
        Ok(Some(match value {
            Value::Map(map) => Json::Object(self.map_in(map, outer)?),
            Value::List(items) => {
                let items = items.iter().enumerate().filter_map(|(index, item)| {
                    self.below(&index.to_string(), outer, || self.value_in(item, outer)).transpose()
                });
                Json::Array(items.collect::<Result<_, _>>()?)
            }
            Value::Call(call) => {
                return match (self.call(call, outer), self.failures) {
                    (Err(error), Some(failures)) if outer.is_none() => {
                        failures.add(None, &error);
                        Ok(Some(call.to_json()))
                    }
                    (computed, _) => computed,
                };
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.to_json(),
        }))
    }

    fn call(&self, call: &Call, outer: Option<&Frame<'_>>) -> Result<Option<Json>, StackError> {
        self.steps.set(self.steps.get() + 1);
        let frame = Frame::inside(outer, call);
        let is_circle = Frame::is_within(outer, call);
        if (is_circle && self.processing.strict) || frame.depth > MAX_DEPTH || self.steps.get() > MAX_STEPS {
            return Err(refusal(
                call,
                "the templates refer to each other in a circle, or too often".to_owned(),
            ));
        }
        if is_circle {
            return Ok(Some(call.to_json()));
        }
        match &call.function {
            Function::Template if self.processing.templates => {
                let mut text = self.fill_in(call.argument.as_str().unwrap_or_default(), &frame)?;
                for _ in 1..self.evaluations {
                    text = self.fill_in(&text, &frame)?;
                }
                Ok(Some(Json::String(text)))
            }
            Function::Template => Ok(Some(call.to_json())),
            Function::Merged(lists) => {
                let mut merged = None;
                for layer in call.argument.as_list().unwrap_or_default() {
                    merged = match (merged, self.value_in(layer, outer)?) {
                        (Some(earlier), Some(later)) => Some(merge_json(earlier, later, *lists)),
                        (earlier, later) => later.or(earlier),
                    };
                }
                Ok(merged)
            }
            Function::Tag(tag) => match &**tag {
                APPEND => self.value_in(&call.argument, outer),
                "!literal" => Ok(Some(call.to_json())),
                tag if !self.processing.functions || self.is_skipped(tag) => Ok(Some(call.to_json())),
                "!unset" => Ok(None),
                _ if include::is_include(call) => {
                    if Frame::repeats(outer, call) {
                        let what = "`!include` goes in a circle: the file includes itself".to_owned();
                        return Err(refusal(call, what));
                    }
                    let mut spent = self.included.borrow().clone();
                    let included = Including::new(self.files, self.settings, &mut spent).include(call);
                    self.included.replace(spent);
                    let included = included?;
                    self.value_in(&included, Some(&frame))
                }
                tag => self.function(tag, &frame).map(Some),
            },
        }
    }

    fn is_skipped(&self, tag: &str) -> bool {
        tag.strip_prefix('!').is_some_and(|name| self.skipped.iter().any(|skipped| skipped == name))
    }

    pub(super) fn fill_in(&self, text: &str, frame: &Frame<'_>) -> Result<String, StackError> {
        let rendered = Template::read(text, &self.delimiters).map_err(Failure::from).and_then(|template| {
            // The nesting inside of a template counts like nested templates.
            let frame = &Frame { depth: frame.depth + template.nesting(), ..*frame };
            template.render(&Visible { evaluator: self, frame })
        });
        rendered.map_err(|failure| match failure {
            Failure::Refused(refusal) => StackError::Unsupported {
                what: refusal.what,
                at: within(&frame.call.at, text, refusal.offset),
            },
            Failure::Value(error) => *error,
            Failure::Later | Failure::Missing => {
                refusal(frame.call, format!("the template `{text}` needs a value that is not there"))
            }
        })
    }

    /// The computed value at a field path, through functions and templates on the way.
    fn field(&self, path: &[String], frame: &Frame<'_>) -> Result<Option<Json>, StackError> {
        if let [first, component, stack, rest @ ..] = path
            && first == COMPONENT
        {
            return self.of_component(component, stack, rest, frame);
        }
        if let (Some(context), Some(first)) = (frame.context, path.first())
            && let Some(value) = context.get(first.as_str())
        {
            let is_here = first != "locals"
                || path
                    .get(1)
                    .is_none_or(|name| value.as_map().is_some_and(|map| map.contains_key(name.as_str())));
            if is_here {
                return self.field_of(context, path, frame);
            }
        }
        self.field_of(self.data, path, frame)
    }

    /// A value of another component, or one of its outputs.
    fn of_component(
        &self,
        component: &str,
        stack: &str,
        path: &[String],
        frame: &Frame<'_>,
    ) -> Result<Option<Json>, StackError> {
        let refuse =
            |why: &str| Err(refusal(frame.call, format!("`{COMPONENT}` of {component} in {stack}: {why}")));
        match path {
            [outputs] if outputs == "outputs" => return refuse("its outputs are only known by their names"),
            [outputs, name, rest @ ..] if outputs == "outputs" => {
                let value = self.component_output(component, stack, name, frame)?;
                return Ok(rest.iter().try_fold(value, |value, name| match value {
                    Json::Object(mut map) => map.remove(name),
                    _ => None,
                }));
            }
            _ => {}
        }
        self.steps.set(self.steps.get() + STEPS_OF_COMPONENT);
        if self.depth >= MAX_COMPONENTS || self.steps.get() > MAX_STEPS {
            return refuse("components need each other in a circle, or too many of them");
        }
        let Some(others) = self.others else { return refuse("other components are not known here") };
        let Some(sections) = others.sections(component, stack)? else {
            return refuse("only components of the same stack are supported, and it has none of that name");
        };
        let (delimiters, steps) = (self.delimiters.clone(), Rc::clone(&self.steps));
        let included = Rc::clone(&self.included);
        let (data, depth) = (&sections, self.depth + 1);
        let other = Evaluator { delimiters, data, steps, included, depth, ..*self };
        other.field_of(data, path, &Frame { context: None, ..Frame::inside(Some(frame), frame.call) })
    }

    pub(super) fn field_of(
        &self,
        data: &Map,
        path: &[String],
        frame: &Frame<'_>,
    ) -> Result<Option<Json>, StackError> {
        if path.is_empty() {
            return self.map_in(data, Some(frame)).map(|map| Some(Json::Object(map)));
        }
        let mut map = data;
        for (index, name) in path.iter().enumerate() {
            let rest = &path[index + 1..];
            match map.get(name.as_str()) {
                None => return Ok(None),
                Some(Value::Map(inner)) if !rest.is_empty() => map = inner,
                Some(value) => {
                    let Some(computed) = self.value_in(value, Some(frame))? else { return Ok(None) };
                    return Ok(rest.iter().try_fold(computed, |value, name| match value {
                        Json::Object(mut map) => map.remove(name),
                        _ => None,
                    }));
                }
            }
        }
        Ok(None)
    }
}

pub(super) fn refusal(call: &Call, what: String) -> StackError {
    StackError::Unsupported { what, at: call.at.clone() }
}

/// A position inside a text that starts at a location; exact where the text is on one line.
fn within(at: &Location, text: &str, offset: usize) -> Location {
    let inner = template::locate(text, offset, &at.file);
    if inner.line == 1 {
        Location { column: at.column + inner.column - 1, ..at.clone() }
    } else {
        Location { line: at.line + inner.line - 1, column: inner.column, ..at.clone() }
    }
}
