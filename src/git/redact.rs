//! Keeps credentials out of everything that git prints.

/// Replaces the user information of every URL in a text: `https://token@host/` becomes `https://***@host/`.
#[must_use]
pub fn redact_urls(text: &str) -> String {
    let mut redacted = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("://") {
        let after = start + 3;
        redacted.push_str(&rest[..after]);
        rest = &rest[after..];
        let authority_end =
            rest.find(|c: char| c == '/' || c == '\'' || c == '"' || c.is_whitespace()).unwrap_or(rest.len());
        if let Some(at) = rest[..authority_end].rfind('@') {
            redacted.push_str("***");
            rest = &rest[at..];
        }
    }
    redacted.push_str(rest);
    redacted
}

#[cfg(test)]
mod tests {
    use super::redact_urls;

    #[test]
    fn user_information_is_replaced_and_the_rest_stays() {
        assert_eq!(
            redact_urls("fatal: 'https://x:ghp_1@example.com/a@b.git' and ssh://git@host/r"),
            "fatal: 'https://***@example.com/a@b.git' and ssh://***@host/r"
        );
        assert_eq!(redact_urls("To https://example.com/a b@c"), "To https://example.com/a b@c");
        // A password may have the sign that ends it.
        assert_eq!(redact_urls("fatal: https://user:p@ss@host/r"), "fatal: https://***@host/r");
        assert_eq!(redact_urls("https://a:b@c:d@e@host"), "https://***@host");
        assert_eq!(redact_urls("https://t@one/a https://u:v@w@two/b"), "https://***@one/a https://***@two/b");
    }
}
