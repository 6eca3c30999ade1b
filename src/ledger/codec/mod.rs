//! Messages of the ledger's tags: the API version, the kind, `---`, then YAML
//! (`git-tracking.md`, "Tag Message Format").

mod build;
mod lock;
mod record;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use jiff::Timestamp;
use memchr::{memchr, memmem};
use serde::Deserialize;

use super::canonical::{self, Entry};
use super::yaml::{Mapping, parse};

pub use build::{BuildImage, decode_build, encode_build};
pub use lock::{decode_lock, encode_lock};
pub use record::{Found, decode_record, encode_record};

/// The version that this program writes.
pub const API_VERSION: &str = "atmos.tools/v1alpha1";

/// The reason why a tag's message is not a readable record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    #[error("it is not text")]
    NotText,
    #[error("it does not start with {API_VERSION}")]
    NotARecord,
    #[error("it was written for {0}, which this version cannot read; update atmos")]
    UnknownVersion(String),
    #[error("its kind is {found:?}, not {expected}")]
    WrongKind { expected: &'static str, found: String },
    #[error("{0}")]
    Yaml(String),
    #[error("its {field} {value:?} cannot be read")]
    Field { field: &'static str, value: String },
}

/// A message split into its kind and its YAML.
struct Message<'m> {
    kind: Option<&'m str>,
    body: Cow<'m, str>,
}

/// The first lines of signatures, in the formats that git writes.
const SIGNATURES: [&str; 4] = [
    "-----BEGIN PGP SIGNATURE-----",
    "-----BEGIN PGP MESSAGE-----",
    "-----BEGIN SSH SIGNATURE-----",
    "-----BEGIN SIGNED MESSAGE-----",
];

/// The position of a signature: at the start of a line.
fn signature(text: &str) -> Option<usize> {
    let starts_a_line = |at: &usize| text[..*at].is_empty() || text[..*at].ends_with('\n');
    let mut begins = memmem::find_iter(text.as_bytes(), "-----BEGIN ").filter(starts_a_line);
    begins.find(|at| SIGNATURES.iter().any(|marker| text[*at..].starts_with(marker)))
}

impl<'m> Message<'m> {
    /// Splits a message. Accepts the output of plain git commands: blank lines before the first
    /// line, no `---`, the kind inside the YAML, a signature at the end.
    fn split(text: &'m str) -> Result<Self, CodecError> {
        let text = text.trim_start_matches(['\n', ' ']);
        let text = match signature(text) {
            Some(at) => &text[..at],
            None => text,
        };
        let (version, rest) = text.split_once('\n').unwrap_or((text, ""));
        let version = version.trim();
        if version != API_VERSION {
            return Err(if version.starts_with("atmos.tools/") {
                CodecError::UnknownVersion(version.chars().take(40).collect())
            } else {
                CodecError::NotARecord
            });
        }
        let mut kind = None;
        let mut rest = rest;
        while !rest.is_empty() {
            let (line, after) = rest.split_once('\n').unwrap_or((rest, ""));
            let trimmed = line.trim();
            if let Some(value) = line.strip_prefix("kind:") {
                kind = Some(value.trim());
            } else if !trimmed.is_empty() && trimmed != "---" {
                break;
            }
            rest = after;
            if trimmed == "---" {
                break;
            }
        }
        let body = if rest.ends_with('\n') { rest.into() } else { format!("{rest}\n").into() };
        Ok(Self { kind, body })
    }
}

/// Parses a message's YAML into the fields of an `expected` kind. Also returns the YAML where it
/// may have more fields.
fn read<T: for<'de> Deserialize<'de> + HasKind>(
    message: &[u8],
    expected: &'static str,
) -> Result<(T, Option<String>), CodecError> {
    let text = std::str::from_utf8(message).map_err(|_| CodecError::NotText)?;
    // Plain git on Windows writes CRLF line ends.
    let text: Cow<'_, str> =
        if memchr(b'\r', message).is_some() { text.replace("\r\n", "\n").into() } else { text.into() };
    let Message { kind, body } = Message::split(&text)?;
    let wrong = |found: &str| CodecError::WrongKind { expected, found: found.to_owned() };
    // Before the body: a record of another kind need not have our fields.
    if let Some(found) = kind.filter(|kind| *kind != expected) {
        return Err(wrong(found));
    }
    let (fields, rest) = match canonical::read(&body).and_then(T::from_canonical) {
        Some(fields) => (fields, None),
        None => (parse_fields(&body)?, Some(body.into_owned())),
    };
    match fields.kind().filter(|kind| *kind != expected) {
        Some(found) => Err(wrong(found)),
        None => Ok((fields, rest)),
    }
}

/// Parses fields strictly, which keeps every scalar as it is spelled, and value by value where a
/// type is not the expected one.
fn parse_fields<T: for<'de> Deserialize<'de> + HasKind>(body: &str) -> Result<T, CodecError> {
    parse(body).or_else(|error| parse(body).ok().and_then(T::from_values).ok_or(CodecError::Yaml(error)))
}

/// Fields that may name their kind, as some of the specification's examples do.
trait HasKind: Sized {
    fn kind(&self) -> Option<&str>;

    /// Picks the fields out of the fast parser's entries; `None`, where there are others, leaves
    /// them to the YAML parser.
    fn from_canonical(_: Vec<(&str, Entry<'_>)>) -> Option<Self> {
        None
    }

    /// Picks the fields out of values of any type; `None` where a wrong type is an error.
    fn from_values(_: serde_json::Map<String, serde_json::Value>) -> Option<Self> {
        None
    }
}

/// The start of a message of this kind.
fn message(kind: &str) -> Mapping {
    Mapping::after(format!("{API_VERSION}\nkind: {kind}\n---\n"))
}

fn time(name: &'static str, text: Option<&str>) -> Result<Option<Timestamp>, CodecError> {
    text.map(|text| text.trim().parse().map_err(|_| field(name, text))).transpose()
}

fn field(field: &'static str, value: &str) -> CodecError {
    CodecError::Field { field, value: value.chars().take(80).collect() }
}
