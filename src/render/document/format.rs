//! The forms that data is printed in (`--format`).

/// How data is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// For people: aligned on a terminal, tab-separated in a pipe.
    #[default]
    Table,
    Json,
    Yaml,
    CyclonedxJson,
    SpdxJson,
}
