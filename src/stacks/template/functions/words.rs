//! Texts by their words: cases, initials, abbreviations, line breaks.

use serde_json::Value as Json;

use super::super::MAX_TEXT;
use super::{Outcome, bounded, exactly, go_string, index_of, integer_of, part, text, text_of};

pub(super) fn call(name: &str, arguments: &[Json]) -> Option<Outcome> {
    Some(match name {
        "camelcase" => of_text(arguments, pascal_case),
        "snakecase" => of_text(arguments, |text| separated(text, '_')),
        "kebabcase" => of_text(arguments, |text| separated(text, '-')),
        "swapcase" => of_text(arguments, swap_case),
        "initials" => of_text(arguments, initials),
        "plural" => exactly(arguments).and_then(|[one, many, count]| {
            let is_one = integer_of(count)? == 1;
            Ok(text_of(if is_one { one } else { many })?.into())
        }),
        "abbrev" => exactly(arguments).and_then(|[width, text]| {
            let (width, text) = (integer_of(width)?, text_of(text)?);
            if width < 4 { Ok(text.into()) } else { abbreviated(text, 0, width) }
        }),
        "abbrevboth" => exactly(arguments).and_then(|[left, right, text]| {
            let (left, right, text) = (integer_of(left)?, integer_of(right)?, text_of(text)?);
            let is_short = right < 4 || (left > 0 && right < 7);
            if is_short { Ok(text.into()) } else { abbreviated(text, left, right) }
        }),
        "wrap" => exactly(arguments)
            .and_then(|[width, text]| wrapped(text_of(text)?, integer_of(width)?, "\n", false)),
        "wrapWith" => exactly(arguments).and_then(|[width, between, text]| {
            wrapped(text_of(text)?, integer_of(width)?, text_of(between)?, true)
        }),
        "strings.Abbrev" => match arguments {
            [width, value] => abbreviated(&go_string(value), 0, integer_of(width).ok()?),
            [left, width, value] => {
                integer_of(left).and_then(|left| abbreviated(&go_string(value), left, integer_of(width)?))
            }
            _ => Err(format!("takes a width and a text, not {} arguments", arguments.len())),
        },
        "strings.SnakeCase" => exactly(arguments).map(|[value]| only_words(&go_string(value), "_").into()),
        "strings.KebabCase" => exactly(arguments).map(|[value]| only_words(&go_string(value), "-").into()),
        "strings.CamelCase" => exactly(arguments).map(|[value]| {
            let value = go_string(value);
            let titled = text::title(&value.trim().to_lowercase());
            with_first_of(&titled, value.trim())
                .chars()
                .filter(|letter| letter.is_alphanumeric())
                .collect::<String>()
                .into()
        }),
        "strings.Slug" => exactly(arguments).and_then(|[value]| slug(&go_string(value))),
        "strings.WordWrap" => word_wrap(arguments),
        "strings.SkipLines" => exactly(arguments).and_then(|[count, text]| {
            let (count, text) = (index_of(count)?, text_of(text)?);
            Ok(text.splitn(count.saturating_add(1), '\n').nth(count).unwrap_or_default().into())
        }),
        "strings.RuneCount" => {
            Ok(arguments.iter().map(|value| go_string(value).chars().count()).sum::<usize>().into())
        }
        _ => return None,
    })
}

fn of_text(arguments: &[Json], change: impl Fn(&str) -> String) -> Outcome {
    let [text] = exactly(arguments)?;
    Ok(change(text_of(text)?).into())
}

fn is_connector(letter: char) -> bool {
    letter == '-' || letter == '_' || letter.is_whitespace()
}

/// Words without connectors, each capitalized: `http_server` is `HttpServer`. Leading connectors
/// stay, and so do all but the last of consecutive ones.
fn pascal_case(text: &str) -> String {
    let letters: Vec<char> = text.chars().collect();
    let begin = letters.iter().position(|letter| !is_connector(*letter)).unwrap_or(letters.len());
    let mut cased: String = letters[..begin].iter().collect();
    let mut follows_connector = true;
    for (index, letter) in letters.iter().copied().enumerate().skip(begin) {
        let next = letters.get(index + 1);
        if is_connector(letter) {
            if next.is_none_or(|next| is_connector(*next)) {
                cased.push(letter);
            }
            follows_connector = true;
        } else if follows_connector {
            cased.extend(letter.to_uppercase());
            follows_connector = false;
        } else {
            cased.push(letter);
        }
    }
    cased
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Word {
    Number,
    /// A capital with the small letters behind it, or several capitals.
    Upper,
    Lower,
    Connector,
    Punctuation,
    Other,
    /// After the last word.
    End,
}

/// The class of a letter.
fn word_of(letter: char) -> Word {
    let is_symbol = "$+<=>^`|~".contains(letter);
    match letter {
        letter if is_connector(letter) => Word::Connector,
        letter if letter.is_ascii_punctuation() && !is_symbol => Word::Punctuation,
        letter if letter.is_uppercase() => Word::Upper,
        letter if letter.is_alphabetic() => Word::Lower,
        letter if letter.is_numeric() => Word::Number,
        _ => Word::Other,
    }
}

fn words(text: &str) -> Vec<(Word, &str)> {
    let mut words = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let kind = word_of(first);
        let run = |kind: Word, from: usize| {
            rest[from..].find(|letter| word_of(letter) != kind).map_or(rest.len(), |length| from + length)
        };
        let mut length = run(kind, 0);
        if kind == Word::Upper
            && rest[length..].chars().next().is_some_and(|next| word_of(next) == Word::Lower)
        {
            let last = rest[..length].char_indices().next_back().map_or(0, |(at, _)| at);
            // The last of several capitals begins the next word: `HTTPServer`.
            length = if last > 0 { last } else { run(Word::Lower, length) };
        }
        words.push((kind, &rest[..length]));
        rest = &rest[length..];
    }
    words
}

/// Lowercase words joined by a separator. A number belongs to the word before it, unless small
/// letters follow it: `Bld4Floor` is `bld4_floor`, and `http2xx` is `http_2xx`.
fn separated(text: &str, separator: char) -> String {
    let words = words(text);
    let at = |index: usize| words.get(index).copied().unwrap_or((Word::End, ""));
    let mut cased = String::with_capacity(text.len() + 8);
    let write = |cased: &mut String, (kind, word): (Word, &str)| match kind {
        Word::Upper => cased.push_str(&word.to_lowercase()),
        Word::Connector => cased.extend(word.chars().map(|_| separator)),
        _ => cased.push_str(word),
    };
    let joins = |kind: Word| matches!(kind, Word::Connector | Word::Punctuation);
    let mut index = 0;
    while index + 1 < words.len() {
        let (kind, _) = at(index);
        write(&mut cased, at(index));
        index += 1;
        let mut glued = kind == Word::Number;
        if matches!(kind, Word::Upper | Word::Lower | Word::Other) {
            if at(index).0 != Word::Number {
                if !joins(at(index).0) {
                    cased.push(separator);
                }
                continue;
            }
            if index + 1 == words.len() {
                continue;
            }
            let number = at(index);
            index += 1;
            if at(index).0 == Word::Lower {
                cased.push(separator);
                write(&mut cased, number);
                glued = true;
            } else {
                write(&mut cased, number);
                if !joins(at(index).0) {
                    cased.push(separator);
                }
            }
        }
        if glued {
            while matches!(at(index).0, Word::Lower | Word::Number) {
                write(&mut cased, at(index));
                index += 1;
            }
            if at(index).0 != Word::End && !joins(at(index).0) {
                cased.push(separator);
            }
        }
    }
    write(&mut cased, at(index));
    cased
}

/// Swaps upper and lower case; unlike Go, without title case at the start of words.
fn swap_case(text: &str) -> String {
    text.chars()
        .flat_map(|letter| -> Box<dyn Iterator<Item = char>> {
            if letter.is_uppercase() {
                Box::new(letter.to_lowercase())
            } else {
                Box::new(letter.to_uppercase())
            }
        })
        .collect()
}

fn initials(text: &str) -> String {
    text.split_whitespace().filter_map(|word| word.chars().next()).collect()
}

/// Shortens a text with dots; part of the text from `left` on stays visible.
fn abbreviated(text: &str, left: i64, width: i64) -> Outcome {
    let length = i64::try_from(text.len()).unwrap_or(i64::MAX);
    if length <= width {
        return Ok(text.into());
    }
    if width < 4 {
        return Err("takes a width of at least 4".to_owned());
    }
    let cut = |from: i64, to: i64| {
        let index = |at: i64| usize::try_from(at).unwrap_or(0);
        part(text, index(from), index(to)).map(|part| part.as_str().unwrap_or_default().to_owned())
    };
    let kept = width - 3;
    let left = left.min(length - kept);
    if left <= 4 {
        return Ok(format!("{}...", cut(0, kept)?).into());
    }
    if width < 7 {
        return Err("takes a width of at least 7 where it leaves something out on both sides".to_owned());
    }
    if left + kept < length {
        return Ok(format!("...{}...", cut(left, left + kept - 3)?).into());
    }
    Ok(format!("...{}", cut(length - kept, length)?).into())
}

/// Wraps a text at blanks to lines of a width; long words too, if requested.
fn wrapped(text: &str, width: i64, between: &str, breaks_words: bool) -> Outcome {
    let width = usize::try_from(width).unwrap_or(1).max(1);
    bounded(text.len() / width + text.matches(' ').count() + 1, between.len().max(1))?;
    let between = if between.is_empty() { "\n" } else { between };
    let mut lines = String::with_capacity(text.len());
    let mut offset = 0;
    while text.len() - offset > width {
        if text.as_bytes()[offset] == b' ' {
            offset += 1;
            continue;
        }
        let end = offset + width;
        let is_blank = |at: &usize| text.as_bytes()[*at] == b' ';
        let blank = (offset..=end).rev().find(is_blank);
        let later = || (end..text.len()).find(is_blank);
        let (stop, next) = match blank {
            Some(blank) => (blank, blank + 1),
            None if breaks_words => (end, end),
            None => later().map_or((text.len(), text.len()), |blank| (blank, blank + 1)),
        };
        lines.push_str(text.get(offset..stop).ok_or("would cut a letter in two")?);
        if stop < text.len() {
            lines.push_str(between);
        }
        offset = next;
    }
    lines.push_str(&text[offset..]);
    Ok(lines.into())
}

fn word_wrap(arguments: &[Json]) -> Outcome {
    let (width, between, value) = match arguments {
        [value] => (80, "\n", value),
        [Json::String(between), value] => (80, between.as_str(), value),
        [width, value] => (integer_of(width)?, "\n", value),
        [width, between, value] => (integer_of(width)?, text_of(between)?, value),
        _ => return Err(format!("takes 1 to 3 arguments, not {}", arguments.len())),
    };
    let width = match width {
        0 => 80,
        width if width < 0 => i64::try_from(MAX_TEXT).unwrap_or(i64::MAX),
        width => width,
    };
    wrapped(&go_string(value), width, between, false)
}

/// The words of a text, all but the first in lower case; everything but letters and digits
/// separates words.
fn only_words(text: &str, separator: &str) -> String {
    let text = text.trim();
    let cased = with_first_of(&text.to_lowercase(), text);
    let words = cased.split(|letter: char| !(letter.is_alphabetic() || letter.is_numeric()));
    words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(separator)
}

/// Replaces the first letter of a text by that of another one.
fn with_first_of(text: &str, other: &str) -> String {
    let mut letters = text.chars();
    letters.next();
    other.chars().take(1).chain(letters).collect()
}

/// A URL slug. Letters of other alphabets, which Go transliterates, are refused.
fn slug(text: &str) -> Outcome {
    if !text.is_ascii() {
        return Err("takes a text of ASCII letters".to_owned());
    }
    let spelled = text.replace(['"', '\''], "").replace('&', "and").replace('@', "at").to_lowercase();
    let mut slug = String::with_capacity(spelled.len());
    for letter in spelled.chars() {
        let is_kept = letter.is_ascii_alphanumeric() || letter == '_';
        if is_kept || !slug.ends_with('-') {
            slug.push(if is_kept { letter } else { '-' });
        }
    }
    Ok(slug.trim_matches(['-', '_']).into())
}
