//! Strategies for merging lists.

/// The strategy for two lists with the same path: `settings.list_merge_strategy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ListMergeStrategy {
    /// The later list replaces the earlier one.
    #[default]
    Replace,
    /// The later list is appended.
    Append,
    /// By index: two maps are merged; otherwise the earlier item stays.
    Merge,
}

impl ListMergeStrategy {
    /// Parses a strategy as written in files.
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
