//! Text as one path segment of a ref, with invalid characters escaped as `%XX`.

use std::fmt::Write as _;

/// Escapes everything that `git check-ref-format` refuses in a path segment, and `%` and `/`.
pub(super) fn escape_segment(text: &str) -> String {
    let mut segment = String::with_capacity(text.len());
    let mut previous = None;
    for (at, character) in text.char_indices() {
        let rest = &text[at + character.len_utf8()..];
        let escape = match character {
            '.' => at == 0 || rest.is_empty() || previous == Some('.') || rest == "lock",
            '@' => rest.starts_with('{'),
            '%' | '/' | ' ' | '~' | '^' | ':' | '?' | '*' | '[' | '\\' => true,
            _ => character.is_ascii_control(),
        };
        if escape {
            // All escaped characters are ASCII; writing to a string cannot fail.
            let _ = write!(segment, "%{:02X}", u32::from(character));
        } else {
            segment.push(character);
        }
        previous = Some(character);
    }
    segment
}

/// Reverses [`escape_segment`]; `None` if an escape is invalid.
pub(super) fn unescape_segment(segment: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let mut digit = || char::from(rest.next()?).to_digit(16);
            let value = digit()? * 16 + digit()?;
            bytes.push(u8::try_from(value).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}
