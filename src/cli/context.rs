//! What every command needs of the process: flags, environment, clock, streams; and how it opens
//! the repository and the configuration.

use std::ffi::{OsStr, OsString};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};

use jiff::Timestamp;

use crate::ci::Job;
use crate::component::Masks;
use crate::config::{
    self, AtmosConfig, CommittedSource, ConfigError, DirectorySource, Loaded, MAX_FILE_BYTES, Source,
    SparseSource,
};
use crate::deployment::{Deployment, DeploymentName};
use crate::git::repository::RepositoryError;
use crate::git::{CommitTree, Repository};
use crate::render::document::error::Hint;
use crate::render::document::{self, Document};
use crate::render::stream::{Copied, Streams};
use crate::render::{Clock, Presentation};

use super::args::{Format, GlobalArgs};
use super::commit_source::CommitSource;
use super::error::{CommandError, exit};
use super::preflight::{Tree, WorkTree};
use super::secrets;
use super::stacks::{CheckoutFiles, CommitFiles, ImportedStacks};

/// How much of an event's payload is read. GitHub's largest has 25 MB.
const LARGEST_EVENT: u64 = 32 * 1024 * 1024;

/// The process as a command sees it.
pub struct Context {
    global: GlobalArgs,
    environment: Vec<(OsString, OsString)>,
    /// What git sees besides: credentials that nobody else is to have.
    git_environment: Vec<(OsString, OsString)>,
    directory: PathBuf,
    streams: Streams,
    masks: Masks,
    /// Where the last document is kept as JSON, for whoever runs a command to report on it.
    document: Option<Mutex<Option<String>>>,
    now: Timestamp,
    /// What must not be believed any more; nothing until that was looked at.
    distrusted: OnceLock<Distrusted>,
    /// Set where the files of the checkout have to be those of its commit.
    committed: OnceLock<()>,
    /// What is odd about `atmos.yaml` is told once.
    warned: OnceLock<()>,
}

/// A path without links, as far as there is anything at it.
fn real(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

/// What of a checkout is not the repository's own, so that nothing in it speaks for the repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Distrusted {
    /// The files. The ledger of the remote is the repository's.
    Files,
    /// The clone itself, with the remote that it names.
    Clone,
}

/// What a command that is run for another one sees differently.
pub(super) struct Inner {
    pub(super) global: GlobalArgs,
    pub(super) environment: Vec<(OsString, OsString)>,
    pub(super) git_environment: Vec<(OsString, OsString)>,
    /// Where to run, seen from where the outer command runs.
    pub(super) directory: PathBuf,
    /// Where what is printed to stdout is copied to.
    pub(super) copied: Copied,
}

impl Context {
    /// Takes in the flags and the environment, and sets up logging.
    pub(super) fn new(
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

    /// A context for a command that is run for this one. It keeps the last document that it prints.
    pub(super) fn inner(&self, inner: Inner) -> Self {
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

    /// The last document that was printed, as JSON, in whatever form it was printed.
    pub(super) fn last_document(&self) -> Option<String> {
        self.document.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What must not be shown to anybody.
    pub fn masks(&self) -> &Masks {
        &self.masks
    }

    /// Where output goes.
    pub fn streams(&self) -> &Streams {
        &self.streams
    }

    /// Streams of their own for whoever writes progress from another thread.
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

    /// The moment of this command: everything that it says is as of then.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// How text is presented on stdout.
    pub fn presentation(&self) -> Presentation {
        Presentation { form: self.streams.form(), clock: self.clock() }
    }

    /// The clock and the zone that times are shown in.
    pub fn clock(&self) -> Clock {
        // What a command says that is run for another one ends up in reports, which are kept.
        Clock { now: self.now(), zone: self.global.timezone.clone(), kept: self.document.is_some() }
    }

    /// Prints what a command found out: as the document that was asked for, else as text.
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

    /// Says something on stderr that is worth knowing.
    pub fn warn(&self, message: &str) {
        self.streams.warn(&format!("Warning: {message}\n"));
    }

    /// From now on the checkout does not speak for the repository: see [`Context::project`].
    pub(super) fn distrust(&self, what: Distrusted) {
        // What was found out first holds.
        let _ = self.distrusted.set(what);
    }

    fn refuse_distrusted(&self, wanted: Distrusted) -> Result<(), CommandError> {
        match self.distrusted.get() {
            Some(distrusted) if *distrusted == Distrusted::Clone || wanted == Distrusted::Files => {
                let message = "the checkout is not the repository's own, and does not speak for it";
                Err(CommandError::new(exit::REFUSED, "foreign_head", message))
            }
            _ => Ok(()),
        }
    }

    /// The repository around the working directory.
    ///
    /// # Errors
    ///
    /// Where there is none, or the clone is distrusted.
    pub fn repository(&self) -> Result<Repository, CommandError> {
        self.refuse_distrusted(Distrusted::Clone)?;
        self.discover().map_err(Into::into)
    }

    /// A CI job checks out a work tree: a bare repository is what something else has left there.
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

    /// The folders whose repositories are used also where another user owns them: what the user
    /// names, and what a CI system has checked out for this job, which may be for another user than
    /// runs it.
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

    /// The configuration as the checkout has it; in a bare repository, as its head commit has it.
    ///
    /// # Errors
    ///
    /// Where it cannot be used, or the checkout is distrusted: then reports are made without it.
    pub fn project<'r>(&self, repository: &'r Repository) -> Result<Project<'r>, CommandError> {
        self.refuse_distrusted(Distrusted::Files)?;
        let source = self.files_of(repository)?;
        let config = self.config(&*source, &self.start(repository), repository.work_tree())?;
        Ok(Project { source, config, is_committed: self.committed.get().is_some() })
    }

    /// The files of the checkout; in a bare repository, of its head commit.
    fn files_of<'r>(&self, repository: &'r Repository) -> Result<Box<dyn Source + 'r>, CommandError> {
        let commit = || CommitSource::new(repository, repository.head()?);
        let Some(root) = repository.work_tree() else { return Ok(Box::new(commit()?)) };
        let files = DirectorySource::new(root);
        let files: Box<dyn Source> = match self.committed.get() {
            Some(()) => Box::new(CommittedSource::new(files, commit()?)),
            None => Box::new(files),
        };
        let left_out = repository.left_out()?;
        if left_out.is_empty() {
            return Ok(files);
        }
        Ok(Box::new(SparseSource::new(files, commit()?, left_out)))
    }

    /// From now on a file of the checkout that is not its commit's is refused: what was looked at
    /// is the commit.
    pub(super) fn use_committed_files(&self) {
        let _ = self.committed.set(());
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

    /// `atmos.yaml`, found from `start` upwards to the source's root. `root` is where the source is
    /// on disk.
    pub fn config(
        &self,
        source: &dyn Source,
        start: &str,
        root: Option<&Path>,
    ) -> Result<AtmosConfig, CommandError> {
        if let Some(profile) = self.variable("ATMOS_PROFILE") {
            let message = format!("ATMOS_PROFILE is {profile}, and profiles of atmos.yaml are not supported");
            return Err(CommandError::usage(message)
                .hint(Hint::note("Unset it, and name a file that says the same by --config")));
        }
        let mut config = match self.named_config() {
            Some(file) => {
                let config = self.config_file(&file)?;
                let folder = self.directory.join(&file).parent().map(Path::to_owned);
                match (root, folder) {
                    (Some(root), Some(folder)) => {
                        AtmosConfig { directory: config::between(&real(root), &real(&folder)), ..config }
                    }
                    _ => config,
                }
            }
            None => config::atmos::load(source, start)?,
        };
        self.warned
            .get_or_init(|| config.warnings.iter().for_each(|problem| self.warn(&problem.to_string())));
        config
            .take_environment(|name| self.variable(name))
            .map_err(|error| CommandError::usage(error.to_string()))?;
        self.place_base_paths(&mut config, root);
        Ok(config)
    }

    /// The file that `--config` names, or the folder that Atmos's own variable does.
    fn named_config(&self) -> Option<PathBuf> {
        self.global.config.clone().or_else(|| {
            let place = PathBuf::from(self.variable("ATMOS_CLI_CONFIG_PATH")?);
            let folder = self.directory.join(&place);
            if folder.is_file() {
                return Some(place);
            }
            let names = config::atmos::FILE_NAMES;
            let name = names.into_iter().find(|name| folder.join(name).is_file()).unwrap_or(names[0]);
            Some(place.join(name))
        })
    }

    /// A base path that was typed is relative to the working directory, one of `atmos.yaml` to its
    /// folder; either may be absolute.
    fn place_base_paths(&self, config: &mut AtmosConfig, root: Option<&Path>) {
        let typed = self.global.base_path.as_deref().filter(|path| !path.is_empty());
        let Some(root) = root else {
            config.base_path = typed.unwrap_or(&config.base_path).to_owned();
            return;
        };
        let folder = real(root).join(&config.directory);
        if let Some(typed) = typed {
            config.base_path = config::between(&folder, &real(&self.directory.join(typed)));
        }
        let place = |path: &mut String, base: &Path| {
            if path.starts_with('/') {
                *path = config::between(base, &real(Path::new(path.as_str())));
            }
        };
        place(&mut config.base_path, &folder);
        let base = folder.join(&config.base_path);
        let of_kinds =
            [&mut config.terraform, &mut config.helmfile].into_iter().chain(config.other_kinds.values_mut());
        let of_kinds = of_kinds.filter_map(|kind| kind.base_path.as_mut());
        of_kinds
            .chain([&mut config.stacks.base_path, &mut config.deployments.base_path])
            .for_each(|path| place(path, &base));
    }

    /// The working directory, relative to the checkout.
    pub(super) fn start(&self, repository: &Repository) -> String {
        let directory = self.directory.canonicalize().unwrap_or_else(|_| self.directory.clone());
        repository
            .work_tree()
            .and_then(|root| directory.strip_prefix(root).ok())
            .map(|relative| relative.to_string_lossy().into_owned())
            .unwrap_or_default()
    }

    fn config_file(&self, file: &Path) -> Result<AtmosConfig, CommandError> {
        let path = self.directory.join(file);
        let unreadable = |why: String| CommandError::usage(format!("cannot read {}: {why}", path.display()));
        let absent = || unreadable("there is no such file".to_owned());
        let repository = self.repository_if_any()?;
        let root = repository.as_ref().and_then(Repository::work_tree);
        let text = match (&repository, root.and_then(|root| below(&path, root))) {
            // A file of the checkout is one, wherever a link leads.
            (Some(repository), Some(relative)) => {
                let content = self.files_of(repository)?.read(&relative, MAX_FILE_BYTES)?;
                String::from_utf8(content.ok_or_else(absent)?)
                    .map_err(|_| unreadable("it is not text".to_owned()))?
            }
            _ => std::fs::read_to_string(&path).map_err(|error| unreadable(error.to_string()))?,
        };
        config::atmos::parse(&file.to_string_lossy(), &text)
            .map_err(|problems| ConfigError::Invalid(problems).into())
    }
}

/// A file's path below a folder that it is named in, whatever a link makes of the file itself.
fn below(file: &Path, folder: &Path) -> Option<String> {
    let parent = file.parent()?.canonicalize().ok()?;
    let relative = parent.strip_prefix(folder).ok()?.join(file.file_name()?);
    relative.to_str().map(str::to_owned)
}

/// The clock. Debug builds can be told the time, for snapshots.
pub(super) fn now() -> Timestamp {
    #[cfg(debug_assertions)]
    if let Some(fixed) = std::env::var("ATMOS_NOW").ok().and_then(|now| now.parse().ok()) {
        return fixed;
    }
    Timestamp::now()
}

/// Configuration and where it is read from.
pub struct Project<'r> {
    pub source: Box<dyn Source + 'r>,
    pub config: AtmosConfig,
    /// Whether nothing is read that is not in the commit that is checked out.
    is_committed: bool,
}

impl Project<'_> {
    /// The stacks of the checkout, as its deployments import them, to be shown; of its head commit
    /// in a bare repository, and where what is used has to be committed.
    pub fn stacks(&self, repository: &Repository) -> Result<ImportedStacks, CommandError> {
        if let Some(root) = repository.work_tree().filter(|_| !self.is_committed) {
            let files = CheckoutFiles::new(repository, root, "")?;
            return Ok(ImportedStacks::new(files, &self.config));
        }
        Ok(ImportedStacks::new(CommitFiles::new(repository, repository.head()?)?, &self.config))
    }

    /// The files that components are made of, as [`Project::stacks`] reads stacks.
    pub fn tree(&self, repository: &Repository) -> Result<Box<dyn Tree>, CommandError> {
        let commit = || Ok::<_, CommandError>(CommitTree::new(repository, repository.head()?)?);
        let Some(root) = repository.work_tree().filter(|_| !self.is_committed) else {
            return Ok(Box::new(commit()?));
        };
        let is_sparse = !repository.left_out()?.is_empty();
        Ok(Box::new(WorkTree::new(root, is_sparse.then(commit).transpose()?)))
    }

    /// Says where deployments come from, to whoever sees an empty table.
    pub fn say_there_are_none(&self, context: &Context) {
        let directory = self.config.deployments_directory();
        context.streams().note(&format!("No deployments yet: each is a file {directory}/<name>.yaml\n"));
    }

    /// A deployment by its name; its warnings are said.
    pub fn deployment(&self, context: &Context, name: &DeploymentName) -> Result<Deployment, CommandError> {
        Ok(self.load(context, name)?)
    }

    /// A deployment by its name, where the caller has something else to say of one without a file.
    pub(super) fn load(&self, context: &Context, name: &DeploymentName) -> Result<Deployment, ConfigError> {
        let Loaded { deployment, warnings, .. } = config::load_deployment(&*self.source, &self.config, name)?;
        for warning in warnings {
            context.streams().note(&format!("{}\n", warning.render(false)));
        }
        Ok(deployment)
    }
}
