//! The colours of the output, by what they mean. They are stripped where
//! the stream does not want them.

use owo_colors::Style;

/// Something succeeded or is ready.
pub(super) const GOOD: Style = Style::new().green();
/// Something failed or is refused.
pub(super) const BAD: Style = Style::new().red();
/// Something needs attention.
pub(super) const WARN: Style = Style::new().yellow();
/// Headings.
pub(super) const HEADING: Style = Style::new().bold();
/// Details that one may skip.
pub(super) const DETAIL: Style = Style::new().dimmed();
/// Commits and other ids.
pub(super) const ID: Style = Style::new().cyan();
/// No colour.
pub(super) const PLAIN: Style = Style::new();
