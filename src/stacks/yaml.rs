//! Parses YAML text into values: tags and templates are kept with their positions.
//!
//! Built on the parser's events rather than on serde, because a custom tag on any node and its
//! position must both survive, and because an alias must cost its reference and not its expansion.

use std::collections::HashMap;
use std::sync::Arc;

use granit_parser::{Event, Parser, ScalarStyle, ScanError, Span, StrInput, Tag};

use super::error::StackError;
use super::limits::{FILE_BYTES, VALUE_DEPTH, VALUES};
use super::scalar::resolve_plain;
use super::value::{Call, Function, Location, Map, Value};

/// The left delimiter of templates.
const DELIMITER: &str = "{{";

/// A parsed manifest.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Document {
    pub(super) value: Value,
    /// The positions of the entries of the top-level `import` list.
    pub(super) imports: Vec<Location>,
}

/// Parses one YAML document; an empty text is null.
pub(super) fn parse(text: &str, file: &Arc<str>) -> Result<Document, StackError> {
    parse_with(text, file, DELIMITER)
}

/// Parses one YAML document whose templates may also start with another left delimiter.
pub(super) fn parse_with(text: &str, file: &Arc<str>, delimiter: &str) -> Result<Document, StackError> {
    let start = Location { file: Arc::clone(file), line: 1, column: 1 };
    if text.len() > FILE_BYTES {
        return Err(StackError::Yaml { at: start, message: format!("is larger than {FILE_BYTES} bytes") });
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = Reader {
        events: Parser::new_from_str(text),
        file,
        delimiter,
        anchors: HashMap::new(),
        values: 0,
        imports: Vec::new(),
    };
    let value = reader.document()?;
    Ok(Document { value, imports: reader.imports })
}

struct Reader<'a> {
    events: Parser<'a, StrInput<'a>>,
    file: &'a Arc<str>,
    delimiter: &'a str,
    /// Anchored values, and the number of values that each expands to.
    anchors: HashMap<usize, (Value, usize)>,
    /// The number of values so far, with aliases expanded.
    values: usize,
    imports: Vec<Location>,
}

/// The position of a node in the document, as far as the parser needs it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Root,
    /// The value of the top-level key `import`.
    Imports,
    Elsewhere,
}

impl<'a> Reader<'a> {
    fn document(&mut self) -> Result<Value, StackError> {
        let mut root = None;
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamStart | Event::DocumentStart(..) | Event::DocumentEnd => {}
                Event::StreamEnd => return Ok(root.unwrap_or(Value::Null)),
                event if root.is_none() => root = Some(self.node(event, span, 0, Place::Root)?),
                _ => return Err(self.error(span, "a manifest must be a single YAML document")),
            }
        }
    }

    fn next(&mut self) -> Result<(Event<'a>, Span), StackError> {
        loop {
            match self.events.next_event() {
                Some(Ok((Event::Comment(..), _))) => {}
                Some(Ok(event)) => return Ok(event),
                Some(Err(error)) => return Err(self.scan_error(&error)),
                None => return Ok((Event::StreamEnd, Span::default())),
            }
        }
    }

    fn node(
        &mut self,
        event: Event<'a>,
        span: Span,
        depth: usize,
        place: Place,
    ) -> Result<Value, StackError> {
        if depth > VALUE_DEPTH {
            return Err(self.error(span, format!("values are nested deeper than {VALUE_DEPTH} levels")));
        }
        let before = self.values;
        self.count(span, 1)?;
        let (value, anchor, tag) = match event {
            Event::Alias(anchor) => return self.alias(anchor, span),
            Event::Scalar(text, style, anchor, tag) => {
                (self.scalar(&text, style, tag.as_deref(), span), anchor, tag)
            }
            Event::SequenceStart(_, anchor, tag) => (self.sequence(depth, place)?, anchor, tag),
            Event::MappingStart(_, anchor, tag) => (self.mapping(depth, place)?, anchor, tag),
            _ => return Err(self.error(span, "a value is missing here")),
        };
        let value = match tag.as_deref().filter(|tag| is_function(tag)) {
            Some(tag) => Value::Call(Arc::new(Call {
                function: Function::Tag(tag.original().into()),
                argument: value,
                at: self.location(span),
                context: None,
            })),
            None => value,
        };
        if anchor != 0 {
            self.anchors.insert(anchor, (value.clone(), self.values - before));
        }
        Ok(value)
    }

    fn scalar(&self, text: &str, style: ScalarStyle, tag: Option<&Tag>, span: Span) -> Value {
        // The argument of a function is a text, regardless of its form.
        if tag.is_some_and(is_function) {
            return Value::text(text.trim());
        }
        if text.contains(DELIMITER) || text.contains(self.delimiter) {
            let at = self.location(span);
            return Value::Call(Arc::new(Call {
                function: Function::Template,
                argument: Value::text(text),
                at,
                context: None,
            }));
        }
        let is_text = tag.is_some_and(|tag| tag.core_suffix() == Some("str") || tag.original() == "!");
        if is_text || (style != ScalarStyle::Plain && tag.is_none()) {
            Value::text(text)
        } else {
            resolve_plain(text)
        }
    }

    fn alias(&mut self, anchor: usize, span: Span) -> Result<Value, StackError> {
        let Some((value, size)) = self.anchors.get(&anchor).cloned() else {
            return Err(self.error(span, "an alias stands inside the value that it names"));
        };
        self.count(span, size)?;
        Ok(value)
    }

    fn sequence(&mut self, depth: usize, place: Place) -> Result<Value, StackError> {
        let mut items = Vec::new();
        loop {
            let (event, span) = self.next()?;
            if event == Event::SequenceEnd {
                return Ok(Value::List(Arc::new(items)));
            }
            if place == Place::Imports {
                self.imports.push(self.location(span));
            }
            items.push(self.node(event, span, depth + 1, Place::Elsewhere)?);
        }
    }

    fn mapping(&mut self, depth: usize, place: Place) -> Result<Value, StackError> {
        let mut map = Map::new();
        let mut merged = Vec::new();
        loop {
            let (event, span) = self.next()?;
            let (key, is_merge) = match event {
                Event::MappingEnd => break,
                Event::Scalar(text, style, 0, None) => {
                    (Arc::<str>::from(&*text), style == ScalarStyle::Plain && text == "<<")
                }
                Event::Scalar(text, _, _, tag) if !tag.as_deref().is_some_and(is_function) => {
                    (Arc::from(&*text), false)
                }
                _ => return Err(self.error(span, "a key must be a plain text")),
            };
            let (event, value_span) = self.next()?;
            let place = match (place, &*key) {
                (Place::Root, "import") => Place::Imports,
                _ => Place::Elsewhere,
            };
            let value = self.node(event, value_span, depth + 1, place)?;
            if is_merge {
                self.collect_merged(value, value_span, &mut merged)?;
            } else if map.contains_key(&key) {
                return Err(self.error(span, format!("the key \"{key}\" is there twice")));
            } else {
                map.insert(key, value);
            }
        }
        for source in merged {
            for (key, value) in source.iter() {
                if !map.contains_key(key) {
                    map.insert(Arc::clone(key), value.clone());
                }
            }
        }
        Ok(Value::map(map))
    }

    /// The maps merged by a `<<` key; the first one that has a key wins.
    fn collect_merged(&self, value: Value, span: Span, merged: &mut Vec<Arc<Map>>) -> Result<(), StackError> {
        match value {
            Value::Map(map) => merged.push(map),
            Value::List(list) => {
                for item in list.iter() {
                    match item {
                        Value::Map(map) => merged.push(Arc::clone(map)),
                        _ => return Err(self.error(span, "`<<` takes a map or a list of maps")),
                    }
                }
            }
            _ => return Err(self.error(span, "`<<` takes a map or a list of maps")),
        }
        Ok(())
    }

    fn count(&mut self, span: Span, values: usize) -> Result<(), StackError> {
        self.values += values;
        if self.values > VALUES {
            return Err(self.error(span, format!("the aliases stand for more than {VALUES} values")));
        }
        Ok(())
    }

    fn location(&self, span: Span) -> Location {
        let marker = span.tag_start.unwrap_or(span.start);
        Location { file: Arc::clone(self.file), line: marker.line(), column: marker.col() + 1 }
    }

    fn error(&self, span: Span, message: impl Into<String>) -> StackError {
        StackError::Yaml { at: self.location(span), message: message.into() }
    }

    fn scan_error(&self, error: &ScanError) -> StackError {
        let marker = error.marker();
        let at = Location { file: Arc::clone(self.file), line: marker.line(), column: marker.col() + 1 };
        StackError::Yaml { at, message: error.info().clone() }
    }
}

/// Whether a tag names a function rather than a type of YAML's own.
fn is_function(tag: &Tag) -> bool {
    tag.is_custom() && tag.original() != "!"
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(text: &str) -> Result<Document, StackError> {
        parse(text, &Arc::from("stacks/dev.yaml"))
    }

    fn refusal(text: &str) -> String {
        read(text).unwrap_err().to_string()
    }

    #[test]
    fn functions_and_templates_keep_their_place() {
        let document = read("vars:\n  a: !env HOME\n  b: [1, 'x-{{ .vars.a }}']\n").unwrap();
        let vars = document.value.as_map().unwrap()["vars"].as_map().unwrap().clone();
        let Value::Call(function) = &vars["a"] else { panic!("not a call") };
        assert!(function.is_tag("!env"));
        assert_eq!(function.argument, Value::text("HOME"));
        assert_eq!(function.at.to_string(), "stacks/dev.yaml:2:6");
        let Value::Call(template) = &vars["b"].as_list().unwrap()[1] else { panic!("not a call") };
        assert_eq!(template.at.to_string(), "stacks/dev.yaml:3:10");
    }

    #[test]
    fn anchors_merge_keys_and_quotes_are_yaml() {
        let document = read(
            "base: &base {a: 1, b: 2}\nmore: &more {b: 3, c: 4}\n\
             one: {<<: *base, b: '5'}\ntwo:\n  <<: [*base, *more]\nthree: *base\n'<<': kept\n",
        )
        .unwrap();
        assert_eq!(
            document.value.to_json(),
            json!({
                "base": {"a": 1, "b": 2}, "more": {"b": 3, "c": 4},
                "one": {"b": "5", "a": 1}, "two": {"a": 1, "b": 2, "c": 4},
                "three": {"a": 1, "b": 2}, "<<": "kept",
            })
        );
    }

    #[test]
    fn imports_are_located() {
        let document = read("import:\n  - a\n  - path: b\nvars: {import: [c]}\n").unwrap();
        let places: Vec<String> = document.imports.iter().map(ToString::to_string).collect();
        assert_eq!(places, ["stacks/dev.yaml:2:5", "stacks/dev.yaml:3:5"]);
    }

    #[test]
    fn what_is_not_a_manifest_is_refused_with_its_place() {
        assert_eq!(refusal("a: 1\na: 2\n"), "stacks/dev.yaml:2:1: the key \"a\" is there twice");
        assert_eq!(
            refusal("a: 1\n---\nb: 2\n"),
            "stacks/dev.yaml:3:1: a manifest must be a single YAML document"
        );
        assert!(refusal("a: {{ .b }}\n").starts_with("stacks/dev.yaml:1:"));
        assert!(refusal("a: [1\n").starts_with("stacks/dev.yaml:"));
        assert!(refusal("a: &x [*x]\n").contains("stands inside"));
        assert_eq!(read("").unwrap().value, Value::Null);
    }

    #[test]
    fn alias_bombs_and_deep_nesting_are_refused() {
        let levels = (1..8).map(|level| {
            let aliases = vec![format!("*a{}", level - 1); 10].join(", ");
            format!("a{level}: &a{level} [{aliases}]\n")
        });
        let first = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        let bomb: String = std::iter::once(first).chain(levels).collect();
        assert!(refusal(&bomb).contains("more than 1000000 values"));
        let deep = format!("{}1{}", "[".repeat(200), "]".repeat(200));
        assert!(refusal(&deep).contains("nested deeper"));
    }
}
