//! A hermetic environment: its own home and git configuration, and no variables of a CI system.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::checkout::{Checkout, Remote};
use super::payment_service;
use super::run::Running;

/// The folder of a test's repositories, and the variables of all its processes. The folder is
/// removed on drop.
pub(crate) struct TestEnvironment {
    root: TempDir,
    variables: Vec<(String, String)>,
}

/// Arguments for `git clone`, beyond its defaults.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Clone<'a> {
    pub(crate) arguments: &'a [&'a str],
}

impl Clone<'_> {
    /// A shallow clone, as a CI system makes it.
    pub(crate) const SHALLOW: Self = Self { arguments: &["--depth=1", "--single-branch", "--no-tags"] };
}

impl TestEnvironment {
    pub(crate) fn new() -> Self {
        let root = tempfile::Builder::new().prefix("atmos-it-").tempdir().unwrap();
        for folder in ["home", "tmp"] {
            std::fs::create_dir(root.path().join(folder)).unwrap();
        }
        let mut environment = Self { root, variables: Vec::new() };
        let (home, tmp) = (environment.path("home"), environment.path("tmp"));
        let applied = environment.path("applied");
        for (name, value) in [
            ("PATH", std::env::var("PATH").unwrap().as_str()),
            ("HOME", home.to_str().unwrap()),
            ("TMPDIR", tmp.to_str().unwrap()),
            ("TZ", "UTC"),
            ("LC_ALL", "C.UTF-8"),
            ("NO_COLOR", "1"),
            ("GIT_CONFIG_GLOBAL", "/dev/null"),
            ("GIT_CONFIG_NOSYSTEM", "1"),
            ("GIT_TERMINAL_PROMPT", "0"),
            ("GIT_AUTHOR_NAME", "Ada"),
            ("GIT_AUTHOR_EMAIL", "ada@example.com"),
            ("GIT_COMMITTER_NAME", "Ada"),
            ("GIT_COMMITTER_EMAIL", "ada@example.com"),
            ("TEST_APPLIED", applied.to_str().unwrap()),
        ] {
            environment.set(name, value);
        }
        environment
    }

    /// Sets a variable for all processes that are started later.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.variables.retain(|(known, _)| known != name);
        self.variables.push((name.to_owned(), value.to_owned()));
    }

    /// The value of a variable of all processes.
    pub(crate) fn variable(&self, name: &str) -> &str {
        self.variables
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
            .unwrap_or_default()
    }

    /// Fixes the clock of all `atmos` processes that are started later.
    pub(crate) fn set_clock(&mut self, time: &str) {
        self.set("ATMOS_NOW", time);
    }

    /// A path in the test's folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// A command that sees only this environment.
    pub(crate) fn command(&self, program: impl AsRef<std::ffi::OsStr>, directory: &Path) -> Command {
        let mut command = Command::new(program);
        command.env_clear().envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.current_dir(directory);
        command
    }

    /// Runs plain git, which must succeed, and returns its output without line ends at the end.
    #[track_caller]
    pub(crate) fn git(&self, directory: &Path, arguments: &[&str]) -> String {
        let mut command = self.command("git", directory);
        command.args(arguments);
        let mut run = Running::start(command).wait().succeeded();
        run.stdout.truncate(run.stdout.trim_end_matches('\n').len());
        run.stdout
    }

    /// A new repository with one commit that holds the payment service.
    pub(crate) fn payment_service(&self, name: &str) -> Checkout<'_> {
        self.payment_service_with(name, &[])
    }

    /// The same repository, made with arguments for `git init`.
    pub(crate) fn payment_service_with(&self, name: &str, init: &[&str]) -> Checkout<'_> {
        let checkout = self.empty_repository(name, init);
        payment_service::write(&checkout);
        checkout.commit("Add the payment service");
        checkout
    }

    /// A new repository without a commit.
    pub(crate) fn empty_repository(&self, name: &str, init: &[&str]) -> Checkout<'_> {
        let path = self.path(name);
        let arguments = [&["init", "--quiet", "--initial-branch=main"], init, &[path.to_str().unwrap()]];
        self.git(self.root.path(), &arguments.concat());
        Checkout::new(self, path)
    }

    /// A bare repository.
    pub(crate) fn bare(&self, name: &str, init: &[&str]) -> Remote<'_> {
        let remote = self.empty_repository(name, &[&["--bare"], init].concat());
        Remote::new(self, remote.path)
    }

    /// The payment service in a bare repository, and in a checkout that has it as `origin`.
    pub(crate) fn with_remote(&self) -> (Checkout<'_>, Remote<'_>) {
        let remote = self.bare("remote.git", &[]);
        let checkout = self.payment_service("checkout");
        checkout.git(&["remote", "add", "origin", &remote.url()]);
        checkout.git(&["push", "--quiet", "--set-upstream", "origin", "main"]);
        (checkout, remote)
    }

    /// A clone of a URL.
    pub(crate) fn clone(&self, url: &str, name: &str, how: Clone<'_>) -> Checkout<'_> {
        self.clone_with(url, name, how, &[])
    }

    /// A clone of a URL with configuration that the clone keeps (`key=value`).
    pub(crate) fn clone_with(
        &self,
        url: &str,
        name: &str,
        how: Clone<'_>,
        configuration: &[&str],
    ) -> Checkout<'_> {
        let path = self.path(name);
        let mut arguments = vec!["clone", "--quiet"];
        for setting in configuration {
            arguments.extend(["--config", setting]);
        }
        arguments.extend(how.arguments);
        arguments.extend([url, path.to_str().unwrap()]);
        self.git(self.root.path(), &arguments);
        Checkout::new(self, path)
    }

    /// The log of components that were applied, a line for each: target, component, commit and the
    /// version in that commit.
    pub(crate) fn applied(&self) -> Vec<String> {
        let log = std::fs::read_to_string(self.path("applied")).unwrap_or_default();
        log.lines().map(str::to_owned).collect()
    }

    /// Removes the log of components that were applied.
    pub(crate) fn forget_applied(&self) {
        let _ = std::fs::remove_file(self.path("applied"));
    }
}
