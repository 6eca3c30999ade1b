//! `atmos.yaml` and `deployments/*.yaml` to validated domain types, with
//! everything that is wrong said at once.
//!
//! A file's text becomes a tree that knows where everything stands (`yaml`), is held against the
//! schema of its types (`shape`), deserialised into those types ([`deployment_file`], [`atmos`]),
//! and turned into the domain's (`resolve`). The domain's types hold no positions, except of the
//! stacks that are yet to be imported; whatever is wrong is a [`Problem`] that does.

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
