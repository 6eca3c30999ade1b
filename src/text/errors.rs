//! Errors as text.

use std::error::Error;

/// An error and its causes in one line. A cause that the text before it already contains is left
/// out.
#[must_use]
pub fn error_chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    enum Failure {
        #[error("no disk")]
        Disk,
        #[error("cannot write")]
        Write(#[source] Box<Failure>),
        #[error("it failed: {0}")]
        Repeated(#[source] Box<Failure>),
    }

    #[test]
    fn a_cause_is_told_once() {
        let write = || Failure::Write(Box::new(Failure::Disk));
        assert_eq!(error_chain(&write()), "cannot write: no disk");
        assert_eq!(error_chain(&Failure::Repeated(Box::new(write()))), "it failed: cannot write: no disk");
    }
}
