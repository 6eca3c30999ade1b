//! Git, as an adapter: the executable for refs, transport and history walks, `git2` for objects.
//! Refs that are kept in ordinary files are read from there.
//!
//! The choice between the two was measured: `git2` needs hundreds of milliseconds to list one
//! prefix of a large repository, cannot read refs of a reftable repository, and pushes neither
//! atomically nor with leases; but it reads and writes single objects without starting a process.

pub mod ancestry;
pub mod checkout;
mod commit_tree;
mod configuration;
pub mod damage;
mod error;
mod file_changes;
pub mod foreign;
pub mod history;
mod journal;
mod new_refs;
pub mod objects;
mod ownership;
mod packed_refs;
pub mod partial;
mod pipes;
mod place;
mod plain;
pub mod process;
pub mod redact;
mod ref_files;
pub mod refs;
pub mod rejection;
mod remotes;
pub mod repository;
pub mod shallow;
mod shared_locks;
pub mod signing;
mod sparse;
mod submodules;
pub mod symbolic;
#[cfg(test)]
mod testing;
pub mod transport;
pub mod tree;
mod written;

pub use commit_tree::CommitTree;
pub use error::GitError;
pub use objects::ObjectStore;
pub use place::Place;
pub use process::Git;
pub use repository::Repository;
