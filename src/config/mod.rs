//! Loads `atmos.yaml` and `deployments/*.yaml` into validated domain types, and reports all
//! problems at once.
//!
//! A file's text is parsed into a tree with positions (`yaml`), validated against the schema of its
//! types (`shape`), deserialised into those types ([`deployment_file`], [`atmos`]), and converted
//! to the domain's (`resolve`). The domain's types hold no positions, except for stacks that are
//! still to be imported; every error is a [`Problem`] with its position.

pub mod atmos;
mod atmos_keys;
mod committed;
pub mod deployment_file;
mod environment;
mod error;
mod file;
mod load;
mod nearest;
mod path;
mod problem;
mod remark;
mod resolve;
mod shape;
mod source;
mod span;
mod sparse;
#[cfg(test)]
mod tests;
mod vendor_section;
mod yaml;

pub use atmos::AtmosConfig;
pub use committed::CommittedSource;
pub use environment::EnvironmentError;
pub use error::ConfigError;
pub use load::{Listing, Loaded, LoadedAll, list_deployments, load_all, load_deployment, parse_deployment};
pub use nearest::hint as nearest_hint;
pub use path::{between, is_inside, join as join_path};
pub use problem::{Problem, Severity};
pub use remark::{Remark, located};
pub use source::{DirectorySource, MAX_FILE_BYTES, Source, SourceError};
pub use sparse::SparseSource;
