//! Quoting of the words in the commands that hints suggest to paste.

/// The placeholder for a value that a hint leaves out, because it may be secret.
pub const LEFT_OUT: &str = "…";

/// Quotes a word so that a shell reads it back unchanged.
#[must_use]
pub fn quoted(word: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._/=@:,+-%".contains(&byte);
    let plain = word.strip_suffix(LEFT_OUT).unwrap_or(word);
    if !word.is_empty() && !word.starts_with("--") && plain.bytes().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_shell_would_read_otherwise_is_quoted() {
        for (word, expected) in [
            ("why not", "'why not'"),
            ("it's", r"'it'\''s'"),
            ("", "''"),
            ("$(date)", "'$(date)'"),
            ("--plan", "'--plan'"),
            ("image.tag=1.2", "image.tag=1.2"),
            ("#482", "'#482'"),
        ] {
            assert_eq!(quoted(word), expected);
        }
    }
}
