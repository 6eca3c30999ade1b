//! Composes a tree from the events of the YAML parser, within a budget.

use std::collections::{HashMap, HashSet};

use granit_parser::{Event, Marker, Parser, ScalarStyle, StrInput, Tag};

use super::super::problem::Problems;
use super::super::span::Span;
use super::node::{Entry, Key, Node, Value};
use super::scalar;

/// The maximum nesting depth. Real files stay below ten.
const MAX_DEPTH: usize = 64;
/// The maximum number of nodes in a file after the expansion of its aliases.
const MAX_NODES: usize = 20_000;
/// The maximum amount of text that aliases may repeat, in bytes.
const MAX_REPEATED_BYTES: usize = 4 * 1024 * 1024;

/// The tree of a file with one YAML document; `None` if its syntax is invalid or it exceeds the
/// budget.
///
/// Problems that leave the rest of the tree meaningful (such as a duplicate key) are reported and
/// skipped.
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

/// Composition was aborted; the reason is among the problems.
struct Stopped;

/// A subtree that aliases may refer to, and the cost of repeating it.
struct Anchored {
    node: Node,
    size: Size,
}

/// The cost of a subtree.
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
                    return Err(self.stop(
                        span,
                        "a second YAML document starts here",
                        Some("one file holds one document"),
                    ));
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
            Event::Scalar(text, style, anchor, tag) => {
                (plain_or_quoted(&text, style, tag.as_deref()), tag, anchor)
            }
            Event::SequenceStart(_, anchor, tag) => (self.list(depth)?, tag, anchor),
            Event::MappingStart(_, anchor, tag) => (self.mapping(depth)?, tag, anchor),
            _ => return Err(self.stop(span, "YAML syntax: a value was expected here", None)),
        };
        let tag = tag.filter(|tag| tag.is_custom()).map(|tag| tag.original());
        let node = Node { value, span, tag };
        if anchor != 0 {
            let size = measure(&node);
            // Storing the anchor's value is a copy too: nested anchors would multiply.
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

    /// Charges an addition at a depth to the budget, and aborts if it is exceeded.
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
        // The mapping's own keys win, then those of the earlier merged mappings.
        let mut present: HashSet<String> = seen.into_keys().collect();
        for node in merged {
            if let Value::Mapping(from) = node.value {
                entries.extend(from.into_iter().filter(|entry| present.insert(entry.key.text.clone())));
            }
        }
        Ok(Value::Mapping(entries))
    }

    /// A key as text; a list or a mapping is reported and skipped.
    fn key(&mut self, event: Event<'t>, span: Span, depth: usize) -> Result<Option<Key>, Stopped> {
        if let Event::Scalar(text, _, 0, _) = &event {
            self.charge(span, Size { nodes: 1, bytes: 0, depth: 1 }, depth)?;
            return Ok(Some(Key { text: text.clone().into_owned(), span }));
        }
        let text = match &event {
            Event::Scalar(text, ..) => Some(text.clone().into_owned()),
            _ => None,
        };
        // Composed nevertheless: it may contain anchors, and its events have to be consumed.
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

    /// The mappings merged by `<<`: one, or a list of them.
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
        Value::List(items) => {
            for item in items {
                add(item, 0, 0);
            }
        }
        Value::Mapping(entries) => {
            for entry in entries {
                add(&entry.node, 1, entry.key.text.len());
            }
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn problems(text: &str) -> Vec<String> {
        let mut problems = Problems::new("f", text);
        compose(text, &mut problems);
        problems.finish().iter().map(ToString::to_string).collect()
    }

    fn value(text: &str, path: &[&str]) -> Value {
        let mut problems = Problems::new("f", text);
        let root = compose(text, &mut problems).unwrap();
        assert_eq!(problems.finish(), []);
        root.entry(path).unwrap().node.value.clone()
    }

    #[test]
    fn positions_count_from_one_and_in_characters() {
        let text = "ä: {ö: x}\nlist:\n  - ü: y\n";
        let mut problems = Problems::new("f", text);
        let root = compose(text, &mut problems).unwrap();
        let entry = root.entry(&["ä", "ö"]).unwrap();
        assert_eq!((entry.key.span.line, entry.key.span.column), (1, 5));
        assert_eq!((entry.node.span.line, entry.node.span.column), (1, 8));
        assert_eq!(problems.source(entry.node.span), "x");
        let item = &root.entry(&["list"]).unwrap().node.items()[0].entries()[0];
        assert_eq!((item.key.span.line, item.key.span.column), (3, 5));
    }

    #[test]
    fn quotes_blocks_and_tags_decide_what_is_text() {
        for (text, expected) in
            [("k: '1'", "1"), ("k: !!str 1", "1"), ("k: |\n  null\n", "null\n"), ("k: \"\"", "")]
        {
            assert_eq!(value(text, &["k"]), Value::Text(expected.to_owned()), "{text}");
        }
        assert_eq!(value("k: ", &["k"]), Value::Null);
        assert_eq!(value("k: !!bool \"true\"", &["k"]), Value::Boolean(true));
    }

    #[test]
    fn aliases_and_merge_keys_are_expanded_and_own_keys_win() {
        let text =
            "base: &base {a: 1, b: 2}\nother: &other {b: 3, c: 4}\nk:\n  <<: [*base, *other]\n  a: 0\n";
        for (key, number) in [("a", 0), ("b", 2), ("c", 4)] {
            assert_eq!(value(text, &["k", key]), Value::Number(number.into()), "{key}");
        }
    }

    #[test]
    fn what_yaml_itself_refuses_is_reported_at_its_place() {
        for (text, expected) in [
            ("a: 1\nb: 2\na: 3\n", "f:3:1: error: the key `a` comes up twice (it is already set in line 1)"),
            ("a: &x [*x]", "f:1:8: error: this alias refers to a value that it is part of"),
            (
                "a: 1\n---\nb: 1\n",
                "f:2:1: error: a second YAML document starts here (one file holds one document)",
            ),
            ("? [a]\n: b\n", "f:1:3: error: a key must be plain text"),
            ("a:\n  <<: 1\n", "f:2:3: error: `<<` takes a mapping or a list of mappings"),
        ] {
            assert_eq!(problems(text), [expected], "{text}");
        }
        for text in ["a: [1", "a: *nothing", "a: b: c", "a: \"x", "%YAML"] {
            let problems = problems(text);
            assert!(problems.len() == 1 && problems[0].contains("YAML syntax: "), "{text}: {problems:?}");
        }
    }

    #[test]
    fn hostile_files_stop_at_the_budget() {
        let levels = |width: usize| -> String {
            let level =
                |n: usize| format!("a{n}: &a{n} [{}]\n", vec![format!("*a{}", n - 1); width].join(", "));
            "a0: &a0 [lol]\n".to_owned() + &(1..70).map(level).collect::<String>()
        };
        let repeated = format!("a: &a {}\nb: [{}]\n", "x".repeat(500_000), "*a, ".repeat(5000));
        let too_much = "more than 20000 values, or its aliases repeat too much text";
        for (text, expected) in [
            (levels(9), too_much),
            (repeated, too_much),
            ("- \n".repeat(200_000), too_much),
            (levels(1), "nested deeper than 64 levels"),
            ("[".repeat(100_000), ""),
            ("- ".repeat(100_000), ""),
            ("{a: ".repeat(100_000), ""),
        ] {
            let problems = problems(&text);
            assert!(problems.len() == 1 && problems[0].contains(expected), "{problems:?}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC*", yaml in "([a-c]: |- |\\[|\\]|\\{|\\}|, |&a |\\*a|<<: |\n|  |'|\"|!x |#|ä|\t|\\|\n){0,40}") {
            problems(&text);
            problems(&yaml);
        }
    }
}
