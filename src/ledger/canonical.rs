//! A fast parser for the form of YAML that this program itself writes ([`super::yaml::Mapping`]).
//!
//! Nearly every record has this form, and a history is hundreds of records: a whole YAML parser
//! takes most of the time that showing it takes. Any other form is left to the parser. Invariant,
//! held by a test: both parsers read this form alike.

use std::borrow::Cow;
use std::iter::Peekable;

use memchr::memchr;

use super::yaml::{is_block, is_canonical};

/// The value of a key.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Entry<'t> {
    Text(Cow<'t, str>),
    Number(u64),
    /// At least one scalar.
    List(Vec<Cow<'t, str>>),
    /// Names and values, each name once.
    Map(Vec<(&'t str, Cow<'t, str>)>),
}

/// Parses a mapping of strings, whole numbers, lists of strings and mappings of strings, in the
/// order of the text; `None` for any other form than the canonical one.
pub(super) fn read(text: &str) -> Option<Vec<(&str, Entry<'_>)>> {
    let mut entries: Vec<(&str, Entry<'_>)> = Vec::new();
    // The canonical form ends with a line end.
    let mut lines = lines(text.strip_suffix('\n')?).peekable();
    while let Some(line) = lines.next() {
        let (key, value) = split(line)?;
        if entries.iter().any(|(known, _)| *known == key) {
            return None;
        }
        let entry = match value {
            Some("|") => Entry::Text(block(&mut lines)?),
            Some(value) => match number(value) {
                Some(number) => Entry::Number(number),
                None => Entry::Text(scalar(value)?),
            },
            None if lines.peek().is_some_and(|line| line.starts_with(ITEM)) => Entry::List(list(&mut lines)?),
            None => Entry::Map(map(&mut lines)?),
        };
        entries.push((key, entry));
    }
    Some(entries)
}

/// The start of a list's item.
const ITEM: &str = "  - ";

/// The items of a list.
fn list<'t>(lines: &mut Peekable<impl Iterator<Item = &'t str>>) -> Option<Vec<Cow<'t, str>>> {
    let mut list = Vec::new();
    while let Some(line) = lines.next_if(|line| line.starts_with(' ')) {
        list.push(scalar(line.strip_prefix(ITEM)?)?);
    }
    Some(list)
}

/// The entries of a mapping. An empty one is not canonical.
fn map<'t>(lines: &mut Peekable<impl Iterator<Item = &'t str>>) -> Option<Vec<(&'t str, Cow<'t, str>)>> {
    let mut map: Vec<(&str, Cow<'_, str>)> = Vec::new();
    while let Some(line) = lines.next_if(|line| line.starts_with("  ")) {
        let (name, value) = split(&line[2..])?;
        if map.iter().any(|(known, _)| *known == name) {
            return None;
        }
        map.push((name, scalar(value?)?));
    }
    Some(map).filter(|map| !map.is_empty())
}

/// The text of a literal block.
fn block<'t>(lines: &mut Peekable<impl Iterator<Item = &'t str>>) -> Option<Cow<'t, str>> {
    let mut text = String::new();
    while let Some(line) = lines.next_if(|line| line.is_empty() || line.starts_with("  ")) {
        text.push_str(line.get(2..).unwrap_or_default());
        text.push('\n');
    }
    is_block(&text).then(|| text.into())
}

/// A whole number as we write it. Longer ones are left to the parser.
fn number(written: &str) -> Option<u64> {
    let plain = matches!(written.len(), 1..=18)
        && written.bytes().all(|byte| byte.is_ascii_digit())
        && (written.len() == 1 || !written.starts_with('0'));
    plain.then(|| written.parse().ok()).flatten()
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
    // A quoted key is canonical as well, but rare.
    (key.len() <= LONGEST_KEY && !key.starts_with('"') && is_canonical(key, key)).then_some((key, value))
}

/// The text of a scalar.
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

    /// The entries as the YAML parser would return them.
    fn as_values(entries: Vec<(&str, Entry<'_>)>) -> BTreeMap<String, Value> {
        let text = |text: Cow<'_, str>| Value::from(text.into_owned());
        let value = |entry| match entry {
            Entry::Text(value) => text(value),
            Entry::Number(number) => number.into(),
            Entry::List(list) => list.into_iter().map(text).collect(),
            Entry::Map(map) => map.into_iter().map(|(name, value)| (name.to_owned(), text(value))).collect(),
        };
        entries.into_iter().map(|(key, entry)| (key.to_owned(), value(entry))).collect()
    }

    #[test]
    fn what_is_not_of_our_form_is_left_to_the_parser() {
        for text in [
            "",
            "a: 1",
            "a: 01\n",
            "a: +1\n",
            "a: -1\n",
            "a: 1.0\n",
            "a: 1_000\n",
            "a: 0x1\n",
            "a: 1234567890123456789\n",
            "a:\n- x\n",
            "a:\n  - x\n    - y\n",
            "a:\n  - x\n  b: y\n",
            "a:\n  - b: x\n",
            "a:\n  - - x\n",
            "a:\n  - 1\n",
            "a:\n  -\n",
            "a:\n  -  x\n",
            "a:\n  b: 1\n",
            "a: |\n",
            "a: |-\n  x\n",
            "a: |\n   x\n",
            "a: |\n\n  x\n",
            "a: |\n  x\n\n",
            "a: |\n  x\n   \n",
            "a: x\n\n",
            "a: x\na: y\n",
            "a:\n",
            "a:\n  b: x\n  b: y\n",
            "a:\n    b: x\n",
            "a: null\n",
            "a: x # y\n",
            "a: 'x'\n",
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

    /// A name that is written plain: `on` and its like are quoted, and quoted keys are left to the
    /// parser.
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
            number in 0..1_000_000_000_000_000_000_u64,
            list in prop::collection::vec(".*", 1..4),
            block in "(?s)([ -~é]{0,8}\n){1,4}|.*",
        ) {
            let time = "2025-01-22T12:00:00Z".parse().ok();
            let written = Mapping::after(String::new())
                .text(&format!("x{key}"), Some(&value))
                .time("time", time)
                .number("number", Some(number))
                .list("list", &list)
                .block("block", Some(&block))
                .map("map", &map)
                .finish();
            let entries = read(&written);
            prop_assert!(entries.is_some(), "{}", written);
            let parsed: BTreeMap<String, Value> = parse(&written).unwrap();
            prop_assert_eq!(entries.map(as_values), Some(parsed));
        }

        /// For any text: if this parser accepts it, both parsers read it alike.
        #[test]
        fn what_is_read_reads_the_same_with_the_parser(
            text in "(( {0,3}(- {1,2})?[a-z0-9:\"']{1,4}:?( {1,2}(\"[^\"]{0,5}\"|[ -~]{0,8}|true|no|~|\\||[0-9]{1,22}|[0-9.e+:TZ-]{1,20}|[éx\u{7f}\u{85}]{1,2}))?\n|\n){1,5})",
        ) {
            if let Some(entries) = read(&text) {
                let parsed = parse::<BTreeMap<String, Value>>(&text);
                prop_assert_eq!(Ok(as_values(entries)), parsed, "{:?}", text);
            }
        }

        /// The same property for texts that are close to the canonical form.
        #[test]
        fn what_is_nearly_ours_reads_the_same_with_the_parser(
            text in "((a|b|c|d): (\"[^\"]{0,3}\"|[0-9]{1,20}|[a-z]{1,3})\n|(a|b|c|d):\n( {1,3}- {1,2}[ -~]{1,4}\n){1,3}|(a|b|c|d): \\|\n( {0,3}[ -~]{0,4}\n){1,3}){1,3}",
        ) {
            if let Some(entries) = read(&text) {
                let parsed = parse::<BTreeMap<String, Value>>(&text);
                prop_assert_eq!(Ok(as_values(entries)), parsed, "{:?}", text);
            }
        }
    }
}
