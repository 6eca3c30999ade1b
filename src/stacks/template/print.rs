//! Values as Go prints them.

use serde_json::Value as Json;

/// Whether a value counts as true: it is not zero, empty or absent.
pub(super) fn is_true(value: &Json) -> bool {
    match value {
        Json::Null => false,
        Json::Bool(value) => *value,
        Json::Number(number) => number.as_f64() != Some(0.0),
        Json::String(text) => !text.is_empty(),
        Json::Array(items) => !items.is_empty(),
        Json::Object(map) => !map.is_empty(),
    }
}

/// The key that holds the printed text of a value with fields. No document has such a key.
const OWN_TEXT: &str = "\0text";

/// A value with fields that is printed as a text: a version, an address.
pub(super) fn with_text(mut fields: Json, text: &str) -> Json {
    if let Json::Object(map) = &mut fields {
        map.insert(OWN_TEXT.to_owned(), text.into());
    }
    fields
}

/// The printed text of a value with fields, if it has its own.
pub(super) fn own_text(value: &Json) -> Option<&str> {
    value.get(OWN_TEXT)?.as_str()
}

/// A map's entries in Go's printing and iteration order.
pub(super) fn sorted(map: &serde_json::Map<String, Json>) -> Vec<(&String, &Json)> {
    let mut entries: Vec<_> = map.iter().collect();
    entries.sort_unstable_by_key(|(name, _)| *name);
    entries
}

/// A value as `print` writes it.
pub(super) fn to_text(value: &Json) -> String {
    match value {
        Json::Null => "<nil>".to_owned(),
        Json::Bool(value) => value.to_string(),
        Json::Number(number) => number_text(number),
        Json::String(text) => text.clone(),
        Json::Array(items) => {
            format!("[{}]", items.iter().map(to_text).collect::<Vec<_>>().join(" "))
        }
        Json::Object(map) => {
            if let Some(text) = own_text(value) {
                return text.to_owned();
            }
            let entries = sorted(map);
            let entries = entries.iter().map(|(name, value)| format!("{name}:{}", to_text(value)));
            format!("map[{}]", entries.collect::<Vec<_>>().join(" "))
        }
    }
}

/// Integers as they are, floats in their shortest form, very large and small ones with an exponent.
fn number_text(number: &serde_json::Number) -> String {
    let Some(float) = number.as_f64().filter(|_| number.is_f64()) else { return number.to_string() };
    let scientific = format!("{float:e}");
    let exponent = scientific.rsplit_once('e').and_then(|(mantissa, exponent)| {
        exponent.parse::<i32>().ok().map(|exponent| (mantissa.to_owned(), exponent))
    });
    match exponent {
        Some((mantissa, exponent)) if !(-4..21).contains(&exponent) => {
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{mantissa}e{sign}{:02}", exponent.abs())
        }
        _ => format!("{float}"),
    }
}

/// A value as JSON, its keys sorted.
pub(super) fn to_json(value: &Json, is_pretty: bool) -> String {
    let value = in_order(value);
    if is_pretty { format!("{value:#}") } else { value.to_string() }
}

/// JSON with `<`, `>` and `&` escaped as Go does for browsers.
pub(super) fn escaped_for_browsers(json: &str) -> String {
    json.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026")
}

/// A value with the keys of all its maps sorted.
pub(super) fn in_order(value: &Json) -> Json {
    match value {
        Json::Object(_) if own_text(value).is_some() => own_text(value).into(),
        Json::Array(items) => Json::Array(items.iter().map(in_order).collect()),
        Json::Object(map) => Json::Object(
            sorted(map).into_iter().map(|(name, value)| (name.clone(), in_order(value))).collect(),
        ),
        Json::Number(number) => Json::Number(whole(number).unwrap_or_else(|| number.clone())),
        value => value.clone(),
    }
}

/// Go writes a float without a fraction as an integer.
fn whole(number: &serde_json::Number) -> Option<serde_json::Number> {
    let float = number.as_f64().filter(|_| number.is_f64())?;
    if float.fract() != 0.0 || float.abs() >= 1e15 {
        return None;
    }
    format!("{float}").parse::<i64>().ok().map(Into::into)
}

fn hexadecimal_digit(value: u32) -> char {
    char::from_digit(value, 16).unwrap_or_default()
}

/// A text in double quotes, in Go's source syntax.
pub(super) fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for letter in text.chars() {
        match letter {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            '\r' => quoted.push_str("\\r"),
            letter if u32::from(letter) < 0x20 => {
                quoted.push_str("\\x");
                quoted.extend([u32::from(letter) >> 4, u32::from(letter) & 15].map(hexadecimal_digit));
            }
            letter => quoted.push(letter),
        }
    }
    quoted.push('"');
    quoted
}
