//! Positions in a file.

/// A span of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    /// Counted from 1.
    pub(super) line: usize,
    /// In characters, counted from 1.
    pub(super) column: usize,
    /// In bytes from the start of the text.
    pub(super) start: usize,
    /// In bytes from the start of the text, exclusive.
    pub(super) end: usize,
}

impl Span {
    /// The very beginning of a file.
    pub(super) const START: Self = Self { line: 1, column: 1, start: 0, end: 0 };
}
