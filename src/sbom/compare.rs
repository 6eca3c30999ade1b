//! The comparison of two versions of a deployment: the dependencies that a promotion would change.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::document::Bom;
use super::summary::{Dependency, summarise};

/// The difference of two documents, by component. Components that are the same are left out.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, schemars::JsonSchema)]
pub struct SbomComparison {
    pub components: Vec<ComponentChange>,
}

/// What changes in one component.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct ComponentChange {
    pub component: String,
    /// The component's own version: of an image, its digest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// Its dependencies that change, by name.
    pub dependencies: Vec<VersionChange>,
}

/// A dependency that comes, goes or changes its version. Of one that a component has in several versions, all of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct VersionChange {
    pub name: String,
    /// Empty where it is new.
    pub from: Vec<String>,
    /// Empty where it is gone.
    pub to: Vec<String>,
}

impl SbomComparison {
    /// The number of dependencies that are added, removed and changed.
    #[must_use]
    pub fn counts(&self) -> (usize, usize, usize) {
        let changes = self.components.iter().flat_map(|component| &component.dependencies);
        changes.fold((0, 0, 0), |(added, removed, changed), change| {
            match (change.from.is_empty(), change.to.is_empty()) {
                (true, _) => (added + 1, removed, changed),
                (_, true) => (added, removed + 1, changed),
                _ => (added, removed, changed + 1),
            }
        })
    }
}

/// Compares two documents.
#[must_use]
pub fn compare(from: &Bom, to: &Bom) -> SbomComparison {
    let by_name = |bom: &Bom| -> BTreeMap<String, (Option<String>, Vec<Dependency>)> {
        let components = summarise(bom).components.into_iter();
        components.map(|component| (component.name, (component.version, component.dependencies))).collect()
    };
    let (before, after) = (by_name(from), by_name(to));
    let nothing = (None, Vec::new());
    let names: BTreeSet<_> = before.keys().chain(after.keys()).collect();
    let components = names.into_iter().filter_map(|name| {
        let (from, older) = before.get(name).unwrap_or(&nothing);
        let (to, newer) = after.get(name).unwrap_or(&nothing);
        let dependencies = version_changes(older, newer);
        // A commit is no dependency of a component: without other dependencies nothing has changed.
        let image =
            |version: &Option<String>| version.clone().filter(|version| version.starts_with("sha256:"));
        let (from, to) = (image(from), image(to));
        (from != to || !dependencies.is_empty() || before.contains_key(name) != after.contains_key(name))
            .then(|| ComponentChange { component: name.clone(), from, to, dependencies })
    });
    SbomComparison { components: components.collect() }
}

/// Compares the dependencies of a component by name: added, removed, or of another version.
#[must_use]
pub fn version_changes(older: &[Dependency], newer: &[Dependency]) -> Vec<VersionChange> {
    let versions = |dependencies: &[Dependency]| {
        let mut versions: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for dependency in dependencies {
            let version = dependency.version.clone().unwrap_or_else(|| "unknown".to_owned());
            versions.entry(dependency.name.clone()).or_default().insert(version);
        }
        versions
    };
    let (before, after) = (versions(older), versions(newer));
    let none = BTreeSet::new();
    let names: BTreeSet<_> = before.keys().chain(after.keys()).collect();
    let changed = names.into_iter().filter_map(|name| {
        let (from, to) = (before.get(name).unwrap_or(&none), after.get(name).unwrap_or(&none));
        let list = |versions: &BTreeSet<String>| versions.iter().cloned().collect();
        (from != to).then(|| VersionChange { name: name.clone(), from: list(from), to: list(to) })
    });
    changed.collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_comes_goes_and_changes_is_told_by_component() {
        let bom = |api: serde_json::Value| {
            let document = json!({ "bomFormat": "CycloneDX", "components": [
                { "name": "api", "version": "sha256:a", "components": api },
                { "name": "ecr", "version": "a commit" },
            ]});
            Bom::parse(document.to_string().as_bytes()).unwrap()
        };
        let from = bom(
            json!([{ "name": "gone", "version": "1" }, { "name": "x", "version": "1" }, { "name": "same" }]),
        );
        let to = bom(
            json!([{ "name": "new", "version": "1" }, { "name": "x", "version": "2" }, { "name": "same" }]),
        );
        let comparison = compare(&from, &to);
        assert_eq!(comparison.counts(), (1, 1, 1));
        let [api] = &comparison.components[..] else { panic!("{comparison:?}") };
        let names: Vec<_> = api.dependencies.iter().map(|change| change.name.as_str()).collect();
        assert_eq!(names, ["gone", "new", "x"]);
        assert_eq!(compare(&from, &from), SbomComparison::default());
    }
}
