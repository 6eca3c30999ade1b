//! JSON, text encodings and digests.

use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use data_encoding::BASE32;
use serde::Serialize;
use serde_json::Value as Json;
use sha2::{Digest, Sha224, Sha256, Sha384, Sha512, Sha512_224, Sha512_256};

use super::super::print::{escaped_for_browsers, in_order, to_json};
use super::{Outcome, exactly, go_string, text_of};

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
        "b32enc" => exactly(arguments).and_then(|[text]| Ok(BASE32.encode(text_of(text)?.as_bytes()).into())),
        "b32dec" => exactly(arguments).and_then(|[text]| {
            let bytes = BASE32.decode(text_of(text)?.as_bytes()).ok();
            let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
            text.map(Json::String).ok_or_else(|| "reads no text in base32".to_owned())
        }),
        "base64.Encode" => exactly(arguments).map(|[value]| STANDARD.encode(go_string(value)).into()),
        "data.ToJSONPretty" | "toJSONPretty" => {
            exactly(arguments).and_then(|[indent, value]| indented(text_of(indent)?, value))
        }
        "adler32sum" => {
            exactly(arguments).and_then(|[text]| Ok(adler32(text_of(text)?.as_bytes()).to_string().into()))
        }
        "uuid.Nil" => exactly(arguments).map(|[]| uuid::Uuid::nil().to_string().into()),
        "uuid.IsValid" => {
            exactly(arguments).map(|[value]| uuid::Uuid::parse_str(&go_string(value)).is_ok().into())
        }
        "uuid.Parse" => exactly(arguments).and_then(|[value]| {
            let parsed = uuid::Uuid::parse_str(&go_string(value));
            parsed.map(|parsed| parsed.to_string().into()).map_err(|_| "reads no UUID".to_owned())
        }),
        _ => return digest(name, arguments),
    })
}

/// A digest in hexadecimal.
fn digest(name: &str, arguments: &[Json]) -> Option<Outcome> {
    let of: fn(&[u8]) -> String = match name {
        "sha1sum" | "crypto.SHA1" => {
            |bytes| hexadecimal(digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, bytes).as_ref())
        }
        "sha256sum" | "crypto.SHA256" => |bytes| hexadecimal(&Sha256::digest(bytes)),
        "sha512sum" | "crypto.SHA512" => |bytes| hexadecimal(&Sha512::digest(bytes)),
        "crypto.SHA224" => |bytes| hexadecimal(&Sha224::digest(bytes)),
        "crypto.SHA384" => |bytes| hexadecimal(&Sha384::digest(bytes)),
        "crypto.SHA512_224" => |bytes| hexadecimal(&Sha512_224::digest(bytes)),
        "crypto.SHA512_256" => |bytes| hexadecimal(&Sha512_256::digest(bytes)),
        _ => return None,
    };
    Some(exactly(arguments).and_then(|[value]| {
        let text = if name.starts_with("crypto.") { go_string(value) } else { text_of(value)?.to_owned() };
        Ok(of(text.as_bytes()).into())
    }))
}

/// The Adler-32 checksum of zlib.
fn adler32(bytes: &[u8]) -> u32 {
    let (low, high) = bytes.iter().fold((1, 0), |(low, high), byte| {
        let low = (low + u32::from(*byte)) % 65_521;
        (low, (high + low) % 65_521)
    });
    high << 16 | low
}

/// JSON on lines, each level behind another indentation.
fn indented(indent: &str, value: &Json) -> Outcome {
    let mut bytes = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(indent.as_bytes());
    let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, formatter);
    in_order(value).serialize(&mut serializer).map_err(|error| error.to_string())?;
    String::from_utf8(bytes).map(Json::String).map_err(|_| "makes no text".to_owned())
}

/// Bytes in hexadecimal.
pub(super) fn hexadecimal(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from_digit(u32::from(value), 16).unwrap_or_default();
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}
