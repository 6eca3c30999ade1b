//! A component in its own checkout, for the tests of every kind.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use tempfile::TempDir;

use super::*;
use crate::cancellation::CancellationLevel;
use crate::deployment::definition::{CommandSettings, ComponentSettings};

/// All data that a run borrows.
pub(super) struct Fixture {
    directory: TempDir,
    pub(super) component: Component,
    pub(super) commit: CommitId,
    pub(super) vars: Values,
    pub(super) sources: IndexMap<String, ValueSource>,
    pub(super) artifacts: BTreeMap<String, String>,
    pub(super) in_ci: bool,
    pub(super) terraform: TerraformSettings,
    pub(super) helmfile: HelmfileSettings,
    pub(super) stack: TerraformStack,
    /// A folder to prepend to `PATH`.
    pub(super) path_first: Option<PathBuf>,
    /// Cancel gracefully when a line with this text is logged.
    pub(super) cancel_at: Option<&'static str>,
    /// The logged lines.
    pub(super) lines: Mutex<Vec<String>>,
}

/// Command settings without a plan.
pub(super) fn command(apply: &[&str]) -> CommandSettings {
    let apply = apply.iter().map(|word| (*word).to_owned()).collect();
    CommandSettings { plan: None, apply, working_directory: None }
}

/// Writes a program, in another process. Race: a child that another test forks at that moment would
/// inherit a descriptor that is open for writing, and `exec` would fail with `ETXTBSY`.
pub(super) fn write_program(path: &Path, script: &str) {
    let mut writer = std::process::Command::new("/bin/sh")
        .args(["-c", "cat > \"$1\" && chmod 755 \"$1\"", "sh"])
        .arg(path)
        .stdin(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut writer.stdin.take().unwrap(), script.as_bytes()).unwrap();
    assert!(writer.wait().unwrap().success());
}

impl Fixture {
    pub(super) fn new(kind: ComponentKind, name: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        for folder in ["checkout", "scratch"] {
            std::fs::create_dir(directory.path().join(folder)).unwrap();
        }
        Self {
            directory,
            component: Component {
                name: name.parse().unwrap(),
                kind,
                folder: None,
                labels: IndexMap::new(),
                depends_on: Vec::new(),
                vars: Values::new(),
                settings: ComponentSettings::default(),
            },
            commit: "1".repeat(40).parse().unwrap(),
            vars: Values::new(),
            sources: IndexMap::new(),
            artifacts: BTreeMap::new(),
            in_ci: false,
            terraform: TerraformSettings::default(),
            helmfile: HelmfileSettings::default(),
            stack: TerraformStack::named("shop-dev"),
            path_first: None,
            cancel_at: None,
            lines: Mutex::default(),
        }
    }

    pub(super) fn checkout(&self) -> PathBuf {
        self.directory.path().join("checkout")
    }

    pub(super) fn scratch(&self) -> PathBuf {
        self.directory.path().join("scratch")
    }

    pub(super) fn home(&self) -> PathBuf {
        self.directory.path().to_owned()
    }

    pub(super) fn plugin_cache(&self) -> PathBuf {
        self.directory.path().join("plugins")
    }

    pub(super) fn state(&self) -> PathBuf {
        self.directory.path().join("state")
    }

    pub(super) fn command_mut(&mut self) -> &mut CommandSettings {
        self.component.settings.command.as_mut().unwrap()
    }

    pub(super) async fn run(&self, mode: Mode) -> Result<ComponentResult, ComponentError> {
        self.with_run(mode, run).await
    }

    /// Calls a function with the arguments of a run.
    pub(super) async fn with_run<T>(&self, mode: Mode, act: impl AsyncFnOnce(ComponentRun<'_>) -> T) -> T {
        let (checkout, state, scratch) = (self.checkout(), self.state(), self.scratch());
        let path = std::env::var_os("PATH").unwrap();
        let folders = self.path_first.clone().into_iter().chain(std::env::split_paths(&path));
        let path = std::env::join_paths(folders).unwrap();
        let home = self.directory.path().into();
        let environment = [("PATH".into(), path), ("HOME".into(), home)].into_iter().collect();
        let (canceller, cancellation) = Cancellation::new();
        let log = |_: Stream, line: &str| {
            if self.cancel_at.is_some_and(|text| line.contains(text)) {
                canceller.raise(CancellationLevel::Graceful);
            }
            self.lines.lock().unwrap().push(line.to_owned());
        };
        act(ComponentRun {
            component: &self.component,
            deployment: &"shop".parse().unwrap(),
            target: &"dev".parse().unwrap(),
            commit: &self.commit,
            previous_commit: None,
            run_id: "local:1",
            mode,
            vars: &self.vars,
            sources: &self.sources,
            artifacts: &self.artifacts,
            checkout: &checkout,
            state: &state,
            plugin_cache: &self.plugin_cache(),
            scratch: &scratch,
            environment: &environment,
            in_ci: self.in_ci,
            terraform: &self.terraform,
            helmfile: &self.helmfile,
            stack: &self.stack,
            log: &log,
            masks: &Masks::default(),
            cancellation: &cancellation,
        })
        .await
    }
}
