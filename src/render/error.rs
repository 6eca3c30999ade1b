//! An error as text: what was refused and why, then what to do, as in the specification's "Error
//! Messages" (`cli-integration.md`).

use super::document::error::{Error, Hint, Step};
use super::escape::{escape, lines};
use super::style::{BAD, ID};
use super::styled;

/// The error, its details, and the ways out of it.
#[must_use]
pub fn text(error: &Error) -> String {
    let mut text = format!("{} {}\n", styled("Error:", BAD.bold()), escape(&error.message));
    for line in error.details.iter().flat_map(|detail| lines(detail)) {
        text.push_str(&format!("{line}\n"));
    }
    for hint in &error.hints {
        text.push('\n');
        text.push_str(&hint_lines(hint));
    }
    text
}

fn hint_lines(hint: &Hint) -> String {
    match hint.steps.as_slice() {
        [] => format!("{}\n", escape(&hint.text)),
        [Step { text: None, command }] => format!("{}:\n  {}\n", escape(&hint.text), shown(command)),
        steps => {
            let steps: Vec<_> = steps
                .iter()
                .enumerate()
                .map(|(at, step)| {
                    let number = at + 1;
                    match &step.text {
                        Some(text) => {
                            format!("  {number}. {}:\n     {}\n", escape(text), shown(&step.command))
                        }
                        None => format!("  {number}. {}\n", shown(&step.command)),
                    }
                })
                .collect();
            format!("{}:\n{}", escape(&hint.text), steps.join("\n"))
        }
    }
}

fn shown(command: &str) -> String {
    styled(&escape(command), ID)
}
