//! Prepares at build time what would cost time at every start, and looks for the tools of tests.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use serde_json::Value;

#[path = "tests/needs/tools.rs"]
#[allow(dead_code, reason = "tests say what is wrong where something is missing")]
mod tools;

/// The schemas that configuration files are validated against.
const SCHEMAS: [&str; 2] = ["atmos.schema.json", "deployment.schema.json"];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=tests/needs/tools.rs");
    let folder = PathBuf::from(env::var("OUT_DIR")?);
    for name in SCHEMAS {
        let published = Path::new("schema").join(name);
        println!("cargo::rerun-if-changed={}", published.display());
        let mut schema = serde_json::from_str(&fs::read_to_string(&published)?)?;
        leave_out_descriptions(&mut schema);
        fs::write(folder.join(name).with_extension("rs"), source(&mut schema))?;
    }
    link();
    look_for_tools(&folder);
    Ok(())
}

/// Sets the conditions that ignore the tests whose tools are missing.
///
/// Looks again when `ATMOS_TEST_REQUIRE` or the variable of a folder changes, but not whenever PATH
/// does: the whole crate would be compiled again for it.
fn look_for_tools(scratch: &Path) {
    for variable in ["ATMOS_TEST_REQUIRE"].iter().chain(&tools::VARIABLES) {
        println!("cargo::rerun-if-env-changed={variable}");
    }
    let mut missing = Vec::new();
    for tool in &tools::TOOLS {
        let condition = tool.condition();
        println!("cargo::rustc-check-cfg=cfg({condition})");
        if !tool.is_there(scratch) {
            println!("cargo::rustc-cfg={condition}");
            missing.push(tool.name);
        }
    }
    println!("cargo::rustc-env=ATMOS_TESTS_WITHOUT={}", missing.join(" "));
}

/// Removes the descriptions of a schema, which are for readers and four fifths of the text.
fn leave_out_descriptions(schema: &mut Value) {
    match schema {
        Value::Object(keywords) => {
            // A property may be called `description` as well; its value is a schema and no string.
            keywords.retain(|name, value| {
                !(matches!(name.as_str(), "description" | "title") && value.is_string())
            });
            keywords.values_mut().for_each(leave_out_descriptions);
        }
        Value::Array(items) => items.iter_mut().for_each(leave_out_descriptions),
        _ => {}
    }
}

/// Writes a schema as a `config::shape::Published`, whose definitions are found by name without
/// parsing the rest.
fn source(schema: &mut Value) -> String {
    let definitions = schema.as_object_mut().and_then(|keywords| keywords.remove("$defs"));
    let definitions = definitions.iter().filter_map(Value::as_object).flatten();
    let mut definitions: Vec<_> = definitions.map(|(name, schema)| (name, schema.to_string())).collect();
    definitions.sort();
    // The debug output of strings and tuples is valid source code.
    format!("Published {{ schema: {:?}, definitions: &{definitions:?} }}", schema.to_string())
}

/// Has the linker include symbols and libraries that would be missing or be loaded at every start.
fn link() {
    let is = |variable: &str, value: &str| env::var(variable).is_ok_and(|found| found == value);
    if !is("CARGO_CFG_TARGET_OS", "linux") || !is("CARGO_CFG_TARGET_ENV", "gnu") {
        return;
    }
    let features = env::var("CARGO_CFG_TARGET_FEATURE").unwrap_or_default();
    if features.split(',').any(|feature| feature == "crt-static") {
        // The standard library uses this function, where it is linked, to start a program in a
        // folder without a fork. A static library only contributes the symbols that are required.
        println!("cargo::rustc-link-arg-bins=-Wl,--undefined=posix_spawn_file_actions_addchdir_np");
    } else if env::var("HOST") == env::var("TARGET") {
        link_the_unwinder();
    }
}

/// Links the stack unwinder statically, as other libraries, if the compiler has it in that form:
/// finding and loading the shared one takes longer than most of the program's start. As a whole
/// archive, since the linker has met the shared library by the time it reads this.
fn link_the_unwinder() {
    // For a file that it does not have, the compiler prints the bare name.
    let found = Command::new("cc").arg("-print-file-name=libgcc_eh.a").output();
    if found.is_ok_and(|found| Path::new(String::from_utf8_lossy(&found.stdout).trim()).is_absolute()) {
        println!("cargo::rustc-link-arg-bins=-Wl,--whole-archive,-l:libgcc_eh.a,--no-whole-archive");
    }
}
