//! A checkout and a bare remote, with the queries that tests make.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::environment::TestEnvironment;
use super::payment_service;
use super::program::write_program;
use super::run::{Run, Running};

/// The program under test.
pub(crate) const ATMOS: &str = env!("CARGO_BIN_EXE_atmos");

/// A repository with a work tree.
#[derive(Clone)]
pub(crate) struct Checkout<'e> {
    pub(crate) environment: &'e TestEnvironment,
    pub(crate) path: PathBuf,
}

impl<'e> Checkout<'e> {
    pub(crate) fn new(environment: &'e TestEnvironment, path: PathBuf) -> Self {
        Self { environment, path }
    }

    /// Runs plain git, which must succeed.
    #[track_caller]
    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        self.environment.git(&self.path, arguments)
    }

    /// Runs plain git with a command line.
    #[track_caller]
    pub(crate) fn git_line(&self, line: &str) -> String {
        let words = words(line);
        let words: Vec<_> = words.iter().map(String::as_str).collect();
        assert_eq!(words[0], "git", "{line}");
        self.git(&words[1..])
    }

    /// Runs `atmos` with a command line.
    #[track_caller]
    pub(crate) fn atmos(&self, line: &str) -> Run {
        self.start(line, &[]).wait()
    }

    /// Runs `atmos` with a command line and these variables.
    #[track_caller]
    pub(crate) fn atmos_with(&self, line: &str, variables: &[(&str, &str)]) -> Run {
        self.start(line, variables).wait()
    }

    /// Starts `atmos` with a command line and these variables.
    #[track_caller]
    pub(crate) fn start(&self, line: &str, variables: &[(&str, &str)]) -> Running {
        let mut command = self.atmos_command(line);
        command.envs(variables.iter().copied());
        Running::start(command)
    }

    /// An `atmos` command with these arguments, not started yet.
    pub(crate) fn atmos_command(&self, line: &str) -> Command {
        let mut command = self.environment.command(ATMOS, &self.path);
        command.args(words(line));
        command
    }

    /// The document that `atmos` prints for a command line with `--format json`.
    #[track_caller]
    pub(crate) fn json(&self, line: &str) -> serde_json::Value {
        self.atmos(&format!("{line} --format json")).succeeded().json()
    }

    /// Writes a file of the work tree.
    pub(crate) fn write(&self, path: &str, content: &str) {
        let path = self.path.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    /// Writes a file that can be executed.
    pub(crate) fn write_script(&self, path: &str, content: &str) {
        write_program(&self.path.join(path), content);
    }

    /// Writes another component's script and version.
    pub(crate) fn write_component(&self, component: &str) {
        payment_service::write_component(self, component);
    }

    /// Commits everything. Returns the commit's id.
    pub(crate) fn commit(&self, message: &str) -> String {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--allow-empty", "--message", message]);
        self.head()
    }

    /// Commits a new version of every component. Returns the commit's id.
    pub(crate) fn commit_version(&self, version: &str) -> String {
        for entry in std::fs::read_dir(self.path.join("services")).unwrap() {
            std::fs::write(entry.unwrap().path().join("version"), format!("{version}\n")).unwrap();
        }
        self.commit(&format!("Version {version}"))
    }

    /// The commit that is checked out.
    pub(crate) fn head(&self) -> String {
        self.git(&["rev-parse", "HEAD"])
    }

    /// The value of a component's state ref; empty if it does not exist.
    pub(crate) fn state(&self, deployment: &str, target: &str, component: &str) -> String {
        ref_value(
            self.environment,
            &self.path,
            &format!("refs/atmos/deployments/{deployment}/{target}/{component}"),
        )
    }

    /// All refs and the status of the work tree: equal before and after a command that changes
    /// nothing. Unreferenced objects do not count.
    pub(crate) fn snapshot(&self) -> String {
        let refs = refs(self.environment, &self.path);
        let status = self.git(&["status", "--porcelain"]);
        format!("{refs}\n{status}")
    }
}

/// A bare repository that checkouts push to.
#[derive(Clone)]
pub(crate) struct Remote<'e> {
    pub(crate) environment: &'e TestEnvironment,
    pub(crate) path: PathBuf,
}

impl<'e> Remote<'e> {
    pub(crate) fn new(environment: &'e TestEnvironment, path: PathBuf) -> Self {
        Self { environment, path }
    }

    pub(crate) fn url(&self) -> String {
        format!("file://{}", self.path.display())
    }

    /// Runs plain git, which must succeed.
    #[track_caller]
    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        self.environment.git(&self.path, arguments)
    }

    /// The value of a component's state ref; empty if it does not exist.
    pub(crate) fn state(&self, deployment: &str, target: &str, component: &str) -> String {
        ref_value(
            self.environment,
            &self.path,
            &format!("refs/atmos/deployments/{deployment}/{target}/{component}"),
        )
    }

    /// The names of refs with this prefix.
    pub(crate) fn refs(&self, prefix: &str) -> Vec<String> {
        let names = self.git(&["for-each-ref", "--format=%(refname)", prefix]);
        names.lines().map(str::to_owned).collect()
    }

    /// The history tags of one component, oldest first by name.
    pub(crate) fn records(&self, deployment: &str, target: &str, component: &str) -> Vec<String> {
        self.refs(&format!("refs/tags/atmos/deployments/{deployment}/{target}/{component}/"))
    }

    /// The refs of the locks that are held.
    pub(crate) fn locks(&self) -> Vec<String> {
        self.refs("refs/atmos/locks/")
    }

    /// All refs and all objects: equal before and after a command that changes nothing.
    pub(crate) fn snapshot(&self) -> String {
        let objects = self.git(&[
            "cat-file",
            "--batch-all-objects",
            "--batch-check=%(objectname) %(objecttype) %(objectsize)",
        ]);
        format!("{}\n{objects}", refs(self.environment, &self.path))
    }

    /// Installs a hook.
    pub(crate) fn hook(&self, name: &str, script: &str) {
        write_program(&self.path.join("hooks").join(name), script);
    }

    /// Follows the chain of `previous` of one component from its newest record. Asserts that it is
    /// unbroken, and that records outside of it have a late record in it. Returns the chain's
    /// length.
    #[track_caller]
    pub(crate) fn verify_chain(&self, deployment: &str, target: &str, component: &str) -> usize {
        let tags = self.records(deployment, target, component);
        let mut objects: Vec<_> = tags.iter().map(|tag| self.git(&["rev-parse", tag])).collect();
        let latest = format!("refs/atmos/latest/{deployment}/{target}/{component}");
        let mut next = Some(ref_value(self.environment, &self.path, &latest));
        let mut seen = 0;
        let mut late = Vec::new();
        while let Some(object) = next {
            let at = objects.iter().position(|known| *known == object);
            let Some(at) = at else {
                panic!("{object} of {component} is no record, or is in the chain twice")
            };
            objects.swap_remove(at);
            seen += 1;
            let message = self.git(&["cat-file", "-p", &object]);
            let named = |field: &str| {
                let id = message.lines().find_map(|line| line.strip_prefix(field));
                id.map(|id| id.trim_matches(['"', '\'']).to_owned())
            };
            late.extend(named("late_of: "));
            next = named("previous: ");
        }
        objects.retain(|object| !late.contains(object));
        assert!(objects.is_empty(), "{component}: records outside of the chain: {objects:?}");
        seen
    }
}

fn ref_value(environment: &TestEnvironment, path: &Path, name: &str) -> String {
    let mut command = environment.command("git", path);
    command.args(["rev-parse", "--quiet", "--verify", name]);
    Running::start(command).wait().stdout.trim().to_owned()
}

/// All refs, and the one that is checked out.
fn refs(environment: &TestEnvironment, path: &Path) -> String {
    let head = environment.git(path, &["rev-parse", "--symbolic-full-name", "HEAD"]);
    format!("{head}\n{}", environment.git(path, &["for-each-ref"]))
}

/// Splits a command line like a shell, as far as the specification's lines need it: blanks and
/// double quotes.
pub(crate) fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quoted = false;
    for character in line.chars() {
        match character {
            '"' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            blank if blank.is_whitespace() && !quoted => words.extend(word.take()),
            other => word.get_or_insert_default().push(other),
        }
    }
    words.extend(word);
    words
}
