//! Runs commands in the same scrubbed environment for both sides, and counts the git processes of
//! one.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

/// The programs and folders that commands run with.
pub(crate) struct Shell {
    atmos: PathBuf,
    /// Programs are started by path: a process with a bare name and an environment of its own is
    /// forked first, which takes longer the more memory this process has used.
    git: PathBuf,
    /// The folder of a `git` that logs each of its starts and then executes the real one.
    counting: PathBuf,
    log: PathBuf,
    home: PathBuf,
    /// On the file system that is measured.
    temporary: PathBuf,
}

impl Shell {
    /// Prepares a home without any configuration, and the counting git, below `cache`.
    pub(crate) fn new(cache: &Path, atmos: &Path) -> Result<Self> {
        let home = cache.join("home");
        let counting = cache.join("counting");
        let log = cache.join("git-processes.log");
        let temporary = cache.join("temporary");
        fs::create_dir_all(&home)?;
        fs::create_dir_all(&counting)?;
        fs::create_dir_all(&temporary)?;
        let git = program("git")?;
        let shim = counting.join("git");
        let script =
            format!("#!/bin/sh\necho \"$*\" >> '{}'\nexec '{}' \"$@\"\n", log.display(), git.display());
        fs::write(&shim, script)?;
        fs::set_permissions(&shim, fs::Permissions::from_mode(0o755))?;
        // A copy, as of an installed program: the linker's output lies in memory page by page,
        // which costs a program of this size half a millisecond at every start. A copy lies there
        // in large pieces.
        let installed = cache.join("atmos");
        fs::copy(atmos, &installed)?;
        Ok(Self { atmos: installed, git, counting, log, home, temporary })
    }

    /// A command in a folder, with `PATH` alone from the caller's environment.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>, folder: &Path) -> Command {
        let mut command = Command::new(program);
        command.env_clear().current_dir(folder).stdin(Stdio::null());
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("HOME", &self.home);
        command.env("TMPDIR", &self.temporary);
        command.envs([
            ("GIT_CONFIG_GLOBAL", "/dev/null"),
            ("GIT_CONFIG_NOSYSTEM", "1"),
            ("GIT_AUTHOR_NAME", "Bench"),
            ("GIT_AUTHOR_EMAIL", "bench@example.com"),
            ("GIT_COMMITTER_NAME", "Bench"),
            ("GIT_COMMITTER_EMAIL", "bench@example.com"),
            ("LC_ALL", "C"),
        ]);
        command
    }

    /// `git` in a folder.
    pub(crate) fn git<A: AsRef<OsStr>>(
        &self,
        folder: &Path,
        arguments: impl IntoIterator<Item = A>,
    ) -> Command {
        let mut command = self.command(&self.git, folder);
        command.args(arguments);
        command
    }

    /// `atmos deployment` in a folder.
    pub(crate) fn atmos<A: AsRef<OsStr>>(
        &self,
        folder: &Path,
        arguments: impl IntoIterator<Item = A>,
    ) -> Command {
        let mut command = self.command(&self.atmos, folder);
        command.arg("deployment").args(arguments);
        command
    }

    /// Runs a command and returns the git command lines that it starts itself.
    pub(crate) fn git_processes(&self, mut command: Command) -> Result<Vec<String>> {
        fs::write(&self.log, "")?;
        let path = std::env::var_os("PATH").unwrap_or_default();
        let path = std::iter::once(self.counting.clone()).chain(std::env::split_paths(&path));
        command.env("PATH", std::env::join_paths(path)?);
        output(&mut command)?;
        Ok(fs::read_to_string(&self.log)?.lines().map(str::to_owned).collect())
    }
}

/// Finds the file of a program on `PATH`.
pub(crate) fn program(name: &str) -> Result<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
        .with_context(|| format!("{name} is not on PATH"))
}

/// Runs a command and returns its output; an exit code other than 0 is an error.
pub(crate) fn output(command: &mut Command) -> Result<Vec<u8>> {
    let output = command.output().with_context(|| format!("{command:?}"))?;
    if !output.status.success() {
        bail!("{command:?} failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(output.stdout)
}

/// Runs a command and returns its output as text, without white space at the end.
pub(crate) fn text(command: &mut Command) -> Result<String> {
    Ok(String::from_utf8(output(command)?)?.trim_end().to_owned())
}

/// Measures a command from its start until all of its output has been read.
pub(crate) fn time(command: &mut Command) -> Result<Duration> {
    let began = Instant::now();
    let printed = output(command);
    let took = began.elapsed();
    printed.map(|_| took)
}

/// Runs a command with the input that a function writes.
pub(crate) fn feed(
    command: &mut Command,
    write: impl FnOnce(&mut dyn std::io::Write) -> Result<()>,
) -> Result<()> {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn()?;
    let mut input = std::io::BufWriter::with_capacity(1 << 20, child.stdin.take().context("no stdin")?);
    let written = write(&mut input).and_then(|()| Ok(std::io::Write::flush(&mut input)?));
    drop(input);
    let status = child.wait()?;
    written?;
    ensure!(status.success(), "{command:?} failed");
    Ok(())
}
