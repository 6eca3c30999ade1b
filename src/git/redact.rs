//! Keeps credentials out of everything that git prints.

/// Replaces the user information and the query of every URL in a text:
/// `https://token@host/r?token=t` becomes `https://***@host/r?***`.
#[must_use]
pub fn redact_urls(text: &str) -> String {
    let mut redacted = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("://") {
        let (before, url) = rest.split_at(start + 3);
        redacted.push_str(before);
        let ends = |c: char| matches!(c, '\'' | '"' | '<' | '>' | '`') || c.is_whitespace();
        let (url, after) = url.split_at(url.find(ends).unwrap_or(url.len()));
        redact_url(url, &mut redacted);
        rest = after;
    }
    redacted.push_str(rest);
    redacted
}

/// Appends a URL, without its scheme.
fn redact_url(url: &str, redacted: &mut String) {
    let authority = url.find('/').unwrap_or(url.len());
    let place = match url[..authority].rfind('@') {
        Some(at) => {
            redacted.push_str("***");
            &url[at..]
        }
        None => url,
    };
    match place.find(['?', '#']) {
        Some(end) => {
            redacted.push_str(&place[..=end]);
            redacted.push_str("***");
        }
        None => redacted.push_str(place),
    }
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
        assert_eq!(
            redact_urls(
                "unable to access 'https://example.com/r.git?private_token=t@x/': 403, see http://h?"
            ),
            "unable to access 'https://example.com/r.git?***': 403, see http://h?***"
        );
        assert_eq!(redact_urls("https://h/r.git#token=x is not found"), "https://h/r.git#*** is not found");
        // A password may have the sign that a query starts with.
        assert_eq!(redact_urls("https://user:p?s@host/r"), "https://***@host/r");
        assert_eq!(redact_urls("https://t@one/a https://u:v@w@two/b"), "https://***@one/a https://***@two/b");
    }
}
