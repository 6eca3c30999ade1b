//! The part of a JSON schema that says what a file may hold. What describes it to people is passed over unread: every
//! command reads the schema when it starts.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

use indexmap::IndexMap;
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value as Json;

/// A schema, with the keywords that the schemas of our own types use.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Schema<'s> {
    #[serde(rename = "$ref", borrow)]
    pub(super) reference: Option<Cow<'s, str>>,
    #[serde(rename = "$defs", borrow)]
    pub(super) definitions: HashMap<Cow<'s, str>, Schema<'s>>,
    #[serde(borrow)]
    pub(super) any_of: Vec<Schema<'s>>,
    #[serde(rename = "type", borrow)]
    pub(super) types: Types<'s>,
    #[serde(rename = "enum")]
    pub(super) words: Option<Vec<Json>>,
    #[serde(borrow)]
    pub(super) one_of: Option<Vec<Schema<'s>>>,
    #[serde(rename = "const")]
    pub(super) constant: Option<Json>,
    pub(super) minimum: Option<Json>,
    #[serde(borrow)]
    pub(super) items: Option<SchemaOrBool<'s>>,
    pub(super) min_items: u64,
    #[serde(borrow)]
    pub(super) additional_properties: Option<SchemaOrBool<'s>>,
    #[serde(borrow)]
    pub(super) properties: Option<IndexMap<Cow<'s, str>, SchemaOrBool<'s>>>,
    #[serde(borrow)]
    pub(super) required: Vec<Cow<'s, str>>,
    pub(super) examples: Vec<Json>,
}

/// A schema, or whether anything may stand there.
#[derive(Debug)]
pub(super) enum SchemaOrBool<'s> {
    Bool(bool),
    Schema(Box<Schema<'s>>),
}

/// The names of one type or of several.
#[derive(Debug, Default)]
pub(super) struct Types<'s>(pub(super) Vec<Cow<'s, str>>);

impl<'de: 's, 's> Deserialize<'de> for SchemaOrBool<'s> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = SchemaOrBool<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a schema")
            }

            fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
                Ok(SchemaOrBool::Bool(value))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                Box::deserialize(MapAccessDeserializer::new(map)).map(SchemaOrBool::Schema)
            }
        }
        deserializer.deserialize_any(Either)
    }
}

impl<'de: 's, 's> Deserialize<'de> for Types<'s> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrMany;
        impl<'de> Visitor<'de> for OneOrMany {
            type Value = Types<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a type, or several")
            }

            fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Self::Value, E> {
                Ok(Types(vec![Cow::Borrowed(name)]))
            }

            fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
                Ok(Types(vec![Cow::Owned(name.to_owned())]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut names: A) -> Result<Self::Value, A::Error> {
                let mut types = Vec::new();
                while let Some(name) = names.next_element()? {
                    types.push(name);
                }
                Ok(Types(types))
            }
        }
        deserializer.deserialize_any(OneOrMany)
    }
}
