//! Splits a line of arguments as a shell does, without a shell: it expands and runs nothing.

/// A line that cannot be split.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum WordsError {
    #[error("a {0} is opened and never closed")]
    Unclosed(char),
    #[error("it ends in a backslash, which quotes nothing")]
    TrailingBackslash,
}

/// The words of a line: blanks separate them; `'…'` keeps everything, `"…"` everything but `\"` and
/// `\\`; outside of quotes a backslash keeps the next character.
pub(super) fn split(line: &str) -> Result<Vec<String>, WordsError> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        match character {
            blank if blank.is_whitespace() => words.extend(word.take()),
            '\\' => match characters.next().ok_or(WordsError::TrailingBackslash)? {
                // A continued line.
                '\n' => {}
                kept => word.get_or_insert_default().push(kept),
            },
            quote @ ('\'' | '"') => quoted(quote, &mut characters, word.get_or_insert_default())?,
            plain => word.get_or_insert_default().push(plain),
        }
    }
    words.extend(word);
    Ok(words)
}

/// Appends everything up to the closing quote.
fn quoted(quote: char, characters: &mut std::str::Chars<'_>, word: &mut String) -> Result<(), WordsError> {
    loop {
        match characters.next().ok_or(WordsError::Unclosed(quote))? {
            end if end == quote => return Ok(()),
            '\\' if quote == '"' => match characters.next().ok_or(WordsError::Unclosed(quote))? {
                '\n' => {}
                kept @ ('"' | '\\' | '$' | '`') => word.push(kept),
                other => word.extend(['\\', other]),
            },
            plain => word.push(plain),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_split_as_a_shell_does() {
        let words =
            split("--metadata pr='#1 \"x\"'  --approve \"it's \\\"ok\\\" \\n\" a\\ b ''\n c\\\n d").unwrap();
        assert_eq!(words, ["--metadata", "pr=#1 \"x\"", "--approve", "it's \"ok\" \\n", "a b", "", "c", "d"]);
        assert_eq!(split(" \n").unwrap(), [""; 0]);
    }

    #[test]
    fn nothing_is_expanded() {
        assert_eq!(
            split("$HOME `id` $(id) * ; | > x").unwrap(),
            ["$HOME", "`id`", "$(id)", "*", ";", "|", ">", "x"]
        );
    }

    #[test]
    fn what_is_not_closed_is_an_error() {
        assert_eq!(split("a 'b").unwrap_err(), WordsError::Unclosed('\''));
        assert_eq!(split("a \"b\\\"").unwrap_err(), WordsError::Unclosed('"'));
        assert_eq!(split("a \\").unwrap_err(), WordsError::TrailingBackslash);
    }
}
