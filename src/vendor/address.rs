//! Addresses of sources, as Atmos and Terraform write them.

use std::fmt;

use super::error::VendorError;

/// The hosts whose addresses are git repositories without `git::`.
const GIT_HOSTS: [&str; 3] = ["github.com", "gitlab.com", "bitbucket.org"];

/// Prefixes of kinds that are not fetched, with their names.
const OTHER_KINDS: [(&str, &str); 10] = [
    ("oci://", "an OCI artifact"),
    ("tfr://", "a module of a Terraform registry"),
    ("registry.terraform.io/", "a module of a Terraform registry"),
    ("s3::", "an S3 object"),
    ("s3://", "an S3 object"),
    ("gcs::", "a GCS object"),
    ("hg::", "a Mercurial repository"),
    ("sftp://", "a file over SFTP"),
    ("ftp://", "a file over FTP"),
    ("http::", "a file over HTTP"),
];

/// Endings of archives.
const ARCHIVES: [&str; 9] =
    [".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".tar.zst"];

/// A source that can be fetched.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Address {
    /// A folder of a git repository.
    Git { url: String, folder: String },
    /// A folder of the repository that declares it, from its root.
    Local { folder: String },
}

/// An address with the version that its query names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    pub address: Address,
    pub reference: Option<String>,
}

impl Address {
    /// Reads a source as written. A relative path is relative to `base`, a folder of the
    /// repository.
    pub fn read(source: &str, base: &str, at: &str) -> Result<Written, VendorError> {
        let refuse = |message: String, hint: &str| VendorError::Declaration {
            at: at.to_owned(),
            message,
            hint: hint.to_owned(),
        };
        if let Some((_, kind)) = OTHER_KINDS.iter().find(|(prefix, _)| source.starts_with(prefix)) {
            let message = format!("the source {} is {kind}, which is not fetched yet", shown(source));
            return Err(refuse(
                message,
                "name a git repository, such as git::https://host/repository.git//folder?ref=v1",
            ));
        }
        let (place, query) = source.split_once('?').unwrap_or((source, ""));
        let mut reference = None;
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            match pair.split_once('=').unwrap_or((pair, "")) {
                ("ref", value) if !value.is_empty() => reference = Some(value.to_owned()),
                // Only the wanted commit is fetched, never its history.
                ("depth", _) => {}
                (key, _) => {
                    let message = format!("`{key}` in the source {} is not acted on", shown(source));
                    return Err(refuse(message, "leave it out; `ref` and `depth` are known"));
                }
            }
        }
        if is_local(place) {
            if place.starts_with('/') {
                let message = format!("the source {place} is outside of the repository");
                return Err(refuse(
                    message,
                    "make it a git repository, such as git::file:///path/repository.git//folder?ref=v1",
                ));
            }
            let folder = crate::config::join_path([base, place]);
            if !crate::config::is_inside(&folder) || folder.is_empty() {
                let message = format!("the source {place} is no folder inside of the repository");
                return Err(refuse(message, "name a folder below the repository's root"));
            }
            return Ok(Written { address: Self::Local { folder }, reference });
        }
        let (url, folder) = git_place(place).map_err(|message| {
            refuse(
                format!("the source {} {message}", shown(source)),
                "write git:: before the address of a git repository",
            )
        })?;
        if let Some((_, rest)) = url.split_once("://")
            && let Some((user, _)) = rest.split('/').next().and_then(|authority| authority.rsplit_once('@'))
            && (url.starts_with("http") || user.contains(':'))
        {
            let message = format!("the source {} holds credentials", shown(source));
            return Err(refuse(message, "leave them out; git asks its credential helpers"));
        }
        let folder = crate::config::join_path([folder.as_str()]);
        if !crate::config::is_inside(&folder) {
            let message = format!("the source {} leads out of its repository", shown(source));
            return Err(refuse(message, "name a folder inside of it after //"));
        }
        Ok(Written { address: Self::Git { url, folder }, reference })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Git { url, folder } if folder.is_empty() => write!(f, "git::{url}"),
            Self::Git { url, folder } => write!(f, "git::{url}//{folder}"),
            Self::Local { folder } => write!(f, "./{folder}"),
        }
    }
}

/// A source in messages, without credentials.
fn shown(source: &str) -> String {
    crate::git::redact::redact_urls(source)
}

/// Whether a path is one of files: relative, absolute, or without a host.
fn is_local(place: &str) -> bool {
    let first = place.split('/').next().unwrap_or_default();
    let is_host = first.contains('.') && !first.starts_with('.');
    !place.contains("::") && !place.contains("://") && !place.contains('@') && !is_host
}

/// The address and the folder of a git repository.
fn git_place(place: &str) -> Result<(String, String), &'static str> {
    let (is_marked, place) = match place.strip_prefix("git::") {
        Some(rest) => (true, rest),
        None => (false, place),
    };
    if place.contains("::") {
        return Err("is of a kind that is not known");
    }
    let scheme = place.split_once("://").map(|(scheme, _)| scheme);
    // The separator of folders follows the scheme's own slashes.
    let after = scheme.map_or(0, |scheme| scheme.len() + 3);
    let (url, folder) = match place[after..].find("//") {
        Some(at) => (&place[..after + at], place[after + at + 2..].trim_matches('/')),
        None => (place, ""),
    };
    let host = url[after..].split(['/', ':']).next().unwrap_or_default();
    let is_known_host = GIT_HOSTS.contains(&host);
    let is_archive = ARCHIVES.iter().any(|ending| url.ends_with(ending));
    match scheme {
        None if is_known_host => {
            let ending = if url.ends_with(".git") { "" } else { ".git" };
            let mut parts = url.splitn(4, '/');
            let repository: Vec<_> = parts.by_ref().take(3).collect();
            if repository.len() < 3 {
                return Err("names no repository");
            }
            // Without `//`, Atmos takes what follows the repository for its folder.
            let rest = parts.next().unwrap_or_default();
            let folder = [rest, folder].iter().filter(|part| !part.is_empty()).copied().collect::<Vec<_>>();
            let ending = if rest.is_empty() { ending } else { ".git" };
            Ok((format!("https://{}{ending}", repository.join("/")), folder.join("/")))
        }
        // `user@host:path`, as ssh takes it.
        None if url.contains('@') && url.contains(':') => Ok((url.to_owned(), folder.to_owned())),
        Some("ssh" | "file") => Ok((url.to_owned(), folder.to_owned())),
        Some("http" | "https") if is_archive && !is_marked => Err("is an archive, which is not fetched yet"),
        Some("http" | "https") if is_marked || is_known_host || url.ends_with(".git") => {
            Ok((url.to_owned(), folder.to_owned()))
        }
        Some("http" | "https") => Err("is a file over HTTP, which is not fetched yet"),
        None | Some(_) => Err("is of a kind that is not known"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(source: &str) -> Result<(String, Option<String>), String> {
        let written = Address::read(source, "vendor", "x.yaml");
        written
            .map(|written| (written.address.to_string(), written.reference))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn addresses_of_git_are_read_as_they_are_usually_written() {
        for (source, address, reference) in [
            (
                "github.com/o/r//modules/ecs?ref=v1",
                "git::https://github.com/o/r.git//modules/ecs",
                Some("v1"),
            ),
            ("github.com/o/r.git//ecs?ref=v1&depth=1", "git::https://github.com/o/r.git//ecs", Some("v1")),
            ("github.com/o/r", "git::https://github.com/o/r.git", None),
            ("git::https://h.example/r//a/", "git::https://h.example/r//a", None),
            ("https://h.example/r.git//a", "git::https://h.example/r.git//a", None),
            (
                "git::ssh://git@h.example:22/r.git//a?ref=x/y",
                "git::ssh://git@h.example:22/r.git//a",
                Some("x/y"),
            ),
            ("git@h.example:o/r.git//a", "git::git@h.example:o/r.git//a", None),
            ("git::file:///srv/r//a", "git::file:///srv/r//a", None),
            ("./modules/vpc", "./vendor/modules/vpc", None),
            ("../modules/vpc", "./modules/vpc", None),
        ] {
            assert_eq!(read(source), Ok((address.to_owned(), reference.map(str::to_owned))), "{source}");
        }
    }

    #[test]
    fn what_is_not_fetched_is_refused_by_name() {
        for (source, told) in [
            ("oci://r/x:1", "is an OCI artifact, which is not fetched yet"),
            ("tfr://r/a/b/c?version=1", "is a module of a Terraform registry"),
            ("registry.terraform.io/a/b/c", "is a module of a Terraform registry"),
            ("s3::https://s3.amazonaws.com/x", "is an S3 object"),
            ("https://h.example/x.tar.gz?checksum=sha256:1", "`checksum` in the source"),
            ("https://h.example/x.tar.gz", "is an archive, which is not fetched yet"),
            ("https://h.example/x", "is a file over HTTP"),
            ("git::ext::sh -c x", "is of a kind that is not known"),
            ("h.example/x", "is of a kind that is not known"),
            ("/srv/modules", "is outside of the repository"),
            ("../../x", "is no folder inside of the repository"),
            ("git::https://t0ken@h.example/r.git", "holds credentials"),
            ("git::ssh://git:t0ken@h.example/r.git", "holds credentials"),
            ("git::https://h.example/r.git//a/../../b", "leads out of its repository"),
            ("github.com/o/r//x?ref=v1&sshkey=abc", "`sshkey` in the source"),
        ] {
            let error = read(source).unwrap_err();
            assert!(error.starts_with("x.yaml: ") && error.contains(told), "{source}: {error}");
            assert!(!error.contains("t0ken"), "{error}");
        }
    }
}
