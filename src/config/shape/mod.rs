//! What a file may hold, read from the JSON schema of its types, so that the published schema and the check can
//! never disagree.

mod check;

use schemars::Schema;
use serde_json::Value as Json;

pub(super) use check::check;

/// What may stand in a place.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Rule {
    shape: Shape,
    /// Whether the place may be left empty.
    nullable: bool,
    /// A value that would do.
    example: Option<String>,
}

#[derive(Debug, Clone, PartialEq)]
enum Shape {
    Anything,
    Text,
    Boolean,
    /// A whole number, from 0.
    Count,
    /// Text, a number or a boolean.
    Scalar,
    /// One of these words.
    Choice(Vec<String>),
    List {
        item: Box<Rule>,
        at_least: u64,
    },
    /// Any keys, each with such a value.
    Map(Box<Rule>),
    Record(Record),
}

/// A mapping whose keys are known.
#[derive(Debug, Clone, PartialEq)]
struct Record {
    fields: Vec<Field>,
    others: Others,
}

#[derive(Debug, Clone, PartialEq)]
struct Field {
    name: String,
    rule: Rule,
    required: bool,
}

/// What becomes of keys that are not known.
#[derive(Debug, Clone, PartialEq)]
enum Others {
    /// They are errors.
    Refuse,
    /// They are none of our business, and dropped.
    Ignore,
    /// They are kept, with such a value.
    Keep(Box<Rule>),
}

impl Rule {
    /// The rule that a schema of our own types states.
    ///
    /// Knows the keywords that those types produce. What it does not know lets everything pass; a test holds that this never happens.
    pub(super) fn from_schema(schema: &Schema) -> Self {
        let root = schema.as_value();
        rule(root, root)
    }
}

/// Of our own types none contains itself, so following references ends.
fn rule(schema: &Json, root: &Json) -> Rule {
    if let Some(reference) = schema["$ref"].as_str() {
        let target = reference.strip_prefix('#').and_then(|pointer| root.pointer(pointer));
        return target.map_or_else(Rule::anything, |target| rule(target, root));
    }
    if let Some([value, nothing]) = schema["anyOf"].as_array().map(Vec::as_slice)
        && nothing["type"] == "null"
    {
        return Rule { nullable: true, ..rule(value, root) };
    }
    let mut types: Vec<&str> = match &schema["type"] {
        Json::String(one) => vec![one],
        Json::Array(several) => several.iter().filter_map(Json::as_str).collect(),
        _ => Vec::new(),
    };
    let nullable = types.contains(&"null");
    types.retain(|name| *name != "null");
    let shape = if let Some(words) = words(schema) {
        Shape::Choice(words)
    } else {
        match types.as_slice() {
            ["string"] => Shape::Text,
            ["boolean"] => Shape::Boolean,
            ["integer"] if schema["minimum"] == 0 => Shape::Count,
            ["string", "number", "boolean"] => Shape::Scalar,
            ["array"] => Shape::List {
                item: Box::new(rule(&schema["items"], root)),
                at_least: schema["minItems"].as_u64().unwrap_or(0),
            },
            ["object"] => object(schema, root),
            _ => Shape::Anything,
        }
    };
    let example = schema["examples"][0].as_str().map(str::to_owned);
    Rule { nullable: nullable || shape == Shape::Anything, shape, example }
}

/// The words of an enumeration.
fn words(schema: &Json) -> Option<Vec<String>> {
    let words: Vec<&Json> = match (schema["enum"].as_array(), schema["oneOf"].as_array()) {
        (Some(words), _) => words.iter().collect(),
        (None, Some(variants)) => variants.iter().map(|variant| &variant["const"]).collect(),
        (None, None) => return None,
    };
    words.into_iter().map(|word| word.as_str().map(str::to_owned)).collect()
}

fn object(schema: &Json, root: &Json) -> Shape {
    let others = match &schema["additionalProperties"] {
        Json::Null => Others::Ignore,
        Json::Bool(false) => Others::Refuse,
        Json::Bool(true) => Others::Keep(Box::new(Rule::anything())),
        other => Others::Keep(Box::new(rule(other, root))),
    };
    match (schema["properties"].as_object(), others) {
        (None, Others::Keep(value)) => Shape::Map(value),
        (properties, others) => {
            let is_required = |name: &str| {
                schema["required"].as_array().is_some_and(|names| names.iter().any(|n| n == name))
            };
            let fields = properties
                .into_iter()
                .flatten()
                .map(|(name, property)| Field {
                    name: name.clone(),
                    rule: rule(property, root),
                    required: is_required(name),
                })
                .collect();
            Shape::Record(Record { fields, others })
        }
    }
}

impl Rule {
    fn anything() -> Self {
        Self { shape: Shape::Anything, nullable: true, example: None }
    }
}

impl Shape {
    /// What people call a value of this shape.
    fn name(&self) -> String {
        match self {
            Self::Anything => "anything".to_owned(),
            Self::Text => "text".to_owned(),
            Self::Boolean => "`true` or `false`".to_owned(),
            Self::Count => "a whole number".to_owned(),
            Self::Scalar => "text, a number or a boolean".to_owned(),
            Self::Choice(words) => {
                let words: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
                words.join(" or ")
            }
            Self::List { .. } => "a list".to_owned(),
            Self::Map(_) | Self::Record(_) => "a mapping".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{atmos, deployment_file};

    /// The places where anything may stand are these, and not some that the translation failed to understand.
    #[test]
    fn every_keyword_of_our_schemas_is_understood() {
        fn walk(path: &str, rule: &Rule, open: &mut Vec<String>) {
            match &rule.shape {
                Shape::Anything => open.push(path.to_owned()),
                Shape::List { item, .. } => walk(&format!("{path}[]"), item, open),
                Shape::Map(value) => walk(&format!("{path}.*"), value, open),
                Shape::Record(record) => {
                    for field in &record.fields {
                        walk(&format!("{path}.{}", field.name), &field.rule, open);
                    }
                    if let Others::Keep(value) = &record.others {
                        walk(&format!("{path}.*"), value, open);
                    }
                }
                Shape::Text | Shape::Boolean | Shape::Count | Shape::Scalar | Shape::Choice(_) => {}
            }
        }
        let mut open = Vec::new();
        walk("", &Rule::from_schema(&deployment_file::schema()), &mut open);
        walk("atmos", &Rule::from_schema(&atmos::schema()), &mut open);
        for path in open {
            assert!(
                [".vars.*", ".context.*", ".vendor.*"].iter().any(|end| path.ends_with(end)),
                "{path} lets anything pass"
            );
        }
    }
}
