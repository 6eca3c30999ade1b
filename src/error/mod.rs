//! Every error as users and programs see it: kind, message, hints, exit code.

mod checkout;
mod code;
mod configuration;
mod ledger;
mod start;
mod vendor;

use std::process::ExitCode;

use crate::config::Problem;
use crate::deployment::nearest::nearest;
use crate::git::damage::Damage;
use crate::git::repository::RepositoryError;
use crate::git::{GitError, objects::ObjectError};
use crate::render::document::error::{Error, Hint, Location};
use crate::render::document::{self, DocumentError, Format};
use crate::render::stream::{StreamError, Streams};
use crate::text::quoted;

pub use code::{Code, exit};

/// The alternative of a read-only command to its remote.
const OFFLINE_ANSWERS: &str = "--offline answers from what is here";

/// The remedy where a partial clone lacks an object.
const LACKS: &str = "This partial clone lacks it; without --offline, what it lacks is fetched";

/// Git's messages for a missing object of a partial clone that it may not fetch: since 2.45, and
/// before.
const NOT_FETCHED: [&str; 2] = ["lazy fetching disabled", "' not allowed"];

/// The reason why a command failed.
#[derive(Debug)]
pub enum CommandError {
    /// An error to show.
    Shown(Box<Error>),
    /// An error to show to people only; a program has its document already.
    AfterDocument(Box<Error>),
    /// The output is a closed pipe: end quietly.
    OutputClosed,
}

impl CommandError {
    /// An error of this kind.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self::Shown(Box::new(Error {
            code: code.as_str().to_owned(),
            message: message.into(),
            details: Vec::new(),
            hints: Vec::new(),
            locations: Vec::new(),
            exit_code: code.exit_code(),
        }))
    }

    /// Wrong usage.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Code::Usage, message)
    }

    /// Something that should not happen.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(Code::Internal, message)
    }

    /// Ends with another exit code.
    #[must_use]
    pub fn exits_with(mut self, exit_code: u8) -> Self {
        if let Self::Shown(error) | Self::AfterDocument(error) = &mut self {
            error.exit_code = exit_code;
        }
        self
    }

    /// Replaces the message.
    #[must_use]
    pub fn message(mut self, message: String) -> Self {
        if let Self::Shown(error) = &mut self {
            error.message = message;
        }
        self
    }

    /// Puts the cause in front of the message.
    #[must_use]
    pub fn prefixed(mut self, cause: &str) -> Self {
        if let Self::Shown(error) = &mut self {
            error.message = format!("{cause}: {}", error.message);
        }
        self
    }

    /// Gives it another code.
    #[must_use]
    pub fn coded(mut self, code: Code) -> Self {
        if let Self::Shown(error) = &mut self {
            code.as_str().clone_into(&mut error.code);
        }
        self
    }

    /// Adds a hint.
    #[must_use]
    pub fn hint(mut self, hint: Hint) -> Self {
        if let Self::Shown(error) = &mut self {
            error.hints.push(hint);
        }
        self
    }

    /// Removes the suggestion of `--offline` from the hints of a command that writes, because such
    /// a command refuses it.
    #[must_use]
    pub fn needs_the_remote(mut self) -> Self {
        if let Self::Shown(error) | Self::AfterDocument(error) = &mut self {
            for hint in &mut error.hints {
                if let Some(rest) = hint.text.strip_suffix(OFFLINE_ANSWERS) {
                    hint.text = rest.trim_end_matches([';', ' ']).to_owned();
                }
            }
        }
        self
    }

    /// Adds lines of details.
    #[must_use]
    pub fn details(mut self, lines: impl IntoIterator<Item = String>) -> Self {
        if let Self::Shown(error) = &mut self {
            error.details.extend(lines);
        }
        self
    }

    /// Adds the source locations of problems.
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

    /// Adds the options that locate the project to the commands of its hints, so that they act on
    /// the same project wherever they are pasted.
    #[must_use]
    pub fn located(mut self, options: &str) -> Self {
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

    /// The shown error; `None` for a closed pipe.
    pub fn shown(&self) -> Option<&Error> {
        match self {
            Self::Shown(error) | Self::AfterDocument(error) => Some(error),
            Self::OutputClosed => None,
        }
    }

    /// The exit code of the process.
    pub fn exit_code(&self) -> ExitCode {
        self.shown().map_or(ExitCode::SUCCESS, |error| ExitCode::from(error.exit_code))
    }

    /// Shows the error: to people on stderr, and as a document on stdout where one was asked for.
    pub fn report(&self, streams: &Streams, format: Option<Format>) -> ExitCode {
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
            StreamError::Write(_) => Self::new(Code::Output, error.to_string()),
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
        let message = error.to_string();
        let shown = Self::new(Code::Git, &message);
        let is_of_this_checkout = error.is_of_this_checkout();
        match error {
            GitError::Missing => shown.hint(Hint::note("Install git 2.39 or newer")),
            GitError::TimedOut { .. } if !is_of_this_checkout => {
                shown.hint(Hint::note(format!("Is the remote reachable from here? {OFFLINE_ANSWERS}")))
            }
            GitError::Failed { ref stderr, .. } => {
                let damage = error.damage();
                let way_out = error.way_out().map(|(text, command)| Hint::command(text, command));
                let said: Vec<_> =
                    stderr.lines().map(str::to_owned).filter(|line| !line.is_empty()).collect();
                let shown = shown.details(said.into_iter().take(12));
                let of_remote = remote_hint(stderr).filter(|_| !is_of_this_checkout);
                match damage {
                    Some(damage) => damaged(shown, damage),
                    None => of_git(stderr).or(way_out).or(of_remote).into_iter().fold(shown, Self::hint),
                }
            }
            GitError::Locked { .. } => match error.way_out() {
                Some((text, command)) => shown.hint(Hint::command(text, command)),
                None => shown,
            },
            GitError::SeveralAddresses { remote, .. } => {
                let push_to = format!("git config --replace-all remote.{}.pushurl ADDRESS", quoted(&remote));
                Self::new(Code::SeveralAddresses, message)
                    .hint(Hint::command("Push to the one that holds the ledger", push_to))
            }
            GitError::SymbolicRef { ref name, .. } => {
                Self::new(Code::SymbolicRef, message).hint(Hint::command(
                    "The ledger's refs are plain ones; to remove this one, in the remote's repository",
                    format!("git symbolic-ref --delete {}", quoted(name)),
                ))
            }
            GitError::SubmoduleMissing { .. } => Self::new(Code::SubmoduleMissing, message)
                .hint(Hint::command("Get it", "git submodule update --init --recursive"))
                .hint(Hint::note(
                    "In CI: `submodules: recursive` of actions/checkout, `GIT_SUBMODULE_STRATEGY: recursive` on \
                     GitLab; `update = none` in .gitmodules leaves it empty",
                )),
            GitError::TimedOut { .. } | GitError::Unexpected { .. } | GitError::Io(_) => shown,
        }
    }
}

/// The hint for a git that may not fetch missing objects, or is too old for an option.
fn of_git(stderr: &str) -> Option<Hint> {
    if NOT_FETCHED.iter().any(|text| stderr.contains(text)) {
        return Some(Hint::note(LACKS));
    }
    let texts = ["unknown option", "unrecognized argument", "usage: git"];
    let is_old = texts.iter().any(|text| stderr.contains(text));
    is_old.then(|| Hint::command("Git 2.39 or newer is needed; this is", "git --version"))
}

/// Adds the damage to the message, and hints that repair it.
fn damaged(shown: CommandError, damage: Damage) -> CommandError {
    let fetch = "git fetch --refetch origin '+refs/atmos/*:refs/atmos-remotes/origin/*' 'refs/tags/atmos/*:refs/tags/atmos/*'";
    let shown = shown.prefixed(damage.as_words()).coded(Code::Damaged);
    match damage {
        Damage::Objects => shown
            .hint(Hint::command("To see which objects, and the files that hold them", "git fsck"))
            .hint(Hint::command("To get them again, once the damaged files are removed", fetch)),
        Damage::PackedRefs => shown
            .hint(Hint::note(
                "Remove the line that git names: what the remote has comes back, and what was kept here alone \
                 (refs/atmos/pending) does not",
            ))
            .hint(Hint::command("To get it again then", fetch)),
        Damage::Remote => shown.hint(Hint::command(
            "To see what is missing, in the remote's repository",
            "git fsck --connectivity-only",
        )),
    }
}

/// The hint for a remote that refuses access or is not reachable, by git's message.
fn remote_hint(stderr: &str) -> Option<Hint> {
    let says = |words: &[&str]| words.iter().any(|word| stderr.contains(word));
    if says(&[
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
        let shown = Self::new(Code::Objects, error.to_string());
        if let ObjectError::NotHere { .. } = error {
            return shown.hint(Hint::note(LACKS));
        }
        shown.hint(Hint::command("To look for damage", "git fsck"))
    }
}

impl From<RepositoryError> for CommandError {
    fn from(error: RepositoryError) -> Self {
        let message = error.to_string();
        match error {
            RepositoryError::NotFound(_) => Self::new(Code::NoRepository, message).hint(Hint::command(
                "Run inside a repository, or name one",
                "atmos -C path/to/repository deployment status",
            )),
            RepositoryError::NotOwned(folder) => {
                let folder = quoted(&folder.display().to_string());
                Self::new(Code::NotOwned, message)
                    .details(["Git runs what its configuration says, and it is not yours".to_owned()])
                    .hint(Hint::command(
                        "If you trust its owner",
                        format!("git config --global --add safe.directory {folder}"),
                    ))
                    .hint(Hint::note(format!(
                        "Where git's configuration cannot be changed: ATMOS_SAFE_DIRECTORY={folder}"
                    )))
            }
            RepositoryError::Bare(_) => Self::new(Code::NoRepository, message),
            RepositoryError::Unborn => Self::new(Code::NoCommit, message).hint(Hint::command(
                "What is deployed is a commit; make one first",
                "git add --all && git commit -m 'First commit'",
            )),
            RepositoryError::UnknownRevision { .. } => Self::new(Code::UnknownCommit, message),
            RepositoryError::AmbiguousRevision { .. } => Self::new(Code::AmbiguousCommit, message)
                .hint(Hint::note("Write more digits of the commit's id")),
            RepositoryError::AmbiguousRemote(remotes) => {
                let example = remotes.first().cloned().unwrap_or_default();
                Self::new(Code::AmbiguousRemote, message).hint(Hint::note(format!(
                    "Set deployments.remote in atmos.yaml, or ATMOS_REMOTE={example}"
                )))
            }
            RepositoryError::UnknownRemote(_) => Self::new(Code::UnknownRemote, message)
                .hint(Hint::command("To see which there are", "git remote --verbose")),
            RepositoryError::Objects(error) => error.into(),
            RepositoryError::Git(error) => error.into(),
        }
    }
}

/// The nearest of some names to a mistyped one, as a hint.
pub fn did_you_mean<'a>(wrong: &str, names: impl IntoIterator<Item = &'a str>) -> Option<Hint> {
    nearest(wrong, names).map(|name| Hint::note(format!("Did you mean {name}?")))
}
