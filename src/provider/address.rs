//! Detection of a git remote's platform by its address, for people: they have no CI job whose
//! environment names it.

use super::Platform;

/// The protocol of a repository's address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Transport {
    Https,
    Http,
    Ssh,
    Git,
}

impl Transport {
    const fn usual_port(self) -> u16 {
        match self {
            Self::Https => 443,
            Self::Http => 80,
            Self::Ssh => 22,
            Self::Git => 9418,
        }
    }
}

/// The address of a repository on a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address {
    transport: Transport,
    host: String,
    port: u16,
    /// `owner/repository`; on GitLab with the groups in between.
    pub(super) path: String,
}

impl Address {
    /// Parses an address in git's forms: `https://host/path.git`, `ssh://git@host:22/path`,
    /// `git@host:path`. `None` where it is on no other machine.
    ///
    /// User and password are ignored.
    pub(super) fn parse(url: &str) -> Option<Self> {
        let is_whole = |path: &str| path.split('/').filter(|part| !part.is_empty()).count() >= 2;
        Self::take_apart(url).filter(|address| is_whole(&address.path))
    }

    /// The parts of an address, with a path of any length. `None` for one that programs parse
    /// differently.
    fn take_apart(url: &str) -> Option<Self> {
        let is_odd = |c: char| matches!(c, '?' | '#' | '\\') || c.is_whitespace() || c.is_control();
        let (transport, authority, path) = if let Some((scheme, rest)) = url.split_once("://") {
            let transport = match scheme {
                "https" => Transport::Https,
                "http" => Transport::Http,
                "ssh" => Transport::Ssh,
                "git" => Transport::Git,
                _ => return None,
            };
            let (authority, path) = rest.split_once('/')?;
            (transport, authority, path)
        } else {
            let (host, path) = url.split_once(':').filter(|(host, _)| !host.contains(['/', '[']))?;
            (Transport::Ssh, host, path)
        };
        let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        let (host, port) = match host.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok()?),
            _ => (host, transport.usual_port()),
        };
        let path = path.trim_matches('/');
        let path = path.strip_suffix(".git").unwrap_or(path).to_owned();
        let is_known = !host.is_empty() && !url.contains(is_odd);
        is_known.then(|| Self { transport, host: host.to_lowercase(), port, path })
    }

    /// Whether this is on a server, which is known by its own address. SSH has a port of its own
    /// there.
    fn is_on(&self, server: &Self) -> bool {
        let is_same_port = (self.transport, self.port) == (server.transport, server.port);
        self.host == server.host
            && match self.transport {
                Transport::Ssh => true,
                Transport::Https | Transport::Http => is_same_port,
                // The protocol is neither encrypted nor signed: any machine on the way can answer.
                Transport::Git => false,
            }
    }

    /// The address of a remote on a platform, from its addresses as written and as
    /// `url.*.insteadOf` rewrites them.
    ///
    /// The written address takes precedence, also where git rewrites it to a mirror. Only an alias,
    /// which is no full host name, has to be resolved.
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

/// The path of a repository, where an address leads to one of these servers: `acme/shop` of
/// `git@github.com:acme/shop.git`.
#[must_use]
pub fn path_on_servers(address: &str, servers: &[String]) -> Option<String> {
    let servers = servers.iter().map(|server| format!("{}/-", server.trim_end_matches('/')));
    let address = Address::take_apart(address)?;
    let is_there =
        servers.filter_map(|server| Address::take_apart(&server)).any(|server| address.is_on(&server));
    is_there.then_some(address.path)
}

/// Whether git takes an address for a folder of this machine.
#[must_use]
pub fn is_folder(address: &str) -> bool {
    let colon = address.find(':');
    let is_path = colon.is_none_or(|colon| address.find('/').is_some_and(|slash| slash < colon));
    is_path || address.starts_with("file://")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_on_a_server_by_host_and_port() {
        let servers = |servers: &[&str]| servers.iter().map(|&server| server.to_owned()).collect::<Vec<_>>();
        let github = servers(&["https://github.com", "ssh://ssh.github.com"]);
        for here in [
            "https://github.com/acme/shop.git",
            "https://x-access-token:secret@GitHub.com:443/acme/shop",
            "git@github.com:acme/shop.git",
            "github.com:/acme/shop",
            "ssh://git@ssh.github.com:443/acme/shop.git",
        ] {
            assert_eq!(path_on_servers(here, &github).as_deref(), Some("acme/shop"), "{here}");
        }
        for elsewhere in [
            "https://evil.example/acme/shop.git",
            "https://github.com@evil.example/acme/shop",
            "https://github.com:x@evil.example/acme/shop",
            "https://evil.example#@github.com/acme/shop",
            "https://evil.example?@github.com/acme/shop",
            "https://evil.example\\@github.com/acme/shop",
            "https://github.com.evil.example/acme/shop",
            "https://evilgithub.com/acme/shop",
            "https://github.com:8443/acme/shop",
            "http://github.com/acme/shop",
            "git://github.com/acme/shop",
            "git@evil.example:acme/shop.git",
            "ssh://git@evil.example/acme/shop",
            "[git@github.com:22]:acme/shop",
            "ext::sh -c x% github.com:acme/shop",
            "/srv/github.com/acme/shop",
            "",
        ] {
            assert_eq!(path_on_servers(elsewhere, &github), None, "{elsewhere}");
        }
        let own = servers(&["http://gitlab.example.com:8080/git/"]);
        let below = path_on_servers("http://gitlab.example.com:8080/git/acme/shop.git", &own);
        assert_eq!(below.as_deref(), Some("git/acme/shop"));
        assert!(path_on_servers("ssh://git@gitlab.example.com:2222/acme/shop", &own).is_some());
        assert!(path_on_servers("http://gitlab.example.com/acme/shop", &own).is_none());
        assert!(path_on_servers("https://[::1]:8443/a/b", &servers(&["https://[::1]:8443"])).is_some());
        assert!(path_on_servers("https://github.com/acme/shop", &[]).is_none());
    }

    #[test]
    fn only_paths_are_folders() {
        for folder in ["/srv/shop.git", "../shop", "shop", "./evil:shop", "/srv/a:b", "file:///srv/shop.git"]
        {
            assert!(is_folder(folder), "{folder}");
        }
        for elsewhere in [
            "git@evil:shop.git",
            "evil:/shop.git",
            "evil:shop",
            "ssh://evil/acme/shop",
            "ext::sh -c x",
            "x::/y",
        ] {
            assert!(!is_folder(elsewhere), "{elsewhere}");
        }
    }

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
