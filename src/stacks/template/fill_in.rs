//! Evaluates templates with the data that a file has: its import's context and its locals.
//! Everything else is deferred to the component.

use std::sync::Arc;

use serde_json::Value as Json;

use super::super::value::{Call, Function, Map, Value};
use super::lex::shortened;
use super::{
    COMPONENT, Delimiters, Failure, NO_VALUE, Refusal, Scope, look_up, looks_like_template, parse,
    plain_field, run,
};

/// The data that a file has.
pub(in super::super) struct Known<'d> {
    /// The values, by their paths.
    pub(in super::super) data: &'d Map,
    /// The data that deferred templates see before the component's own sections.
    pub(in super::super) kept: Option<Arc<Map>>,
    /// Whether a value that the data lacks is missing for good, rather than deferred.
    pub(in super::super) is_all: bool,
    /// Whether a template that needs more stays in its text as written.
    pub(in super::super) keeps_what_waits: bool,
}

impl Scope for Known<'_> {
    fn value(&self, path: &[String]) -> Result<Option<Json>, Failure> {
        if path.is_empty() {
            let mut whole = serde_json::Map::new();
            for (name, value) in self.data {
                whole.insert(name.to_string(), settled(value)?);
            }
            return Ok(Some(Json::Object(whole)));
        }
        if path.first().is_some_and(|first| first == COMPONENT) {
            return Err(Failure::Later);
        }
        // A path through a value that is not evaluated yet may lead to a value later.
        for length in 1..path.len() {
            if let Some(Value::Call(_)) = look_up(self.data, &path[..length]) {
                return Err(Failure::Later);
            }
        }
        look_up(self.data, path).map(settled).transpose()
    }

    fn missing(&self) -> Result<Json, Failure> {
        if self.is_all { Ok(Json::Null) } else { Err(Failure::Missing) }
    }

    fn function(&self, name: &str, _: &[Json]) -> Result<Option<Json>, Failure> {
        match name {
            "env" | "expandenv" | "getenv" | "env.Getenv" => Err(Failure::Later),
            name if name.starts_with("atmos.") => Err(Failure::Later),
            _ => Ok(None),
        }
    }

    fn keeps_what_waits(&self) -> bool {
        self.keeps_what_waits
    }

    fn no_value(&self) -> Option<&str> {
        Some(NO_VALUE)
    }
}

/// The value as JSON, unless it contains calls that are deferred.
fn settled(value: &Value) -> Result<Json, Failure> {
    if holds_calls(value) { Err(Failure::Later) } else { Ok(value.to_json()) }
}

fn holds_calls(value: &Value) -> bool {
    match value {
        Value::Call(call) => !call.is_tag("!literal"),
        Value::List(items) => items.iter().any(holds_calls),
        Value::Map(map) => map.values().any(holds_calls),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// Evaluates the templates below a value. One that needs more than is known is kept unchanged, and
/// sets `waits`.
pub(in super::super) fn fill_in(value: &Value, known: &Known<'_>, waits: &mut bool) -> Value {
    match value {
        Value::Call(call) if call.is_tag("!literal") => value.clone(),
        Value::Call(call) if call.function == Function::Template => {
            let text = call.argument.as_str().unwrap_or_default();
            // A text that is exactly one field takes on the field's value, of any type.
            if let Some(value) = plain_field(text).and_then(|path| look_up(known.data, &path)) {
                return value.clone();
            }
            if let Ok(text) = fill_in_text(text, known) {
                return Value::text(&text);
            }
            *waits = true;
            Value::Call(Arc::new(keeping(call, call.argument.clone(), known)))
        }
        Value::Call(call) => {
            let argument = match &call.argument {
                Value::String(text) if looks_like_template(text) => {
                    let filled = fill_in_text(text, known);
                    *waits |= filled.is_err();
                    filled.map_or_else(|_| call.argument.clone(), |text| Value::text(&text))
                }
                argument => fill_in(argument, known, waits),
            };
            Value::Call(Arc::new(keeping(call, argument, known)))
        }
        Value::List(items) => {
            Value::List(Arc::new(items.iter().map(|item| fill_in(item, known, waits)).collect()))
        }
        Value::Map(map) => Value::map(
            map.iter()
                .map(|(key, value)| {
                    let filled = looks_like_template(key).then(|| fill_in_text(key, known).ok()).flatten();
                    let key = filled.map_or_else(|| Arc::clone(key), Arc::from);
                    (key, fill_in(value, known, waits))
                })
                .collect(),
        ),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

/// A deferred call, with the context that it will see later.
fn keeping(call: &Call, argument: Value, known: &Known<'_>) -> Call {
    Call { argument, context: known.kept.clone().or_else(|| call.context.clone()), ..call.clone() }
}

/// Evaluates the templates in a text.
pub(in super::super) fn fill_in_text(text: &str, known: &Known<'_>) -> Result<String, Refusal> {
    let parsed = parse::parse(text, &Delimiters::default())?;
    run::run(&parsed.nodes, known).map_err(|(failure, at)| {
        let offset = text[..at].rfind("{{").unwrap_or(at);
        let length = text[offset..].find("}}").map_or(text.len() - offset, |end| end + 2);
        let written = shortened(&text[offset..offset + length]);
        let needs = |what: &str| Refusal { what: format!("the template `{written}` needs {what}"), offset };
        match failure {
            Failure::Refused(refusal) => refusal,
            Failure::Missing => needs("what neither the import's `context` nor the file's `locals` set"),
            Failure::Later | Failure::Value(_) => needs("what is only known of a component"),
        }
    })
}

/// The first template below a value that needs a value missing from the data.
pub(in super::super) fn what_is_missing<'v>(value: &'v Value, known: &Known<'_>) -> Option<&'v Call> {
    match value {
        Value::Call(call) if call.function == Function::Template => {
            let text = call.argument.as_str().unwrap_or_default();
            let parsed = parse::parse(text, &Delimiters::default()).ok()?;
            matches!(run::run(&parsed.nodes, known), Err((Failure::Missing, _))).then_some(call)
        }
        Value::List(items) => items.iter().find_map(|item| what_is_missing(item, known)),
        Value::Map(map) => map.values().find_map(|value| what_is_missing(value, known)),
        _ => None,
    }
}
