//! What is done when the program is built, so that it need not be done whenever it starts.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use serde_json::Value;

#[path = "tests/needs/tools.rs"]
#[allow(dead_code, reason = "tests say what is wrong where something is missing")]
mod tools;

/// The schemas that configuration files are held against.
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

/// Has the tests ignored whose tools are missing here.
///
/// They are looked for again where something else is required, but not whenever PATH changes: the
/// whole crate would be compiled again for it.
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

/// Leaves out of a schema what is there for people. It is four fifths of the text.
fn leave_out_descriptions(schema: &mut Value) {
    match schema {
        Value::Object(keywords) => {
            // A property may be called `description` as well; what stands there then is no text.
            keywords.retain(|name, value| {
                !(matches!(name.as_str(), "description" | "title") && value.is_string())
            });
            keywords.values_mut().for_each(leave_out_descriptions);
        }
        Value::Array(items) => items.iter_mut().for_each(leave_out_descriptions),
        _ => {}
    }
}

/// A schema as a `config::shape::Published`: what it defines by name is found without reading the rest.
fn source(schema: &mut Value) -> String {
    let definitions = schema.as_object_mut().and_then(|keywords| keywords.remove("$defs"));
    let definitions = definitions.iter().filter_map(Value::as_object).flatten();
    let mut definitions: Vec<_> = definitions.map(|(name, schema)| (name, schema.to_string())).collect();
    definitions.sort();
    // Texts and tuples are written for a look as they are in a source.
    format!("Published {{ schema: {:?}, definitions: &{definitions:?} }}", schema.to_string())
}

/// Has the linker build in what would otherwise be looked for at every start, or not be there at all.
fn link() {
    let is = |variable: &str, value: &str| env::var(variable).is_ok_and(|found| found == value);
    if !is("CARGO_CFG_TARGET_OS", "linux") || !is("CARGO_CFG_TARGET_ENV", "gnu") {
        return;
    }
    let features = env::var("CARGO_CFG_TARGET_FEATURE").unwrap_or_default();
    if features.split(',').any(|feature| feature == "crt-static") {
        // The standard library takes this where it is there, to start a program in a folder without copying this process
        // first. Of a library that is built in, there is what somebody insists on.
        println!("cargo::rustc-link-arg-bins=-Wl,--undefined=posix_spawn_file_actions_addchdir_np");
    } else if env::var("HOST") == env::var("TARGET") {
        link_the_unwinder();
    }
}

/// Builds in the library that unwinds the stack, as any other, where the compiler has it in that form: finding and loading it
/// takes longer at every start than most of what the program does then. Whole, since the linker has met the shared one by
/// the time it reads this.
fn link_the_unwinder() {
    // Of a file that it does not have, the compiler prints the bare name.
    let found = Command::new("cc").arg("-print-file-name=libgcc_eh.a").output();
    if found.is_ok_and(|found| Path::new(String::from_utf8_lossy(&found.stdout).trim()).is_absolute()) {
        println!("cargo::rustc-link-arg-bins=-Wl,--whole-archive,-l:libgcc_eh.a,--no-whole-archive");
    }
}
