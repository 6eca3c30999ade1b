//! Reads one configuration file, and deserializes its values.

use serde::de::DeserializeOwned;

use super::error::{ConfigError, about_file};
use super::problem::Problems;
use super::source::{MAX_FILE_BYTES, Source, SourceError};
use super::span::Span;

/// Deserializes a file that passed the check. The check follows the type's own schema, so that a
/// failure here is a defect of the schema.
pub(super) fn deserialize<T: DeserializeOwned>(
    checked: serde_json::Value,
    problems: &mut Problems<'_>,
) -> Option<T> {
    serde_json::from_value(checked).map_err(|error| problems.error(Span::START, error.to_string(), None)).ok()
}

/// A configuration file's text; `None` where there is no such file.
pub(super) fn read_text(source: &dyn Source, file: &str) -> Result<Option<String>, ConfigError> {
    let unreadable = |message: String| ConfigError::Invalid(about_file(file, message, None));
    let bytes = match source.read(file, MAX_FILE_BYTES) {
        Ok(Some(bytes)) => bytes,
        Ok(None) => return Ok(None),
        Err(SourceError::TooLarge { limit, .. }) => {
            return Err(unreadable(format!("the file is larger than {limit} bytes")));
        }
        Err(error) => return Err(error.into()),
    };
    match String::from_utf8(bytes) {
        // A byte order mark is not part of the text and would shift the first line's columns.
        Ok(text) => Ok(Some(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))),
        Err(error) => {
            let valid = error.utf8_error().valid_up_to();
            let text = String::from_utf8_lossy(error.as_bytes().get(..valid).unwrap_or_default());
            let line_start = text.rfind('\n').map_or(0, |newline| newline + 1);
            let span = Span {
                line: text.matches('\n').count() + 1,
                column: text[line_start..].chars().count() + 1,
                start: valid,
                end: valid,
            };
            let mut problems = Problems::new(file, &text);
            problems.error(span, "the file is not UTF-8", None);
            Err(ConfigError::Invalid(problems.finish()))
        }
    }
}
