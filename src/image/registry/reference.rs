//! References to images, and the address of their registry.

use std::fmt;

/// An image by digest or by tag.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ImageReference {
    /// `registry/name`.
    repository: String,
    /// A digest or a tag.
    version: String,
}

impl ImageReference {
    /// An image by its digest.
    #[must_use]
    pub fn by_digest(repository: &str, digest: &str) -> Self {
        Self { repository: repository.to_owned(), version: digest.to_owned() }
    }

    /// An image by its tag.
    #[must_use]
    pub fn by_tag(repository: &str, tag: &str) -> Self {
        Self::by_digest(repository, tag)
    }

    /// Reads `registry/name@sha256:…` or `registry/name:tag`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (repository, version) = match text.split_once('@') {
            Some(split) => split,
            None => text.rsplit_once(':').filter(|(_, tag)| !tag.contains('/'))?,
        };
        (!repository.is_empty() && !version.is_empty()).then(|| Self::by_digest(repository, version))
    }

    /// The registry's host, with its port. A name without a host is of Docker Hub.
    fn host(&self) -> &str {
        match self.repository.split_once('/') {
            Some((host, _)) if host.contains(['.', ':']) || host == "localhost" => host,
            _ => "registry-1.docker.io",
        }
    }

    /// The name in the registry.
    pub(super) fn name(&self) -> String {
        match self.repository.strip_prefix(self.host()).and_then(|rest| rest.strip_prefix('/')) {
            Some(name) => name.to_owned(),
            None if self.repository.contains('/') => self.repository.clone(),
            None => format!("library/{}", self.repository),
        }
    }

    /// The names of the registry in credential files; helpers are asked for the first.
    pub(super) fn registry_names(&self) -> Vec<&str> {
        match self.host() {
            "registry-1.docker.io" | "docker.io" | "index.docker.io" => {
                vec!["https://index.docker.io/v1/", "index.docker.io", "docker.io"]
            }
            host => vec![host],
        }
    }

    /// `registry/name`, the key of stored credentials.
    pub(super) fn repository(&self) -> &str {
        &self.repository
    }

    /// The address of the manifest.
    pub(super) fn manifest_url(&self) -> String {
        let scheme = if is_local(&self.repository) { "http" } else { "https" };
        format!("{scheme}://{}/v2/{}/manifests/{}", self.host(), self.name(), self.version)
    }
}

impl fmt::Display for ImageReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let separator = if self.version.contains(':') { '@' } else { ':' };
        write!(f, "{}{separator}{}", self.repository, self.version)
    }
}

/// Whether a registry is on this machine: then plain HTTP is used, as docker does.
#[must_use]
pub fn is_local(reference: &str) -> bool {
    let host = reference.split('/').next().unwrap_or_default();
    let without_port = host.rsplit_once(':').map_or(host, |(host, _)| host);
    without_port == "localhost" || without_port.starts_with("127.") || without_port == "[::1]"
}
