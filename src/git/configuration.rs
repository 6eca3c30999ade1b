//! The part of git's configuration that the program needs, read once from its files.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use super::objects::ObjectError;

/// The configuration of one repository, with the files of the caller's environment.
#[derive(Debug)]
pub(super) struct Configuration {
    /// The folder that all worktrees of the repository share.
    common_dir: PathBuf,
    environment: Arc<[(OsString, OsString)]>,
    settings: OnceLock<Settings>,
}

/// The settings that are read.
#[derive(Debug, Default)]
pub(super) struct Settings {
    /// The remotes that have an address, in the order of the files.
    pub(super) remotes: Vec<RemoteSettings>,
    pub(super) user_name: Option<String>,
    pub(super) user_email: Option<String>,
    /// The format of refs, if not files: `extensions.refStorage`.
    pub(super) ref_storage: Option<String>,
    /// The value of `tag.gpgSign`.
    pub(super) sign_tags: Option<String>,
    /// Whether several users write to the repository: `core.sharedRepository`.
    pub(super) shared: bool,
    /// Whether push addresses are rewritten: `url.*.pushInsteadOf`.
    pub(super) rewrites_pushes: bool,
}

/// The configuration of a remote.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct RemoteSettings {
    pub(super) name: String,
    /// The number of its addresses.
    pub(super) urls: usize,
    /// The number of its push addresses.
    pub(super) push_urls: usize,
}

/// The folder that all worktrees of a repository share.
pub(super) fn common_dir(git_dir: &Path) -> PathBuf {
    let Ok(relative) = std::fs::read_to_string(git_dir.join("commondir")) else { return git_dir.to_owned() };
    let common = git_dir.join(relative.trim());
    common.canonicalize().unwrap_or(common)
}

impl Configuration {
    pub(super) fn new(common_dir: &Path, environment: Arc<[(OsString, OsString)]>) -> Self {
        Self { common_dir: common_dir.to_owned(), environment, settings: OnceLock::new() }
    }

    /// The folder that all worktrees of the repository share.
    pub(super) fn common_dir(&self) -> &Path {
        &self.common_dir
    }

    /// The caller's environment.
    pub(super) const fn environment(&self) -> &Arc<[(OsString, OsString)]> {
        &self.environment
    }

    /// A variable of the caller's environment.
    pub(super) fn variable(&self, name: &str) -> Option<&OsStr> {
        let (_, value) = self.environment.iter().find(|(variable, _)| variable == name)?;
        Some(value)
    }

    /// Whether git reads more than these files: settings in the
    /// environment, or a file of the worktree.
    pub(super) fn has_more_than_files(&self) -> bool {
        let in_environment = self.environment.iter().any(|(name, value)| {
            let is_set = ["GIT_CONFIG_COUNT", "GIT_CONFIG_PARAMETERS", "XDG_CONFIG_HOME"].iter();
            is_set.clone().any(|set| name == set) && !value.is_empty() && value != "0"
        });
        in_environment || self.common_dir.join("config.worktree").is_file()
    }

    /// The settings, read on first use.
    ///
    /// # Errors
    ///
    /// Fails where a file cannot be read or parsed.
    pub(super) fn settings(&self) -> Result<&Settings, ObjectError> {
        if let Some(settings) = self.settings.get() {
            return Ok(settings);
        }
        let settings = Settings::read(&self.files()?)?;
        Ok(self.settings.get_or_init(|| settings))
    }

    fn files(&self) -> Result<git2::Config, git2::Error> {
        let mut configuration = git2::Config::new()?;
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
                configuration.add_file(&file, level, false)?;
            }
        }
        Ok(configuration)
    }
}

impl Settings {
    /// Collects the settings in one pass: every lookup in a [`git2::Config`] reads all files again.
    fn read(configuration: &git2::Config) -> Result<Self, git2::Error> {
        let mut settings = Self::default();
        let mut pushed_to: BTreeMap<String, usize> = BTreeMap::new();
        let mut entries = configuration.entries(None)?;
        while let Some(entry) = entries.next() {
            let entry = entry?;
            let name = entry.name().unwrap_or_default();
            let value = || entry.has_value().then(|| entry.value().ok().map(str::to_owned)).flatten();
            // Later entries are of more specific files and win.
            match name {
                "user.name" => settings.user_name = value(),
                "user.email" => settings.user_email = value(),
                "extensions.refstorage" => settings.ref_storage = value(),
                // A name without a value means true.
                "tag.gpgsign" => settings.sign_tags = value().or_else(|| Some("true".to_owned())),
                "core.sharedrepository" => {
                    let alone = ["umask", "false", "no", "off", "0"];
                    settings.shared =
                        value().is_none_or(|value| !alone.contains(&value.to_ascii_lowercase().as_str()));
                }
                _ if name.starts_with("url.") && name.ends_with(".pushinsteadof") => {
                    settings.rewrites_pushes = true;
                }
                _ => {
                    let Some(name) = name.strip_prefix("remote.") else { continue };
                    if let Some(remote) = name.strip_suffix(".url") {
                        settings.remote(remote).urls += 1;
                    } else if let Some(remote) = name.strip_suffix(".pushurl") {
                        *pushed_to.entry(remote.to_owned()).or_default() += 1;
                    }
                }
            }
        }
        for remote in &mut settings.remotes {
            remote.push_urls = pushed_to.get(&remote.name).copied().unwrap_or_default();
        }
        Ok(settings)
    }

    /// The entry of a remote, added on first use.
    fn remote(&mut self, name: &str) -> &mut RemoteSettings {
        let known = self.remotes.iter().position(|remote| remote.name == name);
        let place = known.unwrap_or_else(|| {
            self.remotes.push(RemoteSettings { name: name.to_owned(), ..RemoteSettings::default() });
            self.remotes.len() - 1
        });
        &mut self.remotes[place]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_configuration_counts_and_an_odd_one_is_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write("global", "[user]\n\tname = Far\n\temail = far@example.com\n[remote \"far\"]\n\turl = /far\n");
        write(
            "local",
            "[user]\n\tname = Near\n[remote \"a.b\"]\n\tpushurl = /two\n\turl = /one\n\turl = /two\n\
             [remote \"c\"]\n\turl\n\tfetch = x\n[remote \"d\"]\n\tpushurl = /nowhere\n\
             [url \"ssh://git@host/\"]\n\tpushInsteadOf = https://host/\n",
        );
        let mut configuration = git2::Config::new().unwrap();
        for (level, name) in [(git2::ConfigLevel::Global, "global"), (git2::ConfigLevel::Local, "local")] {
            configuration.add_file(&folder.path().join(name), level, false).unwrap();
        }
        let settings = Settings::read(&configuration).unwrap();
        assert_eq!(settings.user_name.as_deref(), Some("Near"));
        assert_eq!(settings.user_email.as_deref(), Some("far@example.com"));
        let remote = |name: &str, urls, push_urls| RemoteSettings { name: name.to_owned(), urls, push_urls };
        assert_eq!(settings.remotes, [remote("far", 1, 0), remote("a.b", 2, 1), remote("c", 1, 0)]);
        assert!(settings.rewrites_pushes);
    }
}
