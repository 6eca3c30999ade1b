//! The token of a platform's API: a secret that nothing can print.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};

/// A token that is invalid: it has characters that an HTTP header cannot carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the token is empty or has characters that no token has; was it pasted with a line break?")]
pub struct TokenError;

/// The replacement for a token in texts.
const REDACTED: &str = "***";

/// A token. Its `Debug` shows no part of it, and there is no `Display`.
#[derive(Clone)]
pub struct Token(SecretString);

impl Token {
    /// A token, without the white space around it.
    ///
    /// # Errors
    ///
    /// Fails where the text is empty or holds a character that an HTTP header cannot carry.
    pub fn new(text: &str) -> Result<Self, TokenError> {
        let text = text.trim();
        // Clients of HTTP panic, or quote the value in an error, where a header cannot carry it.
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(TokenError);
        }
        Ok(Self(SecretString::from(text)))
    }

    /// The token itself, for the header of a request.
    pub(super) fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// Whether the token is this text.
    #[must_use]
    pub fn is(&self, text: &str) -> bool {
        self.expose() == text.trim()
    }

    /// A text without the token, for text of any origin.
    #[must_use]
    pub fn redact(&self, text: &str) -> String {
        text.replace(self.expose(), REDACTED)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({REDACTED})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_never_printed() {
        let token = Token::new(" ghs_abc123\n").unwrap();
        assert_eq!(format!("{token:?}"), "Token(***)");
        assert_eq!(token.redact("bad token ghs_abc123!"), "bad token ***!");
    }

    #[test]
    fn what_no_header_can_carry_is_refused() {
        for text in ["", " \n", "ghs_a\nb", "ghs_a b", "tökén"] {
            assert_eq!(Token::new(text).unwrap_err(), TokenError, "{text:?}");
        }
    }
}
