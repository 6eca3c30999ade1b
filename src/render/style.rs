//! The colours of the output, by their meaning. They are stripped where the stream does not support
//! them.

use owo_colors::Style;

/// Success, or ready.
pub(super) const GOOD: Style = Style::new().green();
/// Failure, or refusal.
pub(super) const BAD: Style = Style::new().red();
/// Attention needed.
pub(super) const WARN: Style = Style::new().yellow();
/// Headings.
pub(super) const HEADING: Style = Style::new().bold();
/// Less important details.
pub(super) const DETAIL: Style = Style::new().dimmed();
/// Commits and other ids.
pub(super) const ID: Style = Style::new().cyan();
/// No colour.
pub(super) const PLAIN: Style = Style::new();
