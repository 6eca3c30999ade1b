//! Deployments tracked in Git itself.
//!
//! The control flow: `cli` parses arguments into a typed request, reads a snapshot of configuration
//! and ledger, lets `deployment` decide, acts through the adapters, and renders the result.

pub mod boundary;
pub mod cancellation;
pub mod ci;
pub mod cli;
pub mod compare;
pub mod component;
pub mod config;
pub mod context;
pub mod deployment;
pub mod error;
pub mod execution;
pub mod git;
pub mod image;
pub mod ledger;
pub mod preflight;
pub mod project;
pub mod provider;
pub mod render;
pub mod report;
pub mod results;
pub mod rollout;
pub mod sbom;
pub mod scheduler;
pub mod stacks;
pub mod text;
pub mod vendor;
