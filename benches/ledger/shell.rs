//! Running commands: the same scrubbed environment for both sides, and a count of the git processes that one starts.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

/// How commands are run.
pub(crate) struct Shell {
    atmos: PathBuf,
    /// Programs are named by their files: a process that is started by its bare name, with an environment of its own, is
    /// first made as a copy of this one, which takes the longer the more memory this one has used.
    git: PathBuf,
    /// Holds a `git` that logs each of its starts and then is the real one.
    counting: PathBuf,
    log: PathBuf,
    home: PathBuf,
}

impl Shell {
    /// Prepares a home without any configuration, and the counting git, below `cache`.
    pub(crate) fn new(cache: &Path, atmos: &Path) -> Result<Self> {
        let home = cache.join("home");
        let counting = cache.join("counting");
        let log = cache.join("git-processes.log");
        fs::create_dir_all(&home)?;
        fs::create_dir_all(&counting)?;
        let git = program("git")?;
        let shim = counting.join("git");
        let script =
            format!("#!/bin/sh\necho \"$*\" >> '{}'\nexec '{}' \"$@\"\n", log.display(), git.display());
        fs::write(&shim, script)?;
        fs::set_permissions(&shim, fs::Permissions::from_mode(0o755))?;
        // As it is installed: the file that the linker has left behind lies in memory page by page, which costs a program
        // of this size half a millisecond at every start. A copy lies there in large pieces, like every installed program.
        let installed = cache.join("atmos");
        fs::copy(atmos, &installed)?;
        Ok(Self { atmos: installed, git, counting, log, home })
    }

    /// A program in a folder, with nothing of the caller's environment but `PATH`.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>, folder: &Path) -> Command {
        let mut command = Command::new(program);
        command.env_clear().current_dir(folder).stdin(Stdio::null());
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("HOME", &self.home);
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

    /// The git command lines that a command starts itself.
    pub(crate) fn git_processes(&self, mut command: Command) -> Result<Vec<String>> {
        fs::write(&self.log, "")?;
        let path = std::env::var_os("PATH").unwrap_or_default();
        let path = std::iter::once(self.counting.clone()).chain(std::env::split_paths(&path));
        command.env("PATH", std::env::join_paths(path)?);
        output(&mut command)?;
        Ok(fs::read_to_string(&self.log)?.lines().map(str::to_owned).collect())
    }
}

/// The file of a program.
pub(crate) fn program(name: &str) -> Result<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
        .with_context(|| format!("{name} is not on PATH"))
}

/// What a command prints; its failure is an error.
pub(crate) fn output(command: &mut Command) -> Result<Vec<u8>> {
    let output = command.output().with_context(|| format!("{command:?}"))?;
    if !output.status.success() {
        bail!("{command:?} failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(output.stdout)
}

/// What a command prints, as text without the final line end.
pub(crate) fn text(command: &mut Command) -> Result<String> {
    Ok(String::from_utf8(output(command)?)?.trim_end().to_owned())
}

/// How long a command takes from its start until everything that it prints has been read.
pub(crate) fn time(command: &mut Command) -> Result<Duration> {
    let began = Instant::now();
    let printed = output(command);
    let took = began.elapsed();
    printed.map(|_| took)
}

/// Gives a command its input from a function and waits for it.
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
