//! `atmos.yaml` and `deployments/*.yaml` to validated domain types, with everything that is wrong said at once.

mod nearest;
mod path;
mod problem;
mod source;
mod yaml;

pub use problem::{Problem, Severity};
pub use source::{DirectorySource, MAX_FILE_BYTES, Source, SourceError};
