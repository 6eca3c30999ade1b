//! The functions of templates: those of Go's `text/template`, and the ones of Sprig and Gomplate that compute
//! nothing but what follows from their arguments.

mod collections;
mod encodings;
mod logic;
mod numbers;
mod printf;
mod text;

use serde_json::Value as Json;

use super::MAX_TEXT;
use super::print::to_text;

/// What a function gives, or why it gives nothing: the rest of a sentence that begins with its name.
type Outcome = Result<Json, String>;

/// Calls a function; nothing where there is none of that name.
pub(super) fn call(name: &str, arguments: &[Json]) -> Option<Outcome> {
    let name = plain_name(name);
    logic::call(name, arguments)
        .or_else(|| text::call(name, arguments))
        .or_else(|| collections::call(name, arguments))
        .or_else(|| numbers::call(name, arguments))
        .or_else(|| encodings::call(name, arguments))
}

/// Gomplate's name of a function by the one that Sprig has for it, where both mean the same.
fn plain_name(name: &str) -> &str {
    match name {
        "strings.Title" => "title",
        "strings.ToUpper" | "toUpper" => "upper",
        "strings.ToLower" | "toLower" => "lower",
        "strings.TrimSpace" => "trim",
        "strings.Quote" => "quote",
        "strings.Squote" => "squote",
        "strings.ReplaceAll" | "replaceAll" => "replace",
        "strings.Contains" => "contains",
        "strings.HasPrefix" => "hasPrefix",
        "strings.HasSuffix" => "hasSuffix",
        "strings.TrimPrefix" => "trimPrefix",
        "strings.TrimSuffix" => "trimSuffix",
        "strings.Repeat" => "repeat",
        "strings.Split" => "splitList",
        "strings.Trunc" => "trunc",
        "strings.Indent" => "indent",
        "strings.Sort" | "coll.Sort" => "sortAlpha",
        "conv.ToString" => "toString",
        "conv.ToInt" | "conv.ToInt64" | "toInt64" => "int64",
        "conv.ToFloat64" => "float64",
        "conv.Default" => "default",
        "coll.Dict" => "dict",
        "coll.Slice" | "tuple" => "list",
        "coll.Has" => "gomplate.has",
        "coll.Keys" => "keys",
        "coll.Values" => "values",
        "coll.Uniq" => "uniq",
        "coll.Reverse" => "reverse",
        "data.ToJSON" | "toJSON" | "mustToRawJson" => "toRawJson",
        "data.JSON" | "json" | "mustFromJson" => "fromJson",
        "mustToJson" => "toJson",
        "mustToPrettyJson" | "data.ToJSONPretty" => "toPrettyJson",
        "base64.Encode" => "b64enc",
        "base64.Decode" => "b64dec",
        "push" | "mustAppend" | "mustPush" => "append",
        "biggest" => "max",
        name => name,
    }
}

/// An error where a text that holds so many pieces of such a length would become too long.
fn bounded(pieces: usize, length: usize) -> Result<(), String> {
    if pieces.saturating_mul(length) > MAX_TEXT {
        return Err(format!("makes a text longer than {MAX_TEXT} bytes"));
    }
    Ok(())
}

/// What kind of value this is, for messages.
pub(super) fn kind(value: &Json) -> &'static str {
    match value {
        Json::Null => "no value",
        Json::Bool(_) => "a truth value",
        Json::Number(_) => "a number",
        Json::String(_) => "a text",
        Json::Array(_) => "a list",
        Json::Object(_) => "a map",
    }
}

fn wrong(expected: &str, found: &Json) -> String {
    format!("takes {expected}, not {}", kind(found))
}

fn text_of(value: &Json) -> Result<&str, String> {
    value.as_str().ok_or_else(|| wrong("a text", value))
}

fn list_of(value: &Json) -> Result<&[Json], String> {
    value.as_array().map(Vec::as_slice).ok_or_else(|| wrong("a list", value))
}

fn map_of(value: &Json) -> Result<&serde_json::Map<String, Json>, String> {
    value.as_object().ok_or_else(|| wrong("a map", value))
}

/// Texts as they are, everything else as it is printed.
fn any_text(value: &Json) -> String {
    to_text(value)
}

/// A number that says how many or which.
fn index_of(value: &Json) -> Result<usize, String> {
    let index = value.as_u64().and_then(|index| usize::try_from(index).ok());
    index.ok_or_else(|| format!("takes a whole number from 0 on, not {}", to_text(value)))
}

fn integer_of(value: &Json) -> Result<i64, String> {
    value.as_i64().ok_or_else(|| format!("takes a whole number, not {}", to_text(value)))
}

/// As many arguments as the function takes.
fn exactly<const N: usize>(arguments: &[Json]) -> Result<&[Json; N], String> {
    arguments.try_into().map_err(|_| format!("takes {N} arguments, not {}", arguments.len()))
}
