//! The functions of templates: those of Go's `text/template`, and those of Sprig and Gomplate that
//! depend on nothing but their arguments.
//!
//! Where both libraries have a function of one name, Sprig's is used, as in Atmos.

mod addresses;
mod collections;
mod convert;
mod dates;
mod encodings;
mod formats;
mod lists;
mod logic;
mod numbers;
mod paths;
mod patterns;
mod printf;
mod text;
mod unsupported;
mod versions;
mod words;

use serde_json::Value as Json;

use super::MAX_TEXT;
use super::print::to_text;
use text::part;

/// The result of a function, or its error: the rest of a sentence that begins with the function's
/// name.
type Outcome = Result<Json, String>;

/// Calls a function; `None` if there is none of that name.
pub(super) fn call(name: &str, arguments: &[Json]) -> Option<Outcome> {
    let name = plain_name(name);
    logic::call(name, arguments)
        .or_else(|| text::call(name, arguments))
        .or_else(|| collections::call(name, arguments))
        .or_else(|| numbers::call(name, arguments))
        .or_else(|| encodings::call(name, arguments))
        .or_else(|| formats::call(name, arguments))
        .or_else(|| convert::call(name, arguments))
        .or_else(|| lists::call(name, arguments))
        .or_else(|| words::call(name, arguments))
        .or_else(|| paths::call(name, arguments))
        .or_else(|| patterns::call(name, arguments))
        .or_else(|| versions::call(name, arguments))
        .or_else(|| addresses::call(name, arguments))
        .or_else(|| dates::call(name, arguments))
}

pub(super) use unsupported::why_not;

/// A function's canonical name: `must` variants differ only in how they fail, and Gomplate has
/// aliases.
fn plain_name(name: &str) -> &str {
    match name {
        "conv.Default" => "default",
        "coll.Slice" | "tuple" => "list",
        "coll.GoSlice" | "mustSlice" => "slice",
        "coll.Has" => "gomplate.has",
        "coll.Keys" => "keys",
        "coll.Values" => "values",
        "coll.Uniq" | "mustUniq" => "uniq",
        "coll.Reverse" | "mustReverse" => "reverse",
        "data.ToJSON" | "toJSON" | "mustToRawJson" => "toRawJson",
        "data.JSON" | "json" | "data.JSONArray" | "jsonArray" | "mustFromJson" => "fromJson",
        "mustToJson" => "toJson",
        "mustToPrettyJson" => "toPrettyJson",
        "base64.Decode" | "base64.DecodeBytes" => "b64dec",
        "push" | "mustAppend" | "mustPush" => "append",
        "mustPrepend" => "prepend",
        "mustFirst" => "first",
        "mustRest" => "rest",
        "mustLast" => "last",
        "mustInitial" => "initial",
        "mustWithout" => "without",
        "mustHas" => "has",
        "mustCompact" => "compact",
        "mustChunk" => "chunk",
        "mustDeepCopy" => "deepCopy",
        "mustMerge" => "merge",
        "mustMergeOverwrite" => "mergeOverwrite",
        "biggest" => "max",
        name => name,
    }
}

/// Fails if a text of so many pieces of such a length would exceed the limit.
fn bounded(pieces: usize, length: usize) -> Result<(), String> {
    if pieces.saturating_mul(length) > MAX_TEXT {
        return Err(format!("makes a text longer than {MAX_TEXT} bytes"));
    }
    Ok(())
}

/// The type of a value, for messages.
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

/// Texts unchanged, everything else as printed.
fn any_text(value: &Json) -> String {
    to_text(value)
}

/// Converts a value to a text as Gomplate does.
fn go_string(value: &Json) -> String {
    if value.is_null() { "nil".to_owned() } else { to_text(value) }
}

/// A number that is a count or an index.
fn index_of(value: &Json) -> Result<usize, String> {
    let index = value.as_u64().and_then(|index| usize::try_from(index).ok());
    index.ok_or_else(|| format!("takes a whole number from 0 on, not {}", to_text(value)))
}

fn integer_of(value: &Json) -> Result<i64, String> {
    value.as_i64().ok_or_else(|| format!("takes a whole number, not {}", to_text(value)))
}

/// Returns the arguments if there are exactly as many as the function takes.
fn exactly<const N: usize>(arguments: &[Json]) -> Result<&[Json; N], String> {
    arguments.try_into().map_err(|_| format!("takes {N} arguments, not {}", arguments.len()))
}
