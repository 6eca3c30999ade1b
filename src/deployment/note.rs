//! The namespaces of notes on commits, and their refs (`git-tracking.md`, "Git Notes Strategy").

use std::fmt;

/// A namespace of notes: `refs/notes/atmos/<deployment>/<namespace>`. There are these and no others, so that nobody has
/// to guess what a note is.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum NoteNamespace {
    /// The software bill of materials, as CycloneDX.
    Sbom,
    /// The same, as SPDX. Follows from the other and is never written alone.
    SbomSpdx,
    TestResults,
    ScanResults,
    /// How images were built, as in-toto statements.
    Provenance,
    /// What components printed last that failed.
    RunLog,
}

impl NoteNamespace {
    /// The namespace as written in a ref.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sbom => "sbom",
            Self::SbomSpdx => "sbom-spdx",
            Self::TestResults => "test-results",
            Self::ScanResults => "scan-results",
            Self::Provenance => "provenance",
            Self::RunLog => "run-log",
        }
    }
}

impl fmt::Display for NoteNamespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
