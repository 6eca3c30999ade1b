//! The tree of a YAML document.

use super::super::span::Span;

/// A value and its span. For an alias, the span of the anchor's value.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::config) struct Node {
    pub(in crate::config) value: Value,
    pub(in crate::config) span: Span,
    /// A custom tag as written: `!env`.
    pub(in crate::config) tag: Option<String>,
}

/// The JSON data model, with the positions of the mapping's keys.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::config) enum Value {
    Null,
    Boolean(bool),
    Number(serde_json::Number),
    Text(String),
    List(Vec<Node>),
    /// Without duplicate keys.
    Mapping(Vec<Entry>),
}

/// A key and its value.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::config) struct Entry {
    pub(in crate::config) key: Key,
    pub(in crate::config) node: Node,
}

/// A mapping's key.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::config) struct Key {
    pub(in crate::config) text: String,
    pub(in crate::config) span: Span,
}

impl Node {
    /// The entries of a mapping; none for anything else.
    pub(in crate::config) fn entries(&self) -> &[Entry] {
        match &self.value {
            Value::Mapping(entries) => entries,
            _ => &[],
        }
    }

    /// The items of a list; none for anything else.
    pub(in crate::config) fn items(&self) -> &[Node] {
        match &self.value {
            Value::List(items) => items,
            _ => &[],
        }
    }

    /// The entry at the end of a path of keys.
    pub(in crate::config) fn entry(&self, path: &[&str]) -> Option<&Entry> {
        let (last, parents) = path.split_last()?;
        let mut node = self;
        for key in parents {
            node = &node.entries().iter().find(|entry| entry.key.text == *key)?.node;
        }
        node.entries().iter().find(|entry| entry.key.text == *last)
    }

    /// The keys of the mappings around a position, from the outside in: of each mapping the last
    /// key that does not follow the position.
    pub(in crate::config) fn keys_at(&self, line: usize, column: usize) -> Vec<String> {
        let mut keys = Vec::new();
        let mut node = self;
        loop {
            let before = node.entries().iter().filter(|Entry { key, .. }| {
                // Entries merged through an alias have their position elsewhere.
                (key.span.line, key.span.column) <= (line, column)
            });
            let Some(entry) = before.max_by_key(|entry| entry.key.span.start) else { return keys };
            keys.push(entry.key.text.clone());
            node = &entry.node;
        }
    }

    /// The name of this type in messages.
    pub(in crate::config) fn type_name(&self) -> &'static str {
        match self.value {
            Value::Null => "empty",
            Value::Boolean(_) => "a boolean",
            Value::Number(_) => "a number",
            Value::Text(_) => "text",
            Value::List(_) => "a list",
            Value::Mapping(_) => "a mapping",
        }
    }
}
