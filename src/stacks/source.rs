//! A file of stacks as it was read.

use super::yaml::Document;

/// A file as it was read, shared by all its importers.
pub(super) struct Source {
    pub(super) text: String,
    /// Absent where the text is no YAML before its templates are filled in.
    pub(super) document: Option<Document>,
}
