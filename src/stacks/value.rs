//! Configuration values: the JSON data model with cheap clones, plus unevaluated functions and
//! templates.

use std::fmt;
use std::sync::Arc;

use indexmap::IndexMap;
use serde_json::Value as Json;

use super::list_merge::ListMergeStrategy;

/// A mapping, in the order of the file.
pub(super) type Map = IndexMap<Arc<str>, Value>;

/// A configuration value. Cloning one is cheap: lists and maps are shared, copied on write.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Null,
    Bool(bool),
    Number(serde_json::Number),
    String(Arc<str>),
    List(Arc<Vec<Value>>),
    Map(Arc<Map>),
    /// A YAML function or a template: evaluated only when a selected component needs it.
    Call(Arc<Call>),
}

/// An unevaluated value and its position.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Call {
    pub(super) function: Function,
    /// The tagged node as if it had no tag, or the text of the template.
    pub(super) argument: Value,
    pub(super) at: Location,
    /// The file's own data that the call may need: its import's context and its `locals`.
    pub(super) context: Option<Arc<Map>>,
}

/// The evaluator of a [`Call`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Function {
    /// A YAML tag, with its exclamation mark: `!env`.
    Tag(Box<str>),
    /// A text that contains `{{ … }}`.
    Template,
    /// Layers of a value, some of which are functions: they are merged after their evaluation.
    Merged(ListMergeStrategy),
}

/// A place in a file of the repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// Relative to the repository.
    pub file: Arc<str>,
    /// Counted from 1.
    pub line: usize,
    /// Counted from 1.
    pub column: usize,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

impl Value {
    /// A text.
    pub(super) fn text(text: &str) -> Self {
        Self::String(Arc::from(text))
    }

    /// A mapping.
    pub(super) fn map(map: Map) -> Self {
        Self::Map(Arc::new(map))
    }

    /// The mapping, where this is one.
    pub(super) fn as_map(&self) -> Option<&Map> {
        match self {
            Self::Map(map) => Some(map),
            _ => None,
        }
    }

    /// The list, where this is one.
    pub(super) fn as_list(&self) -> Option<&[Value]> {
        match self {
            Self::List(list) => Some(list),
            _ => None,
        }
    }

    /// The text, where this is one.
    pub(super) fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// The type of a value, for messages.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a truth value",
            Self::Number(_) => "a number",
            Self::String(_) => "a text",
            Self::List(_) => "a list",
            Self::Map(_) => "a map",
            Self::Call(call) => match call.function {
                Function::Tag(_) | Function::Merged(_) => "a YAML function",
                Function::Template => "a template",
            },
        }
    }

    /// The unevaluated value, with functions and templates as written.
    pub(super) fn to_json(&self) -> Json {
        match self {
            Self::Null => Json::Null,
            Self::Bool(value) => Json::Bool(*value),
            Self::Number(number) => Json::Number(number.clone()),
            Self::String(text) => Json::String(text.to_string()),
            Self::List(list) => Json::Array(list.iter().map(Self::to_json).collect()),
            Self::Map(map) => Json::Object(map_to_json(map)),
            Self::Call(call) => call.to_json(),
        }
    }

    /// A value from JSON; texts are taken literally.
    pub(super) fn from_json(json: &Json) -> Self {
        match json {
            Json::Null => Self::Null,
            Json::Bool(value) => Self::Bool(*value),
            Json::Number(number) => Self::Number(number.clone()),
            Json::String(text) => Self::text(text),
            Json::Array(items) => Self::List(Arc::new(items.iter().map(Self::from_json).collect())),
            Json::Object(map) => Self::map(map_from_json(map)),
        }
    }
}

impl Call {
    /// Whether this is the YAML function of this name, given with its exclamation mark.
    pub(super) fn is_tag(&self, tag: &str) -> bool {
        matches!(&self.function, Function::Tag(name) if **name == *tag)
    }

    /// The call as written.
    pub(super) fn to_json(&self) -> Json {
        let argument = self.argument.to_json();
        match (&self.function, &argument) {
            (Function::Template, _) => argument,
            (Function::Merged(_), _) => {
                self.argument.as_list().and_then(<[_]>::last).map_or(Json::Null, Value::to_json)
            }
            (Function::Tag(tag), _) if **tag == *"!append" || **tag == *"!literal" => argument,
            (Function::Tag(tag), Json::String(text)) if text.is_empty() => Json::String(tag.to_string()),
            (Function::Tag(tag), Json::String(text)) => Json::String(format!("{tag} {text}")),
            (Function::Tag(tag), _) => Json::String(format!("{tag} {argument}")),
        }
    }
}

/// An unevaluated mapping as JSON.
#[must_use]
pub(super) fn map_to_json(map: &Map) -> serde_json::Map<String, Json> {
    map.iter().map(|(key, value)| (key.to_string(), value.to_json())).collect()
}

/// A mapping from JSON.
#[must_use]
pub(super) fn map_from_json(map: &serde_json::Map<String, Json>) -> Map {
    map.iter().map(|(key, value)| (Arc::from(key.as_str()), Value::from_json(value))).collect()
}
