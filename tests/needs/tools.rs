//! The tools that some tests need beyond Rust and git, and the checks whether they are present.
//!
//! libtest ignores no test at run time: a test that found its tool missing could only pass or fail.
//! So `build.rs`, of which this is a module, looks for the tools once, when the tests are built,
//! and sets the condition `without_<tool>` for each that is missing.

use std::path::{Path, PathBuf};
use std::{env, fs};

/// A program, a folder or a right that a machine may lack.
pub struct Tool {
    /// The name in `ATMOS_TEST_REQUIRE`.
    pub name: &'static str,
    /// The message if it is missing, with a remedy if there is one.
    pub missing: &'static str,
    /// The check whether it is present. Files can be written to the folder.
    is_there: fn(&Path) -> bool,
}

pub const TOOLS: [Tool; 9] = [
    Tool {
        name: "conformance",
        missing: "there are no conformance cases in ../shared/conformance/stacks; ATMOS_CONFORMANCE_DIR may name another folder",
        is_there: |_| conformance_cases().is_dir(),
    },
    Tool {
        name: "git-daemon",
        missing: "git came without git-daemon",
        is_there: |_| comes_with_git("git-daemon"),
    },
    Tool {
        name: "git-http-backend",
        missing: "git came without git-http-backend",
        is_there: |_| comes_with_git("git-http-backend"),
    },
    Tool { name: "openssl", missing: "openssl is not on PATH", is_there: |_| is_on_path("openssl") },
    Tool { name: "python3", missing: "python3 is not on PATH", is_there: |_| is_on_path("python3") },
    Tool {
        name: "root",
        missing: "only root can give a repository to another user",
        is_there: can_give_away,
    },
    Tool {
        name: "specification",
        missing: "there is no specification in ../shared/spec; ATMOS_SHARED may name another folder than ../shared",
        is_there: |_| specification().is_dir(),
    },
    Tool { name: "ssh-keygen", missing: "ssh-keygen is not on PATH", is_there: |_| is_on_path("ssh-keygen") },
    Tool {
        name: "terraform",
        missing: "terraform is not on PATH, and no package registry has it; see developer.hashicorp.com/terraform/install",
        is_there: |_| is_on_path("terraform"),
    },
];

/// The environment variables that name folders.
pub const VARIABLES: [&str; 2] = ["ATMOS_CONFORMANCE_DIR", "ATMOS_SHARED"];

impl Tool {
    /// The condition that is set if it is missing.
    pub fn condition(&self) -> String {
        format!("without_{}", self.name.replace('-', "_"))
    }

    /// Whether it is present. Files can be written to the folder.
    pub fn is_there(&self, scratch: &Path) -> bool {
        (self.is_there)(scratch)
    }
}

/// The folder of the reference implementation's scenarios.
pub fn conformance_cases() -> PathBuf {
    let named = env::var_os("ATMOS_CONFORMANCE_DIR").map(PathBuf::from);
    named.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/conformance/stacks"))
}

/// The folder of the specification's documents.
pub fn specification() -> PathBuf {
    let named = env::var_os("ATMOS_SHARED").map(PathBuf::from);
    named.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared")).join("spec")
}

fn is_on_path(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// Whether git came with a program. Its own programs are in its own folder, not on PATH.
fn comes_with_git(program: &str) -> bool {
    let folder = std::process::Command::new("git").arg("--exec-path").output();
    folder.is_ok_and(|folder| {
        let folder = String::from_utf8_lossy(&folder.stdout).trim_end().to_owned();
        Path::new(&folder).join(program).is_file()
    })
}

/// Whether files can be given to another user. It is tried out: even root cannot in a container
/// that knows no other users.
fn can_give_away(scratch: &Path) -> bool {
    let file = scratch.join("given-away");
    let given = fs::write(&file, "").is_ok() && std::os::unix::fs::chown(&file, Some(65534), None).is_ok();
    let _ = fs::remove_file(&file);
    given
}
