//! Checks a tree against a rule: unknown keys, wrong types, missing keys.

use serde_json::Value as Json;

use super::super::nearest;
use super::super::problem::Problems;
use super::super::span::Span;
use super::super::yaml::{Entry, Node, Value};
use super::{Meaning, Others, Record, Rule, Shape};
use crate::deployment::nearest::nearest;

/// The kinds of components that Atmos runs, that stacks describe, and that are not rolled out.
const DESCRIBED_KINDS: [&str; 4] = ["packer", "ansible", "helm", "kubernetes"];

/// Checks a file's tree and returns its valid parts as JSON that the rule's types deserialise from.
///
/// Invalid parts are reported and left out, so that the rest can be checked as well; `None` where
/// the file as a whole has the wrong type.
pub(in crate::config) fn check(rule: &Rule, root: &Node, problems: &mut Problems<'_>) -> Option<Json> {
    let place = Place { what: "the file", owner: Span::START };
    Checker { problems }.value(rule, root, place)
}

/// The context of a value, for messages.
#[derive(Clone, Copy)]
struct Place<'a> {
    /// The key, in backquotes if it is one.
    what: &'a str,
    /// The key's span.
    owner: Span,
}

struct Checker<'p, 'f> {
    problems: &'p mut Problems<'f>,
}

impl Checker<'_, '_> {
    fn value(&mut self, rule: &Rule, node: &Node, place: Place<'_>) -> Option<Json> {
        if let Some(tag) = &node.tag {
            self.problems.error(node.span, format!("the tag `{tag}` is not supported here"), None);
            return None;
        }
        match (rule.shape(), &node.value) {
            (_, Value::Null) if rule.meaning().nullable => Some(Json::Null),
            (Shape::Anything, _) => Some(self.anything(rule, node, place)),
            (Shape::Text | Shape::Scalar, Value::Text(text)) => Some(Json::String(text.clone())),
            (Shape::Boolean | Shape::Scalar, Value::Boolean(boolean)) => Some(Json::Bool(*boolean)),
            (Shape::Count { at_least }, Value::Number(number))
                if number.as_u64().is_some_and(|count| (*at_least..=u32::MAX.into()).contains(&count)) =>
            {
                Some(Json::Number(number.clone()))
            }
            (Shape::Scalar, Value::Number(number)) => Some(Json::Number(number.clone())),
            (Shape::Choice(words), Value::Text(text)) => {
                if words.contains(text) {
                    return Some(Json::String(text.clone()));
                }
                let hint = nearest(text, words.iter().map(String::as_str))
                    .map(|word| format!("did you mean `{word}`?"));
                self.problems.error(
                    node.span,
                    format!("{} must be {}, not `{text}`", place.what, rule.shape().name()),
                    hint,
                );
                None
            }
            (Shape::List { item, at_least }, Value::List(items)) => {
                if (items.len() as u64) < *at_least {
                    self.problems.error(node.span, format!("{} must not be empty", place.what), None);
                    return None;
                }
                let what = format!("an item of {}", place.what);
                // Every item is checked; a list with an invalid item is left out as a whole.
                let items: Vec<Option<Json>> = items
                    .iter()
                    .map(|node| self.value(item, node, Place { what: &what, owner: node.span }))
                    .collect();
                items.into_iter().collect::<Option<Vec<Json>>>().map(Json::Array)
            }
            (Shape::Map(value), Value::Mapping(entries)) => {
                let mut map = serde_json::Map::new();
                for entry in entries {
                    self.entry(value, entry, &mut map);
                }
                Some(Json::Object(map))
            }
            (Shape::Record(record), Value::Mapping(entries)) => Some(self.record(record, entries, place)),
            // A section with only optional keys may be left empty, even if the section is required.
            (Shape::Record(record), Value::Null) => Some(self.record(record, &[], place)),
            _ => {
                self.wrong_type(rule, node, place);
                None
            }
        }
    }

    fn anything(&mut self, rule: &Rule, node: &Node, place: Place<'_>) -> Json {
        match &node.value {
            Value::Null => Json::Null,
            Value::Boolean(boolean) => Json::Bool(*boolean),
            Value::Number(number) => Json::Number(number.clone()),
            Value::Text(text) => Json::String(self.template(text, node.span)),
            Value::List(items) => {
                Json::Array(items.iter().filter_map(|item| self.value(rule, item, place)).collect())
            }
            Value::Mapping(entries) => {
                let mut map = serde_json::Map::new();
                for entry in entries {
                    self.entry(rule, entry, &mut map);
                }
                Json::Object(map)
            }
        }
    }

    /// A value that may contain `{{ … }}`: each must be closed. Everything else is checked when it
    /// is rendered.
    fn template(&mut self, text: &str, span: Span) -> String {
        let is_open = text.rfind("{{").is_some_and(|start| !text[start..].contains("}}"));
        if is_open {
            let hint = "write `\\{{` for the two characters themselves".to_owned();
            self.problems.error(span, "the template is not closed: `{{` without `}}`", Some(hint));
        }
        text.to_owned()
    }

    fn entry(&mut self, rule: &Rule, entry: &Entry, map: &mut serde_json::Map<String, Json>) {
        let what = format!("`{}`", entry.key.text);
        if let Some(value) = self.value(rule, &entry.node, Place { what: &what, owner: entry.key.span }) {
            map.insert(entry.key.text.clone(), value);
        }
    }

    fn record(&mut self, record: &Record, entries: &[Entry], place: Place<'_>) -> Json {
        let mut map = serde_json::Map::new();
        for entry in entries {
            let key = entry.key.text.as_str();
            match record.fields.iter().find(|field| field.name == key) {
                Some(field) => self.entry(&field.rule, entry, &mut map),
                None => self.other(record, entry, &mut map),
            }
        }
        for field in record.fields.iter().filter(|field| field.required) {
            if !entries.iter().any(|entry| entry.key.text == field.name) {
                self.problems.error(place.owner, format!("{} has no `{}`", place.what, field.name), None);
            }
        }
        Json::Object(map)
    }

    /// Handles a key that the record does not declare.
    fn other(&mut self, record: &Record, entry: &Entry, map: &mut serde_json::Map<String, Json>) {
        let key = entry.key.text.as_str();
        let known = record.fields.iter().map(|field| field.name);
        match &record.others {
            Others::Ignore => {}
            Others::Keep(rule) if matches!(rule.shape(), Shape::Anything) => self.entry(rule, entry, map),
            // Undeclared keys are shorthand; a typo in a declared key must not pass as one.
            Others::Keep(rule)
                if nearest(key, known.clone()).is_none()
                    && matches!(entry.node.value, Value::Text(_) | Value::Number(_) | Value::Boolean(_)) =>
            {
                self.entry(rule, entry, map);
            }
            // The record that knows `nixpack` is that of the kinds of components.
            Others::Refuse
                if DESCRIBED_KINDS.contains(&key) && known.clone().any(|name| name == "nixpack") =>
            {
                let hint = format!(
                    "stacks describe them; to run one, write a `command` component whose \
                     settings.command.apply calls {key}"
                );
                let message = format!("unknown key `{key}`: such components are not rolled out");
                self.problems.error(entry.key.span, message, Some(hint));
            }
            Others::Keep(_) | Others::Refuse => {
                let hint = nearest::hint(key, "known keys", known);
                self.problems.error(entry.key.span, format!("unknown key `{key}`"), Some(hint));
            }
        }
    }

    fn wrong_type(&mut self, rule: &Rule, node: &Node, place: Place<'_>) {
        let source = self.problems.source(node.span);
        let Meaning { shape, example, .. } = rule.meaning();
        let hint = match (shape, &node.value) {
            _ if example.is_some() => example.as_ref().map(|example| format!("for example `{example}`")),
            (Shape::Text, Value::Number(_) | Value::Boolean(_)) => {
                Some(format!("put it in quotes: \"{source}\""))
            }
            (Shape::List { .. }, Value::Text(_) | Value::Number(_) | Value::Boolean(_)) => {
                Some(format!("write it as a list: [{source}]"))
            }
            (Shape::Boolean, Value::Text(text)) => match text.to_ascii_lowercase().as_str() {
                "yes" | "on" | "y" => Some("write `true`".to_owned()),
                "no" | "off" | "n" => Some("write `false`".to_owned()),
                _ => None,
            },
            _ => None,
        };
        let is = match node.value {
            Value::Null => "it is empty".to_owned(),
            _ => format!("this is {}", node.type_name()),
        };
        // A block mapping or an empty value has no useful span; its key has.
        let span = match node.value {
            Value::Mapping(_) | Value::Null => place.owner,
            _ => node.span,
        };
        self.problems.error(span, format!("{} must be {}, but {is}", place.what, shape.name()), hint);
    }
}
