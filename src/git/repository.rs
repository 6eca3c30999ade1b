//! Finding the repository, and what is fixed about it.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use crate::deployment::{CommitId, ObjectId};

use super::objects::{ObjectError, ObjectStore};
use super::process::{Git, GitError};

/// Why a repository cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RepositoryError {
    #[error("{} is not inside a Git repository", .0.display())]
    NotFound(PathBuf),
    #[error("{} is in a bare repository, and a CI job uses the one that it has checked out", .0.display())]
    Bare(PathBuf),
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
    settings: OnceLock<Settings>,
}

/// What is read of git's configuration, once.
#[derive(Debug)]
struct Settings {
    /// The names of the remotes that have a URL.
    remotes: Vec<String>,
    user_name: Option<String>,
    user_email: Option<String>,
    /// Where refs are kept, if not in files.
    ref_storage: Option<String>,
    /// What `tag.gpgSign` says.
    sign_tags: Option<String>,
    /// Whether several users write to the repository: `core.sharedRepository`.
    shared: bool,
}

/// Who writes into the repository, from git's configuration and environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    pub name: String,
    pub email: String,
}

impl Repository {
    /// Finds the repository that `start` is in. `environment` is the caller's.
    ///
    /// A bare repository counts only where there is no `.git` above it: a commit can hold the files
    /// of one, with a configuration whose commands git would run.
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
        let common_dir = match std::fs::read_to_string(git_dir.join("commondir")) {
            Ok(relative) => {
                let common = git_dir.join(relative.trim());
                common.canonicalize().unwrap_or(common)
            }
            Err(_) => git_dir.clone(),
        };
        let environment: Vec<_> = environment.into_iter().collect();
        let git = Git::new(&git_dir, work_tree.as_deref(), environment);
        Ok(Self { git, git_dir, common_dir, work_tree, settings: OnceLock::new() })
    }

    /// The executable, bound to this repository.
    #[must_use]
    pub const fn git(&self) -> &Git {
        &self.git
    }

    /// The executable, bound to another repository, with the caller's environment.
    pub(super) fn other_git(&self, git_dir: &Path) -> Git {
        Git::new(git_dir, None, Arc::clone(self.git.environment()))
    }

    /// The folder that all worktrees of the repository share.
    #[must_use]
    pub fn common_dir(&self) -> &Path {
        &self.common_dir
    }

    /// Whether this is a submodule's, whose remote is chosen by the commits of the repository
    /// around it.
    #[must_use]
    pub fn is_submodule(&self) -> bool {
        let of_repository = |folder: &Path| {
            let around = folder.parent().filter(|_| folder.file_name() == Some(OsStr::new("modules")));
            around.is_some_and(|around| around.join("HEAD").is_file())
        };
        // Its worktrees share the folder of the submodule.
        self.common_dir.ancestors().skip(1).any(of_repository)
    }

    /// The checkout; `None` in a bare repository.
    #[must_use]
    pub fn work_tree(&self) -> Option<&Path> {
        self.work_tree.as_deref()
    }

    /// Opens the objects. Each thread opens its own.
    pub fn objects(&self) -> Result<ObjectStore, ObjectError> {
        ObjectStore::open(&self.git_dir)
    }

    /// The commit that is checked out.
    pub fn head(&self) -> Result<CommitId, RepositoryError> {
        match self.head_by_files() {
            Some(commit) => Ok(commit),
            None => self.resolve("HEAD")?.ok_or(RepositoryError::Unborn),
        }
    }

    /// Likewise, read from the files where git keeps it in these, which spares a process; `None` leaves it to git.
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

    /// The commit that a revision means; `None` where there is no such commit here.
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

    /// The remote that the ledger is kept on: the one that is asked for, else `origin`, else the only one.
    pub fn remote(&self, wanted: Option<&str>) -> Result<Option<String>, RepositoryError> {
        let remotes = &self.settings()?.remotes;
        match wanted {
            Some(wanted) if remotes.iter().any(|name| name == wanted) => Ok(Some(wanted.to_owned())),
            Some(wanted) => Err(RepositoryError::UnknownRemote(wanted.to_owned())),
            None if remotes.iter().any(|name| name == "origin") => Ok(Some("origin".to_owned())),
            None if remotes.len() > 1 => Err(RepositoryError::AmbiguousRemote(remotes.clone())),
            None => Ok(remotes.first().cloned()),
        }
    }

    /// The addresses of a remote, which may hold a password: as it is written, and where
    /// `url.*.insteadOf` leads git.
    #[must_use]
    pub fn remote_urls(&self, remote: &str) -> Vec<String> {
        let written = self.git.verb("config").args(["--get-all", &format!("remote.{remote}.url")]).run();
        let used = self.git.verb("remote").args(["get-url", "--", remote]).run();
        let first = |lines: Vec<u8>| {
            String::from_utf8_lossy(&lines).lines().next().map(|line| line.trim().to_owned())
        };
        [written, used].into_iter().flatten().filter_map(first).collect()
    }

    /// Whether the repository's own configuration leads addresses elsewhere: `url.*.insteadOf`.
    #[must_use]
    pub fn rewrites_addresses(&self) -> bool {
        let settings = self
            .git
            .verb("config")
            .args(["--show-scope", "--name-only", "--get-regexp"])
            .arg(r"^url\..*\.(push)?insteadof$")
            .run();
        // Where there is none, git fails.
        let settings = settings.unwrap_or_default();
        let settings = String::from_utf8_lossy(&settings);
        settings.lines().any(|line| line.starts_with("local\t") || line.starts_with("worktree\t"))
    }

    /// The committer, where one is configured.
    #[must_use]
    pub fn identity(&self) -> Option<Identity> {
        let variable =
            |name: &str| self.variable(name)?.to_str().filter(|value| !value.is_empty()).map(str::to_owned);
        let configured = self.settings().ok();
        let user_name = || configured?.user_name.clone();
        let user_email = || configured?.user_email.clone();
        Some(Identity {
            name: variable("GIT_COMMITTER_NAME").or_else(user_name)?,
            email: variable("GIT_COMMITTER_EMAIL").or_else(user_email)?,
        })
    }

    /// Whether refs are kept as files and in `packed-refs`, as far as the configuration can be read.
    pub(super) fn keeps_refs_in_files(&self) -> bool {
        self.settings()
            .is_ok_and(|settings| settings.ref_storage.as_ref().is_none_or(|storage| storage == "files"))
    }

    /// Whether files of the repository have to be writable for others as well, as far as the configuration can be read.
    pub(super) fn is_shared(&self) -> bool {
        self.settings().is_ok_and(|settings| settings.shared)
    }

    /// Whether annotated tags are to be signed: `tag.gpgSign`, in a file or in the environment.
    #[must_use]
    pub fn signs_tags(&self) -> bool {
        let in_environment = self.git.environment().iter().filter_map(|(name, key)| {
            let number = name.to_str()?.strip_prefix("GIT_CONFIG_KEY_")?;
            key.to_str()?.eq_ignore_ascii_case("tag.gpgsign").then_some(number)
        });
        // The last one counts, as in git.
        let last = in_environment.max_by_key(|number| number.parse::<u32>().unwrap_or_default());
        let value = last.map(|number| format!("GIT_CONFIG_VALUE_{number}"));
        let value = value.and_then(|name| self.variable(&name)?.to_str().map(str::to_owned));
        let in_file = || self.settings().ok()?.sign_tags.clone();
        let value = value.or_else(in_file).unwrap_or_default().to_ascii_lowercase();
        ["true", "yes", "on", "1"].contains(&value.as_str())
    }

    /// A variable of the caller's environment.
    fn variable(&self, name: &str) -> Option<&OsStr> {
        let (_, value) = self.git.environment().iter().find(|(variable, _)| variable == name)?;
        Some(value)
    }

    /// What git is configured with.
    fn settings(&self) -> Result<&Settings, RepositoryError> {
        if let Some(settings) = self.settings.get() {
            return Ok(settings);
        }
        let settings = Settings::read(&self.configuration()?).map_err(ObjectError::from)?;
        Ok(self.settings.get_or_init(|| settings))
    }

    /// Git's configuration of this repository, with the caller's files.
    fn configuration(&self) -> Result<git2::Config, RepositoryError> {
        let mut configuration = git2::Config::new().map_err(ObjectError::from)?;
        let home = self.variable("HOME").map(PathBuf::from);
        let global = self.variable("GIT_CONFIG_GLOBAL").map(PathBuf::from);
        let no_system =
            self.variable("GIT_CONFIG_NOSYSTEM").is_some_and(|value| value != "0" && value != "false");
        let system =
            self.variable("GIT_CONFIG_SYSTEM").map_or_else(|| PathBuf::from("/etc/gitconfig"), PathBuf::from);
        let files = [
            (git2::ConfigLevel::System, Some(system).filter(|_| !no_system)),
            (git2::ConfigLevel::XDG, home.as_ref().map(|home| home.join(".config/git/config"))),
            (git2::ConfigLevel::Global, global.or_else(|| home.map(|home| home.join(".gitconfig")))),
            (git2::ConfigLevel::Local, Some(self.common_dir.join("config"))),
        ];
        for (level, file) in files {
            if let Some(file) = file.filter(|file| file.is_file()) {
                configuration.add_file(&file, level, false).map_err(ObjectError::from)?;
            }
        }
        Ok(configuration)
    }
}

impl Settings {
    /// Picks out what is needed. Walking through a [`git2::Config`], or asking it for a value, reads every file anew.
    fn read(configuration: &git2::Config) -> Result<Self, git2::Error> {
        let mut settings = Self {
            remotes: Vec::new(),
            user_name: None,
            user_email: None,
            ref_storage: None,
            sign_tags: None,
            shared: false,
        };
        let mut entries = configuration.entries(None)?;
        while let Some(entry) = entries.next() {
            let entry = entry?;
            let name = entry.name().unwrap_or_default();
            let value = || entry.has_value().then(|| entry.value().ok().map(str::to_owned)).flatten();
            // What is nearer comes later and counts.
            match name {
                "user.name" => settings.user_name = value(),
                "user.email" => settings.user_email = value(),
                "extensions.refstorage" => settings.ref_storage = value(),
                // A name without a value stands for true.
                "tag.gpgsign" => settings.sign_tags = value().or_else(|| Some("true".to_owned())),
                "core.sharedrepository" => {
                    let alone = ["umask", "false", "no", "off", "0"];
                    settings.shared =
                        value().is_none_or(|value| !alone.contains(&value.to_ascii_lowercase().as_str()));
                }
                _ => {
                    let remote = name.strip_prefix("remote.").and_then(|name| name.strip_suffix(".url"));
                    settings.remotes.extend(
                        remote
                            .filter(|remote| !settings.remotes.iter().any(|known| known == remote))
                            .map(str::to_owned),
                    );
                }
            }
        }
        Ok(settings)
    }
}

/// The nearest folder with a `.git` of a repository, and that repository.
fn checked_out_around(start: &Path) -> Option<(PathBuf, &Path)> {
    start.ancestors().filter(|folder| folder.join(".git").exists()).find_map(|folder| {
        let git_dir = git_dir_from(folder, folder.parent())?;
        // What is not found by its `.git` is a bare repository.
        (git_dir != folder).then_some((git_dir, folder))
    })
}

/// The repository that is found from a folder upwards, below another one.
fn git_dir_from(folder: &Path, below: Option<&Path>) -> Option<PathBuf> {
    let found = git2::Repository::discover_path(folder, below).ok()?;
    Some(found.canonicalize().unwrap_or(found))
}

/// The id of an object that git printed.
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
        // What is called `.git` and is none is passed over.
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

    #[test]
    fn the_nearest_configuration_counts_and_an_odd_one_is_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write("global", "[user]\n\tname = Far\n\temail = far@example.com\n[remote \"far\"]\n\turl = /far\n");
        write(
            "local",
            "[user]\n\tname = Near\n[remote \"a.b\"]\n\turl = /one\n\turl = /two\n[remote \"c\"]\n\turl\n\tfetch = x\n",
        );
        let mut configuration = git2::Config::new().unwrap();
        for (level, name) in [(git2::ConfigLevel::Local, "local"), (git2::ConfigLevel::Global, "global")] {
            configuration.add_file(&folder.path().join(name), level, false).unwrap();
        }
        let settings = Settings::read(&configuration).unwrap();
        assert_eq!(settings.user_name.as_deref(), Some("Near"));
        assert_eq!(settings.user_email.as_deref(), Some("far@example.com"));
        assert_eq!(settings.remotes, ["far", "a.b", "c"]);
    }
}
