//! Repositories for the tests of this folder.

use std::fs;
use std::process::Command;

use super::repository::Repository;

/// A repository with two commits, and their ids.
pub(super) struct Fixture {
    pub(super) folder: tempfile::TempDir,
    pub(super) commits: [String; 2],
}

impl Fixture {
    pub(super) fn new(init: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut fixture = Self { folder, commits: Default::default() };
        fixture.git(&[&["init", "--quiet"], init].concat(), "");
        for number in 0..2 {
            fixture.git(&["commit", "--quiet", "--allow-empty", "--message", "x"], "");
            fixture.commits[number] = fixture.git(&["rev-parse", "HEAD"], "").trim().to_owned();
        }
        fixture
    }

    pub(super) fn git(&self, arguments: &[&str], input: &str) -> String {
        let file = self.folder.path().join(".git-input");
        fs::write(&file, input).unwrap();
        let output = Command::new("git")
            .args(["-c", "user.name=A", "-c", "user.email=a@example.com"])
            .args(arguments)
            .current_dir(self.folder.path())
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env_remove("GIT_DIR")
            .stdin(fs::File::open(file).unwrap())
            .output()
            .unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    pub(super) fn git_dir(&self) -> std::path::PathBuf {
        self.folder.path().join(".git")
    }

    pub(super) fn repository(&self) -> Repository {
        let environment = std::env::vars_os().filter(|(name, _)| !name.to_string_lossy().starts_with("GIT_"));
        Repository::discover(self.folder.path(), environment).unwrap()
    }
}
