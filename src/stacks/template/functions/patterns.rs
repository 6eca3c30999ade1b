//! Regular expressions in Go's syntax. Matching takes time linear in the text, as in Go.

use regex::{Regex, RegexBuilder};
use serde_json::Value as Json;

use super::super::MAX_TEXT;
use super::{Outcome, exactly, go_string, integer_of, text_of};

/// The maximum size of a compiled pattern, in bytes.
const MAX_PATTERN: usize = 1 << 20;

pub(super) fn call(name: &str, arguments: &[Json]) -> Option<Outcome> {
    let name = name.strip_prefix("mustRegex").map_or_else(|| name.to_owned(), |rest| format!("regex{rest}"));
    of_sprig(&name, arguments).or_else(|| of_gomplate(&name, arguments))
}

/// Sprig's functions take the text before the replacement or the limit.
fn of_sprig(name: &str, arguments: &[Json]) -> Option<Outcome> {
    Some(match name {
        "regexMatch" => two(arguments).and_then(|[pattern, text]| is_match(pattern, text)),
        "regexFind" => two(arguments).and_then(|[pattern, text]| find(pattern, text)),
        "regexFindAll" => limited(arguments).and_then(|([pattern, text], limit)| {
            let found = compiled(pattern)?;
            Ok(at_most(found.find_iter(text).map(|found| found.as_str()), limit))
        }),
        "regexSplit" => limited(arguments).and_then(|([pattern, text], limit)| split(pattern, text, limit)),
        "regexReplaceAll" => three(arguments).and_then(|[pattern, text, new]| replace(pattern, text, new)),
        "regexReplaceAllLiteral" => {
            three(arguments).and_then(|[pattern, text, new]| replace_literal(pattern, text, new))
        }
        "regexQuoteMeta" => exactly(arguments).and_then(|[text]| Ok(quote_meta(text_of(text)?).into())),
        _ => return None,
    })
}

/// Gomplate's functions take the text last, and convert any value to a text.
fn of_gomplate(name: &str, arguments: &[Json]) -> Option<Outcome> {
    let operation = name.strip_prefix("regexp.")?;
    let texts: Vec<Json> = arguments.iter().map(|value| Json::String(go_string(value))).collect();
    let limit = match arguments {
        [_, limit, _] => integer_of(limit),
        _ => Ok(-1),
    };
    let ends = match texts.as_slice() {
        [pattern, .., text] if texts.len() <= 3 => {
            Ok([pattern, text].map(|text| text.as_str().unwrap_or_default()))
        }
        _ => Err(format!("takes 2 or 3 arguments, not {}", texts.len())),
    };
    Some(match operation {
        "Match" => two(&texts).and_then(|[pattern, text]| is_match(pattern, text)),
        "Find" => two(&texts).and_then(|[pattern, text]| find(pattern, text)),
        "FindAll" => ends.and_then(|[pattern, text]| {
            let found = compiled(pattern)?;
            Ok(at_most(found.find_iter(text).map(|found| found.as_str()), limit?))
        }),
        "Split" => ends.and_then(|[pattern, text]| split(pattern, text, limit?)),
        "Replace" => three(&texts).and_then(|[pattern, new, text]| replace(pattern, text, new)),
        "ReplaceLiteral" => {
            three(&texts).and_then(|[pattern, new, text]| replace_literal(pattern, text, new))
        }
        "QuoteMeta" => exactly(&texts).and_then(|[text]| Ok(quote_meta(text_of(text)?).into())),
        _ => return None,
    })
}

fn two(arguments: &[Json]) -> Result<[&str; 2], String> {
    let [one, other] = exactly(arguments)?;
    Ok([text_of(one)?, text_of(other)?])
}

fn three(arguments: &[Json]) -> Result<[&str; 3], String> {
    let [one, second, third] = exactly(arguments)?;
    Ok([text_of(one)?, text_of(second)?, text_of(third)?])
}

fn limited(arguments: &[Json]) -> Result<([&str; 2], i64), String> {
    let [pattern, text, limit] = exactly(arguments)?;
    Ok(([text_of(pattern)?, text_of(text)?], integer_of(limit)?))
}

fn compiled(pattern: &str) -> Result<Regex, String> {
    let built = RegexBuilder::new(&translated(pattern)).size_limit(MAX_PATTERN).build();
    built.map_err(|_| format!("cannot read the regular expression `{pattern}`"))
}

fn is_match(pattern: &str, text: &str) -> Outcome {
    Ok(compiled(pattern)?.is_match(text).into())
}

fn find(pattern: &str, text: &str) -> Outcome {
    Ok(compiled(pattern)?.find(text).map_or("", |found| found.as_str()).into())
}

/// The first matches, or all of them where the limit is negative.
fn at_most<'t>(found: impl Iterator<Item = &'t str>, limit: i64) -> Json {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    found.take(limit).map(Json::from).collect()
}

/// The parts between matches, as Go's `Split` gives them.
fn split(pattern: &str, text: &str, limit: i64) -> Outcome {
    if limit == 0 {
        return Ok(Json::Array(Vec::new()));
    }
    if text.is_empty() && !pattern.is_empty() {
        return Ok(Json::Array(vec!["".into()]));
    }
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let compiled = compiled(pattern)?;
    let mut parts: Vec<Json> = Vec::new();
    let (mut begin, mut end) = (0, 0);
    for found in compiled.find_iter(text) {
        if parts.len() + 1 == limit {
            break;
        }
        end = found.start();
        if found.end() != 0 {
            parts.push(text[begin..end].into());
        }
        begin = found.end();
    }
    if end != text.len() {
        parts.push(text[begin..].into());
    }
    Ok(Json::Array(parts))
}

fn replace(pattern: &str, text: &str, new: &str) -> Outcome {
    let references = new.matches('$').count();
    replaced(pattern, text, |found, replaced| {
        let whole = found.get(0).map_or(0, |whole| whole.len());
        // A reference expands to at most the length of the match.
        bounded(replaced.len() + new.len() + references.saturating_mul(whole))?;
        found.expand(new, replaced);
        Ok(())
    })
}

fn replace_literal(pattern: &str, text: &str, new: &str) -> Outcome {
    replaced(pattern, text, |_, replaced| {
        bounded(replaced.len() + new.len())?;
        replaced.push_str(new);
        Ok(())
    })
}

fn replaced(
    pattern: &str,
    text: &str,
    write: impl Fn(&regex::Captures<'_>, &mut String) -> Result<(), String>,
) -> Outcome {
    let mut replaced = String::with_capacity(text.len());
    let mut end = 0;
    for found in compiled(pattern)?.captures_iter(text) {
        let Some(whole) = found.get(0) else { continue };
        replaced.push_str(&text[end..whole.start()]);
        write(&found, &mut replaced)?;
        end = whole.end();
    }
    replaced.push_str(&text[end..]);
    Ok(replaced.into())
}

fn bounded(length: usize) -> Result<(), String> {
    super::bounded(1, length.min(MAX_TEXT.saturating_add(1)))
}

/// Escapes the characters of a text that are special in patterns.
fn quote_meta(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len());
    for letter in text.chars() {
        if r"\.+*?()|[]{}^$".contains(letter) {
            quoted.push('\\');
        }
        quoted.push(letter);
    }
    quoted
}

/// Translates a pattern from Go's syntax to the `regex` crate's: `\d`, `\w`, `\s` and `\b` are
/// ASCII, `\Q…\E` is literal, and classes cannot be nested.
fn translated(pattern: &str) -> String {
    let mut translated = String::with_capacity(pattern.len() + 16);
    let mut rest = pattern;
    let mut in_class = false;
    while let Some(letter) = rest.chars().next() {
        if let Some(quoted) = rest.strip_prefix(r"\Q").filter(|_| !in_class) {
            let (literal, after) = quoted.split_once(r"\E").unwrap_or((quoted, ""));
            translated.push_str(&quote_meta(literal));
            rest = after;
        } else if letter == '\\' {
            let length = 1 + rest[1..].chars().next().map_or(0, char::len_utf8);
            translated.push_str(ascii_class(&rest[..length], in_class).unwrap_or(&rest[..length]));
            rest = &rest[length..];
        } else if in_class {
            rest = in_class_step(rest, letter, &mut translated, &mut in_class);
        } else {
            translated.push(letter);
            rest = &rest[letter.len_utf8()..];
            if letter == '[' {
                in_class = true;
                // A bracket in first position is literal.
                let negated = rest.strip_prefix('^');
                translated.push_str(if negated.is_some() { "^" } else { "" });
                rest = negated.unwrap_or(rest);
                if let Some(after) = rest.strip_prefix(']') {
                    translated.push_str("\\]");
                    rest = after;
                }
            }
        }
    }
    translated
}

fn in_class_step<'t>(rest: &'t str, letter: char, translated: &mut String, in_class: &mut bool) -> &'t str {
    let named = rest.strip_prefix("[:").and_then(|name| name.find(":]")).map(|end| end + 4);
    match (letter, named) {
        ('[', Some(length)) => {
            translated.push_str(&rest[..length]);
            return &rest[length..];
        }
        ('[' | '&' | '~', _) => translated.push('\\'),
        ('-', _) if translated.ends_with('-') => translated.push('\\'),
        (']', _) => *in_class = false,
        _ => {}
    }
    translated.push(letter);
    &rest[letter.len_utf8()..]
}

fn ascii_class(escape: &str, in_class: bool) -> Option<&'static str> {
    Some(match (escape, in_class) {
        (r"\d", false) => "[0-9]",
        (r"\d", true) => "0-9",
        (r"\D", _) => "[^0-9]",
        (r"\w", false) => "[0-9A-Za-z_]",
        (r"\w", true) => "0-9A-Za-z_",
        (r"\W", _) => "[^0-9A-Za-z_]",
        (r"\s", false) => r"[\t\n\f\r ]",
        (r"\s", true) => r"\t\n\f\r ",
        (r"\S", _) => r"[^\t\n\f\r ]",
        (r"\b", false) => r"(?-u:\b)",
        _ => return None,
    })
}
