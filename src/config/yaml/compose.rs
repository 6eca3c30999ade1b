//! Events of the YAML parser to a tree, within a budget.

use std::collections::{HashMap, HashSet};

use granit_parser::{Event, Marker, Options, Parser, ScalarStyle, StrInput, Tag};

use super::super::problem::{Problems, Span};
use super::node::{Entry, Key, Node, Value};
use super::scalar;

/// The deepest nesting. People stay below ten.
const MAX_DEPTH: usize = 64;
/// The most nodes that a file may have once its aliases are expanded.
const MAX_NODES: usize = 100_000;
/// The most text that aliases may repeat, in bytes.
const MAX_REPEATED_BYTES: usize = 4 * 1024 * 1024;

/// The tree of a file that holds one YAML document; nothing where its syntax is wrong or it is over budget.
///
/// Problems that leave the rest of the tree meaningful (a key that comes up twice) are reported and stepped over.
pub(in crate::config) fn compose(text: &str, problems: &mut Problems<'_>) -> Option<Node> {
    let options = granit_parser::options! {
        emit_comments: false,
        flow_nesting_limit: MAX_DEPTH,
        block_nesting_limit: MAX_DEPTH,
    };
    let mut composer = Composer {
        parser: Parser::new_from_str_with_options(text, options),
        problems,
        anchors: HashMap::new(),
        nodes: 0,
        repeated_bytes: 0,
    };
    composer.document().ok()
}

/// Composing ended; the reason is among the problems.
struct Stopped;

/// A subtree that aliases may refer to, and what repeating it costs.
struct Anchored {
    node: Node,
    size: Size,
}

/// What a subtree costs.
#[derive(Clone, Copy)]
struct Size {
    nodes: usize,
    bytes: usize,
    depth: usize,
}

struct Composer<'t, 'p, 'f> {
    parser: Parser<'t, StrInput<'t>>,
    problems: &'p mut Problems<'f>,
    anchors: HashMap<usize, Anchored>,
    nodes: usize,
    repeated_bytes: usize,
}

impl<'t> Composer<'t, '_, '_> {
    fn document(&mut self) -> Result<Node, Stopped> {
        let mut document = None;
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamEnd => break,
                Event::DocumentStart(..) if document.is_some() => {
                    return Err(self.stop(span, "a second YAML document starts here", Some("one file holds one document")));
                }
                Event::DocumentStart(..) => {
                    let (event, span) = self.next()?;
                    document = Some(self.node(event, span, 0)?);
                }
                _ => {}
            }
        }
        Ok(document.unwrap_or(Node { value: Value::Null, span: Span::START, tag: None }))
    }

    fn next(&mut self) -> Result<(Event<'t>, Span), Stopped> {
        match self.parser.next() {
            Some(Ok((event, span))) => Ok((event, convert(span.start, span.end))),
            Some(Err(error)) => {
                let span = convert(*error.marker(), *error.marker());
                Err(self.stop(span, &format!("YAML syntax: {}", error.info()), None))
            }
            None => Ok((Event::StreamEnd, Span::START)),
        }
    }

    fn stop(&mut self, span: Span, message: &str, hint: Option<&str>) -> Stopped {
        self.problems.error(span, message, hint.map(str::to_owned));
        Stopped
    }

    /// The node that starts with an event.
    fn node(&mut self, event: Event<'t>, span: Span, depth: usize) -> Result<Node, Stopped> {
        self.charge(span, Size { nodes: 1, bytes: 0, depth: 1 }, depth)?;
        let (value, tag, anchor) = match event {
            Event::Alias(id) => return self.alias(id, span, depth),
            Event::Scalar(text, style, anchor, tag) => (plain_or_quoted(&text, style, tag.as_deref()), tag, anchor),
            Event::SequenceStart(_, anchor, tag) => (self.list(depth)?, tag, anchor),
            Event::MappingStart(_, anchor, tag) => (self.mapping(depth)?, tag, anchor),
            _ => return Err(self.stop(span, "YAML syntax: a value was expected here", None)),
        };
        let tag = tag.filter(|tag| tag.is_custom()).map(|tag| tag.original());
        let node = Node { value, span, tag };
        if anchor != 0 {
            let size = measure(&node);
            // Keeping the anchor's value is a copy too: anchors inside of anchors would multiply.
            self.charge(span, size, 0)?;
            self.anchors.insert(anchor, Anchored { node: node.clone(), size });
        }
        Ok(node)
    }

    fn alias(&mut self, id: usize, span: Span, depth: usize) -> Result<Node, Stopped> {
        let Some(size) = self.anchors.get(&id).map(|anchored| anchored.size) else {
            return Err(self.stop(span, "this alias refers to a value that it is part of", None));
        };
        self.charge(span, size, depth)?;
        self.anchors.get(&id).map(|anchored| anchored.node.clone()).ok_or(Stopped)
    }

    /// Counts what is about to be added at a depth, and stops where it is too much.
    fn charge(&mut self, span: Span, size: Size, depth: usize) -> Result<(), Stopped> {
        self.nodes = self.nodes.saturating_add(size.nodes);
        self.repeated_bytes = self.repeated_bytes.saturating_add(size.bytes);
        if depth.saturating_add(size.depth) > MAX_DEPTH + 1 {
            return Err(self.stop(span, &format!("nested deeper than {MAX_DEPTH} levels"), None));
        }
        if self.nodes > MAX_NODES || self.repeated_bytes > MAX_REPEATED_BYTES {
            return Err(self.stop(
                span,
                &format!("the file holds more than {MAX_NODES} values, or its aliases repeat too much text"),
                None,
            ));
        }
        Ok(())
    }

    fn list(&mut self, depth: usize) -> Result<Value, Stopped> {
        let mut items = Vec::new();
        loop {
            let (event, span) = self.next()?;
            if matches!(event, Event::SequenceEnd) {
                return Ok(Value::List(items));
            }
            items.push(self.node(event, span, depth + 1)?);
        }
    }

    fn mapping(&mut self, depth: usize) -> Result<Value, Stopped> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut seen: HashMap<String, Span> = HashMap::new();
        let mut merged: Vec<Node> = Vec::new();
        loop {
            let (event, span) = self.next()?;
            if matches!(event, Event::MappingEnd) {
                break;
            }
            let is_merge = matches!(&event, Event::Scalar(text, ScalarStyle::Plain, ..) if text == "<<");
            let key = self.key(event, span, depth)?;
            let (event, span) = self.next()?;
            let node = self.node(event, span, depth + 1)?;
            let Some(key) = key else { continue };
            if let Some(first) = seen.get(&key.text) {
                let hint = format!("it is already set in line {}", first.line);
                self.problems.error(key.span, format!("the key `{}` comes up twice", key.text), Some(hint));
                continue;
            }
            seen.insert(key.text.clone(), key.span);
            if is_merge {
                self.merge_sources(node, key.span, &mut merged);
            } else {
                entries.push(Entry { key, node });
            }
        }
        // What stands in the mapping itself wins, then the earlier of the merged mappings.
        let mut present: HashSet<String> = seen.into_keys().collect();
        for node in merged {
            if let Value::Mapping(from) = node.value {
                entries.extend(from.into_iter().filter(|entry| present.insert(entry.key.text.clone())));
            }
        }
        Ok(Value::Mapping(entries))
    }

    /// A key as text; reported and stepped over where it is a list or a mapping.
    fn key(&mut self, event: Event<'t>, span: Span, depth: usize) -> Result<Option<Key>, Stopped> {
        if let Event::Scalar(text, _, 0, _) = &event {
            self.charge(span, Size { nodes: 1, bytes: 0, depth: 1 }, depth)?;
            return Ok(Some(Key { text: text.clone().into_owned(), span }));
        }
        let text = match &event {
            Event::Scalar(text, ..) => Some(text.clone().into_owned()),
            _ => None,
        };
        // Composed all the same: it may hold anchors, and its events have to be consumed.
        let node = self.node(event, span, depth + 1)?;
        let text = text.or(match node.value {
            Value::Text(text) => Some(text),
            _ => None,
        });
        if text.is_none() {
            self.problems.error(span, "a key must be plain text", None);
        }
        Ok(text.map(|text| Key { text, span }))
    }

    /// The mappings that `<<` brings in: one, or a list of them.
    fn merge_sources(&mut self, node: Node, key: Span, merged: &mut Vec<Node>) {
        match node.value {
            Value::Mapping(_) => merged.push(node),
            Value::List(items) if items.iter().all(|item| matches!(item.value, Value::Mapping(_))) => {
                merged.extend(items);
            }
            _ => self.problems.error(key, "`<<` takes a mapping or a list of mappings", None),
        }
    }
}

fn plain_or_quoted(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Value {
    match tag.and_then(Tag::core_suffix) {
        Some("str") => Value::Text(text.to_owned()),
        Some(_) => scalar::resolve(text),
        None if style == ScalarStyle::Plain => scalar::resolve(text),
        None => Value::Text(text.to_owned()),
    }
}

fn measure(node: &Node) -> Size {
    let mut size = Size { nodes: 1, bytes: 0, depth: 1 };
    let mut add = |child: &Node, extra_nodes: usize, extra_bytes: usize| {
        let child = measure(child);
        size.nodes += child.nodes + extra_nodes;
        size.bytes += child.bytes + extra_bytes;
        size.depth = size.depth.max(child.depth + 1);
    };
    match &node.value {
        Value::List(items) => items.iter().for_each(|item| add(item, 0, 0)),
        Value::Mapping(entries) => {
            entries.iter().for_each(|entry| add(&entry.node, 1, entry.key.text.len()));
        }
        Value::Text(text) => size.bytes = text.len(),
        Value::Null | Value::Boolean(_) | Value::Number(_) => {}
    }
    size
}

fn convert(start: Marker, end: Marker) -> Span {
    let offset = start.byte_offset().unwrap_or_default();
    Span {
        line: start.line().max(1),
        column: start.col() + 1,
        start: offset,
        end: end.byte_offset().unwrap_or(offset),
    }
}
