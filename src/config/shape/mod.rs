//! What a file may hold, read from the JSON schema of its types, so that the published schema and the check can
//! never disagree.

mod check;
mod schema;

use serde::{Deserialize, Deserializer};
use serde_json::Value as Json;

pub(super) use check::check;
use schema::{Schema, SchemaOrBool};

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
    /// The rule that a schema of our own types states; an error where it is none.
    ///
    /// Knows the keywords that those types produce. What it does not know lets everything pass; a test holds that this
    /// never happens.
    pub(super) fn from_schema<'de, D: Deserializer<'de>>(schema: D) -> Result<Self, D::Error> {
        let root = Schema::deserialize(schema)?;
        Ok(rule(&root, &root))
    }
}

/// Of our own types none contains itself, so following references ends.
fn rule(schema: &Schema<'_>, root: &Schema<'_>) -> Rule {
    if let Some(reference) = &schema.reference {
        let target = reference.strip_prefix("#/$defs/").and_then(|name| root.definitions.get(name));
        return target.map_or_else(Rule::anything, |target| rule(target, root));
    }
    let is_nothing = |schema: &Schema<'_>| schema.types.0 == ["null"];
    if let [value, nothing] = schema.any_of.as_slice()
        && is_nothing(nothing)
    {
        return Rule { nullable: true, ..rule(value, root) };
    }
    let mut types: Vec<&str> = schema.types.0.iter().map(AsRef::as_ref).collect();
    let nullable = types.contains(&"null");
    types.retain(|name| *name != "null");
    let shape = if let Some(words) = words(schema) {
        Shape::Choice(words)
    } else {
        match types.as_slice() {
            ["string"] => Shape::Text,
            ["boolean"] => Shape::Boolean,
            ["integer"] if schema.minimum.as_ref().is_some_and(|minimum| minimum == 0) => Shape::Count,
            ["string", "number", "boolean"] => Shape::Scalar,
            ["array"] => {
                let item = schema.items.as_ref();
                let item = item.map_or_else(Rule::anything, |item| rule_or_anything(item, root));
                Shape::List { item: Box::new(item), at_least: schema.min_items }
            }
            ["object"] => object(schema, root),
            _ => Shape::Anything,
        }
    };
    let example = schema.examples.first().and_then(Json::as_str).map(str::to_owned);
    Rule { nullable: nullable || shape == Shape::Anything, shape, example }
}

fn rule_or_anything(schema: &SchemaOrBool<'_>, root: &Schema<'_>) -> Rule {
    match schema {
        SchemaOrBool::Schema(schema) => rule(schema, root),
        SchemaOrBool::Bool(_) => Rule::anything(),
    }
}

/// The words of an enumeration.
fn words(schema: &Schema<'_>) -> Option<Vec<String>> {
    let word = |word: &Json| word.as_str().map(str::to_owned);
    match (&schema.words, &schema.one_of) {
        (Some(words), _) => words.iter().map(word).collect(),
        (None, Some(variants)) => variants.iter().map(|variant| word(variant.constant.as_ref()?)).collect(),
        (None, None) => None,
    }
}

fn object(schema: &Schema<'_>, root: &Schema<'_>) -> Shape {
    let others = match &schema.additional_properties {
        None => Others::Ignore,
        Some(SchemaOrBool::Bool(false)) => Others::Refuse,
        Some(other) => Others::Keep(Box::new(rule_or_anything(other, root))),
    };
    match (&schema.properties, others) {
        (None, Others::Keep(value)) => Shape::Map(value),
        (properties, others) => {
            let fields = properties
                .iter()
                .flatten()
                .map(|(name, property)| Field {
                    name: name.clone().into_owned(),
                    rule: rule_or_anything(property, root),
                    required: schema.required.contains(name),
                })
                .collect();
            Shape::Record(Record { fields, others })
        }
    }
}

impl Rule {
    /// Anything at all.
    pub(super) fn anything() -> Self {
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
        walk("", &Rule::from_schema(deployment_file::schema().as_value()).unwrap(), &mut open);
        walk("atmos", &Rule::from_schema(atmos::schema().as_value()).unwrap(), &mut open);
        for path in open {
            assert!(
                [".vars.*", ".context.*", ".vendor.*"].iter().any(|end| path.ends_with(end)),
                "{path} lets anything pass"
            );
        }
    }
}
