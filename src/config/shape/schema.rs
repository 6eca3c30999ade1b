//! The validating part of a JSON schema. Annotations (`description`, `examples`) are skipped, and
//! subschemas are parsed lazily, when a value reaches them.

use std::fmt;

use indexmap::IndexMap;
use serde::Deserialize;
use serde::de::{Deserializer, SeqAccess, Visitor};
use serde_json::Value as Json;
use serde_json::value::RawValue;

/// A published schema, split up by the build script.
#[derive(Debug)]
pub(in crate::config) struct Published {
    /// The schema itself, without its definitions.
    pub(in crate::config) schema: &'static str,
    /// The referenced definitions, by name.
    pub(in crate::config) definitions: &'static [(&'static str, &'static str)],
}

impl Published {
    /// The schema that a reference resolves to.
    pub(super) fn definition(&self, reference: &str) -> Option<&'static str> {
        let name = reference.strip_prefix("#/$defs/")?;
        let at = self.definitions.binary_search_by_key(&name, |(name, _)| name).ok()?;
        Some(self.definitions[at].1)
    }
}

/// A schema, with the keywords that the schemas of our own types use.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Schema<'s> {
    #[serde(rename = "$ref", borrow)]
    pub(super) reference: Option<&'s str>,
    #[serde(borrow)]
    pub(super) any_of: Vec<&'s RawValue>,
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
    pub(super) items: Option<&'s RawValue>,
    pub(super) min_items: u64,
    #[serde(borrow)]
    pub(super) additional_properties: Option<&'s RawValue>,
    #[serde(borrow)]
    pub(super) properties: Option<IndexMap<&'s str, &'s RawValue>>,
    #[serde(borrow)]
    pub(super) required: Vec<&'s str>,
    pub(super) examples: Vec<Json>,
}

/// The names of one type or of several.
#[derive(Debug, Default)]
pub(super) struct Types<'s>(pub(super) Vec<&'s str>);

impl<'de: 's, 's> Deserialize<'de> for Types<'s> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrMany;
        impl<'de> Visitor<'de> for OneOrMany {
            type Value = Types<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a type, or several")
            }

            fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Self::Value, E> {
                Ok(Types(vec![name]))
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
