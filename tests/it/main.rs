//! Integration tests.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test fails by panicking, and says on stderr why it was skipped"
)]

mod checkouts;
mod concurrency;
mod faults;
mod interop;
mod layers;
mod locks;
mod names;
mod promotion;
mod story;
mod support;
