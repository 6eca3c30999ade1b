//! Validation rules of files, read from the JSON schema of their types, so that the published
//! schema and the check cannot diverge.

mod check;
mod schema;

use std::sync::OnceLock;

use serde_json::Value as Json;

pub(super) use check::check;
pub(super) use schema::Published;
use schema::Schema;

/// The rule for one place of a file. Schemas are parsed lazily, only for values that occur, since
/// every command reads a file at startup.
#[derive(Debug)]
pub(super) struct Rule {
    /// The schema of this place, as JSON.
    schema: &'static str,
    published: &'static Published,
    meaning: OnceLock<Box<Meaning>>,
}

/// The parsed schema of a place.
#[derive(Debug)]
struct Meaning {
    shape: Shape,
    /// Whether the value may be left empty.
    nullable: bool,
    /// An example of a valid value.
    example: Option<String>,
}

#[derive(Debug)]
enum Shape {
    Anything,
    Text,
    Boolean,
    /// An integer with this minimum.
    Count {
        at_least: u64,
    },
    /// Text, a number or a boolean.
    Scalar,
    /// One of these words.
    Choice(Vec<String>),
    List {
        item: Box<Rule>,
        at_least: u64,
    },
    /// A mapping with arbitrary keys and values of this rule.
    Map(Box<Rule>),
    Record(Record),
}

/// A mapping with declared keys.
#[derive(Debug)]
struct Record {
    fields: Vec<Field>,
    others: Others,
}

#[derive(Debug)]
struct Field {
    name: &'static str,
    rule: Rule,
    required: bool,
}

/// The handling of undeclared keys.
#[derive(Debug)]
enum Others {
    /// They are errors.
    Refuse,
    /// They are dropped.
    Ignore,
    /// They are kept; their values must satisfy this rule.
    Keep(Box<Rule>),
}

impl Rule {
    /// The rule of a published schema of our own types.
    ///
    /// Supports the keywords that those types produce. An unsupported keyword would accept
    /// everything; a test ensures that there is none.
    pub(super) const fn of_schema(published: &'static Published) -> Self {
        Self::new(published.schema, published)
    }

    const fn new(schema: &'static str, published: &'static Published) -> Self {
        Self { schema, published, meaning: OnceLock::new() }
    }

    fn meaning(&self) -> &Meaning {
        self.meaning.get_or_init(|| Box::new(Meaning::read(self.schema, self.published)))
    }

    fn shape(&self) -> &Shape {
        &self.meaning().shape
    }
}

impl Meaning {
    /// None of our own types contains itself, so that following references terminates.
    fn read(schema: &'static str, published: &'static Published) -> Self {
        // `true` is a schema too: it accepts anything.
        let Ok(schema) = serde_json::from_str::<Schema<'_>>(schema) else { return Self::anything() };
        if let Some(reference) = schema.reference {
            let target = published.definition(reference);
            return target.map_or_else(Self::anything, |target| Self::read(target, published));
        }
        if let [value, nothing] = schema.any_of.as_slice()
            && serde_json::from_str::<Schema<'_>>(nothing.get())
                .is_ok_and(|schema| schema.types.0 == ["null"])
        {
            return Self { nullable: true, ..Self::read(value.get(), published) };
        }
        let mut types = schema.types.0.clone();
        let nullable = types.contains(&"null");
        types.retain(|name| *name != "null");
        let rule = |schema: &'static str| Box::new(Rule::new(schema, published));
        let shape = if let Some(words) = words(&schema) {
            Shape::Choice(words)
        } else {
            match types.as_slice() {
                ["string"] => Shape::Text,
                ["boolean"] => Shape::Boolean,
                ["integer"] => match schema.minimum.as_ref().and_then(Json::as_u64) {
                    Some(at_least) => Shape::Count { at_least },
                    None => Shape::Anything,
                },
                ["string", "number", "boolean"] => Shape::Scalar,
                ["array"] => {
                    let item = rule(schema.items.map_or("true", serde_json::value::RawValue::get));
                    Shape::List { item, at_least: schema.min_items }
                }
                ["object"] => object(&schema, rule),
                _ => Shape::Anything,
            }
        };
        let example = schema.examples.first().and_then(Json::as_str).map(str::to_owned);
        Self { nullable: nullable || matches!(shape, Shape::Anything), shape, example }
    }

    fn anything() -> Self {
        Self { shape: Shape::Anything, nullable: true, example: None }
    }
}

/// The values of an enumeration.
fn words(schema: &Schema<'_>) -> Option<Vec<String>> {
    let word = |word: &Json| word.as_str().map(str::to_owned);
    match (&schema.words, &schema.one_of) {
        (Some(words), _) => words.iter().map(word).collect(),
        (None, Some(variants)) => variants.iter().map(|variant| word(variant.constant.as_ref()?)).collect(),
        (None, None) => None,
    }
}

fn object(schema: &Schema<'static>, rule: impl Fn(&'static str) -> Box<Rule>) -> Shape {
    let others = match schema.additional_properties.map(serde_json::value::RawValue::get) {
        None => Others::Ignore,
        Some("false") => Others::Refuse,
        Some(other) => Others::Keep(rule(other)),
    };
    match (&schema.properties, others) {
        (None, Others::Keep(value)) => Shape::Map(value),
        (properties, others) => {
            let fields = properties
                .iter()
                .flatten()
                .map(|(name, property)| Field {
                    name,
                    rule: *rule(property.get()),
                    required: schema.required.contains(name),
                })
                .collect();
            Shape::Record(Record { fields, others })
        }
    }
}

impl Shape {
    /// The name of this shape in messages.
    fn name(&self) -> String {
        match self {
            Self::Anything => "anything".to_owned(),
            Self::Text => "text".to_owned(),
            Self::Boolean => "`true` or `false`".to_owned(),
            Self::Count { at_least: 0 } => "a whole number".to_owned(),
            Self::Count { at_least } => format!("a whole number from {at_least}"),
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

    /// Exactly these places accept anything by design, rather than for lack of a supported keyword.
    #[test]
    fn every_keyword_of_our_schemas_is_understood() {
        fn walk(path: &str, rule: &Rule, open: &mut Vec<String>) {
            match rule.shape() {
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
                Shape::Text | Shape::Boolean | Shape::Count { .. } | Shape::Scalar | Shape::Choice(_) => {}
            }
        }
        let mut open = Vec::new();
        walk("", &deployment_file::RULE, &mut open);
        walk("atmos", &atmos::RULE, &mut open);
        for path in open {
            assert!(
                [".vars.*", ".context.*", ".github.*"].iter().any(|end| path.ends_with(end)),
                "{path} lets anything pass"
            );
        }
    }
}
