//! What some tests need beyond Rust and git, and how to find out whether it is here.
//!
//! libtest ignores no test at run time: a test that found its tool missing could only pass or fail.
//! So `build.rs`, of which this is a module, looks for the tools once, when the tests are built,
//! and sets the condition `without_<tool>` for each that is missing.

use std::path::{Path, PathBuf};
use std::{env, fs};

/// Something that a machine may lack.
pub struct Tool {
    /// Its name in `ATMOS_TEST_REQUIRE`.
    pub name: &'static str,
    /// What is wrong where it is missing, and what helps.
    pub missing: &'static str,
    /// Looks for it. The folder is one that files can be written to.
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

/// The variables that say where something is.
pub const VARIABLES: [&str; 2] = ["ATMOS_CONFORMANCE_DIR", "ATMOS_SHARED"];

impl Tool {
    /// The condition that is set where it is missing.
    pub fn condition(&self) -> String {
        format!("without_{}", self.name.replace('-', "_"))
    }

    /// Whether it is here. The folder is one that files can be written to.
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

/// Git's own programs are beside it, not on PATH.
fn comes_with_git(program: &str) -> bool {
    let folder = std::process::Command::new("git").arg("--exec-path").output();
    folder.is_ok_and(|folder| {
        let folder = String::from_utf8_lossy(&folder.stdout).trim_end().to_owned();
        Path::new(&folder).join(program).is_file()
    })
}

/// Root itself cannot where a container knows no other users, so it is tried.
fn can_give_away(scratch: &Path) -> bool {
    let file = scratch.join("given-away");
    let given = fs::write(&file, "").is_ok() && std::os::unix::fs::chown(&file, Some(65534), None).is_ok();
    let _ = fs::remove_file(&file);
    given
}
