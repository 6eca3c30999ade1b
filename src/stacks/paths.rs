//! Paths and globs of the repository: `/` between the parts, relative to its root.

use globset::{GlobBuilder, GlobMatcher};

use super::error::StackError;

/// The extensions a manifest can have, in the order in which they are tried.
const EXTENSIONS: [&str; 4] = [".yaml", ".yml", ".yaml.tmpl", ".yml.tmpl"];

/// Joins a path to a directory and resolves `.` and `..`; `None` where the result is outside of the
/// tree of files.
pub(super) fn join(directory: &str, path: &str) -> Option<String> {
    join_above(directory, path, 0)
}

/// As [`join`], in a tree of files that begins so many folders above the root of its paths.
pub(super) fn join_above(directory: &str, path: &str, above: usize) -> Option<String> {
    let mut parts: Vec<&str> = Vec::new();
    for part in directory.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." if parts.iter().all(|part| *part == "..") => {
                if parts.len() >= above {
                    return None;
                }
                parts.push("..");
            }
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// The path of the tree's own root from the root of its paths: `../..`.
pub(super) fn top(above: usize) -> String {
    vec![".."; above].join("/")
}

/// The directory that a file is in.
pub(super) fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(directory, _)| directory)
}

/// Whether a path is relative to the file that names it rather than to the stacks directory.
pub(super) fn is_relative_to_file(path: &str) -> bool {
    matches!(path.split('/').next(), Some("." | ".."))
}

/// Whether a path names many files.
pub(super) fn is_glob(path: &str) -> bool {
    path.contains(['*', '?', '[', '{'])
}

/// Whether a path ends in an extension of a manifest.
pub(super) fn has_extension(path: &str) -> bool {
    EXTENSIONS.iter().any(|extension| path.ends_with(extension))
}

/// Whether a manifest is a template as a whole, which may not be valid YAML before its evaluation.
pub(super) fn is_template_file(path: &str) -> bool {
    path.ends_with(".tmpl")
}

/// The paths that an import without its extension may mean, in the order in which they are tried.
pub(super) fn candidates(path: &str) -> Vec<String> {
    let with =
        |extensions: &[&str]| extensions.iter().map(|extension| format!("{path}{extension}")).collect();
    if is_template_file(path) {
        vec![path.to_owned()]
    } else if has_extension(path) {
        // A template of that name wins over the file itself.
        let mut paths: Vec<String> = with(&[".tmpl"]);
        paths.push(path.to_owned());
        paths
    } else {
        with(&EXTENSIONS)
    }
}

/// A manifest's name: its path from the stacks directory without the extension.
pub(super) fn manifest_name(base_path: &str, path: &str) -> String {
    let name = path
        .strip_prefix(base_path)
        .and_then(|rest| if base_path.is_empty() { Some(rest) } else { rest.strip_prefix('/') })
        .unwrap_or(path);
    let name = name.strip_suffix(".tmpl").unwrap_or(name);
    name.strip_suffix(".yaml").or_else(|| name.strip_suffix(".yml")).unwrap_or(name).to_owned()
}

/// A glob over the repository's files.
pub(super) struct Glob {
    matchers: Vec<GlobMatcher>,
}

impl Glob {
    /// The glob exactly as written.
    pub(super) fn exact(pattern: &str) -> Result<Self, StackError> {
        Ok(Self { matchers: vec![matcher(pattern)?] })
    }

    /// The glob, extended by every manifest extension if it has none.
    pub(super) fn of_manifests(pattern: &str) -> Result<Self, StackError> {
        if has_extension(pattern) {
            return Self::exact(pattern);
        }
        let with_extensions = EXTENSIONS.map(|extension| format!("{pattern}{extension}"));
        let mut matchers =
            with_extensions.iter().map(|pattern| matcher(pattern)).collect::<Result<Vec<_>, _>>()?;
        // The pattern may match the extension itself, as in `vpc.*`.
        if pattern.rsplit('/').next().is_some_and(|name| name.contains('.')) {
            matchers.push(matcher(pattern)?);
        }
        Ok(Self { matchers })
    }

    pub(super) fn matches(&self, path: &str) -> bool {
        self.matchers.iter().any(|matcher| matcher.is_match(path))
    }

    /// The deepest directory that contains everything the pattern can match.
    pub(super) fn directory(pattern: &str) -> &str {
        let fixed = pattern.find(['*', '?', '[', '{']).map_or(pattern, |at| &pattern[..at]);
        parent(fixed)
    }
}

fn matcher(pattern: &str) -> Result<GlobMatcher, StackError> {
    GlobBuilder::new(pattern)
        .literal_separator(true)
        .build()
        .map(|glob| glob.compile_matcher())
        .map_err(|error| StackError::Setting { setting: pattern.to_owned(), message: error.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_inside_the_repository() {
        assert_eq!(join("stacks/orgs", "../catalog/./vpc").as_deref(), Some("stacks/catalog/vpc"));
        assert_eq!(join("", "./a//b").as_deref(), Some("a/b"));
        assert_eq!(join("stacks", "../../etc"), None);
    }

    #[test]
    fn paths_lead_as_far_up_as_there_are_files() {
        assert_eq!(join_above("stacks", "../../shared/x", 1).as_deref(), Some("../shared/x"));
        assert_eq!(join_above("../shared", "../infra", 1).as_deref(), Some("../infra"));
        assert_eq!(join_above("../shared", "./y", 1).as_deref(), Some("../shared/y"));
        assert_eq!(join_above("stacks", "../../../etc", 1), None);
        assert_eq!(join_above("../shared", "../../etc", 1), None);
        assert_eq!(top(2), "../..");
    }

    #[test]
    fn manifests_are_named_from_the_stacks_directory() {
        assert_eq!(manifest_name("stacks", "stacks/orgs/dev.yaml"), "orgs/dev");
        assert_eq!(manifest_name("stacks", "stacks/orgs/dev.yml.tmpl"), "orgs/dev");
        assert_eq!(manifest_name("", "dev.yaml"), "dev");
        assert_eq!(manifest_name("stacks", "stacks-more/dev.yaml"), "stacks-more/dev");
    }

    #[test]
    fn globs_take_any_extension_of_a_manifest_and_no_separator() {
        let glob = Glob::of_manifests("stacks/orgs/**/*").unwrap();
        assert!(glob.matches("stacks/orgs/dev.yaml") && glob.matches("stacks/orgs/a/b/dev.yml"));
        assert!(!glob.matches("stacks/orgs/README.md") && !glob.matches("stacks/catalog/vpc.yaml"));
        assert!(!Glob::of_manifests("stacks/*").unwrap().matches("stacks/a/b.yaml"));
        assert!(Glob::of_manifests("stacks/vpc-?.*").unwrap().matches("stacks/vpc-1.yaml"));
        assert_eq!(Glob::directory("stacks/orgs/ac*/x"), "stacks/orgs");
        assert!(Glob::exact("stacks/[a").is_err());
    }
}
