//! Functions of texts.

use serde_json::Value as Json;

use super::super::print::quoted;
use super::collections::split_at_most;
use super::{Outcome, any_text, bounded, exactly, go_string, index_of, integer_of, printf, text_of};

pub(super) fn call(name: &str, arguments: &[Json]) -> Option<Outcome> {
    Some(match name {
        "printf" => printf::printf(arguments).map(Json::String),
        "print" => Ok(Json::String(printed(arguments))),
        "println" => Ok(Json::String(joined(arguments, " ") + "\n")),
        "upper" => of_text(arguments, str::to_uppercase),
        "lower" => of_text(arguments, str::to_lowercase),
        "title" => of_text(arguments, title),
        "untitle" => of_text(arguments, untitle),
        "trim" => of_text(arguments, |text| text.trim().to_owned()),
        "nospace" => of_text(arguments, |text| text.split_whitespace().collect()),
        "quote" => Ok(Json::String(each(arguments, |text| quoted(&text)))),
        "squote" => Ok(Json::String(each(arguments, |text| format!("'{text}'")))),
        "cat" => Ok(Json::String(each(arguments, |text| text))),
        "toString" => exactly(arguments).map(|[value]| Json::String(any_text(value))),
        "trimAll" | "trimall" => {
            of_two(arguments, |cut, text| text.trim_matches(|letter| cut.contains(letter)).to_owned())
        }
        "trimPrefix" => of_two(arguments, |start, text| text.strip_prefix(start).unwrap_or(text).to_owned()),
        "trimSuffix" => of_two(arguments, |end, text| text.strip_suffix(end).unwrap_or(text).to_owned()),
        "contains" => test(arguments, |part, text| text.contains(part)),
        "hasPrefix" => test(arguments, |start, text| text.starts_with(start)),
        "hasSuffix" => test(arguments, |end, text| text.ends_with(end)),
        "replace" => replace(arguments),
        "repeat" => repeat(arguments),
        "substr" => substr(arguments),
        "trunc" => trunc(arguments),
        "indent" => indent(arguments),
        "nindent" => indent(arguments).map(|text| Json::String(format!("\n{}", any_text(&text)))),
        "html" => Ok(Json::String(escaped(&joined_plainly(arguments), html_escape))),
        "js" => Ok(Json::String(escaped(&joined_plainly(arguments), js_escape))),
        _ => return of_gomplate(name, arguments),
    })
}

/// Gomplate's functions that convert any value to a text, or differ from Sprig's of the same name.
fn of_gomplate(name: &str, arguments: &[Json]) -> Option<Outcome> {
    let texts: Vec<Json> = arguments.iter().map(|value| Json::String(go_string(value))).collect();
    let trimmed = |trim: &dyn Fn(&str, &str) -> String| of_two(&texts, trim);
    Some(match name {
        "strings.Title" => of_text(&texts, title),
        "strings.ToUpper" | "toUpper" => of_text(&texts, str::to_uppercase),
        "strings.ToLower" | "toLower" => of_text(&texts, str::to_lowercase),
        "strings.TrimSpace" | "trimSpace" => of_text(&texts, |text| text.trim().to_owned()),
        "strings.Quote" => of_text(&texts, quoted),
        "strings.Squote" => of_text(&texts, |text| format!("'{}'", text.replace('\'', "''"))),
        "strings.ShellQuote" | "shellQuote" => shell_quote(arguments),
        "strings.ReplaceAll" | "replaceAll" => replace(&texts),
        "strings.Contains" => test(&texts, |part, text| text.contains(part)),
        "strings.HasPrefix" => test(&texts, |start, text| text.starts_with(start)),
        "strings.HasSuffix" => test(&texts, |end, text| text.ends_with(end)),
        "strings.TrimPrefix" => call("trimPrefix", &texts)?,
        "strings.TrimSuffix" => call("trimSuffix", &texts)?,
        "strings.Trim" => trimmed(&|cut, text| text.trim_matches(|letter| cut.contains(letter)).to_owned()),
        "strings.TrimLeft" => {
            trimmed(&|cut, text| text.trim_start_matches(|letter| cut.contains(letter)).to_owned())
        }
        "strings.TrimRight" => {
            trimmed(&|cut, text| text.trim_end_matches(|letter| cut.contains(letter)).to_owned())
        }
        "strings.Repeat" => exactly(arguments)
            .and_then(|[count, value]| repeat(&[count.clone(), Json::String(go_string(value))])),
        "strings.Split" => exactly(&texts).and_then(|[between, text]| {
            Ok(split_at_most(text_of(text)?, text_of(between)?, -1).into_iter().collect())
        }),
        "strings.SplitN" | "splitN" => exactly(arguments).and_then(|[between, count, text]| {
            let parts = split_at_most(&go_string(text), text_of(between)?, integer_of(count)?);
            Ok(parts.into_iter().collect())
        }),
        "strings.Trunc" => exactly(arguments).and_then(|[length, value]| {
            let text = go_string(value);
            part(&text, 0, usize::try_from(integer_of(length)?).unwrap_or(text.len()).min(text.len()))
        }),
        "strings.Indent" => indent_lines(arguments),
        _ => return None,
    })
}

fn shell_quote(arguments: &[Json]) -> Outcome {
    let [value] = exactly(arguments)?;
    let quote = |value: &Json| format!("'{}'", go_string(value).replace('\'', "'\"'\"'"));
    Ok(match value {
        Json::Array(items) => items.iter().map(quote).collect::<Vec<_>>().join(" ").into(),
        value => quote(value).into(),
    })
}

/// Indents the non-empty lines with blanks or another text.
fn indent_lines(arguments: &[Json]) -> Outcome {
    let (width, pad, value) = match arguments {
        [value] => (1, " ", value),
        [Json::String(pad), value] => (1, pad.as_str(), value),
        [width, value] => (index_of(width)?, " ", value),
        [width, pad, value] => (index_of(width)?, text_of(pad)?, value),
        _ => return Err(format!("takes 1 to 3 arguments, not {}", arguments.len())),
    };
    if width == 0 || pad.contains('\n') {
        return Err("takes a width of at least 1, and no line break to indent with".to_owned());
    }
    let text = go_string(value);
    bounded(width, pad.len())?;
    bounded(text.matches('\n').count() + 1, width * pad.len())?;
    let pad = pad.repeat(width);
    let lines =
        text.split('\n').map(|line| if line.is_empty() { String::new() } else { format!("{pad}{line}") });
    Ok(lines.collect::<Vec<_>>().join("\n").into())
}

fn joined_plainly(arguments: &[Json]) -> String {
    arguments.iter().map(any_text).collect()
}

fn escaped(text: &str, escape: impl Fn(char) -> Option<String>) -> String {
    text.chars().map(|letter| escape(letter).unwrap_or_else(|| letter.to_string())).collect()
}

fn html_escape(letter: char) -> Option<String> {
    Some(match letter {
        '&' => "&amp;".to_owned(),
        '<' => "&lt;".to_owned(),
        '>' => "&gt;".to_owned(),
        '"' => "&#34;".to_owned(),
        '\'' => "&#39;".to_owned(),
        '\0' => '\u{fffd}'.to_string(),
        _ => return None,
    })
}

fn js_escape(letter: char) -> Option<String> {
    match letter {
        '\\' | '\'' | '"' => Some(format!("\\{letter}")),
        '<' | '>' | '&' | '=' => Some(format!("\\u{:04X}", u32::from(letter))),
        letter if u32::from(letter) < 0x20 => Some(format!("\\u{:04X}", u32::from(letter))),
        _ => None,
    }
}

fn of_text(arguments: &[Json], change: impl Fn(&str) -> String) -> Outcome {
    let [text] = exactly(arguments)?;
    Ok(Json::String(change(text_of(text)?)))
}

fn of_two(arguments: &[Json], change: impl Fn(&str, &str) -> String) -> Outcome {
    let [one, text] = exactly(arguments)?;
    Ok(Json::String(change(text_of(one)?, text_of(text)?)))
}

fn test(arguments: &[Json], holds: impl Fn(&str, &str) -> bool) -> Outcome {
    let [one, text] = exactly(arguments)?;
    Ok(Json::Bool(holds(text_of(one)?, text_of(text)?)))
}

/// Joins the arguments that are not null, separated by blanks.
fn each(arguments: &[Json], show: impl Fn(String) -> String) -> String {
    let there = arguments.iter().filter(|value| !value.is_null());
    there.map(|value| show(any_text(value))).collect::<Vec<_>>().join(" ")
}

fn joined(arguments: &[Json], between: &str) -> String {
    arguments.iter().map(any_text).collect::<Vec<_>>().join(between)
}

/// Joins the arguments as Go's `print` does, with blanks between values that are not texts.
fn printed(arguments: &[Json]) -> String {
    let mut text = String::new();
    let mut after_text = true;
    for argument in arguments {
        if !after_text && !argument.is_string() {
            text.push(' ');
        }
        text.push_str(&any_text(argument));
        after_text = argument.is_string();
    }
    text
}

pub(super) fn title(text: &str) -> String {
    let mut titled = String::with_capacity(text.len());
    let mut begins = true;
    for letter in text.chars() {
        if begins && letter.is_alphabetic() {
            titled.extend(letter.to_uppercase());
        } else {
            titled.push(letter);
        }
        begins = !(letter.is_alphanumeric() || letter == '_' || letter == '\'');
    }
    titled
}

fn untitle(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut begins = true;
    for letter in text.chars() {
        if begins {
            plain.extend(letter.to_lowercase());
        } else {
            plain.push(letter);
        }
        begins = letter.is_whitespace();
    }
    plain
}

fn replace(arguments: &[Json]) -> Outcome {
    let [old, new, text] = exactly(arguments)?;
    let (old, new, text) = (text_of(old)?, text_of(new)?, text_of(text)?);
    bounded(text.matches(old).count(), new.len())?;
    Ok(Json::String(text.replace(old, new)))
}

fn repeat(arguments: &[Json]) -> Outcome {
    let [count, text] = exactly(arguments)?;
    let (count, text) = (index_of(count)?, text_of(text)?);
    bounded(count, text.len())?;
    Ok(Json::String(text.repeat(count)))
}

/// The letters from `start` to before `end`; a negative `start` means the
/// beginning, a negative `end` the end.
fn substr(arguments: &[Json]) -> Outcome {
    let [start, end, text] = exactly(arguments)?;
    let text = text_of(text)?;
    let start = usize::try_from(integer_of(start)?).unwrap_or(0).min(text.len());
    let end = usize::try_from(integer_of(end)?).unwrap_or(text.len()).min(text.len());
    part(text, start, end)
}

/// The first letters of a text, or the last ones where the count is negative.
fn trunc(arguments: &[Json]) -> Outcome {
    let [count, text] = exactly(arguments)?;
    let text = text_of(text)?;
    let count = integer_of(count)?;
    let size = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX).min(text.len());
    if count < 0 { part(text, text.len() - size, text.len()) } else { part(text, 0, size) }
}

pub(super) fn part(text: &str, start: usize, end: usize) -> Outcome {
    let part = text.get(start..end.max(start)).ok_or("would cut a letter in two")?;
    Ok(Json::from(part))
}

fn indent(arguments: &[Json]) -> Outcome {
    let [width, text] = exactly(arguments)?;
    let (width, text) = (index_of(width)?, text_of(text)?);
    let lines = text.matches('\n').count() + 1;
    bounded(lines, width)?;
    let blanks = " ".repeat(width);
    Ok(Json::String(format!("{blanks}{}", text.replace('\n', &format!("\n{blanks}")))))
}
