//! Which platform a git remote is on, told by its address: for people, who have no CI job to tell it.

use super::Platform;

/// Where a repository is hosted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address {
    host: String,
    /// `owner/repository`; on GitLab with the groups in between.
    pub(super) path: String,
}

impl Address {
    /// Takes an address apart, in git's forms of one: `https://host/path.git`, `ssh://git@host:22/path`, `git@host:path`.
    /// What is no address of another machine is `None`. User and password are not looked at.
    pub(super) fn parse(url: &str) -> Option<Self> {
        let (authority, path) = match url.split_once("://") {
            Some(("https" | "http" | "ssh" | "git", rest)) => rest.split_once('/')?,
            Some(_) => return None,
            None => url.split_once(':').filter(|(host, _)| !host.contains('/'))?,
        };
        let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        let host = host.split_once(':').map_or(host, |(host, _)| host).to_lowercase();
        let path = path.trim_matches('/');
        let path = path.strip_suffix(".git").unwrap_or(path);
        let is_whole = !host.is_empty() && path.split('/').filter(|part| !part.is_empty()).count() >= 2;
        is_whole.then(|| Self { host, path: path.to_owned() })
    }

    /// The address of a remote on a platform, of those that it has: as it is written, and where
    /// `url.*.insteadOf` leads git.
    ///
    /// What is written counts, also where git is led to a mirror. An alias has to be followed; it
    /// is no full name of a host.
    pub(super) fn of_remote(urls: &[String]) -> Option<Self> {
        let mut known: Vec<_> = urls
            .iter()
            .filter_map(|url| Self::parse(url))
            .filter(|address| address.platform() != Platform::None)
            .collect();
        known.sort_by_key(|address| !address.host.contains('.'));
        known.into_iter().next()
    }

    /// The platform, by the host's name.
    pub(super) fn platform(&self) -> Platform {
        let named = |name: &str| self.host.split('.').any(|part| part == name);
        match (named("github"), named("gitlab")) {
            (true, _) => Platform::GitHub,
            (false, true) => Platform::GitLab,
            (false, false) => Platform::None,
        }
    }

    /// The address of the platform's API: GitHub's own is a host of its own.
    pub(super) fn api_url(&self) -> String {
        match (self.platform(), self.host.as_str()) {
            (Platform::GitHub, "github.com" | "ssh.github.com") => "https://api.github.com".to_owned(),
            (Platform::GitHub, host) => format!("https://{host}/api/v3"),
            (_, host) => format!("https://{host}/api/v4"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(url: &str) -> Option<(Platform, String, String)> {
        let address = Address::parse(url)?;
        Some((address.platform(), address.api_url(), address.path))
    }

    #[test]
    fn every_form_of_an_address() {
        let github = Some((Platform::GitHub, "https://api.github.com".to_owned(), "acme/shop".to_owned()));
        assert_eq!(parsed("https://github.com/acme/shop.git"), github);
        assert_eq!(parsed("https://x-access-token:secret@github.com/acme/shop/"), github);
        assert_eq!(parsed("git@github.com:acme/shop.git"), github);
        assert_eq!(parsed("ssh://git@ssh.github.com:443/acme/shop.git"), github);
    }

    #[test]
    fn servers_of_ones_own() {
        assert_eq!(
            parsed("git@github.example.com:acme/shop"),
            Some((Platform::GitHub, "https://github.example.com/api/v3".to_owned(), "acme/shop".to_owned()))
        );
        assert_eq!(
            parsed("https://gitlab.example.com/a/b/shop.git"),
            Some((Platform::GitLab, "https://gitlab.example.com/api/v4".to_owned(), "a/b/shop".to_owned()))
        );
        assert_eq!(parsed("https://git.example.com/acme/shop.git").unwrap().0, Platform::None);
    }

    #[test]
    fn a_remote_is_where_it_is_written_to_be_and_an_alias_is_followed() {
        let of_remote = |written: &str, used: &str| {
            let address = Address::of_remote(&[written.to_owned(), used.to_owned()])?;
            Some((address.platform(), address.host))
        };
        let github = Some((Platform::GitHub, "github.com".to_owned()));
        let mirror = "ssh://git@mirror.example.com/acme/shop.git";
        assert_eq!(of_remote("https://github.com/acme/shop", mirror), github);
        assert_eq!(of_remote("https://github.com/acme/shop", "https://gitlab.example.com/acme/shop"), github);
        for alias in ["gh:acme/shop", "github:acme/shop", "gitlab:acme/shop"] {
            assert_eq!(of_remote(alias, "https://github.com/acme/shop"), github, "{alias}");
        }
        let intranet = "https://gitlab/acme/shop";
        assert_eq!(of_remote(intranet, intranet), Some((Platform::GitLab, "gitlab".to_owned())));
        assert_eq!(of_remote(mirror, mirror), None);
    }

    #[test]
    fn what_is_on_this_machine_is_on_no_platform() {
        for url in ["/srv/github/shop.git", "../github/shop", "file:///srv/shop.git", "github:shop", ""] {
            assert_eq!(parsed(url), None, "{url}");
        }
    }
}
