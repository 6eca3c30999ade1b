//! Names the tests that were not run because a tool is missing. Cargo runs the test targets in the
//! order of their names, and this one last, so that its list ends two thousand lines of output.
//!
//! Fails if `ATMOS_TEST_REQUIRE` lists a missing tool. Prints nothing if no tool is missing.
#![allow(clippy::print_stdout, reason = "it prints for the people who run the tests")]

mod sources;
#[allow(dead_code, reason = "build.rs looks for the tools")]
mod tools;

use std::process::ExitCode;

/// The names of the tools that were missing when the tests were built.
const MISSING: &str = env!("ATMOS_TESTS_WITHOUT");

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let has_filter = arguments.first().is_some_and(|first| !first.starts_with('-'));
    if has_filter || arguments.iter().any(|argument| argument == "--list") {
        // The tests were selected by name, or are only listed.
        return ExitCode::SUCCESS;
    }
    let missing: Vec<_> = MISSING.split(' ').collect();
    let missing: Vec<_> = tools::TOOLS.iter().filter(|tool| missing.contains(&tool.name)).collect();
    if missing.is_empty() {
        return ExitCode::SUCCESS;
    }
    let tests = [sources::tests("src"), sources::tests("tests/it")].concat();
    println!();
    for tool in &missing {
        let condition = tool.condition();
        let ignored: Vec<_> = tests.iter().filter(|test| test.conditions.contains(&condition)).collect();
        let number =
            if ignored.len() == 1 { "1 test".to_owned() } else { format!("{} tests", ignored.len()) };
        println!("NOT RUN: {number} without {}: {}", tool.name, tool.missing);
        for test in ignored {
            println!("  {}", test.name);
        }
    }
    println!("Once it is there, `touch build.rs` has it looked for again.");
    let required = std::env::var("ATMOS_TEST_REQUIRE").unwrap_or_default();
    let required: Vec<_> = required.split([' ', ',']).collect();
    let mut code = ExitCode::SUCCESS;
    for tool in missing.iter().filter(|tool| required.contains(&tool.name)) {
        println!("FAILED: {} is required (ATMOS_TEST_REQUIRE)", tool.name);
        code = ExitCode::FAILURE;
    }
    code
}
