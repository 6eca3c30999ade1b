//! The output of children, line by line, safe to show.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// The source of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stream {
    Stdout,
    Stderr,
}

/// Receives the lines that children print: decoded, without control sequences, secrets masked.
pub trait LogSink: Send + Sync {
    fn line(&self, stream: Stream, line: &str);
}

impl<F: Fn(Stream, &str) + Send + Sync> LogSink for F {
    fn line(&self, stream: Stream, line: &str) {
        self(stream, line);
    }
}

/// Strings that must not appear in logs.
#[derive(Clone, Default)]
pub struct Masks(Vec<String>);

/// The replacement of a masked string.
const MASK: &str = "***";

/// Lines of a multi-line secret that are shorter than this are not masked on their own: a brace of
/// a JSON document, for example, would mask half the log.
const SHORTEST_PART: usize = 4;

/// Possible secrets that are shorter than this are not masked.
const SHORTEST_SUSPECT: usize = 6;

impl Masks {
    /// Masks for these secrets. A multi-line secret is masked line by line, as it would be printed.
    pub fn new<S: AsRef<str>>(secrets: impl IntoIterator<Item = S>) -> Self {
        let mut masks = Vec::new();
        for secret in secrets {
            let secret = secret.as_ref().trim();
            let whole = !secret.contains('\n');
            let parts = secret.lines().map(str::trim);
            masks.extend(
                parts
                    .filter(|part| !part.is_empty() && (whole || part.len() >= SHORTEST_PART))
                    .map(str::to_owned),
            );
        }
        // A secret that contains another one must be replaced first.
        masks.sort_unstable_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        masks.dedup();
        Self(masks)
    }

    /// Adds masks for possible secrets, such as values from the environment: texts that are too
    /// short, and numbers, stay readable.
    ///
    /// They are also masked in base64, as templates and charts write them.
    #[must_use]
    pub fn with_suspects<S: AsRef<str>>(&self, suspects: impl IntoIterator<Item = S>) -> Self {
        let is_suspect =
            |text: &S| text.as_ref().len() >= SHORTEST_SUSPECT && text.as_ref().parse::<f64>().is_err();
        let forms = |text: S| [STANDARD.encode(text.as_ref()), text.as_ref().to_owned()];
        let mut masks = Self::new(suspects.into_iter().filter(is_suspect).flat_map(forms));
        masks.0.extend(self.0.iter().cloned());
        Self::new(masks.0)
    }

    /// The text without the secrets.
    #[must_use]
    pub fn apply(&self, text: String) -> String {
        self.0.iter().fold(text, |text, mask| {
            if text.contains(mask.as_str()) { text.replace(mask.as_str(), MASK) } else { text }
        })
    }
}

/// Shows the number of masks, never their content.
impl std::fmt::Debug for Masks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Masks({})", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn longer_secrets_are_masked_before_those_that_they_contain() {
        let masks = Masks::new(["hunter2", "hunter2-and-more", " "]);
        assert_eq!(masks.apply("a hunter2-and-more b hunter2 c".to_owned()), "a *** b *** c");
    }

    #[test]
    fn what_may_be_a_secret_is_masked_unless_that_would_blot_out_the_log() {
        let masks = Masks::new(["hunter2"]).with_suspects(["true", "12345678", "s3cr3t-value"]);
        let text = "hunter2 s3cr3t-value czNjcjN0LXZhbHVl true 12345678".to_owned();
        assert_eq!(masks.apply(text), "*** *** *** true 12345678");
    }

    #[test]
    fn a_secret_of_several_lines_is_masked_line_by_line() {
        let masks = Masks::new(["{\nkey: abcdef\n}"]);
        assert_eq!(masks.apply("  key: abcdef }".to_owned()), "  *** }");
        assert_eq!(format!("{masks:?}"), "Masks(1)");
    }
}
