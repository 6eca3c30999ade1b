//! Templates in stacks: plain field paths (`{{ .vars.stage }}`) and nothing else of Go's template language.

use std::borrow::Cow;
use std::sync::Arc;

use super::value::{Call, Function, Location, Map, Value};

/// A piece of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    /// Text that stands for itself.
    Text(&'a str),
    /// `{{ .a.b }}`: the path, and the action as it was written.
    Field { path: Vec<&'a str>, written: &'a str, offset: usize },
    /// A text in backquotes, which is how a template is written that somebody else fills in.
    Quoted(&'a str),
    /// Any other action, as it was written.
    Other { written: &'a str, offset: usize },
}

/// Whether a text holds what could be a template.
pub(super) fn looks_like_template(text: &str) -> bool {
    text.contains("{{")
}

/// Takes a text apart. Blank-trimming marks (`{{-`, `-}}`) are obeyed, comments disappear.
pub(super) fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut rest = text;
    let mut trim_next = false;
    while let Some(start) = rest.find("{{") {
        let offset = text.len() - rest.len() + start;
        let action = &rest[start..];
        let Some(length) = action_length(action) else {
            pieces.push(Piece::Text(trim_start(&rest[..start], trim_next)));
            pieces.push(Piece::Other { written: action, offset });
            return pieces;
        };
        let written = &action[..length];
        let body = &written[2..length - 2];
        let (trim_before, body) = match body.strip_prefix('-') {
            Some(inner) if inner.starts_with(char::is_whitespace) => (true, inner),
            _ => (false, body),
        };
        let (trim_after, body) = match body.strip_suffix('-') {
            Some(inner) if inner.ends_with(char::is_whitespace) => (true, inner),
            _ => (false, body),
        };
        let before = trim_start(&rest[..start], trim_next);
        let before = if trim_before { before.trim_end() } else { before };
        if !before.is_empty() {
            pieces.push(Piece::Text(before));
        }
        let body = body.trim();
        if let Some(path) = field_path(body) {
            pieces.push(Piece::Field { path, written, offset });
        } else if let Some(text) = quoted(body) {
            pieces.push(Piece::Quoted(text));
        } else if !(body.starts_with("/*") && body.ends_with("*/")) {
            pieces.push(Piece::Other { written, offset });
        }
        trim_next = trim_after;
        rest = &action[length..];
    }
    let tail = trim_start(rest, trim_next);
    if !tail.is_empty() {
        pieces.push(Piece::Text(tail));
    }
    pieces
}

fn trim_start(text: &str, trim: bool) -> &str {
    if trim { text.trim_start() } else { text }
}

/// The length of the action at the start of a text, which ends at the first `}}` outside of quotes.
fn action_length(action: &str) -> Option<usize> {
    let bytes = action.as_bytes();
    let mut quote = None;
    let mut at = 2;
    while at < bytes.len() {
        match (quote, bytes[at]) {
            (Some(b'"'), b'\\') => at += 1,
            (Some(open), byte) if byte == open => quote = None,
            (None, byte @ (b'"' | b'`')) => quote = Some(byte),
            (None, b'}') if bytes.get(at + 1) == Some(&b'}') => return Some(at + 2),
            _ => {}
        }
        at += 1;
    }
    None
}

fn quoted(body: &str) -> Option<&str> {
    body.strip_prefix('`')?.strip_suffix('`').filter(|text| !text.contains('`'))
}

fn field_path(body: &str) -> Option<Vec<&str>> {
    let is_name = |name: &str| {
        name.starts_with(|first: char| first.is_alphabetic() || first == '_')
            && name.chars().all(|letter| letter.is_alphanumeric() || letter == '_')
    };
    let path: Vec<&str> = body.strip_prefix('.')?.split('.').collect();
    path.iter().all(|name| is_name(name)).then_some(path)
}

/// The value at a field path, where every step of it is in a plain map.
pub(super) fn look_up<'a>(data: &'a Map, path: &[&str]) -> Option<&'a Value> {
    let (last, steps) = path.split_last()?;
    steps.iter().try_fold(data, |map, step| map.get(*step)?.as_map())?.get(*last)
}

/// A value as it stands inside a text; lists, maps and what is not computed yet have no such form.
pub(super) fn as_text(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::String(text) => Some(Cow::Borrowed(text)),
        Value::Bool(value) => Some(Cow::Owned(value.to_string())),
        Value::Number(number) => Some(Cow::Owned(number.to_string())),
        Value::Null | Value::List(_) | Value::Map(_) | Value::Call(_) => None,
    }
}

/// Fills in the fields that an import's `context` or the file's `locals` know; the rest waits for the component.
pub(super) fn substitute(value: &Value, context: &Map) -> Value {
    match value {
        Value::Call(call) if call.function == Function::Template => substitute_template(call, context),
        Value::Call(call) if call.is_tag("!literal") => value.clone(),
        Value::Call(call) => Value::Call(Arc::new(Call {
            argument: match &call.argument {
                Value::String(text) => Value::text(&substitute_text(text, context)),
                argument => substitute(argument, context),
            },
            locals: locals_in(context).or_else(|| call.locals.clone()),
            ..(**call).clone()
        })),
        Value::List(items) => {
            Value::List(Arc::new(items.iter().map(|item| substitute(item, context)).collect()))
        }
        Value::Map(map) => Value::map(
            map.iter()
                .map(|(key, value)| (Arc::from(&*substitute_text(key, context)), substitute(value, context)))
                .collect(),
        ),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

fn substitute_template(call: &Call, context: &Map) -> Value {
    let text = call.argument.as_str().unwrap_or_default();
    // A text that is one field and nothing else takes the field's value as it is, whatever its type.
    if let [Piece::Field { path, .. }] = pieces(text.trim()).as_slice()
        && let Some(value) = look_up(context, path)
    {
        return value.clone();
    }
    let text = substitute_text(text, context);
    if looks_like_template(&text) {
        let locals = locals_in(context).or_else(|| call.locals.clone());
        Value::Call(Arc::new(Call { argument: Value::text(&text), locals, ..call.clone() }))
    } else {
        Value::text(&text)
    }
}

/// The locals that a file's context holds, which what waits keeps: they may hold functions.
fn locals_in(context: &Map) -> Option<Arc<Map>> {
    match context.get("locals") {
        Some(Value::Map(locals)) => Some(Arc::clone(locals)),
        _ => None,
    }
}

/// A text with the fields that the context knows filled in.
pub(super) fn substitute_text<'a>(text: &'a str, context: &Map) -> Cow<'a, str> {
    if !looks_like_template(text) {
        return Cow::Borrowed(text);
    }
    let mut filled = String::with_capacity(text.len());
    for piece in pieces(text) {
        match piece {
            Piece::Text(text) | Piece::Quoted(text) | Piece::Other { written: text, .. } => {
                filled.push_str(text);
            }
            Piece::Field { path, written, .. } => match look_up(context, &path).and_then(as_text) {
                Some(value) => filled.push_str(&value),
                None => filled.push_str(written),
            },
        }
    }
    Cow::Owned(filled)
}

/// Where in the file a place in a multi-line text is, given where the text starts.
pub(super) fn locate(text: &str, offset: usize, file: &Arc<str>) -> Location {
    let before = &text[..offset];
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    Location {
        file: Arc::clone(file),
        line: before.matches('\n').count() + 1,
        column: before[line_start..].chars().count() + 1,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::yaml;
    use super::*;

    fn value(text: &str) -> Value {
        yaml::parse(text, &Arc::from("x.yaml")).unwrap().value
    }

    #[test]
    fn only_plain_fields_are_fields() {
        let kinds = |text| {
            pieces(text)
                .into_iter()
                .map(|piece| match piece {
                    Piece::Text(text) => format!("text {text}"),
                    Piece::Quoted(text) => format!("quoted {text}"),
                    Piece::Field { path, .. } => format!("field {}", path.join("/")),
                    Piece::Other { written, .. } => format!("other {written}"),
                })
                .collect::<Vec<_>>()
        };
        assert_eq!(kinds("a-{{ .vars.x_1 }}-{{.y}}"), ["text a-", "field vars/x_1", "text -", "field y"]);
        assert_eq!(kinds("a {{- .b -}} c"), ["text a", "field b", "text c"]);
        assert_eq!(kinds("{{/* note */}}a"), ["text a"]);
        assert_eq!(
            kinds("{{ \"}}\" }}{{ .a | upper }}{{ . }}{{ $x }}"),
            ["other {{ \"}}\" }}", "other {{ .a | upper }}", "other {{ . }}", "other {{ $x }}"]
        );
        assert_eq!(kinds("{{`{{ .a }}`}}"), ["quoted {{ .a }}"]);
        assert_eq!(kinds("{{ .a"), ["text ", "other {{ .a"]);
    }

    #[test]
    fn known_fields_are_filled_in_and_the_rest_waits() {
        let context = value("{n: 3, name: web, list: [1], deep: {x: true}}");
        let manifest = value(
            "{'c-{{ .name }}': '{{ .n }}', a: 'x{{ .n }}-{{ .vars.stage }}', l: '{{ .list }}', \
             d: !env 'A_{{ .name }}', m: 'm{{ .list }}', t: !literal '{{ .name }}'}",
        );
        let filled = substitute(&manifest, context.as_map().unwrap());
        assert_eq!(
            filled.to_json(),
            json!({"c-web": 3, "a": "x3-{{ .vars.stage }}", "l": [1], "d": "!env A_web", "m": "m{{ .list }}",
                   "t": "{{ .name }}"})
        );
        assert!(matches!(&filled.as_map().unwrap()["a"], Value::Call(_)));
    }
}
