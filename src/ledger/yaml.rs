//! The YAML of records: written so that every YAML version parses it alike, and parsed within
//! limits.

use std::collections::BTreeMap;
use std::fmt::Write;

use jiff::Timestamp;
use serde::de::DeserializeOwned;

/// The largest message that is read, in bytes. A record has about one thousand.
const MAX_SIZE: usize = 256 * 1024;

/// Words that some YAML version parses as another type than a string.
const RESERVED: [&str; 12] =
    ["null", "true", "false", "yes", "no", "on", "off", "y", "n", "~", ".nan", ".inf"];

/// A mapping that is being written, one `key: value` a line. `None` and empty values are omitted.
pub(super) struct Mapping(String);

impl Mapping {
    /// Starts after this text.
    pub(super) const fn after(text: String) -> Self {
        Self(text)
    }

    /// Adds a string, quoted where a parser could take it for another type.
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

    /// Adds a list of strings.
    pub(super) fn list(mut self, key: &str, list: &[String]) -> Self {
        if list.is_empty() {
            return self;
        }
        self = self.entry("", key, Some(String::new()));
        for item in list {
            // Writing to a string cannot fail.
            let _ = writeln!(self.0, "  - {}", scalar(item));
        }
        self
    }

    /// Adds a text of several lines: as an indented block, where that is parsed back byte for byte,
    /// else as a string.
    pub(super) fn block(mut self, key: &str, value: Option<&str>) -> Self {
        let Some(text) = value.filter(|text| is_block(text)) else { return self.text(key, value) };
        self = self.entry("", key, Some("|".to_owned()));
        for line in text.lines() {
            self.0.push_str(if line.is_empty() { "" } else { "  " });
            self.0.push_str(line);
            self.0.push('\n');
        }
        self
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

/// Whether this is the written form of `text`.
pub(super) fn is_canonical(text: &str, written: &str) -> bool {
    if is_plain(text) { text == written } else { quoted(text) == written }
}

/// Whether a text can be written as a literal block: lines that end in one line end, none of which
/// hides its indentation or an unprintable character.
pub(super) fn is_block(text: &str) -> bool {
    let unprintable = |c: char| is_escaped(c) || (c.is_control() && c != '\n' && c != '\t');
    text.ends_with('\n')
        && !text.ends_with("\n\n")
        && !text.starts_with([' ', '\t', '\n'])
        && text.lines().all(|line| line.is_empty() || !line.trim().is_empty())
        && !text.contains(unprintable)
}

/// Whether YAML counts a character as unprintable or as a line end, where JSON does not.
const fn is_escaped(c: char) -> bool {
    matches!(c, '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
}

/// A JSON string, which YAML parses as well, with YAML's unprintable characters escaped.
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    // Text is always JSON.
    for c in serde_json::to_string(text).unwrap_or_default().chars() {
        if is_escaped(c) {
            // Writing to a string cannot fail.
            let _ = write!(out, "\\u{:04x}", u32::from(c));
        } else {
            out.push(c);
        }
    }
    out
}

/// Whether a text needs no quotes. Reading a history checks thousands of scalars, so each byte is
/// looked at once.
fn is_plain(text: &str) -> bool {
    let bytes = text.as_bytes();
    let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else { return false };
    let (all, any) = bytes.iter().fold((u8::MAX, 0), |(all, any), byte| {
        let class = CLASSES[usize::from(*byte)];
        (all & class, any | class)
    });
    // Anything that starts with a digit may be a number or a date, unless a letter that no number
    // has stands in it (`1a2b3c…` is a fine commit id, `12e4567` is a number to many readers).
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

/// The class of each byte.
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
    fn a_text_of_several_lines_is_a_block() {
        let text = "object 1a2b\ntype commit\n\n  atmos\n-----BEGIN SSH SIGNATURE-----\n";
        assert_eq!(
            Mapping::after(String::new()).block("original", Some(text)).finish(),
            "original: |\n  object 1a2b\n  type commit\n\n    atmos\n  -----BEGIN SSH SIGNATURE-----\n"
        );
        for text in ["", "x", "x\n\n", "\nx\n", " x\n", "x\r\n", "x\n  \ny\n", "\u{85}\n", "x\u{1b}\n"] {
            assert!(!is_block(text), "{text:?}");
        }
    }

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
        fn a_block_reads_back_as_it_was(text in "(?s)([ -~é\t]{0,8}\n){1,4}|.*") {
            let out = Mapping::after(String::new()).block("a", Some(&text)).text("b", Some("x")).finish();
            let read: BTreeMap<String, serde_json::Value> = parse(&out).unwrap();
            proptest::prop_assert_eq!(read["a"].as_str(), Some(text.as_str()));
            let other: serde_yaml::Value = serde_yaml::from_str(&out).unwrap();
            proptest::prop_assert_eq!(other["a"].as_str(), Some(text.as_str()));
        }

        #[test]
        fn every_string_reads_back_as_itself(value in ".*", key in "[a-zA-Z0-9 #:_-]{1,20}") {
            let map = BTreeMap::from([(key.clone(), value.clone())]);
            let out = Mapping::after(String::new())
                .text(&key, Some(&value))
                .map("nested map", &map)
                .list("some list", &[value.clone(), value.clone()])
                .finish();
            let read: BTreeMap<String, serde_json::Value> = parse(&out).unwrap();
            proptest::prop_assert_eq!(read[&key].as_str(), Some(value.as_str()));
            proptest::prop_assert_eq!(read["nested map"][&key].as_str(), Some(value.as_str()));
            proptest::prop_assert_eq!(&read["some list"], &serde_json::json!([value, value]));
            let other: serde_yaml::Value = serde_yaml::from_str(&out).unwrap();
            proptest::prop_assert_eq!(other["some list"][1].as_str(), Some(value.as_str()));
            proptest::prop_assert_eq!(other[key.as_str()].as_str(), Some(value.as_str()));
        }
    }
}
