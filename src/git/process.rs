//! Git processes. The only place that starts `git`: bound to a repository, with a scrubbed
//! environment, a timeout, and captured output.

use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::configuration::{Configuration, common_dir};
use super::error::{GitError, in_the_way};
use super::journal::{Journal, age_of};
use super::pipes::exchange;
use super::redact::redact_urls;

/// The result of a finished git process.
#[derive(Debug)]
pub struct Output {
    pub status: ExitStatus,
    pub stdout: Vec<u8>,
    /// With credentials removed.
    pub stderr: String,
}

/// Git's variables that are passed on from the caller's environment: access to remotes, the place
/// of the configuration, identities, tracing. All others that start with `GIT_` (an index file, an
/// object directory, a namespace left by a hook) would change the meaning of our commands.
const KEPT: [&str; 21] = [
    "GIT_ALLOW_PROTOCOL",
    "GIT_ASKPASS",
    "GIT_AUTHOR_EMAIL",
    "GIT_AUTHOR_NAME",
    "GIT_COMMITTER_EMAIL",
    "GIT_COMMITTER_NAME",
    "GIT_CONFIG_COUNT",
    "GIT_CONFIG_GLOBAL",
    "GIT_CONFIG_NOSYSTEM",
    "GIT_CONFIG_PARAMETERS",
    "GIT_CONFIG_SYSTEM",
    "GIT_CURL_VERBOSE",
    "GIT_EXEC_PATH",
    "GIT_HTTP_LOW_SPEED_LIMIT",
    "GIT_HTTP_LOW_SPEED_TIME",
    "GIT_HTTP_USER_AGENT",
    "GIT_PROTOCOL_FROM_USER",
    "GIT_PROXY_COMMAND",
    "GIT_SSH",
    "GIT_SSH_COMMAND",
    "GIT_SSH_VARIANT",
];
/// Prefixes of variables that git gets from the caller's environment.
const KEPT_PREFIXES: [&str; 5] =
    ["GIT_CONFIG_KEY_", "GIT_CONFIG_VALUE_", "GIT_PROXY_SSL_", "GIT_SSL_", "GIT_TRACE"];

/// Whether git gets a variable of the caller's environment.
fn is_kept(name: &OsStr) -> bool {
    name.to_str().is_none_or(|name| {
        !name.starts_with("GIT_")
            || KEPT.contains(&name)
            || KEPT_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
    })
}

/// The path of git's executable, from the `PATH` of this environment; plain `git` where there is
/// none, so that the error comes from starting it.
fn executable(environment: &[(OsString, OsString)]) -> PathBuf {
    let is_program = |file: &PathBuf| {
        file.metadata().is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
    };
    let path = environment.iter().find(|(name, _)| name == "PATH").map(|(_, path)| path);
    path.into_iter()
        .flat_map(std::env::split_paths)
        // A relative folder would be resolved in git's working directory: a
        // repository could bring its own `git`.
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join("git"))
        .find(is_program)
        .unwrap_or_else(|| PathBuf::from("git"))
}

/// A git executable, bound to one repository and to a scrubbed environment.
#[derive(Debug, Clone)]
pub struct Git {
    /// The executable's file. With a path, `Command` can use `posix_spawn` and need not fork.
    program: PathBuf,
    repository: PathBuf,
    work_tree: Option<PathBuf>,
    configuration: Arc<Configuration>,
    /// Variables to add to git's environment.
    variables: Vec<(OsString, OsString)>,
    /// Settings that override the configuration (`-c`): `key=value`.
    settings: Vec<String>,
    /// The journal of refs that its commands lock, to recognise lock files of killed processes.
    journal: Arc<Journal>,
    /// Whether the repository is used even if another user owns it (`safe.directory`).
    trusts_owner: bool,
    /// Whether network access is off, lazy fetches of a partial clone included.
    is_offline: bool,
}

impl Git {
    /// Binds git to a repository. `environment` is the caller's; variables that would change the
    /// meaning of our commands are dropped.
    #[must_use]
    pub fn new(
        git_dir: &Path,
        work_tree: Option<&Path>,
        environment: impl Into<Arc<[(OsString, OsString)]>>,
    ) -> Self {
        let environment: Arc<[_]> = environment.into();
        Self {
            program: executable(&environment),
            repository: git_dir.to_owned(),
            work_tree: work_tree.map(Path::to_owned),
            configuration: Arc::new(Configuration::new(&common_dir(git_dir), environment)),
            variables: Vec::new(),
            settings: Vec::new(),
            journal: Arc::new(Journal::new(git_dir)),
            trusts_owner: false,
            is_offline: false,
        }
    }

    /// Uses the repository even if another user owns it.
    pub(super) const fn trust_owner(&mut self) {
        self.trusts_owner = true;
    }

    /// Whether the repository is used even if another user owns it.
    pub(super) const fn trusts_owner(&self) -> bool {
        self.trusts_owner
    }

    /// Denies all commands network access.
    pub(super) const fn stay_offline(&mut self) {
        self.is_offline = true;
    }

    /// Whether all commands are denied network access.
    pub(super) const fn is_offline(&self) -> bool {
        self.is_offline
    }

    /// Git for another repository, with the same environment and the same network access.
    pub(super) fn other(&self, git_dir: &Path) -> Self {
        let environment = Arc::clone(self.environment());
        Self { is_offline: self.is_offline, ..Self::new(git_dir, None, environment) }
    }

    /// Git for the same repository with another work tree.
    pub(super) fn with_work_tree(&self, work_tree: &Path) -> Self {
        Self { work_tree: Some(work_tree.to_owned()), ..self.clone() }
    }

    /// Git for the same repository with a setting (`-c`) that overrides its own: `key=value`.
    pub(super) fn with_setting(&self, setting: &str) -> Self {
        let mut git = self.clone();
        git.settings.push(setting.to_owned());
        git
    }

    /// Git for the same repository that reads and writes objects in another folder.
    pub(super) fn with_objects_in(&self, objects: &Path, settings: Vec<String>) -> Self {
        let mut git = Self { settings, ..self.clone() };
        git.variables.push(("GIT_OBJECT_DIRECTORY".into(), objects.into()));
        git
    }

    /// Git for another repository that shares the objects of this one.
    pub(super) fn elsewhere(&self, repository: &Path, objects: &Path, settings: Vec<String>) -> Self {
        let journal = Arc::new(Journal::new(repository));
        let git = Self { repository: repository.to_owned(), work_tree: None, journal, ..self.clone() };
        git.with_objects_in(objects, settings)
    }

    /// Runs a command that locks these refs (prefixes of their names end in `*`), and retries it
    /// once after removing a stale lock file of a killed process.
    ///
    /// # Errors
    ///
    /// Those of the command; [`GitError::Locked`] for a lock file that is not known to be stale.
    pub(super) fn locking<T>(
        &self,
        names: &[&str],
        command: impl Fn() -> Result<T, GitError>,
    ) -> Result<T, GitError> {
        self.journal.note(names.iter().copied());
        let command = || {
            let begun = self.journal.begins();
            self.journal.ended(&begun, command())
        };
        let result = command();
        let Err(GitError::Failed { stderr, .. }) = &result else { return result };
        let Some(lock) = in_the_way(stderr) else { return result };
        if self.journal.make_way(&lock) {
            return command();
        }
        match age_of(&lock) {
            Some(age) => Err(GitError::Locked { lock, age }),
            // The lock file is gone: its holder has finished.
            None => command(),
        }
    }

    pub(super) const fn journal(&self) -> &Arc<Journal> {
        &self.journal
    }

    /// The git directory of this worktree.
    pub(super) fn git_dir(&self) -> &Path {
        &self.repository
    }

    pub(super) const fn configuration(&self) -> &Arc<Configuration> {
        &self.configuration
    }

    /// The caller's environment.
    pub(super) fn environment(&self) -> &Arc<[(OsString, OsString)]> {
        self.configuration.environment()
    }

    /// A command with the repository, the settings and the scrubbed environment.
    fn command(&self) -> Command {
        let mut command = self.command_anywhere();
        if self.trusts_owner {
            let mut safe_directory = OsString::from("safe.directory=");
            safe_directory.push(self.work_tree.as_deref().unwrap_or(&self.repository));
            command.arg("-c").arg(safe_directory);
        }
        for setting in &self.settings {
            command.arg("-c").arg(setting);
        }
        let mut git_dir = OsString::from("--git-dir=");
        git_dir.push(&self.repository);
        command.arg(git_dir);
        if let Some(work_tree) = &self.work_tree {
            let mut argument = OsString::from("--work-tree=");
            argument.push(work_tree);
            command.arg(argument);
        }
        command
    }

    /// A command without a repository: git discovers the one of its working directory.
    fn command_anywhere(&self) -> Command {
        let mut command = Command::new(&self.program);
        let kept = self.environment().iter().filter(|(name, _)| is_kept(name));
        let variables = kept.chain(&self.variables);
        command.env_clear().envs(variables.map(|(name, value)| (name, value)));
        // Messages are parsed, so they are pinned; no user is there to answer a prompt; reading
        // must not refresh the index of a checkout that may be read-only.
        command.envs([("LC_ALL", "C"), ("GIT_TERMINAL_PROMPT", "0"), ("GIT_OPTIONAL_LOCKS", "0")]);
        if self.is_offline {
            // Git before 2.45 knows only the second one.
            command.envs([("GIT_NO_LAZY_FETCH", "1"), ("GIT_ALLOW_PROTOCOL", "")]);
        }
        // An untrusted repository's configuration must not start programs.
        command.args(["-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null"]);
        // Object ids are given in full, so git need not check for each whether a ref has that name.
        command.args(["-c", "core.warnAmbiguousRefs=false"]);
        command.current_dir(self.work_tree.as_deref().unwrap_or(&self.repository));
        // Its own process group: a Ctrl-C at the terminal reaches this process alone, which decides
        // what to finish; and a timeout can kill the whole group.
        command.process_group(0);
        command
    }

    /// A command line in which git discovers the repository itself and checks its owner.
    pub(super) fn verb_that_discovers(&self, verb: &str) -> Invocation {
        let mut command = self.command_anywhere();
        command.arg(verb);
        Invocation { verb: verb.to_owned(), command, input: Vec::new(), limit: None }
    }

    /// A command line that starts with this verb.
    pub fn verb(&self, verb: &str) -> Invocation {
        let mut command = self.command();
        command.arg(verb);
        Invocation { verb: verb.to_owned(), command, input: Vec::new(), limit: None }
    }
}

/// One git command line.
#[derive(Debug)]
#[must_use]
pub struct Invocation {
    verb: String,
    command: Command,
    input: Vec<u8>,
    limit: Option<Duration>,
}

impl Invocation {
    /// Adds an argument.
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.command.arg(argument);
        self
    }

    /// Adds arguments.
    pub fn args<A: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.command.args(arguments);
        self
    }

    /// Sets a variable of this command's environment.
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Sets a variable of this command's environment, unless the caller's sets it.
    pub(super) fn env_unless_set(mut self, name: &str, value: &str) -> Self {
        if !self.command.get_envs().any(|(set, value)| set == name && value.is_some()) {
            self.command.env(name, value);
        }
        self
    }

    /// Sets the command's stdin.
    pub fn input(mut self, input: Vec<u8>) -> Self {
        self.input = input;
        self
    }

    /// Sets the timeout, after which the command's process group is killed.
    pub fn limit(mut self, limit: Option<Duration>) -> Self {
        self.limit = limit;
        self
    }

    /// Runs the command; an exit status other than 0 is an error.
    ///
    /// # Errors
    ///
    /// As [`Running::finish_well`]; also where git cannot be started.
    pub fn run(self) -> Result<Vec<u8>, GitError> {
        self.start()?.finish_well()
    }

    /// Runs the command; any exit status is a success.
    ///
    /// # Errors
    ///
    /// As [`Running::finish`]; also where git cannot be started.
    pub fn output(self) -> Result<Output, GitError> {
        self.start()?.finish()
    }

    /// Starts the command. Its input is written later, by [`Running::finish`].
    ///
    /// # Errors
    ///
    /// [`GitError::Missing`] where git is not on `PATH`; [`GitError::Io`] where it cannot be
    /// started.
    pub fn start(mut self) -> Result<Running, GitError> {
        let started = Instant::now();
        let stdin = if self.input.is_empty() { Stdio::null() } else { Stdio::piped() };
        self.command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = self.command.spawn().map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => GitError::Missing,
            _ => GitError::Io(error),
        })?;
        Ok(Running { verb: self.verb, child, input: self.input, limit: self.limit, started })
    }
}

/// A git process that has been started.
#[derive(Debug)]
#[must_use]
pub struct Running {
    verb: String,
    child: Child,
    input: Vec<u8>,
    limit: Option<Duration>,
    started: Instant,
}

impl Running {
    /// Kills the process group, as another process may at any time.
    #[cfg(test)]
    pub(super) fn kill(&self) {
        kill_group(&self.child);
    }

    /// Writes the input so far and keeps stdin open for [`Self::finish_with`].
    ///
    /// Output is not read meanwhile, so this would deadlock with a process that
    /// prints more than a pipe holds.
    pub(super) fn feed(&mut self) -> std::io::Result<()> {
        let input = std::mem::take(&mut self.input);
        self.child.stdin.as_mut().map_or(Ok(()), |stdin| stdin.write_all(&input))
    }

    /// Writes the rest of the input and waits for the end of the process.
    pub(super) fn finish_with(mut self, rest: Vec<u8>) -> Result<Vec<u8>, GitError> {
        self.input = rest;
        self.finish_well()
    }

    /// Waits for the end of the process; any exit status is a success.
    ///
    /// # Errors
    ///
    /// [`GitError::TimedOut`] after the limit, with the process group killed; [`GitError::Io`]
    /// where its pipes fail.
    pub fn finish(mut self) -> Result<Output, GitError> {
        let result = self.collect();
        if result.is_err() {
            kill_group(&self.child);
        }
        let status = self.child.wait()?;
        let (stdout, stderr) = result?;
        let stderr = redact_urls(&String::from_utf8_lossy(&stderr));
        tracing::debug!(
            verb = self.verb,
            status = status.code(),
            milliseconds = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX),
            stderr = stderr.trim(),
            "git"
        );
        Ok(Output { status, stdout, stderr })
    }

    /// As [`Self::finish`], returning stdout; an exit status other than 0 is an error.
    ///
    /// # Errors
    ///
    /// As [`Self::finish`]; [`GitError::Failed`] for an exit status other than 0.
    pub fn finish_well(self) -> Result<Vec<u8>, GitError> {
        let verb = self.verb.clone();
        let Output { status, stdout, stderr } = self.finish()?;
        if status.success() {
            Ok(stdout)
        } else {
            Err(GitError::Failed { verb, code: status.code(), stderr })
        }
    }

    /// Writes stdin and reads stdout and stderr to their ends, until the timeout.
    fn collect(&mut self) -> Result<(Vec<u8>, Vec<u8>), GitError> {
        let deadline = self.limit.and_then(|limit| Instant::now().checked_add(limit));
        exchange(&mut self.child, &self.input, deadline)?.ok_or_else(|| GitError::TimedOut {
            verb: self.verb.clone(),
            limit: self.limit.unwrap_or_default(),
        })
    }
}

/// Kills git and its transport helpers, which would otherwise keep our pipes open.
fn kill_group(child: &Child) {
    if let Some(group) = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw) {
        // A process that is already gone is no error.
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn git(environment: &[(&str, &str)]) -> Git {
        let environment: Vec<(OsString, OsString)> = std::env::vars_os()
            .filter(|(name, _)| name == "PATH")
            .chain(environment.iter().map(|(name, value)| (name.into(), value.into())))
            .collect();
        Git::new(&std::env::temp_dir(), None, environment)
    }

    #[test]
    fn variables_that_change_the_meaning_of_commands_are_dropped() {
        let git = git(&[
            ("GIT_INDEX_FILE", "elsewhere"),
            ("GIT_DIR", "elsewhere"),
            ("GIT_SSH_COMMAND", "ssh -4"),
            ("GIT_CONFIG_KEY_0", "a.b"),
        ]);
        let command = git.command();
        let names: Vec<_> = command.get_envs().map(|(name, _)| name.to_string_lossy()).collect();
        let ours = ["GIT_OPTIONAL_LOCKS", "GIT_TERMINAL_PROMPT", "LC_ALL"];
        let theirs: Vec<_> = names.iter().filter(|name| !ours.contains(&&***name)).collect();
        assert_eq!(theirs, ["GIT_CONFIG_KEY_0", "GIT_SSH_COMMAND", "PATH"]);
    }

    #[test]
    fn a_limit_ends_the_command_and_what_it_started() {
        let error = git(&[])
            .verb("-c")
            .arg("alias.wait=!sleep 60")
            .arg("wait")
            .limit(Some(Duration::from_millis(100)))
            .output()
            .unwrap_err();
        assert!(matches!(error, GitError::TimedOut { .. }), "{error}");
    }

    #[test]
    fn a_failure_says_what_git_said() {
        let error = git(&[]).verb("rev-parse").arg("--verify").arg("nothing").run().unwrap_err();
        assert!(error.to_string().starts_with("git rev-parse failed: "), "{error}");
    }
}
