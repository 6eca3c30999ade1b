//! The YAML of records: written so that every YAML version reads it alike, read within bounds.

use std::collections::BTreeMap;
use std::fmt::Write;

use jiff::Timestamp;
use serde::de::DeserializeOwned;

/// The largest message that is read, in bytes. A record has about one thousand.
const MAX_SIZE: usize = 256 * 1024;

/// Words that one YAML version or another reads as something else than a string.
const RESERVED: [&str; 12] =
    ["null", "true", "false", "yes", "no", "on", "off", "y", "n", "~", ".nan", ".inf"];

/// A mapping that is being written, one `key: value` a line. What is `None` or empty leaves no trace.
pub(super) struct Mapping(String);

impl Mapping {
    /// Starts behind this text.
    pub(super) const fn after(text: String) -> Self {
        Self(text)
    }

    /// Adds a string, quoted where a reader could take it for anything else.
    pub(super) fn text(self, key: &str, value: Option<&str>) -> Self {
        self.entry("", key, value.map(scalar))
    }

    /// Adds a moment, plain as in the specification's examples, in UTC and whole seconds.
    pub(super) fn time(self, key: &str, value: Option<Timestamp>) -> Self {
        self.entry("", key, value.map(|time| time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()))
    }

    /// Adds a number.
    pub(super) fn number(self, key: &str, value: Option<u64>) -> Self {
        self.entry("", key, value.map(|number| number.to_string()))
    }

    /// Adds a mapping of strings.
    pub(super) fn map(mut self, key: &str, map: &BTreeMap<String, String>) -> Self {
        if map.is_empty() {
            return self;
        }
        self = self.entry("", key, Some(String::new()));
        map.iter().fold(self, |mapping, (name, value)| mapping.entry("  ", name, Some(scalar(value))))
    }

    /// The text.
    pub(super) fn finish(self) -> String {
        self.0
    }

    fn entry(mut self, indent: &str, key: &str, value: Option<String>) -> Self {
        if let Some(value) = value {
            let space = if value.is_empty() { "" } else { " " };
            // Writing to a string cannot fail.
            let _ = writeln!(self.0, "{indent}{}:{space}{value}", scalar(key));
        }
        self
    }
}

/// A string as a YAML scalar: plain where that is safe in YAML 1.1 and 1.2, else as a JSON string.
fn scalar(text: &str) -> String {
    if is_plain(text) { text.to_owned() } else { quoted(text) }
}

/// Whether this is how `text` is written here.
pub(super) fn is_canonical(text: &str, written: &str) -> bool {
    if is_plain(text) { text == written } else { quoted(text) == written }
}

/// A JSON string, which YAML reads too, once what YAML counts as unprintable is escaped.
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    // Text is always JSON.
    for c in serde_json::to_string(text).unwrap_or_default().chars() {
        match c {
            '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}' => {
                // Writing to a string cannot fail.
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            _ => out.push(c),
        }
    }
    out
}

/// Reading a history asks this of thousands of scalars, so each byte is looked at once.
fn is_plain(text: &str) -> bool {
    let bytes = text.as_bytes();
    let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else { return false };
    let (all, any) = bytes.iter().fold((u8::MAX, 0), |(all, any), byte| {
        let class = CLASSES[usize::from(*byte)];
        (all & class, any | class)
    });
    // Anything that starts with a digit may be a number or a date, unless a letter that no number has stands in it
    // (`1a2b3c…` is a fine commit id, `12e4567` is a number to many readers).
    let is_a_word = any & IN_NO_NUMBER != 0 || !first.is_ascii_digit();
    first.is_ascii_alphanumeric()
        && all & SAFE != 0
        && is_a_word
        && !matches!(last, b' ' | b':')
        && (any & COLON == 0 || !text.contains(": "))
        && !RESERVED.iter().any(|word| word.len() == text.len() && word.eq_ignore_ascii_case(text))
}

/// The byte can stand anywhere in a plain scalar.
const SAFE: u8 = 1;
/// The byte is a letter that stands in no number and in no date.
const IN_NO_NUMBER: u8 = 2;
/// The byte is a colon.
const COLON: u8 = 4;

/// What each byte is.
static CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut character = 0_u8;
    while character < 128 {
        let byte = character as usize;
        if character.is_ascii_alphanumeric()
            || matches!(
                character,
                b' ' | b'.' | b'_' | b'/' | b'@' | b'+' | b'-' | b':' | b'=' | b',' | b'(' | b')' | b'%'
            )
        {
            classes[byte] |= SAFE;
        }
        let in_numbers = matches!(character.to_ascii_lowercase(), b'e' | b'x' | b'o' | b't' | b'z' | b'b');
        if character.is_ascii_alphabetic() && !in_numbers {
            classes[byte] |= IN_NO_NUMBER;
        }
        if character == b':' {
            classes[byte] |= COLON;
        }
        character += 1;
    }
    classes
};

/// Reads a mapping: no aliases, no anchors, bounded in size.
pub(super) fn parse<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    if text.len() > MAX_SIZE {
        return Err(format!("it has {} bytes, more than a record can have", text.len()));
    }
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_aliases: 0,
            max_anchors: 0,
            max_depth: 16,
        },
        strict_booleans: true,
    };
    serde_saphyr::from_str_with_options(text, options)
        .map_err(|error| error.to_string().lines().next().unwrap_or("it is not YAML").to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_reader_could_misread_is_quoted() {
        for quoted in [
            "",
            "no",
            "Yes",
            "null",
            "12e4567",
            "0123456",
            "2025-01-22T12:00:00Z",
            "#482",
            "a: b",
            "a\nb",
            "*x",
            "a #b",
            " a",
            "é",
        ] {
            assert!(scalar(quoted).starts_with('"'), "{quoted:?}");
        }
        for plain in [
            "success",
            "ci@example.com",
            "1a2b3c4",
            "PROJ-123",
            "github:123/1",
            "registry.example.com/api@sha256:abc",
        ] {
            assert_eq!(scalar(plain), plain);
        }
    }

    proptest::proptest! {
        #[test]
        fn every_string_reads_back_as_itself(value in ".*", key in "[a-zA-Z0-9 #:_-]{1,20}") {
            let map = BTreeMap::from([(key.clone(), value.clone())]);
            let out = Mapping::after(String::new()).text(&key, Some(&value)).map("nested map", &map).finish();
            let read: BTreeMap<String, serde_json::Value> = parse(&out).unwrap();
            proptest::prop_assert_eq!(read[&key].as_str(), Some(value.as_str()));
            proptest::prop_assert_eq!(read["nested map"][&key].as_str(), Some(value.as_str()));
            let other: serde_yaml::Value = serde_yaml::from_str(&out).unwrap();
            proptest::prop_assert_eq!(other[key.as_str()].as_str(), Some(value.as_str()));
        }
    }
}
