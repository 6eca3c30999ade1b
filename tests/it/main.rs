//! Integration tests.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test fails by panicking, and says on stderr why it was skipped"
)]

mod bad_input;
mod checkouts;
mod concurrency;
mod contracts;
mod diff;
mod faults;
mod interop;
mod layers;
mod locks;
mod names;
mod promotion;
mod spec_commands;
mod stacks_conformance;
mod story;
mod support;
