//! Finds and reads the configuration of a checkout.

use std::path::{Path, PathBuf};

use super::Project;
use super::commit_source::CommitSource;
use crate::config::{
    self, AtmosConfig, CommittedSource, ConfigError, DirectorySource, MAX_FILE_BYTES, Source, SparseSource,
};
use crate::context::{Context, Distrusted};
use crate::error::CommandError;
use crate::git::Repository;
use crate::render::document::error::Hint;

impl Context {
    /// The configuration of the checkout; in a bare repository, of its head commit.
    ///
    /// # Errors
    ///
    /// If it is invalid, or the checkout is distrusted: reports are then made without it.
    pub fn project<'r>(&self, repository: &'r Repository) -> Result<Project<'r>, CommandError> {
        self.refuse_distrusted(Distrusted::Files)?;
        let source = self.files_of(repository)?;
        let config = self.config(&*source, &self.start(repository), repository.work_tree())?;
        Ok(Project { source, config, is_committed: self.uses_committed_files() })
    }

    /// The files of the checkout; in a bare repository, of its head commit.
    fn files_of<'r>(&self, repository: &'r Repository) -> Result<Box<dyn Source + 'r>, CommandError> {
        let commit = || CommitSource::new(repository, repository.head()?);
        let Some(root) = repository.work_tree() else { return Ok(Box::new(commit()?)) };
        let files = DirectorySource::new(root);
        let files: Box<dyn Source> = if self.uses_committed_files() {
            Box::new(CommittedSource::new(files, commit()?))
        } else {
            Box::new(files)
        };
        let left_out = repository.left_out()?;
        if left_out.is_empty() {
            return Ok(files);
        }
        Ok(Box::new(SparseSource::new(files, commit()?, left_out)))
    }

    /// Finds `atmos.yaml` from `start` upwards to the source's root. `root` is the source's path on
    /// disk.
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
                let folder = self.directory().join(&file).parent().map(Path::to_owned);
                match (root, folder) {
                    (Some(root), Some(folder)) => {
                        AtmosConfig { directory: config::between(&real(root), &real(&folder)), ..config }
                    }
                    _ => config,
                }
            }
            None => config::atmos::load(source, start)?,
        };
        self.warn_once(config.warnings.iter().map(ToString::to_string));
        config
            .take_environment(|name| self.variable(name))
            .map_err(|error| CommandError::usage(error.to_string()))?;
        self.place_base_paths(&mut config, root);
        Ok(config)
    }

    /// The file named by `--config`, or the folder named by Atmos's own variable.
    fn named_config(&self) -> Option<PathBuf> {
        self.global().config.clone().or_else(|| {
            let place = PathBuf::from(self.variable("ATMOS_CLI_CONFIG_PATH")?);
            let folder = self.directory().join(&place);
            if folder.is_file() {
                return Some(place);
            }
            let names = config::atmos::FILE_NAMES;
            let name = names.into_iter().find(|name| folder.join(name).is_file()).unwrap_or(names[0]);
            Some(place.join(name))
        })
    }

    /// A base path from the command line is relative to the working directory, one of `atmos.yaml`
    /// to its folder; either may be absolute.
    fn place_base_paths(&self, config: &mut AtmosConfig, root: Option<&Path>) {
        let typed = self.global().base_path.as_deref().filter(|path| !path.is_empty());
        let Some(root) = root else {
            config.base_path = typed.unwrap_or(&config.base_path).to_owned();
            return;
        };
        let folder = real(root).join(&config.directory);
        if let Some(typed) = typed {
            config.base_path = config::between(&folder, &real(&self.directory().join(typed)));
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

    fn config_file(&self, file: &Path) -> Result<AtmosConfig, CommandError> {
        let path = self.directory().join(file);
        let unreadable = |why: String| CommandError::usage(format!("cannot read {}: {why}", path.display()));
        let absent = || unreadable("there is no such file".to_owned());
        let repository = self.repository_if_any()?;
        let root = repository.as_ref().and_then(Repository::work_tree);
        let text = match (&repository, root.and_then(|root| below(&path, root))) {
            // A file of the checkout counts as one, regardless of the target of a link.
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

/// The canonical path, or the path itself if it does not exist.
fn real(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

/// A file's path below its folder, without following a link at the file itself.
fn below(file: &Path, folder: &Path) -> Option<String> {
    let parent = file.parent()?.canonicalize().ok()?;
    let relative = parent.strip_prefix(folder).ok()?.join(file.file_name()?);
    relative.to_str().map(str::to_owned)
}
