//! The formats of printed data (`--format`).

/// The format of printed data.
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
