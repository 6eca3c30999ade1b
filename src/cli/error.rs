//! Every error as people and programs see it: kind, message, hints, exit code.

use std::process::ExitCode;

use crate::config::{ConfigError, Problem, SourceError};
use crate::deployment::DeploymentName;
use crate::deployment::resolution::ResolutionError;
use crate::deployment::stack_layer::StackRefusal;
use crate::git::repository::RepositoryError;
use crate::git::{GitError, objects::ObjectError};
use crate::ledger::LedgerError;
use crate::render::document::error::{Error, Hint, Location};
use crate::render::document::{self, DocumentError};
use crate::render::stream::{StreamError, Streams};

use super::args::Format;

/// Exit codes, which are part of the interface.
pub mod exit {
    /// Something failed: a component, the remote, I/O.
    pub const FAILED: u8 = 1;
    /// Wrong usage or configuration.
    pub const USAGE: u8 = 2;
    /// Refused by policy: promotion path, approval, freeze.
    pub const REFUSED: u8 = 3;
    /// Locked, or lost a race; worth another try.
    pub const LOCKED: u8 = 4;
    /// Findings: differences that were asked for.
    pub const FINDINGS: u8 = 5;
    /// Interrupted by a signal.
    pub const INTERRUPTED: u8 = 130;
}

/// What a command that only reads can do without its remote.
const OFFLINE_ANSWERS: &str = "--offline answers from what is here";

/// Why a command ends without having done what it was asked.
#[derive(Debug)]
pub enum CommandError {
    /// To be shown.
    Shown(Box<Error>),
    /// To be shown to people; a program has its document already.
    AfterDocument(Box<Error>),
    /// Nobody reads the output any more: end quietly.
    OutputClosed,
}

impl CommandError {
    /// An error of this kind.
    pub fn new(exit_code: u8, code: &str, message: impl Into<String>) -> Self {
        Self::Shown(Box::new(Error {
            code: code.to_owned(),
            message: message.into(),
            details: Vec::new(),
            hints: Vec::new(),
            locations: Vec::new(),
            exit_code,
        }))
    }

    /// Wrong usage.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(exit::USAGE, "usage", message)
    }

    /// Something that should not happen.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(exit::FAILED, "internal", message)
    }

    /// Says it in other words.
    #[must_use]
    pub fn message(mut self, message: String) -> Self {
        if let Self::Shown(error) = &mut self {
            error.message = message;
        }
        self
    }

    /// Adds a way out.
    #[must_use]
    pub fn hint(mut self, hint: Hint) -> Self {
        if let Self::Shown(error) = &mut self {
            error.hints.push(hint);
        }
        self
    }

    /// Takes the way out of the hints that a command which writes does not go: it refuses
    /// `--offline`.
    #[must_use]
    pub(super) fn needs_the_remote(mut self) -> Self {
        if let Self::Shown(error) | Self::AfterDocument(error) = &mut self {
            for hint in &mut error.hints {
                if let Some(rest) = hint.text.strip_suffix(OFFLINE_ANSWERS) {
                    hint.text = rest.trim_end_matches([';', ' ']).to_owned();
                }
            }
        }
        self
    }

    /// Adds lines that say more.
    #[must_use]
    pub fn details(mut self, lines: impl IntoIterator<Item = String>) -> Self {
        if let Self::Shown(error) = &mut self {
            error.details.extend(lines);
        }
        self
    }

    /// Adds the places that it is about.
    #[must_use]
    fn locations<'p>(mut self, problems: impl IntoIterator<Item = &'p Problem>) -> Self {
        if let Self::Shown(error) = &mut self {
            error.locations.extend(problems.into_iter().map(|problem| Location {
                file: problem.file.clone(),
                line: problem.line,
                column: problem.column,
                message: problem.message.clone(),
            }));
        }
        self
    }

    /// Adds the options that say which project this is about to the commands of its hints, so that
    /// they act on the same one wherever they are pasted.
    #[must_use]
    pub(super) fn located(mut self, options: &str) -> Self {
        let (Self::Shown(error) | Self::AfterDocument(error)) = &mut self else { return self };
        for step in error.hints.iter_mut().flat_map(|hint| &mut hint.steps) {
            if let Some(rest) = step.command.strip_prefix("atmos ").filter(|rest| !rest.starts_with('-')) {
                step.command = format!("atmos{options} {rest}");
            }
        }
        self
    }

    /// Marks that the command's document has been printed: no second one follows.
    #[must_use]
    pub fn after_document(self) -> Self {
        match self {
            Self::Shown(error) => Self::AfterDocument(error),
            other => other,
        }
    }

    /// What is shown of it.
    pub fn shown(&self) -> Option<&Error> {
        match self {
            Self::Shown(error) | Self::AfterDocument(error) => Some(error),
            Self::OutputClosed => None,
        }
    }

    /// What the process ends with.
    pub fn exit_code(&self) -> ExitCode {
        self.shown().map_or(ExitCode::SUCCESS, |error| ExitCode::from(error.exit_code))
    }

    /// Shows the error: to people on stderr, and as a document on stdout where one was asked for.
    pub(super) fn report(&self, streams: &Streams, format: Option<Format>) -> ExitCode {
        let (error, format) = match self {
            Self::Shown(error) => (error, format),
            Self::AfterDocument(error) => (error, None),
            Self::OutputClosed => return ExitCode::SUCCESS,
        };
        streams.warn(&crate::render::error::text(error));
        let document = match format {
            Some(Format::Json | Format::CyclonedxJson | Format::SpdxJson) => document::json(&**error).ok(),
            Some(Format::Yaml) => document::yaml(&**error).ok(),
            Some(Format::Table) | None => None,
        };
        if let Some(document) = document {
            // The message is on stderr; a closed stdout changes nothing.
            let _ = streams.data(&document);
        }
        ExitCode::from(error.exit_code)
    }
}

impl From<Error> for CommandError {
    fn from(error: Error) -> Self {
        Self::Shown(Box::new(error))
    }
}

impl From<StreamError> for CommandError {
    fn from(error: StreamError) -> Self {
        match error {
            StreamError::Closed => Self::OutputClosed,
            StreamError::Write(_) => Self::new(exit::FAILED, "output", error.to_string()),
        }
    }
}

impl From<DocumentError> for CommandError {
    fn from(error: DocumentError) -> Self {
        Self::internal(error.to_string())
    }
}

impl From<GitError> for CommandError {
    fn from(error: GitError) -> Self {
        let shown = Self::new(exit::FAILED, "git", error.to_string());
        match error {
            GitError::Missing => shown.hint(Hint::note("Install git 2.39 or newer")),
            GitError::TimedOut { .. } => {
                shown.hint(Hint::note(format!("Is the remote reachable from here? {OFFLINE_ANSWERS}")))
            }
            GitError::Failed { stderr, .. } => {
                let said: Vec<_> =
                    stderr.lines().map(str::to_owned).filter(|line| !line.is_empty()).collect();
                let shown = shown.details(said.into_iter().take(12));
                match remote_hint(&stderr) {
                    Some(hint) => shown.hint(hint),
                    None => shown,
                }
            }
            GitError::Unexpected { .. } | GitError::Io(_) => shown,
        }
    }
}

/// What usually helps, where git says why a remote did not let us in.
fn remote_hint(stderr: &str) -> Option<Hint> {
    let says = |words: &[&str]| words.iter().any(|word| stderr.contains(word));
    if says(&["unknown option", "unrecognized argument", "usage: git"]) {
        Some(Hint::command("Git 2.39 or newer is needed; this is", "git --version"))
    } else if says(&[
        "Authentication failed",
        "could not read Username",
        "terminal prompts disabled",
        "Permission denied (publickey",
    ]) {
        Some(Hint::note(
            "Git has no credentials for this remote: configure a credential helper, a token or an ssh key",
        ))
    } else if says(&["403", "denied", "not permitted"]) {
        Some(Hint::note(
            "The credentials may not push. A job of GitHub Actions needs `permissions: contents: write`; one of GitLab CI \
             the input `token` with a project access token (scope `write_repository`), or \"Allow Git push requests to \
             the repository\" (Settings → CI/CD → Job token permissions)",
        ))
    } else if says(&[
        "Could not resolve host",
        "Connection refused",
        "Could not connect",
        "unable to access",
        "does not appear to be a git repository",
        "unable to connect",
    ]) {
        Some(Hint::note(format!("Check the remote's address and the network; {OFFLINE_ANSWERS}")))
    } else {
        None
    }
}

impl From<ObjectError> for CommandError {
    fn from(error: ObjectError) -> Self {
        Self::new(exit::FAILED, "objects", error.to_string())
            .hint(Hint::command("To look for damage", "git fsck"))
    }
}

impl From<RepositoryError> for CommandError {
    fn from(error: RepositoryError) -> Self {
        let message = error.to_string();
        match error {
            RepositoryError::NotFound(_) => {
                Self::new(exit::USAGE, "no_repository", message).hint(Hint::command(
                    "Run inside a repository, or name one",
                    "atmos -C path/to/repository deployment status",
                ))
            }
            RepositoryError::Bare(_) => Self::new(exit::USAGE, "no_repository", message),
            RepositoryError::Unborn => Self::new(exit::USAGE, "no_commit", message).hint(Hint::command(
                "What is deployed is a commit; make one first",
                "git add --all && git commit -m 'First commit'",
            )),
            RepositoryError::UnknownRevision { .. } => Self::new(exit::USAGE, "unknown_commit", message),
            RepositoryError::AmbiguousRevision { .. } => Self::new(exit::USAGE, "ambiguous_commit", message)
                .hint(Hint::note("Write more digits of the commit's id")),
            RepositoryError::AmbiguousRemote(remotes) => {
                let example = remotes.first().cloned().unwrap_or_default();
                Self::new(exit::USAGE, "ambiguous_remote", message).hint(Hint::note(format!(
                    "Set deployments.remote in atmos.yaml, or ATMOS_REMOTE={example}"
                )))
            }
            RepositoryError::UnknownRemote(_) => Self::new(exit::USAGE, "unknown_remote", message)
                .hint(Hint::command("To see which there are", "git remote --verbose")),
            RepositoryError::Objects(error) => error.into(),
            RepositoryError::Git(error) => error.into(),
        }
    }
}

impl From<SourceError> for CommandError {
    fn from(error: SourceError) -> Self {
        if let SourceError::Uncommitted { .. } = error {
            let message = format!("Refused in CI: {error}");
            let hint = Hint::command("What is done is what is committed; to see the changes", "git status");
            return Self::new(exit::USAGE, "dirty", message).hint(hint);
        }
        Self::new(exit::FAILED, "files", chain(&error))
    }
}

impl From<ConfigError> for CommandError {
    fn from(error: ConfigError) -> Self {
        match error {
            ConfigError::NotFound { name, nearest, available } => {
                unknown_deployment(&name, nearest, &available)
            }
            ConfigError::Invalid(problems) => invalid_configuration(&problems),
            ConfigError::Source(error) => error.into(),
        }
    }
}

impl From<ResolutionError> for CommandError {
    fn from(error: ResolutionError) -> Self {
        let shown = Self::new(exit::USAGE, "configuration", error.to_string());
        match error {
            ResolutionError::Stack(StackRefusal::Invalid { hint: Some(hint), .. }) => {
                shown.hint(Hint::note(hint))
            }
            ResolutionError::Template(_) | ResolutionError::Stack(_) => shown,
        }
    }
}

/// One problem is the message itself; several are listed below their number.
fn invalid_configuration(problems: &[Problem]) -> CommandError {
    let validate = || Hint::command("To check the whole configuration", "atmos deployment validate --all");
    let error = |message| CommandError::new(exit::USAGE, "configuration", message).locations(problems);
    if let [problem] = problems {
        let Problem { file, line, column, message, hint, .. } = problem;
        let error = error(format!("{file}:{line}:{column}: {message}"))
            .details(problem.render_place().lines().map(str::to_owned));
        return error.hint(hint.as_ref().map_or_else(validate, Hint::note));
    }
    let rendered = problems.iter().flat_map(|problem| {
        let lines = problem.render(false);
        lines.lines().map(str::to_owned).chain([String::new()]).collect::<Vec<_>>()
    });
    error(format!("the configuration has {} problems", problems.len())).details(rendered).hint(validate())
}

fn unknown_deployment(
    name: &DeploymentName,
    nearest: Option<DeploymentName>,
    available: &[DeploymentName],
) -> CommandError {
    let error =
        CommandError::new(exit::USAGE, "unknown_deployment", format!("there is no deployment called {name}"));
    if let Some(nearest) = nearest {
        return error.hint(Hint::note(format!("Did you mean {nearest}?")));
    }
    if available.is_empty() {
        return error.hint(Hint::note(format!("Describe it in deployments/{name}.yaml")));
    }
    error.hint(Hint::command("To see which there are", "atmos deployment list"))
}

impl From<LedgerError> for CommandError {
    fn from(error: LedgerError) -> Self {
        let message = error.to_string();
        match error {
            LedgerError::Git(error) => error.into(),
            LedgerError::Repository(error) => error.into(),
            LedgerError::Objects(error) => error.into(),
            LedgerError::Refused { .. } => Self::new(exit::FAILED, "remote_refused", message)
                .hint(Hint::note(
                    "The account needs permission to push refs/atmos/* and tags atmos/*, and the server must be able to change them",
                )),
            LedgerError::OtherHistory { remote, tag, .. } => {
                Self::new(exit::FAILED, "other_history", message)
                    .details([format!("What has run cannot be told apart from what {remote} does not know")])
                    .hint(Hint::command(
                        format!("To take {remote}'s, where the tag here is not the right one"),
                        format!("git tag -d {tag}"),
                    ))
            }
            LedgerError::Contended(_) => Self::new(exit::LOCKED, "contended", message)
                .hint(Hint::note("Others write to the same ledger; run the command again")),
            LedgerError::Moved { by, .. } => {
                let shown = Self::new(exit::LOCKED, "moved", message);
                let Some(by) = by else { return shown };
                let record = &by.record;
                shown.details([format!(
                    "{} by {} at {}, commit {}{}",
                    record.status,
                    record.deployed_by.as_deref().unwrap_or("somebody"),
                    record.timestamp,
                    record.commit.short(),
                    record.run_id.as_ref().map(|run| format!(", run {run}")).unwrap_or_default(),
                )])
            }
            LedgerError::Deferred => Self::new(exit::FAILED, "deferred", message),
            LedgerError::LockLost(_) => Self::new(exit::LOCKED, "lock_lost", message),
            LedgerError::NoteUnreadable { .. } => Self::new(exit::FAILED, "note_unreadable", message)
                .hint(Hint::note("Somebody wrote it with other tools; `git notes --ref=… show` prints it")),
            LedgerError::NotSigned(_) => Self::new(exit::USAGE, "not_signed", message).hint(Hint::command(
                "To see with what git would sign",
                "git config --get-regexp '^(user.signingkey|gpg\\.)'",
            )),
            LedgerError::NoteTooLarge(_) => Self::new(exit::FAILED, "note_too_large", message),
        }
    }
}

/// An error and its causes in one line.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

/// Nearest of some names to a mistyped one, as a hint.
pub(super) fn did_you_mean<'a>(wrong: &str, names: impl IntoIterator<Item = &'a str>) -> Option<Hint> {
    names
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(wrong, name), name))
        .filter(|(distance, name)| *distance <= (name.len().max(wrong.len()) / 3).max(1))
        .min()
        .map(|(_, name)| Hint::note(format!("Did you mean {name}?")))
}
