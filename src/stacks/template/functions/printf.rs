//! `printf` with Go's verbs.

use std::iter::Peekable;
use std::str::Chars;

use serde_json::Value as Json;

use super::super::print::{quoted, to_text};
use super::encodings::hexadecimal;
use super::{kind, text_of};

/// The maximum width that a value is padded to.
const MAX_WIDTH: usize = 1000;

/// A verb with its flags, width and precision.
#[derive(Default)]
struct Verb {
    left: bool,
    zeros: bool,
    plus: bool,
    width: usize,
    precision: Option<usize>,
}

/// Formats values.
pub(super) fn printf(arguments: &[Json]) -> Result<String, String> {
    let [format, values @ ..] = arguments else { return Err("takes a format".to_owned()) };
    let mut values = values.iter();
    let mut letters = text_of(format)?.chars().peekable();
    let mut text = String::new();
    while let Some(letter) = letters.next() {
        if letter != '%' {
            text.push(letter);
            continue;
        }
        let mut verb = Verb::default();
        while let Some(flag) = letters.next_if(|letter| matches!(letter, '-' | '0' | '+' | '#' | ' ')) {
            verb.left |= flag == '-';
            verb.zeros |= flag == '0';
            verb.plus |= flag == '+';
        }
        verb.width = number(&mut letters);
        if letters.next_if_eq(&'.').is_some() {
            verb.precision = Some(number(&mut letters));
        }
        match letters.next() {
            Some('%') => text.push('%'),
            Some(letter) => {
                let value = values.next().ok_or_else(|| format!("has no value for `%{letter}`"))?;
                text.push_str(&verb.shown(letter, value)?);
            }
            None => return Err("has a format that ends in `%`".to_owned()),
        }
    }
    match values.next() {
        None => Ok(text),
        Some(value) => Err(format!("has no place for {}", to_text(value))),
    }
}

/// Parses the digits that come next.
fn number(letters: &mut Peekable<Chars<'_>>) -> usize {
    let mut number = 0;
    while let Some(digit) = letters.next_if(char::is_ascii_digit) {
        number = (number * 10 + digit.to_digit(10).unwrap_or(0) as usize).min(MAX_WIDTH);
    }
    number
}

impl Verb {
    fn shown(&self, letter: char, value: &Json) -> Result<String, String> {
        let wrong = || Err(format!("cannot show {} by `%{letter}`", kind(value)));
        let text = match (letter, value) {
            ('v', value) => to_text(value),
            ('s', Json::String(text)) => match self.precision {
                Some(precision) => text.chars().take(precision).collect(),
                None => text.clone(),
            },
            ('s', Json::Array(items)) if items.iter().all(Json::is_string) => to_text(value),
            ('q', Json::String(text)) => quoted(text),
            ('t', Json::Bool(value)) => value.to_string(),
            ('d', Json::Number(number)) if !number.is_f64() => self.signed(number.to_string()),
            ('x', Json::String(text)) => hexadecimal(text.as_bytes()),
            ('x' | 'X' | 'o' | 'b', Json::Number(number)) if number.is_u64() => {
                let number = number.as_u64().unwrap_or_default();
                match letter {
                    'x' => format!("{number:x}"),
                    'X' => format!("{number:X}"),
                    'o' => format!("{number:o}"),
                    _ => format!("{number:b}"),
                }
            }
            ('f' | 'g', Json::Number(number)) if number.is_f64() => match (letter, self.precision) {
                ('f', precision) => {
                    let float = number.as_f64().unwrap_or_default();
                    self.signed(format!("{float:.*}", precision.unwrap_or(6)))
                }
                _ => to_text(value),
            },
            _ => return wrong(),
        };
        let missing = self.width.saturating_sub(text.chars().count());
        Ok(match (self.left, self.zeros, text.strip_prefix(['-', '+'])) {
            (true, ..) => format!("{text}{}", " ".repeat(missing)),
            (false, true, Some(digits)) => format!("{}{}{digits}", &text[..1], "0".repeat(missing)),
            (false, true, None) => format!("{}{text}", "0".repeat(missing)),
            (false, false, _) => format!("{}{text}", " ".repeat(missing)),
        })
    }

    fn signed(&self, digits: String) -> String {
        if self.plus && !digits.starts_with('-') { format!("+{digits}") } else { digits }
    }
}
