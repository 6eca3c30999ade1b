//! Parses YAML text into a tree with the position of every node.
//!
//! Deserialising directly into types stops at the first error and loses how a scalar was written;
//! with this tree, all problems of a file can be reported at once.

mod compose;
mod node;
mod scalar;

pub(super) use compose::compose;
pub(super) use node::{Entry, Node, Value};
