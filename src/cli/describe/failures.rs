//! Values that could not be computed, reported on stderr after the output.

use std::collections::BTreeSet;

use super::OutputArgs;
use crate::context::Context;
use crate::error::{Code, CommandError};
use crate::project::stacks::SUPPORTED;
use crate::render::document::error::Hint;
use crate::stacks::Failure;

/// Warns of each failure that concerns the shown values, and fails if there are any.
///
/// # Errors
///
/// Fails where there are failures: the command has shown its output, but some values in it are not
/// final.
pub(super) fn report<'f>(
    context: &Context,
    output: &OutputArgs,
    failures: impl IntoIterator<Item = (&'f [String], &'f Failure)>,
) -> Result<(), CommandError> {
    let shown = output.query.as_ref().and_then(super::Query::fields).unwrap_or_default();
    let mut told = BTreeSet::new();
    let mut is_unsupported = false;
    for (place, failure) in failures {
        let path: Vec<&str> = place.iter().chain(&failure.path).map(String::as_str).collect();
        if path.iter().zip(&shown).any(|(one, other)| one != other) {
            continue;
        }
        let path = path.join(".");
        let subject = if path.is_empty() { String::new() } else { format!("{path}: ") };
        is_unsupported |= failure.message.contains("not supported");
        if told.insert((path, failure.message.clone())) {
            context.warn(&format!("{subject}{}", failure.message));
        }
    }
    let message = match told.len() {
        0 => return Ok(()),
        1 => "1 value cannot be computed, and is shown as it is written".to_owned(),
        count => format!("{count} values cannot be computed, and are shown as they are written"),
    };
    let error = CommandError::new(Code::Stacks, message);
    let error = if is_unsupported { error.hint(Hint::note(SUPPORTED)) } else { error };
    Err(error.after_document())
}
