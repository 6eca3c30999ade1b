//! The remotes of a repository: the one that holds the ledger, and its addresses.

use std::borrow::Cow;

use super::error::GitError;
use super::process::Git;
use super::redact::redact_urls;
use super::repository::{Repository, RepositoryError};

impl Repository {
    /// The remote that holds the ledger: the requested one, else `origin`, else the only one.
    ///
    /// # Errors
    ///
    /// Fails where there is no remote of this name, or where there
    /// are several and none is `origin`.
    pub fn remote(&self, wanted: Option<&str>) -> Result<Option<String>, RepositoryError> {
        let remotes = &self.git().configuration().settings()?.remotes;
        let has = |wanted: &str| remotes.iter().any(|remote| remote.name == wanted);
        match wanted {
            Some(wanted) if has(wanted) => Ok(Some(wanted.to_owned())),
            Some(wanted) => Err(RepositoryError::UnknownRemote(wanted.to_owned())),
            None if has("origin") => Ok(Some("origin".to_owned())),
            None if remotes.len() > 1 => Err(RepositoryError::AmbiguousRemote(
                remotes.iter().map(|remote| remote.name.clone()).collect(),
            )),
            None => Ok(remotes.first().map(|remote| remote.name.clone())),
        }
    }

    /// The addresses of a remote, which may contain a password: as written, and as
    /// rewritten by `url.*.insteadOf`.
    #[must_use]
    pub fn remote_urls(&self, remote: &str) -> Vec<String> {
        let written = self.git().verb("config").args(["--get-all", &format!("remote.{remote}.url")]).run();
        let used = self.git().verb("remote").args(["get-url", "--", remote]).run();
        let first = |lines: Vec<u8>| lines_of(&lines).into_iter().next();
        [written, used].into_iter().flatten().filter_map(first).collect()
    }

    /// Whether the repository's own configuration rewrites addresses (`url.*.insteadOf`).
    #[must_use]
    pub fn rewrites_addresses(&self) -> bool {
        let settings = self
            .git()
            .verb("config")
            .args(["--show-scope", "--name-only", "--get-regexp"])
            .arg(r"^url\..*\.(push)?insteadof$")
            .run();
        // An unreadable configuration is left to git, which fails with the reason.
        let settings = settings.unwrap_or_default();
        lines_of(&settings).iter().any(|line| line.starts_with("local\t") || line.starts_with("worktree\t"))
    }
}

impl Git {
    /// The name or address to fetch from: the push address where it differs from the fetch address.
    ///
    /// A separate fetch address is a replica that may lag, and a fetch has to see what was just
    /// pushed.
    ///
    /// # Errors
    ///
    /// Fails where git does not print the addresses.
    pub(super) fn asked_by<'r>(&self, remote: &'r str) -> Result<Cow<'r, str>, GitError> {
        if !self.may_push_elsewhere(remote) {
            return Ok(remote.into());
        }
        let read = self.addresses(remote, &[])?;
        Ok(match &self.addresses(remote, &["--push", "--all"])?[..] {
            [written] if read.first() != Some(written) => written.clone().into(),
            _ => remote.into(),
        })
    }

    /// Refuses a remote with several push addresses: git pushes to one after the other, so
    /// that the push is no transaction.
    ///
    /// # Errors
    ///
    /// [`GitError::SeveralAddresses`] for such a remote.
    pub(super) fn insist_on_one_address(&self, remote: &str) -> Result<(), GitError> {
        if !self.may_push_elsewhere(remote) {
            return Ok(());
        }
        let addresses = self.addresses(remote, &["--push", "--all"])?;
        if addresses.len() > 1 {
            let addresses = addresses.iter().map(|address| redact_urls(address)).collect();
            return Err(GitError::SeveralAddresses { remote: remote.to_owned(), addresses });
        }
        Ok(())
    }

    /// The addresses of a remote as rewritten by `url.*`; git's options select which ones.
    fn addresses(&self, remote: &str, options: &[&str]) -> Result<Vec<String>, GitError> {
        let output = self.verb("remote").arg("get-url").args(options).args(["--", remote]).run()?;
        Ok(lines_of(&output))
    }

    /// Whether the configuration may give a remote other push addresses. Usually
    /// not, which saves a git process.
    fn may_push_elsewhere(&self, remote: &str) -> bool {
        if self.configuration().has_more_than_files() {
            return true;
        }
        self.configuration().settings().map_or(true, |settings| {
            let found = settings.remotes.iter().find(|found| found.name == remote);
            found.is_none_or(|found| settings.rewrites_pushes || found.push_urls > 0 || found.urls > 1)
        })
    }
}

fn lines_of(output: &[u8]) -> Vec<String> {
    String::from_utf8_lossy(output).lines().map(|line| line.trim().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::testing::Fixture;

    /// A repository whose remote `origin` is configured so.
    fn configured(settings: &[(&str, &str)]) -> (Fixture, Repository) {
        let fixture = Fixture::new(&[]);
        for (name, value) in settings {
            fixture.git(&["config", "--add", name, value], "");
        }
        let environment = std::env::vars_os().filter(|(name, _)| name == "PATH");
        let repository = Repository::discover(fixture.folder.path(), environment).unwrap();
        (fixture, repository)
    }

    #[test]
    fn a_remote_is_asked_where_it_pushes_to() {
        let fetched = ("remote.origin.url", "https://mirror.example.com/r.git");
        let pushed = ("remote.origin.pushurl", "https://example.com/r.git");
        let rewritten = ("url.https://example.com/.pushInsteadOf", "https://mirror.example.com/");
        let unrelated = ("url.https://example.com/.pushInsteadOf", "https://elsewhere.example.com/");
        let same = ("remote.origin.pushurl", fetched.1);
        for (settings, asked_by) in [
            (vec![fetched], "origin"),
            (vec![fetched, pushed], pushed.1),
            (vec![fetched, rewritten], pushed.1),
            (vec![fetched, unrelated], "origin"),
            (vec![fetched, same], "origin"),
            (vec![fetched, pushed, same], "origin"),
        ] {
            let (_fixture, repository) = configured(&settings);
            assert_eq!(repository.git().asked_by("origin").unwrap(), asked_by, "{settings:?}");
        }
    }

    #[test]
    fn a_remote_that_pushes_to_several_places_is_not_pushed_to() {
        let one = ("remote.origin.url", "https://user:secret@one.example.com/r.git");
        let two = ("remote.origin.url", "https://two.example.com/r.git");
        let (_fixture, repository) = configured(&[one, two]);
        let error = repository.git().insist_on_one_address("origin").unwrap_err().to_string();
        assert!(error.contains("two.example.com") && !error.contains("secret"), "{error}");
        // With an address for pushes there is one again.
        let (_fixture, repository) = configured(&[one, two, ("remote.origin.pushurl", "/one")]);
        repository.git().insist_on_one_address("origin").unwrap();
    }
}
