//! Integration tests.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test fails by panicking, and says on stderr why it was skipped"
)]

mod approvals;
mod attach;
mod bad_input;
mod build;
mod build_first;
mod checkouts;
mod ci_approvals;
mod ci_certificates;
mod ci_comments;
mod ci_embedded_repositories;
mod ci_fan_in;
mod ci_faults;
mod ci_files;
mod ci_foreign_files;
mod ci_inputs;
mod ci_remote_away;
mod ci_reports;
mod ci_requests;
mod ci_trust;
mod circles;
mod clocks;
mod concurrency;
mod contracts;
mod copied_ledgers;
mod declarations;
mod deployment_stacks;
mod describe;
mod diff;
mod digests;
mod docs;
mod documents;
mod execution;
mod failed_records;
mod faults;
mod foreign_refs;
mod health;
mod hints;
mod history;
mod holds;
mod images;
mod interop;
mod late_records;
mod layers;
mod leases;
mod limited_pushes;
mod locks;
mod matrix;
mod moved_ledger;
mod names;
mod not_kept;
mod outlived_runs;
mod overrides;
mod owners;
mod partial_clones;
mod preflight;
mod processes;
mod promotion;
mod protect;
mod remotes;
mod removed;
mod reruns;
mod rules;
mod sbom;
mod shallow;
mod signing;
mod spec_commands;
mod stacks_conformance;
mod story;
mod support;
mod terminal;
mod terraform;
mod trusted_ledger;
