//! What becomes of lists that are merged.

/// What becomes of two lists at the same place: `settings.list_merge_strategy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ListMergeStrategy {
    /// The later list is taken.
    #[default]
    Replace,
    /// The later list's items follow the earlier one's.
    Append,
    /// By index: two maps are merged, otherwise the earlier item stays.
    Merge,
}

impl ListMergeStrategy {
    /// Reads a strategy as it stands in files.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "replace" => Some(Self::Replace),
            "append" => Some(Self::Append),
            "merge" => Some(Self::Merge),
            _ => None,
        }
    }
}
