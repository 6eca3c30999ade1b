//! Paths that must stay inside of the deployed commit.

use super::super::path;
use super::super::problem::Problems;
use super::super::span::Span;

/// Refuses a path that leads out of the deployed commit.
pub(super) fn check_inside(written: &str, span: Span, problems: &mut Problems<'_>) {
    if written.is_empty() || !path::is_inside(written) || written.contains('\0') {
        let message = format!("`{written}` must be a relative path without `..`");
        problems.error(span, message, None);
    }
}
