//! Untrusted text as Markdown that shows it and does nothing else.
//!
//! Names, commit messages, configuration values and reviewers' words are untrusted input: they come
//! from any account that may push. None of it may notify people, link to other issues, run a quick
//! action, break a table or look like a part of the comment.

use std::borrow::Cow;
use std::fmt::Write as _;

/// The text as Markdown inline text, on one line.
#[must_use]
pub fn escape(text: &str) -> String {
    let text = one_line(text);
    let mut escaped = String::with_capacity(text.len() + 16);
    let mut at_start = true;
    for (index, character) in text.char_indices() {
        let rest = &text[index + character.len_utf8()..];
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            // A template may put the text into an attribute.
            '"' => escaped.push_str("&quot;"),
            // A mention, or a reference to an issue, needs its name right behind the sign.
            '@' | '#' => {
                escaped.push(character);
                escaped.push_str("&#8203;");
            }
            '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '(' | ')' | '!' | '|' | '~' | '$' | '^' => {
                escaped.push('\\');
                escaped.push(character);
            }
            // No address becomes a link by itself.
            ':' if rest.starts_with("//") => escaped.push_str("\\:"),
            // At the start of a line these begin lists, underline headings and call GitLab's quick
            // actions.
            '-' | '+' | '=' | '/' if index == 0 => {
                escaped.push('\\');
                escaped.push(character);
            }
            '.' if at_start && index > 0 => escaped.push_str("\\."),
            plain => escaped.push(plain),
        }
        at_start = at_start && character.is_ascii_digit();
    }
    escaped
}

/// A sentence as Markdown inline text: the parts between backticks are code.
#[must_use]
pub fn prose(text: &str) -> String {
    let parts: Vec<_> = text.trim().split('`').collect();
    if parts.len() % 2 == 0 {
        return escape(text);
    }
    let blank = |is_there: bool| if is_there { " " } else { "" };
    let between = |part: &str| match part.trim() {
        "" => blank(!part.is_empty()).to_owned(),
        // Keep the blanks that separate it from the code.
        words => {
            let (start, end) = (part.starts_with(char::is_whitespace), part.ends_with(char::is_whitespace));
            format!("{}{}{}", blank(start), escape(words), blank(end))
        }
    };
    let part = |(at, part): (usize, &&str)| match (at % 2, part.is_empty()) {
        (0, _) => between(part),
        (_, true) => escape("``"),
        (_, false) => code(part),
    };
    parts.iter().enumerate().map(part).collect()
}

/// The text as code, on one line.
#[must_use]
pub fn code(text: &str) -> String {
    let text = one_line(text);
    let is_plain = |c: char| c.is_alphanumeric() || "-._/:+~=, ".contains(c);
    let touches_the_edge = text.trim().len() != text.len();
    if !text.is_empty() && !touches_the_edge && text.chars().all(is_plain) {
        return format!("`{text}`");
    }
    // A code span cannot hold everything everywhere (a `|` in a table, a run of backticks);
    // entities can.
    format!("<code>{}</code>", entities(&text))
}

/// Lines as they are, one below the other.
#[must_use]
pub fn pre(lines: &[&str]) -> String {
    let shown = |line: &&str| {
        let indent = line.len() - line.trim_start().len();
        format!("{}{}", " ".repeat(indent), entities(&one_line(line)))
    };
    format!("<pre>{}</pre>", lines.iter().map(shown).collect::<Vec<_>>().join("\n"))
}

/// The text with every sign that could have a meaning in Markdown written as an entity.
fn entities(text: &str) -> String {
    let mut html = String::with_capacity(text.len() * 2);
    for character in text.chars() {
        if character.is_ascii_punctuation() {
            // Writing to a string cannot fail.
            let _ = write!(html, "&#{};", u32::from(character));
        } else {
            html.push(character);
        }
    }
    html
}

/// The Markdown as a link to an address; without a link where the address is no web address.
#[must_use]
pub fn link(markdown: &str, address: &str) -> String {
    if !(address.starts_with("https://") || address.starts_with("http://")) {
        return markdown.to_owned();
    }
    let mut encoded = String::with_capacity(address.len());
    for byte in address.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~:/?#@!$&'+,;=%".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    format!("[{markdown}]({encoded})")
}

/// The text cut to a number of characters.
#[must_use]
pub fn cut(text: &str, most: usize) -> Cow<'_, str> {
    match text.char_indices().nth(most) {
        Some((end, _)) => Cow::Owned(format!("{}…", text[..end].trim_end())),
        None => Cow::Borrowed(text),
    }
}

/// The text on one line, without invisible characters.
fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for character in text.trim().chars() {
        match character {
            '\u{2028}' | '\u{2029}' => line.push(' '),
            control if control.is_control() => line.push(' '),
            // Characters that hide text or change its direction.
            '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{2069}'
            | '\u{feff}'
            | '\u{e0000}'..='\u{e007f}' => {}
            plain => line.push(plain),
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_text_reads_as_before() {
        assert_eq!(escape("Fix the 2nd retry, größer & besser"), "Fix the 2nd retry, größer &amp; besser");
        assert_eq!(code("ecs/service-api"), "`ecs/service-api`");
        assert_eq!(prose("input `fetch: false` of a_b"), "input `fetch: false` of a\\_b");
    }

    #[test]
    fn nothing_is_notified_linked_or_run() {
        assert_eq!(escape("@org/all fixes #1"), "@&#8203;org/all fixes #&#8203;1");
        assert_eq!(escape("/merge\n/close"), "\\/merge /close");
        assert_eq!(escape("see https://evil.example"), "see https\\://evil.example");
        assert_eq!(escape("${{ secrets.TOKEN }}"), "\\$\\{\\{ secrets.TOKEN \\}\\}");
    }

    #[test]
    fn no_markdown_and_no_html_comes_through() {
        assert_eq!(
            escape("<img src=x> | **b** `c` [d](e)"),
            "&lt;img src=x&gt; \\| \\*\\*b\\*\\* \\`c\\` \\[d\\]\\(e\\)"
        );
        assert_eq!(escape("- item"), "\\- item");
        assert_eq!(escape("1. item 2.0"), "1\\. item 2.0");
        assert_eq!(escape("a\u{202e}b\u{0}c"), "ab c");
        assert_eq!(code("a|b`</code>"), "<code>a&#124;b&#96;&#60;&#47;code&#62;</code>");
        assert_eq!(prose("a `@team</code>` b"), "a <code>&#64;team&#60;&#47;code&#62;</code> b");
        assert_eq!(prose("`` @a ` b"), "\\`\\` @&#8203;a \\` b");
        assert_eq!(prose("`` **a**"), "\\`\\` \\*\\*a\\*\\*");
        assert_eq!(code("@team"), "<code>&#64;team</code>");
        assert_eq!(pre(&["  3 | a", "", "</pre>"]), "<pre>  3 &#124; a\n\n&#60;&#47;pre&#62;</pre>");
    }

    #[test]
    fn only_web_addresses_are_linked() {
        assert_eq!(link("`a`", "https://x/y?z=1"), "[`a`](https://x/y?z=1)");
        assert_eq!(link("`a`", "javascript:alert(1)"), "`a`");
        assert_eq!(link("a", "https://x/) [b](c|d\n"), "[a](https://x/%29%20%5Bb%5D%28c%7Cd%0A)");
    }

    #[test]
    fn a_cut_text_says_so() {
        assert_eq!(cut("größe", 5), "größe");
        assert_eq!(cut("größer als", 7), "größer…");
    }
}
