//! The charts of a helmfile component: its releases, and what the charts of the repository pin in turn.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use super::files::{self, ReadError};
use super::package::{Package, distinct};
use super::purl;

#[derive(Deserialize, Default)]
#[serde(default)]
struct Helmfile {
    repositories: Vec<Repository>,
    releases: Vec<Release>,
}

#[derive(Deserialize)]
struct Repository {
    name: String,
    url: Option<String>,
}

#[derive(Deserialize)]
struct Release {
    chart: Option<String>,
    version: Option<String>,
}

/// `Chart.lock`.
#[derive(Deserialize, Default)]
#[serde(default)]
struct ChartLock {
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    version: Option<String>,
    repository: Option<String>,
}

/// The charts that the files of a folder name.
#[must_use]
pub fn charts(folder: &Path) -> (Vec<Package>, Vec<ReadError>) {
    let mut packages = Vec::new();
    let mut problems = Vec::new();
    let wanted = |name: &str| {
        (name.starts_with("helmfile") && (name.ends_with(".yaml") || name.ends_with(".yml")))
            || name == "Chart.lock"
    };
    for file in files::below(folder, wanted) {
        let found = if file.ends_with("Chart.lock") { dependencies(&file) } else { releases(&file) };
        match found {
            Ok(found) => packages.extend(found),
            Err(problem) => problems.push(problem),
        }
    }
    (distinct(packages), problems)
}

fn releases(file: &Path) -> Result<Vec<Package>, ReadError> {
    let helmfile: Helmfile = yaml(file)?;
    let repositories: BTreeMap<_, _> = helmfile
        .repositories
        .into_iter()
        .filter_map(|repository| Some((repository.name, repository.url?)))
        .collect();
    let charts = helmfile.releases.into_iter().filter_map(|release| {
        let chart = release.chart?;
        // Charts of the repository itself are the component.
        if chart.starts_with('.') || chart.starts_with('/') {
            return None;
        }
        let (repository, name) = chart.rsplit_once('/').unwrap_or(("", &chart));
        let repository = repositories.get(repository).map_or(repository, |url| url);
        Some(package(name, release.version, Some(repository).filter(|url| !url.is_empty())))
    });
    Ok(charts.collect())
}

fn dependencies(file: &Path) -> Result<Vec<Package>, ReadError> {
    let lock: ChartLock = yaml(file)?;
    let foreign = lock.dependencies.into_iter().filter(|dependency| {
        !dependency.repository.as_ref().is_some_and(|repository| repository.starts_with("file:"))
    });
    Ok(foreign
        .map(|dependency| package(&dependency.name, dependency.version, dependency.repository.as_deref()))
        .collect())
}

fn package(name: &str, version: Option<String>, repository: Option<&str>) -> Package {
    Package {
        name: name.to_owned(),
        purl: purl::chart(name, version.as_deref(), repository),
        version,
        properties: repository
            .map(|url| ("helm:repository".to_owned(), url.to_owned()))
            .into_iter()
            .collect(),
        ..Package::default()
    }
}

fn yaml<T: for<'de> Deserialize<'de> + Default>(file: &Path) -> Result<T, ReadError> {
    let text = files::text(file)?;
    if files::is_too_deep(&text) {
        return Err(ReadError::malformed(file, "it is nested too deeply"));
    }
    // The reader has budgets of its own for what makes a small file large.
    let parsed: Option<T> =
        serde_saphyr::from_str(&text).map_err(|error| ReadError::malformed(file, error))?;
    Ok(parsed.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_and_pinned_dependencies_are_charts() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write(
            "helmfile.yaml",
            "repositories:\n  - name: bitnami\n    url: https://charts.example.com/bitnami\nreleases:\n  \
             - name: cache\n    chart: bitnami/redis\n    version: 18.1.0\n    values: [values.yaml]\n  \
             - name: own\n    chart: ./chart\n",
        );
        write(
            "Chart.lock",
            "dependencies:\n- name: common\n  repository: oci://registry.example.com/charts\n  version: 2.13.3\ndigest: x\n",
        );
        let (packages, problems) = charts(folder.path());
        assert!(problems.is_empty(), "{problems:?}");
        let purls: Vec<_> = packages.iter().filter_map(|package| package.purl.as_deref()).collect();
        assert_eq!(
            purls,
            [
                "pkg:helm/common@2.13.3?repository_url=oci:%2F%2Fregistry.example.com%2Fcharts",
                "pkg:helm/redis@18.1.0?repository_url=https:%2F%2Fcharts.example.com%2Fbitnami",
            ]
        );
    }
}
