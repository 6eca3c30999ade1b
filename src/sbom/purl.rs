//! Package URLs: one name for a package across tools.

use packageurl::PackageUrl;

/// `pkg:<kind>/<namespace>/<name>@<version>`; `None` where the kind's rules do not allow it.
pub(super) fn package(kind: &str, name: &str, version: Option<&str>) -> Option<String> {
    let (namespace, name) = match name.rsplit_once('/') {
        Some((namespace, name)) => (Some(namespace), name),
        None => (None, name),
    };
    // Go's rule, of which the library keeps the half that is about namespaces.
    let name = if kind == "golang" { name.to_ascii_lowercase() } else { name.to_owned() };
    let mut purl = PackageUrl::new(kind, name).ok()?;
    if let Some(namespace) = namespace {
        purl.with_namespace(namespace).ok()?;
    }
    if let Some(version) = version {
        purl.with_version(version).ok()?;
    }
    Some(purl.to_string())
}

/// A chart of a repository: `pkg:helm/<name>@<version>?repository_url=…`.
pub(super) fn chart(name: &str, version: Option<&str>, repository: Option<&str>) -> Option<String> {
    let mut purl = PackageUrl::new("helm", name).ok()?;
    if let Some(version) = version {
        purl.with_version(version).ok()?;
    }
    if let Some(repository) = repository {
        purl.add_qualifier("repository_url", repository).ok()?;
    }
    Some(purl.to_string())
}

/// An image by digest, of `registry/name@sha256:…`: `pkg:oci/<name>@sha256:…?repository_url=…`.
#[must_use]
pub fn image(reference: &str) -> Option<String> {
    let (repository, digest) = reference.split_once('@')?;
    let (_, name) = repository.rsplit_once('/').unwrap_or(("", repository));
    let mut purl = PackageUrl::new("oci", name.to_ascii_lowercase()).ok()?;
    purl.with_version(digest).ok()?;
    purl.add_qualifier("repository_url", repository).ok()?;
    Some(purl.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_written_by_the_rules_of_their_kind() {
        assert_eq!(package("npm", "@babel/core", Some("7.0.0")).unwrap(), "pkg:npm/%40babel/core@7.0.0");
        let go = package("golang", "github.com/gin-gonic/gin", Some("v1.9.1")).unwrap();
        assert_eq!(go, "pkg:golang/github.com/gin-gonic/gin@v1.9.1");
        let go = package("golang", "github.com/MakeNowJust/shurcooL-x", Some("v1")).unwrap();
        assert_eq!(go, "pkg:golang/github.com/makenowjust/shurcool-x@v1");
        assert_eq!(
            package("pypi", "Typing_Extensions", Some("4.9")).unwrap(),
            "pkg:pypi/typing-extensions@4.9"
        );
        let image = image("registry.example.com:5000/team/api@sha256:aa").unwrap();
        assert_eq!(image, "pkg:oci/api@sha256:aa?repository_url=registry.example.com:5000%2Fteam%2Fapi");
    }
}
