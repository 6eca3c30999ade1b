//! Git, as an adapter: the executable for refs, transport and history walks, `git2` for objects. Refs that are kept in
//! ordinary files are read from there.
//!
//! Which of the two does what was measured: `git2` needs hundreds of milliseconds to list one prefix of a
//! large repository, cannot read refs of a reftable repository, and pushes neither atomically nor with leases; but it
//! reads and writes single objects without starting a process.

pub mod ancestry;
pub mod checkout;
mod commit_tree;
mod file_changes;
pub mod history;
mod new_refs;
pub mod objects;
mod packed_refs;
pub mod partial;
mod pipes;
pub mod process;
pub mod redact;
mod ref_files;
pub mod refs;
pub mod rejection;
pub mod repository;
pub mod shallow;
pub mod signing;
#[cfg(test)]
mod testing;
pub mod transport;
pub mod tree;

pub use commit_tree::CommitTree;
pub use objects::ObjectStore;
pub use process::{Git, GitError};
pub use repository::Repository;
