//! The context of a command: flags, environment, clock, streams, and
//! the discovery of the repository.

pub mod flags;
pub mod runtime;
pub mod secrets;
pub mod signals;

use std::ffi::{OsStr, OsString};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};

use jiff::Timestamp;

use crate::ci::Job;
use crate::component::Masks;
use crate::error::{Code, CommandError};
use crate::git::Repository;
use crate::git::repository::RepositoryError;
use crate::render::document::{self, Document, Format};
use crate::render::stream::{Copied, Streams};
use crate::render::{Clock, Presentation};

use flags::GlobalArgs;

/// The most bytes to read of an event's payload. GitHub's largest has 25 MB.
const LARGEST_EVENT: u64 = 32 * 1024 * 1024;

/// The context of one command. Commands read nothing else of the process.
pub struct Context {
    global: GlobalArgs,
    environment: Vec<(OsString, OsString)>,
    /// Extra variables for git alone: credentials that no other child process may get.
    git_environment: Vec<(OsString, OsString)>,
    directory: PathBuf,
    streams: Streams,
    masks: Masks,
    /// The last document as JSON, where a CI job runs a command and then reports on it.
    document: Option<Mutex<Option<String>>>,
    now: Timestamp,
    /// The part of the checkout that is untrusted; unset until that was checked.
    distrusted: OnceLock<Distrusted>,
    /// Set where files of the checkout must equal those of its commit.
    committed: OnceLock<()>,
    /// Set once the warnings about `atmos.yaml` were printed.
    warned: OnceLock<()>,
}

/// The untrusted part of a checkout, for example of a pull request's head from a fork.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Distrusted {
    /// The files. The remote, and so the ledger, is trusted.
    Files,
    /// The whole clone, with the remote that it names.
    Clone,
}

/// The differences of a nested command's context.
pub struct Inner {
    pub global: GlobalArgs,
    pub environment: Vec<(OsString, OsString)>,
    pub git_environment: Vec<(OsString, OsString)>,
    /// The working directory, relative to that of the outer command.
    pub directory: PathBuf,
    /// The copy of what is printed to stdout.
    pub copied: Copied,
}

impl Context {
    /// Creates the context from flags and environment, and initialises logging.
    pub fn new(
        global: GlobalArgs,
        environment: Vec<(OsString, OsString)>,
    ) -> Result<Self, Box<(Streams, CommandError)>> {
        let masks = secrets::of_environment(&environment);
        let streams =
            secrets::guarded(Streams::system(global.color.into(), global.quiet), &masks, &environment);
        crate::render::stream::log(global.logs_level.into(), secrets::guard(&masks));
        let directory = match (&global.chdir, std::env::current_dir()) {
            (Some(directory), _) if !directory.is_dir() => {
                let message = format!("{} is not a directory", directory.display());
                return Err(Box::new((streams, CommandError::usage(message))));
            }
            (Some(directory), current) => current.unwrap_or_default().join(directory),
            (None, Ok(current)) => current,
            (None, Err(error)) => {
                let message = format!("the current directory cannot be used: {error}");
                return Err(Box::new((streams, CommandError::usage(message))));
            }
        };
        Ok(Self {
            global,
            environment,
            git_environment: Vec::new(),
            directory,
            streams,
            masks,
            document: None,
            now: now(),
            distrusted: OnceLock::new(),
            committed: OnceLock::new(),
            warned: OnceLock::new(),
        })
    }

    /// A context for a nested command, which keeps the last document that it prints.
    #[must_use]
    pub fn inner(&self, inner: Inner) -> Self {
        let Inner { global, environment, git_environment, directory, copied } = inner;
        let streams = Streams::system(global.color.into(), global.quiet).copied_to(copied);
        Self {
            streams: secrets::guarded_log(streams, &self.masks, &self.environment),
            directory: self.directory.join(directory),
            masks: self.masks.clone(),
            document: Some(Mutex::default()),
            now: self.now,
            distrusted: OnceLock::new(),
            committed: OnceLock::new(),
            warned: OnceLock::new(),
            global,
            environment,
            git_environment,
        }
    }

    /// The last printed document as JSON, whatever its printed format.
    pub fn last_document(&self) -> Option<String> {
        self.document.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The secrets to mask in all output.
    pub fn masks(&self) -> &Masks {
        &self.masks
    }

    /// The output streams.
    pub fn streams(&self) -> &Streams {
        &self.streams
    }

    /// Separate streams for writing progress from another thread.
    pub fn progress_streams(&self) -> Streams {
        let streams = Streams::system(self.global.color.into(), self.global.quiet);
        secrets::guarded(streams, &self.masks, &self.environment)
    }

    /// The flags of every command.
    pub fn global(&self) -> &GlobalArgs {
        &self.global
    }

    /// The process's environment.
    pub fn environment(&self) -> &[(OsString, OsString)] {
        &self.environment
    }

    /// A variable of the environment; `None` where it is unset, empty or not text.
    pub fn variable(&self, name: &str) -> Option<&str> {
        let (_, value) = self.environment.iter().find(|(variable, _)| variable == OsStr::new(name))?;
        value.to_str().filter(|value| !value.is_empty())
    }

    /// Whether this runs in a CI job.
    pub fn in_ci(&self) -> bool {
        self.variable("CI").is_some_and(|value| !matches!(value, "false" | "0"))
            || self.variable("GITHUB_ACTIONS").is_some()
            || self.variable("GITLAB_CI").is_some()
    }

    /// The CI job that this runs in.
    pub fn job(&self) -> Option<Job> {
        Job::detect(
            |name| self.variable(name),
            || {
                let mut text = String::new();
                let file = std::fs::File::open(self.variable("GITHUB_EVENT_PATH")?).ok()?;
                file.take(LARGEST_EVENT).read_to_string(&mut text).ok()?;
                Some(text)
            },
        )
    }

    /// The time of this command, the same for all its output.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// The presentation of text on stdout.
    pub fn presentation(&self) -> Presentation {
        Presentation { form: self.streams.form(), clock: self.clock() }
    }

    /// The clock and the zone of printed times.
    pub fn clock(&self) -> Clock {
        // Output of a nested command ends up in stored reports, where relative times would mislead.
        Clock { now: self.now(), zone: self.global.timezone.clone(), kept: self.document.is_some() }
    }

    /// Prints a command's result, as a document or as text.
    pub fn print<D: Document>(
        &self,
        document: &D,
        text: impl FnOnce(&D, &Presentation) -> String,
    ) -> Result<(), CommandError> {
        let output = match self.global.format {
            Format::Table => text(document, &self.presentation()),
            Format::Json | Format::CyclonedxJson | Format::SpdxJson => document::json(document)?,
            Format::Yaml => document::yaml(document)?,
        };
        if let Some(last) = &self.document {
            *last.lock().unwrap_or_else(PoisonError::into_inner) = Some(document::json(document)?);
        }
        Ok(self.streams.data(&output)?)
    }

    /// Prints a warning to stderr.
    pub fn warn(&self, message: &str) {
        self.streams.warn(&format!("Warning: {message}\n"));
    }

    /// Marks a part of the checkout as untrusted: see [`Context::project`].
    pub fn distrust(&self, what: Distrusted) {
        // The first mark wins.
        let _ = self.distrusted.set(what);
    }

    /// Refuses an operation that depends on an untrusted part of the checkout.
    ///
    /// # Errors
    ///
    /// Fails where that part is untrusted.
    pub fn refuse_distrusted(&self, wanted: Distrusted) -> Result<(), CommandError> {
        match self.distrusted.get() {
            Some(distrusted) if *distrusted == Distrusted::Clone || wanted == Distrusted::Files => {
                let message = "the checkout is not the repository's own, and does not speak for it";
                Err(CommandError::new(Code::ForeignHead, message))
            }
            _ => Ok(()),
        }
    }

    /// The repository around the working directory.
    ///
    /// # Errors
    ///
    /// Fails where there is none, or where the clone is untrusted.
    pub fn repository(&self) -> Result<Repository, CommandError> {
        self.refuse_distrusted(Distrusted::Clone)?;
        self.discover().map_err(Into::into)
    }

    /// In CI a bare repository is refused: jobs check out a work tree, so
    /// another step has left it there.
    fn discover(&self) -> Result<Repository, RepositoryError> {
        let mut repository = Repository::discover(&self.directory, self.seen_by_git())?;
        if self.global.offline {
            repository = repository.offline();
        }
        let repository = repository.trusting(&self.trusted_folders());
        repository.check_owner()?;
        if self.in_ci() && repository.work_tree().is_none() {
            return Err(RepositoryError::Bare(self.directory.clone()));
        }
        Ok(repository)
    }

    /// The folders whose repositories may belong to another user: those that the user names, and
    /// the job's checkout, which a CI system may have made as another user.
    fn trusted_folders(&self) -> Vec<PathBuf> {
        let named = self.variable("ATMOS_SAFE_DIRECTORY").map(std::env::split_paths).into_iter().flatten();
        let of_job = [("GITHUB_ACTIONS", "GITHUB_WORKSPACE"), ("GITLAB_CI", "CI_PROJECT_DIR")];
        let of_job = of_job.iter().filter(|(system, _)| self.variable(system).is_some());
        let of_job = of_job.filter_map(|(_, folder)| self.variable(folder).map(PathBuf::from));
        named.chain(of_job).collect()
    }

    fn seen_by_git(&self) -> impl Iterator<Item = (OsString, OsString)> {
        self.environment.iter().chain(&self.git_environment).cloned()
    }

    /// Refuses files of the checkout that differ from its commit from now on,
    /// because only the commit was reviewed.
    pub fn use_committed_files(&self) {
        let _ = self.committed.set(());
    }

    /// Whether files must equal those of the commit.
    pub fn uses_committed_files(&self) -> bool {
        self.committed.get().is_some()
    }

    /// Prints warnings about the configuration, on the first call only.
    pub fn warn_once(&self, warnings: impl IntoIterator<Item = String>) {
        if self.warned.set(()).is_ok() {
            warnings.into_iter().for_each(|warning| self.warn(&warning));
        }
    }

    /// The repository around the working directory, where there is one.
    pub fn repository_if_any(&self) -> Result<Option<Repository>, CommandError> {
        match self.discover() {
            Ok(repository) => Ok(Some(repository)),
            Err(RepositoryError::NotFound(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The working directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The working directory, relative to the checkout.
    pub fn start(&self, repository: &Repository) -> String {
        let directory = self.directory.canonicalize().unwrap_or_else(|_| self.directory.clone());
        repository
            .work_tree()
            .and_then(|root| directory.strip_prefix(root).ok())
            .map(|relative| relative.to_string_lossy().into_owned())
            .unwrap_or_default()
    }
}

/// The clock. Debug builds can be told the time, for snapshots.
pub fn now() -> Timestamp {
    #[cfg(debug_assertions)]
    if let Some(fixed) = std::env::var("ATMOS_NOW").ok().and_then(|now| now.parse().ok()) {
        return fixed;
    }
    Timestamp::now()
}
