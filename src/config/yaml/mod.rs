//! YAML text to a tree whose every node knows where it stands.
//!
//! Deserialising straight into types stops at the first thing that is wrong and forgets how a
//! scalar was written; this tree lets everything that is wrong with a file be said at once.

mod compose;
mod node;
mod scalar;

pub(super) use compose::compose;
pub(super) use node::{Entry, Node, Value};
