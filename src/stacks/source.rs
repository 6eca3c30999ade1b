//! A file of stacks as read.

use super::yaml::Document;

/// A file as it was read, shared by all its importers.
pub(super) struct Source {
    pub(super) text: String,
    /// `None` where the text is not valid YAML before its templates are evaluated.
    pub(super) document: Option<Document>,
}
