//! An error of any verb: the refusal with its reason, and remedies.

use schemars::JsonSchema;
use serde::Serialize;

use super::Document;
use crate::deployment::promotion::PathRefusal;

/// An error of any verb.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Error {
    /// A stable name of the kind of error: `promotion_path`, `locked`, …
    pub code: String,
    /// What was refused and why, in one line.
    pub message: String,
    /// More on it, line by line: the source line of a configuration error, say.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub details: Vec<String>,
    /// What to do, each a way out.
    pub hints: Vec<Hint>,
    /// The places in files that it is about.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub locations: Vec<Location>,
    /// The exit code of the process.
    pub exit_code: u8,
}

impl Document for Error {
    const KIND: &'static str = "Error";
}

/// A place in a file of the repository, and what is wrong there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Location {
    /// From the repository's root.
    pub file: String,
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
    pub message: String,
}

/// One way out of an error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Hint {
    /// What it achieves, without a full stop or colon: `To deploy to prod`.
    pub text: String,
    /// What to run, in order. None where there is only something to know.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<Step>,
}

/// One command of a way out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Step {
    /// What the command does, where there is more than one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// A command that can be pasted.
    pub command: String,
}

impl Hint {
    /// A hint without a command.
    #[must_use]
    pub fn note(text: impl Into<String>) -> Self {
        Self { text: text.into(), steps: Vec::new() }
    }

    /// A hint with one command.
    #[must_use]
    pub fn command(text: impl Into<String>, command: impl Into<String>) -> Self {
        Self { text: text.into(), steps: vec![Step { text: None, command: command.into() }] }
    }
}

impl Error {
    /// The error of a promotion that the paths do not allow, in the words of the specification
    /// (`cli-integration.md`, "Error Messages").
    ///
    /// `promote` returns the command from one target to another; `skip` is the command that ignores
    /// the path.
    #[must_use]
    pub fn promotion_path(
        refusal: &PathRefusal,
        promote: &dyn Fn(&str, &str) -> String,
        skip: String,
        (code, exit_code): (&str, u8),
    ) -> Self {
        let PathRefusal { from, to, allowed, path } = refusal;
        let mut hints = Vec::new();
        let details = if let Some(path) = path {
            let steps = path.windows(2).enumerate().filter_map(|(at, pair)| {
                let [from, to] = pair else { return None };
                let text =
                    if at == 0 { format!("Promote to {to} first") } else { format!("Then promote to {to}") };
                Some(Step { text: Some(text), command: promote(from.as_str(), to.as_str()) })
            });
            hints.push(Hint { text: format!("To deploy to {to}"), steps: steps.collect() });
            let names: Vec<_> = path.iter().map(AsRef::as_ref).collect();
            vec![format!("Promotion path requires: {}", names.join(" → "))]
        } else {
            let names: Vec<_> = allowed.iter().map(AsRef::as_ref).collect();
            hints.extend(allowed.iter().map(|source| {
                Hint::command(format!("To promote from {source}"), promote(source.as_str(), to.as_str()))
            }));
            vec![format!("{to} may be promoted from: {}", names.join(", "))]
        };
        hints.push(Hint::command("Or skip promotion validation (not recommended)", skip));
        Self {
            code: code.to_owned(),
            message: format!("Cannot promote directly from {from} to {to}"),
            details,
            hints,
            locations: Vec::new(),
            exit_code,
        }
    }
}
