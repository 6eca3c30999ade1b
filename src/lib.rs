//! Deployments tracked in Git itself.
//!
//! The way through: `cli` turns what was typed into a typed request, reads a snapshot of configuration and
//! ledger, lets `deployment` decide, acts through the adapters, and renders what happened.

pub mod deployment;
pub mod stacks;
