//! The lexer of templates: splits a template into text and actions, and actions into tokens.

use std::iter::Peekable;
use std::str::CharIndices;

use serde_json::Value as Json;

use super::{Delimiters, Refusal};

/// A segment of a template.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Segment<'t> {
    /// Literal text, trimmed as the adjacent actions request.
    Text(&'t str),
    Action(Action<'t>),
}

/// The content between the delimiters.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Action<'t> {
    /// The action as written, delimiters included.
    pub(super) written: &'t str,
    /// The action's offset in the template.
    pub(super) offset: usize,
    body: &'t str,
    body_offset: usize,
}

/// A token of an action.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    /// `range`, `printf`, `true`.
    Word(String),
    /// `.name`, without its dot.
    Field(String),
    /// `$name`, with its dollar sign.
    Variable(String),
    Text(String),
    Number(Json),
    Dot,
    Pipe,
    Open,
    Close,
    Comma,
    /// `:=`.
    Declare,
    /// `=`.
    Assign,
}

/// A token with its offset in the template, and whether blanks precede it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Placed {
    pub(super) token: Token,
    pub(super) offset: usize,
    pub(super) is_apart: bool,
}

/// Splits a template into segments. Trim markers (`{{-`, `-}}`) are applied, comments are dropped.
pub(super) fn segments<'t>(text: &'t str, delimiters: &Delimiters) -> Result<Vec<Segment<'t>>, Refusal> {
    let (left, right) = (delimiters.left.as_str(), delimiters.right.as_str());
    let mut segments = Vec::new();
    let mut rest = text;
    let mut trim_next = false;
    while let Some(start) = rest.find(left) {
        let offset = text.len() - rest.len() + start;
        let action = &rest[start..];
        let Some(length) = action_length(action, left, right) else {
            let written = shortened(action);
            return Err(Refusal { what: format!("the template `{written}` has no end"), offset });
        };
        let written = &action[..length];
        let inside = &written[left.len()..length - right.len()];
        let (trim_before, body) = match inside.strip_prefix('-') {
            Some(body) if body.starts_with(char::is_whitespace) => (true, body),
            _ => (false, inside),
        };
        let (trim_after, body) = match body.strip_suffix('-') {
            Some(body) if body.ends_with(char::is_whitespace) => (true, body),
            _ => (false, body),
        };
        push_text(&mut segments, &rest[..start], trim_next, trim_before);
        if !is_comment(body) {
            let body_offset = offset + left.len() + (inside.len() - body.len() - usize::from(trim_after));
            segments.push(Segment::Action(Action { written, offset, body, body_offset }));
        }
        trim_next = trim_after;
        rest = &action[length..];
    }
    push_text(&mut segments, rest, trim_next, false);
    Ok(segments)
}

fn push_text<'t>(segments: &mut Vec<Segment<'t>>, text: &'t str, trim_start: bool, trim_end: bool) {
    let text = if trim_start { text.trim_start() } else { text };
    let text = if trim_end { text.trim_end() } else { text };
    if !text.is_empty() {
        segments.push(Segment::Text(text));
    }
}

fn is_comment(body: &str) -> bool {
    let body = body.trim();
    body.len() >= 4 && body.starts_with("/*") && body.ends_with("*/")
}

/// The length of the action at the start of a text, which ends at the
/// first delimiter outside of quotes.
fn action_length(action: &str, left: &str, right: &str) -> Option<usize> {
    let inside = &action[left.len()..];
    let comment = inside.strip_prefix('-').unwrap_or(inside).trim_start();
    if comment.starts_with("/*") {
        let end = action.find("*/")? + 2;
        return action[end..].find(right).map(|at| end + at + right.len());
    }
    let bytes = action.as_bytes();
    let mut quote = None;
    let mut at = left.len();
    while at < bytes.len() {
        if quote.is_none() && bytes[at..].starts_with(right.as_bytes()) {
            return Some(at + right.len());
        }
        match (quote, bytes[at]) {
            (Some(b'"'), b'\\') => at += 1,
            (Some(open), byte) if byte == open => quote = None,
            (None, byte @ (b'"' | b'`')) => quote = Some(byte),
            _ => {}
        }
        at += 1;
    }
    None
}

impl Action<'_> {
    /// The tokens of the action.
    pub(super) fn tokens(&self) -> Result<Vec<Placed>, Refusal> {
        let mut letters = Letters { action: self, rest: self.body.char_indices().peekable() };
        let mut tokens = Vec::new();
        let mut is_apart = false;
        while let Some((at, letter)) = letters.rest.next() {
            if letter.is_whitespace() {
                is_apart = true;
                continue;
            }
            let token = letters.token(at, letter)?;
            tokens.push(Placed { token, offset: self.body_offset + at, is_apart });
            is_apart = false;
        }
        Ok(tokens)
    }

    /// The error that an action cannot be evaluated, with the reason.
    pub(super) fn refusal(&self, why: &str) -> Refusal {
        let written = shortened(self.written);
        Refusal { what: format!("the template `{written}` {why}"), offset: self.offset }
    }
}

/// The maximum length of a template in messages.
const SHOWN: usize = 200;

/// The first line of a template for a message, shortened if it is long.
pub(super) fn shortened(written: &str) -> String {
    let line = written.lines().next().unwrap_or_default();
    match line.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}

struct Letters<'a, 't> {
    action: &'a Action<'t>,
    rest: Peekable<CharIndices<'t>>,
}

impl<'t> Letters<'_, 't> {
    fn token(&mut self, at: usize, letter: char) -> Result<Token, Refusal> {
        let body: &'t str = self.action.body;
        Ok(match letter {
            '|' => Token::Pipe,
            '(' => Token::Open,
            ')' => Token::Close,
            ',' => Token::Comma,
            '=' => Token::Assign,
            ':' if self.rest.next_if(|(_, next)| *next == '=').is_some() => Token::Declare,
            '.' if self.rest.peek().is_some_and(|(_, next)| next.is_ascii_digit()) => self.number(at)?,
            '.' => match self.name(at + 1) {
                "" => Token::Dot,
                name => Token::Field(name.to_owned()),
            },
            '$' => Token::Variable(format!("${}", self.name(at + 1))),
            '`' => Token::Text(self.until('`', at + 1)?.to_owned()),
            '"' => self.quoted(at)?,
            '\'' => self.character(at)?,
            '0'..='9' | '+' | '-' => self.number(at)?,
            letter if is_letter(letter) => {
                let more = self.name(at + letter.len_utf8()).len();
                Token::Word(body[at..at + letter.len_utf8() + more].to_owned())
            }
            other => return Err(self.action.refusal(&format!("has a `{other}` where none can be"))),
        })
    }

    /// The letters and digits from here on.
    fn name(&mut self, from: usize) -> &'t str {
        let mut end = from;
        while let Some((at, letter)) = self.rest.next_if(|(_, letter)| is_letter(*letter)) {
            end = at + letter.len_utf8();
        }
        &self.action.body[from..end]
    }

    fn until(&mut self, close: char, from: usize) -> Result<&'t str, Refusal> {
        for (at, letter) in self.rest.by_ref() {
            if letter == close {
                return Ok(&self.action.body[from..at]);
            }
        }
        Err(self.action.refusal("has a text without an end"))
    }

    fn quoted(&mut self, from: usize) -> Result<Token, Refusal> {
        let mut text = String::new();
        while let Some((_, letter)) = self.rest.next() {
            match letter {
                '"' => return Ok(Token::Text(text)),
                '\\' => text.push(self.escaped()?),
                letter => text.push(letter),
            }
        }
        let from = &self.action.body[from..];
        Err(self.action.refusal(&format!("has a text without an end: {from}")))
    }

    fn character(&mut self, from: usize) -> Result<Token, Refusal> {
        let letter = match self.rest.next() {
            Some((_, '\\')) => self.escaped()?,
            Some((_, letter)) => letter,
            None => return Err(self.action.refusal("ends inside of a character")),
        };
        if let Some((_, '\'')) = self.rest.next() {
            return Ok(Token::Number(Json::from(u32::from(letter))));
        }
        let from = &self.action.body[from..];
        Err(self.action.refusal(&format!("has texts in single quotes ({from}), which take one letter")))
    }

    fn escaped(&mut self) -> Result<char, Refusal> {
        let letter = self.rest.next().map(|(_, letter)| letter);
        let digits = match letter {
            Some('n') => return Ok('\n'),
            Some('t') => return Ok('\t'),
            Some('r') => return Ok('\r'),
            Some(same @ ('\\' | '"' | '\'')) => return Ok(same),
            Some('x') => 2,
            Some('u') => 4,
            Some('U') => 8,
            _ => 0,
        };
        let code: String = self.rest.by_ref().take(digits).map(|(_, digit)| digit).collect();
        let letter = u32::from_str_radix(&code, 16).ok().and_then(char::from_u32);
        letter.ok_or_else(|| self.action.refusal("has an escape that Go does not know"))
    }

    fn number(&mut self, from: usize) -> Result<Token, Refusal> {
        let mut end = from + 1;
        while let Some((at, letter)) = self.rest.next_if(|(_, letter)| is_letter(*letter) || *letter == '.') {
            end = at + letter.len_utf8();
        }
        let written = &self.action.body[from..end];
        let plain = written.replace('_', "");
        let (sign, digits) = match plain.strip_prefix('-') {
            Some(digits) => (-1, digits),
            None => (1, plain.strip_prefix('+').unwrap_or(&plain)),
        };
        let lower = digits.to_ascii_lowercase();
        let integer = match lower.get(..2) {
            Some("0x") => i64::from_str_radix(&lower[2..], 16),
            Some("0o") => i64::from_str_radix(&lower[2..], 8),
            Some("0b") => i64::from_str_radix(&lower[2..], 2),
            _ => lower.parse(),
        };
        let number = match integer {
            Ok(integer) => integer.checked_mul(sign).map(Json::from),
            Err(_) => plain.parse().ok().and_then(serde_json::Number::from_f64).map(Json::Number),
        };
        number.map(Token::Number).ok_or_else(|| self.action.refusal(&format!("has a bad number: {written}")))
    }
}

fn is_letter(letter: char) -> bool {
    letter == '_' || letter.is_alphanumeric()
}
