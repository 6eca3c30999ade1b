//! The repository: its discovery, folders, `HEAD` and identity.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::deployment::{CommitId, ObjectId};

use super::configuration::common_dir;
use super::error::GitError;
use super::objects::{ObjectError, ObjectStore};
use super::process::Git;
use super::written::Written;

/// Why a repository cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RepositoryError {
    #[error("{} is not inside a Git repository", .0.display())]
    NotFound(PathBuf),
    #[error("{} is in a bare repository, and a CI job uses the one that it has checked out", .0.display())]
    Bare(PathBuf),
    /// Refused like in git itself, which would run commands that another user has configured.
    #[error("the repository {} belongs to another user", .0.display())]
    NotOwned(PathBuf),
    #[error(transparent)]
    Objects(#[from] ObjectError),
    #[error(transparent)]
    Git(#[from] GitError),
    #[error("there is no commit yet")]
    Unborn,
    #[error("{revision} is not a commit in this repository")]
    UnknownRevision { revision: String },
    #[error("{revision} is the start of more than one commit's id")]
    AmbiguousRevision { revision: String },
    #[error("there are several remotes and none is called origin: {}", .0.join(", "))]
    AmbiguousRemote(Vec<String>),
    #[error("there is no remote called {0}")]
    UnknownRemote(String),
}

/// A repository that was found from a directory upwards.
#[derive(Debug)]
pub struct Repository {
    git: Git,
    git_dir: PathBuf,
    common_dir: PathBuf,
    work_tree: Option<PathBuf>,
    written: Arc<Written>,
}

/// The committer, from git's configuration and environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    pub name: String,
    pub email: String,
}

impl Repository {
    /// Finds the repository that `start` is in. `environment` is the caller's.
    ///
    /// A bare repository counts only where there is no `.git` above it: a commit can contain a bare
    /// repository, and git would run the commands of its configuration.
    ///
    /// # Errors
    ///
    /// [`RepositoryError::NotFound`] where `start` does not exist or is in no repository.
    pub fn discover(
        start: &Path,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, RepositoryError> {
        let not_found = || RepositoryError::NotFound(start.to_owned());
        let start_absolute = start.canonicalize().map_err(|_| not_found())?;
        let (git_dir, work_tree) = match checked_out_around(&start_absolute) {
            Some((git_dir, work_tree)) => (git_dir, Some(work_tree.to_owned())),
            None => (git_dir_from(&start_absolute, None).ok_or_else(not_found)?, None),
        };
        let common_dir = common_dir(&git_dir);
        let environment: Vec<_> = environment.into_iter().collect();
        let git = Git::new(&git_dir, work_tree.as_deref(), environment);
        Ok(Self { git, git_dir, common_dir, work_tree, written: Arc::default() })
    }

    /// Denies network access, lazy fetches of a partial clone included.
    #[must_use]
    pub const fn offline(mut self) -> Self {
        self.git.stay_offline();
        self
    }

    /// Uses the repository even if another user owns it, where it is in one of
    /// these folders; `*` matches all.
    #[must_use]
    pub fn trusting(mut self, folders: &[PathBuf]) -> Self {
        let own = self.work_tree.as_deref().unwrap_or(&self.git_dir);
        let holds_it = |folder: &PathBuf| {
            folder.as_os_str() == "*" || folder.canonicalize().is_ok_and(|folder| own.starts_with(folder))
        };
        if folders.iter().any(holds_it) {
            self.git.trust_owner();
        }
        self
    }

    /// The executable, bound to this repository.
    #[must_use]
    pub const fn git(&self) -> &Git {
        &self.git
    }

    /// The executable, bound to another repository, with the caller's environment.
    pub(super) fn other_git(&self, git_dir: &Path) -> Git {
        self.git.other(git_dir)
    }

    /// The folder that all worktrees of the repository share.
    #[must_use]
    pub fn common_dir(&self) -> &Path {
        &self.common_dir
    }

    /// Whether this is a submodule, whose remote is chosen by commits of its superproject.
    #[must_use]
    pub fn is_submodule(&self) -> bool {
        let of_repository = |folder: &Path| {
            let around = folder.parent().filter(|_| folder.file_name() == Some(OsStr::new("modules")));
            around.is_some_and(|around| around.join("HEAD").is_file())
        };
        // The common folder, because worktrees of a submodule share it.
        self.common_dir.ancestors().skip(1).any(of_repository)
    }

    /// The git directory of this worktree, with its `HEAD` and index.
    pub(super) fn git_dir(&self) -> &Path {
        &self.git_dir
    }

    /// The root of the work tree; `None` in a bare repository.
    #[must_use]
    pub fn work_tree(&self) -> Option<&Path> {
        self.work_tree.as_deref()
    }

    /// Opens the object store, which is not shared between threads.
    ///
    /// # Errors
    ///
    /// Fails where the object database cannot be opened.
    pub fn objects(&self) -> Result<ObjectStore, ObjectError> {
        Ok(ObjectStore::open(&self.git_dir)?.keeping(&self.written))
    }

    /// Restores objects of this process that `git gc` has pruned. Returns whether there were any.
    ///
    /// # Errors
    ///
    /// Fails where the repository cannot be written.
    pub fn restore_objects(&self) -> Result<bool, ObjectError> {
        // Opened again, because an open store may cache packs that are gone.
        ObjectStore::open(&self.git_dir)?.restore(&self.written)
    }

    /// Keeps a copy of an object that git has written for this process.
    pub(super) fn keep_object(&self, id: &ObjectId) -> Result<(), ObjectError> {
        let objects = self.objects()?;
        objects.written(objects.oid(id)?).map(drop)
    }

    /// The commit that is checked out.
    ///
    /// # Errors
    ///
    /// [`RepositoryError::Unborn`] where the branch has no commit yet; otherwise where git fails.
    pub fn head(&self) -> Result<CommitId, RepositoryError> {
        match self.head_by_files() {
            Some(commit) => Ok(commit),
            None => self.resolve("HEAD")?.ok_or(RepositoryError::Unborn),
        }
    }

    /// The commit that is checked out, read from loose ref files without a git process; `None`
    /// where git has to be asked (reftable, for example).
    fn head_by_files(&self) -> Option<CommitId> {
        let head = std::fs::read_to_string(self.git_dir.join("HEAD")).ok()?;
        let head = head.trim_end();
        let Some(name) = head.strip_prefix("ref: ").filter(|_| self.keeps_refs_in_files()) else {
            return head.parse().ok();
        };
        let refs = self.refs(&[name]).ok()?;
        refs.into_iter().find(|found| found.name == name).map(|found| CommitId(found.object))
    }

    /// The branch that is checked out; `None` when detached.
    #[must_use]
    pub fn branch(&self) -> Option<String> {
        let head = self.git.verb("symbolic-ref").args(["--quiet", "--short", "HEAD"]).run().ok()?;
        Some(String::from_utf8_lossy(&head).trim().to_owned())
    }

    /// Resolves a revision to a commit; `None` where there is no such commit here.
    ///
    /// # Errors
    ///
    /// [`RepositoryError::AmbiguousRevision`] for an abbreviated id of several objects; otherwise
    /// where git cannot be run.
    pub fn resolve(&self, revision: &str) -> Result<Option<CommitId>, RepositoryError> {
        let output = self
            .git
            .verb("rev-parse")
            .args(["--verify", "--end-of-options"])
            .arg(format!("{revision}^{{commit}}"))
            .output()?;
        if output.status.success() {
            let id = String::from_utf8_lossy(&output.stdout);
            return id.trim().parse().map(Some).map_err(|error| {
                GitError::Unexpected { verb: "rev-parse".to_owned(), detail: format!("{error}") }.into()
            });
        }
        if output.stderr.contains("is ambiguous") {
            return Err(RepositoryError::AmbiguousRevision { revision: revision.to_owned() });
        }
        Ok(None)
    }

    /// The committer, where one is configured.
    #[must_use]
    pub fn identity(&self) -> Option<Identity> {
        let variable = |name: &str| {
            self.git
                .configuration()
                .variable(name)?
                .to_str()
                .filter(|value| !value.is_empty())
                .map(str::to_owned)
        };
        let configured = self.git.configuration().settings().ok();
        let user_name = || configured?.user_name.clone();
        let user_email = || configured?.user_email.clone();
        Some(Identity {
            name: variable("GIT_COMMITTER_NAME").or_else(user_name)?,
            email: variable("GIT_COMMITTER_EMAIL").or_else(user_email)?,
        })
    }

    /// Whether refs are stored as files and in `packed-refs`; `false` also where
    /// the configuration cannot be read.
    pub(super) fn keeps_refs_in_files(&self) -> bool {
        self.git
            .configuration()
            .settings()
            .is_ok_and(|settings| settings.ref_storage.as_ref().is_none_or(|storage| storage == "files"))
    }

    /// Whether files of the repository have to be writable for others as well, as far as
    /// the configuration can be read.
    pub(super) fn is_shared(&self) -> bool {
        self.git.configuration().settings().is_ok_and(|settings| settings.shared)
    }

    /// Whether annotated tags are to be signed: `tag.gpgSign`, in a file or in the environment.
    #[must_use]
    pub fn signs_tags(&self) -> bool {
        let in_environment = self.git.environment().iter().filter_map(|(name, key)| {
            let number = name.to_str()?.strip_prefix("GIT_CONFIG_KEY_")?;
            key.to_str()?.eq_ignore_ascii_case("tag.gpgsign").then_some(number)
        });
        // The last entry wins, as in git.
        let last = in_environment.max_by_key(|number| number.parse::<u32>().unwrap_or_default());
        let value = last.map(|number| format!("GIT_CONFIG_VALUE_{number}"));
        let value =
            value.and_then(|name| self.git.configuration().variable(&name)?.to_str().map(str::to_owned));
        let in_file = || self.git.configuration().settings().ok()?.sign_tags.clone();
        let value = value.or_else(in_file).unwrap_or_default().to_ascii_lowercase();
        ["true", "yes", "on", "1"].contains(&value.as_str())
    }
}

/// The git directory of the nearest folder with a `.git`, and that folder.
fn checked_out_around(start: &Path) -> Option<(PathBuf, &Path)> {
    start.ancestors().filter(|folder| folder.join(".git").exists()).find_map(|folder| {
        let git_dir = git_dir_from(folder, folder.parent())?;
        // A bare repository is its own git directory.
        (git_dir != folder).then_some((git_dir, folder))
    })
}

/// Discovers a repository from a folder upwards, but not above `below`.
fn git_dir_from(folder: &Path, below: Option<&Path>) -> Option<PathBuf> {
    let found = git2::Repository::discover_path(folder, below).ok()?;
    Some(found.canonicalize().unwrap_or(found))
}

/// Parses an object id in git's output.
pub(super) fn parse_id(verb: &str, text: &str) -> Result<ObjectId, GitError> {
    text.trim()
        .parse()
        .map_err(|error| GitError::Unexpected { verb: verb.to_owned(), detail: format!("{error}") })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::testing::Fixture;

    #[test]
    fn a_bare_repository_inside_a_checkout_is_a_folder_of_it() {
        let fixture = Fixture::new(&[]);
        let root = fixture.folder.path().canonicalize().unwrap();
        fixture.git(&["init", "--quiet", "--bare", "infra"], "");
        std::fs::create_dir_all(root.join("infra/deep")).unwrap();
        // A `.git` that is no repository is skipped.
        std::fs::create_dir_all(root.join("infra/deep/.git")).unwrap();
        for folder in ["", "infra", "infra/deep", "infra/objects"] {
            let found = Repository::discover(&root.join(folder), []).unwrap();
            assert_eq!(found.work_tree(), Some(root.as_path()), "{folder}");
            assert_eq!(found.git_dir, root.join(".git"), "{folder}");
        }
        let bare = Fixture::new(&[]);
        bare.git(&["init", "--quiet", "--bare", "alone"], "");
        std::fs::remove_dir_all(bare.git_dir()).unwrap();
        let found = Repository::discover(&bare.folder.path().join("alone/refs"), []).unwrap();
        assert_eq!(found.work_tree(), None);
    }

    #[test]
    fn a_submodule_is_told_from_a_worktree_of_its_own() {
        let (module, fixture) = (Fixture::new(&[]), Fixture::new(&[]));
        let url = module.folder.path().to_str().unwrap();
        let allowed = ["-c", "protocol.file.allow=always"];
        fixture.git(&[&allowed[..], &["submodule", "--quiet", "add", url, "modules/sub"]].concat(), "");
        fixture.git(&["worktree", "add", "--quiet", "modules/own"], "");
        let found = |path: &str| Repository::discover(&fixture.folder.path().join(path), []).unwrap();
        for (path, is_submodule) in [("", false), ("modules/own", false), ("modules/sub", true)] {
            assert_eq!(found(path).is_submodule(), is_submodule, "{path}");
        }
    }
}
