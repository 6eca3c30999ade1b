//! Compares the tests that `tests/needs` lists as not run with those that were ignored.

use std::collections::BTreeSet;
use std::process::Command;

#[path = "../needs/sources.rs"]
mod sources;

use crate::support::{TOOLS, Tool};

#[test]
fn what_is_listed_as_not_run_is_what_is_ignored_here() {
    let missing: BTreeSet<_> = env!("ATMOS_TESTS_WITHOUT").split_whitespace().collect();
    let missing = TOOLS.iter().filter(|tool| missing.contains(tool.name));
    let missing: BTreeSet<_> = missing.map(Tool::condition).collect();
    let tests = sources::tests("tests/it");
    let listed = tests.iter().filter(|test| !test.conditions.is_disjoint(&missing));
    let listed: BTreeSet<_> = listed.map(|test| test.name.clone()).collect();

    let this = std::env::current_exe().unwrap();
    let ignored = Command::new(this).args(["--list", "--ignored", "--format", "terse"]).output().unwrap();
    let ignored = String::from_utf8(ignored.stdout).unwrap();
    let ignored = ignored.lines().filter_map(|line| line.strip_suffix(": test"));
    // These tests are run by `tests/contracts/run`.
    let ignored = ignored.filter(|name| !name.starts_with("contracts::"));
    assert_eq!(ignored.map(str::to_owned).collect::<BTreeSet<_>>(), listed);
}

#[test]
fn each_tool_is_needed_by_some_test_and_each_need_is_of_a_tool() {
    let tests = [sources::tests("src"), sources::tests("tests/it")].concat();
    let needed: BTreeSet<_> = tests.into_iter().flat_map(|test| test.conditions).collect();
    let known: BTreeSet<_> = TOOLS.iter().map(Tool::condition).collect();
    assert_eq!(needed, known);
}
