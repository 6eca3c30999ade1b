//! Repository-relative paths as text: `/` between parts, the root is the empty string.

use std::path::Path;

/// Joins parts and resolves `.` and `..`, without access to the file system.
///
/// An absolute part replaces everything before it. A path out of the root keeps its leading `..`,
/// so that the caller can refuse it.
#[must_use]
pub fn join<'a>(parts: impl IntoIterator<Item = &'a str>) -> String {
    let mut absolute = false;
    let mut stack: Vec<&str> = Vec::new();
    for part in parts {
        if part.starts_with('/') {
            absolute = true;
            stack.clear();
        }
        for name in part.split('/') {
            match name {
                "" | "." => {}
                ".." if stack.last().is_some_and(|last| *last != "..") => {
                    stack.pop();
                }
                ".." if absolute => {}
                name => stack.push(name),
            }
        }
    }
    let joined = stack.join("/");
    if absolute { format!("/{joined}") } else { joined }
}

/// The relative path from one absolute directory to another, without access to the file system.
#[must_use]
pub fn between(from: &Path, to: &Path) -> String {
    let parts = |path: &Path| -> Vec<String> {
        let text = path.to_string_lossy().replace(std::path::MAIN_SEPARATOR, "/");
        join([text.as_str()]).split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect()
    };
    let (from, to) = (parts(from), parts(to));
    let shared = from.iter().zip(&to).take_while(|(one, other)| one == other).count();
    let up = from[shared..].iter().map(|_| "..");
    up.chain(to[shared..].iter().map(String::as_str)).collect::<Vec<_>>().join("/")
}

/// Whether a path stays below the root that it is relative to.
#[must_use]
pub fn is_inside(path: &str) -> bool {
    !path.starts_with('/') && path.split('/').all(|part| part != "..")
}

/// The parent directory of a path; `None` for the root itself.
pub(super) fn parent(path: &str) -> Option<&str> {
    if path.is_empty() { None } else { Some(path.rsplit_once('/').map_or("", |(parent, _)| parent)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dots_are_resolved_and_escapes_stay_visible() {
        assert_eq!(join(["", "./", "deployments"]), "deployments");
        assert_eq!(join(["infra", "../components", "terraform/"]), "components/terraform");
        assert_eq!(join(["infra", "../../x"]), "../x");
        assert_eq!(join(["infra", "/srv", "..", "..", "x"]), "/x");
        assert!(is_inside("a/b..c"));
        assert!(!is_inside("../x"));
        assert!(!is_inside("/x"));
    }

    #[test]
    fn the_way_between_directories_goes_up_and_down() {
        let between = |from: &str, to: &str| between(Path::new(from), Path::new(to));
        assert_eq!(between("/a/b", "/a/b/c/./d"), "c/d");
        assert_eq!(between("/a/b/c", "/a/d"), "../../d");
        assert_eq!(between("/a/b", "/a/b/c/.."), "");
        assert_eq!(between("/a", "/"), "..");
    }

    #[test]
    fn parents_end_at_the_root() {
        assert_eq!(parent("a/b"), Some("a"));
        assert_eq!(parent("a"), Some(""));
        assert_eq!(parent(""), None);
    }
}
