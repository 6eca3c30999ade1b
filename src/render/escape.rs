//! Escapes untrusted text for a terminal.
//!
//! Metadata, commit messages, lock reasons and even record authors are untrusted input: they come
//! from any account that may push. None of it may move the cursor, colour the screen, forge a line
//! of a table or reverse the reading direction.

use std::borrow::Cow;
use std::fmt::Write as _;

/// The text on one line, with every control and invisible formatting character as an escape.
#[must_use]
pub fn escape(text: &str) -> Cow<'_, str> {
    if !text.contains(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 8);
    for character in text.chars() {
        match character {
            '\n' => escaped.push_str("\\n"),
            '\r' => escaped.push_str("\\r"),
            '\t' => escaped.push_str("\\t"),
            unsafe_character if is_unsafe(unsafe_character) => {
                // Writing to a string cannot fail.
                let _ = write!(escaped, "{}", unsafe_character.escape_unicode());
            }
            plain => escaped.push(plain),
        }
    }
    Cow::Owned(escaped)
}

/// The escaped lines of a text: line breaks and tabs stay (a tab as four spaces).
pub fn lines(text: &str) -> impl Iterator<Item = String> {
    text.lines().map(|line| escape(&line.replace('\t', "    ")).into_owned())
}

/// Control characters, line separators, and the marks that hide or reorder text.
fn is_unsafe(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_text_stays() {
        assert!(matches!(escape("größe 日本 👍 PR #482"), Cow::Borrowed(_)));
    }

    #[test]
    fn nothing_reaches_the_terminal_but_text() {
        assert_eq!(escape("\u{1b}[31mred\u{1b}[0m"), "\\u{1b}[31mred\\u{1b}[0m");
        assert_eq!(escape("a\nprod\tsuccess\r"), "a\\nprod\\tsuccess\\r");
        assert_eq!(escape("\u{9b}2J\u{7}"), "\\u{9b}2J\\u{7}");
        assert_eq!(escape("abc\u{202e}def"), "abc\\u{202e}def");
    }

    #[test]
    fn lines_keep_their_breaks() {
        assert_eq!(lines("a\tb\r\n\u{1b}c").collect::<Vec<_>>(), ["a    b", "\\u{1b}c"]);
    }
}
