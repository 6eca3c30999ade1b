//! Values as JSON and texts in other alphabets.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value as Json;
use sha2::{Digest, Sha256};

use super::super::print::{escaped_for_browsers, to_json};
use super::{Outcome, exactly, text_of};

pub(super) fn call(name: &str, arguments: &[Json]) -> Option<Outcome> {
    Some(match name {
        "toJson" => exactly(arguments).map(|[value]| escaped_for_browsers(&to_json(value, false)).into()),
        "toRawJson" => exactly(arguments).map(|[value]| to_json(value, false).into()),
        "toPrettyJson" => {
            exactly(arguments).map(|[value]| escaped_for_browsers(&to_json(value, true)).into())
        }
        "fromJson" => exactly(arguments).and_then(|[text]| {
            serde_json::from_str(text_of(text)?).map_err(|error| format!("reads no JSON: {error}"))
        }),
        "b64enc" => exactly(arguments).and_then(|[text]| Ok(STANDARD.encode(text_of(text)?).into())),
        "b64dec" => exactly(arguments).and_then(|[text]| {
            let bytes = STANDARD.decode(text_of(text)?).ok();
            let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
            text.map(Json::String).ok_or_else(|| "reads no text in base64".to_owned())
        }),
        "sha256sum" => exactly(arguments).and_then(|[text]| {
            let digest = Sha256::digest(text_of(text)?);
            Ok(hexadecimal(&digest).into())
        }),
        _ => return None,
    })
}

/// Bytes in base 16.
pub(super) fn hexadecimal(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from_digit(u32::from(value), 16).unwrap_or_default();
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}
