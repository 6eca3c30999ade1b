//! A quick way to read the form of YAML that this program itself writes ([`super::yaml::Mapping`]).
//!
//! Nearly every record has this form, and a history is hundreds of records: a whole YAML parser takes most of the time
//! that showing it takes. Whatever is not exactly of this form is left to the parser; what is read here reads the same
//! there, which a test holds.

use std::borrow::Cow;

use memchr::memchr;

use super::yaml::is_canonical;

/// What a key leads to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Entry<'t> {
    Text(Cow<'t, str>),
    /// Names and values, each name once.
    Map(Vec<(&'t str, Cow<'t, str>)>),
}

/// Reads a mapping of strings, and of mappings of strings, by key in the order of the text; `None` where it is anything
/// but the form that we write.
pub(super) fn read(text: &str) -> Option<Vec<(&str, Entry<'_>)>> {
    let mut entries: Vec<(&str, Entry<'_>)> = Vec::new();
    // What follows the last line end is nothing: text without one is not ours.
    let mut lines = lines(text.strip_suffix('\n')?).peekable();
    while let Some(line) = lines.next() {
        let (key, value) = split(line)?;
        if entries.iter().any(|(known, _)| *known == key) {
            return None;
        }
        let entry = if let Some(value) = value {
            Entry::Text(scalar(value)?)
        } else {
            let mut map: Vec<(&str, Cow<'_, str>)> = Vec::new();
            while let Some(line) = lines.next_if(|line| line.starts_with("  ")) {
                let (name, value) = split(&line[2..])?;
                if map.iter().any(|(known, _)| *known == name) {
                    return None;
                }
                map.push((name, scalar(value?)?));
            }
            // Without entries it is no mapping but nothing.
            Entry::Map(Some(map).filter(|map| !map.is_empty())?)
        };
        entries.push((key, entry));
    }
    Some(entries)
}

/// The lines of a text, like `text.split('\n')`, which is slower.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let end = memchr(b'\n', text.as_bytes());
        rest = end.map(|end| &text[end + 1..]);
        Some(&text[..end.unwrap_or(text.len())])
    })
}

/// A line's key, and its value where one follows on the same line.
fn split(line: &str) -> Option<(&str, Option<&str>)> {
    /// YAML bounds keys; so does this, well below.
    const LONGEST_KEY: usize = 256;
    let (key, value) = match line.as_bytes().windows(2).position(|pair| pair == b": ") {
        Some(at) => (&line[..at], Some(&line[at + 2..])),
        None => (line.strip_suffix(':')?, None),
    };
    // A quoted key is ours as well, but rare.
    (key.len() <= LONGEST_KEY && !key.starts_with('"') && is_canonical(key, key)).then_some((key, value))
}

/// What a scalar stands for.
fn scalar(written: &str) -> Option<Cow<'_, str>> {
    if is_time(written) {
        return Some(written.into());
    }
    let value: Cow<'_, str> = if written.starts_with('"') {
        serde_json::from_str::<String>(written).ok()?.into()
    } else {
        written.into()
    };
    is_canonical(&value, written).then_some(value)
}

/// A moment in whole seconds of UTC: `2025-01-22T12:00:00Z`.
fn is_time(text: &str) -> bool {
    const SHAPE: &[u8; 20] = b"0000-00-00T00:00:00Z";
    text.len() == SHAPE.len()
        && text.bytes().zip(SHAPE).all(|(byte, shape)| match shape {
            b'0' => byte.is_ascii_digit(),
            shape => byte == *shape,
        })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use serde_json::Value;

    use super::super::yaml::{Mapping, parse};
    use super::*;

    /// What was read, as the parser would give it.
    fn as_values(entries: Vec<(&str, Entry<'_>)>) -> BTreeMap<String, Value> {
        let text = |text: Cow<'_, str>| Value::from(text.into_owned());
        let value = |entry| match entry {
            Entry::Text(value) => text(value),
            Entry::Map(map) => map.into_iter().map(|(name, value)| (name.to_owned(), text(value))).collect(),
        };
        entries.into_iter().map(|(key, entry)| (key.to_owned(), value(entry))).collect()
    }

    #[test]
    fn what_is_not_of_our_form_is_left_to_the_parser() {
        for text in [
            "",
            "a: 1",
            "a: 1\n",
            "a: x\n\n",
            "a: x\na: y\n",
            "a:\n",
            "a:\n  b: x\n  b: y\n",
            "a:\n    b: x\n",
            "a: null\n",
            "a: x # y\n",
            "a: 'x'\n",
            "a: |\n  x\n",
            "a:  x\n",
            "a: \"\\ud83d\\ude00\"\n",
            "a: \"x\"\n",
            "\"on\": x\n",
            "? a\n: x\n",
            "a: [x]\n",
            "a: x\r\n",
        ] {
            assert_eq!(read(text), None, "{text:?}");
        }
    }

    /// A name that is written as it is: `on` and its like are quoted, and quoted keys are left to the parser.
    fn unquoted_name() -> impl Strategy<Value = String> {
        "[a-z][a-z0-9_.:-]{0,9}[a-z]".prop_filter("written without quotes", |name| is_canonical(name, name))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        #[test]
        fn what_we_write_is_read(
            key in "[a-z_]{1,12}",
            value in ".*",
            map in prop::collection::btree_map(unquoted_name(), ".*", 1..4),
        ) {
            let time = "2025-01-22T12:00:00Z".parse().ok();
            let written = Mapping::after(String::new())
                .text(&format!("x{key}"), Some(&value))
                .time("time", time)
                .map("map", &map)
                .finish();
            let entries = read(&written);
            prop_assert!(entries.is_some(), "{}", written);
            let parsed: BTreeMap<String, Value> = parse(&written).unwrap();
            prop_assert_eq!(entries.map(as_values), Some(parsed));
        }

        /// Whatever somebody else wrote: read here, it reads the same there.
        #[test]
        fn what_is_read_reads_the_same_with_the_parser(
            text in "(( {0,3}[a-z0-9:\"']{1,4}:( {1,2}(\"[^\"]{0,5}\"|[ -~]{0,8}|true|no|~|[0-9.e+:TZ-]{1,20}|[éx\u{7f}\u{85}]{1,2}))?\n){1,4})",
        ) {
            if let Some(entries) = read(&text) {
                let parsed = parse::<BTreeMap<String, Value>>(&text);
                prop_assert_eq!(Ok(as_values(entries)), parsed, "{:?}", text);
            }
        }
    }
}
