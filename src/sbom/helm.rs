//! The charts of a helmfile component: those of its releases, and those that charts of the
//! repository pin in turn.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

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

/// `Chart.lock`, and the part of `Chart.yaml` that declares the dependencies to lock.
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

/// The charts that the files of a folder name, and that the repository's own charts which these
/// release need.
#[must_use]
pub fn charts(root: &Path, folder: &Path) -> (Vec<Package>, Vec<ReadError>) {
    let mut packages = Vec::new();
    let mut problems = Vec::new();
    let mut open: BTreeSet<PathBuf> = files::below(folder, is_known).into_iter().collect();
    let mut seen = BTreeSet::new();
    while let Some(file) = open.pop_first() {
        if !seen.insert(file.clone()) {
            continue;
        }
        let found = if file.ends_with(LOCK) || file.ends_with(CHART) {
            dependencies(&file)
        } else {
            releases(&file).map(|(packages, local)| {
                let charts = local.iter().filter_map(|chart| inside(root, &file, chart));
                open.extend(charts.flat_map(|chart| files::below(&chart, is_known)));
                packages
            })
        };
        match found {
            Ok(found) => packages.extend(found),
            Err(problem) => problems.push(problem),
        }
    }
    (distinct(packages), problems)
}

const LOCK: &str = "Chart.lock";
const CHART: &str = "Chart.yaml";

fn is_known(name: &str) -> bool {
    let is_helmfile = name.starts_with("helmfile") && (name.ends_with(".yaml") || name.ends_with(".yml"));
    is_helmfile || [LOCK, CHART].contains(&name)
}

/// The folder of a chart of the repository itself.
fn inside(root: &Path, helmfile: &Path, chart: &str) -> Option<PathBuf> {
    let root = root.canonicalize().ok()?;
    let chart = helmfile.parent()?.join(chart).canonicalize().ok()?;
    (chart.starts_with(&root) && chart.is_dir()).then_some(chart)
}

/// The charts of elsewhere that a helmfile releases, and the paths of the repository's own ones.
fn releases(file: &Path) -> Result<(Vec<Package>, Vec<String>), ReadError> {
    let helmfile: Helmfile = yaml(file)?;
    let mut local = Vec::new();
    let repositories: BTreeMap<_, _> = helmfile
        .repositories
        .into_iter()
        .filter_map(|repository| Some((repository.name, repository.url?)))
        .collect();
    let charts = helmfile.releases.into_iter().filter_map(|release| {
        let chart = release.chart?;
        // Charts of the repository itself are the component.
        if chart.starts_with('.') || chart.starts_with('/') {
            local.push(chart);
            return None;
        }
        let (repository, name) = chart.rsplit_once('/').unwrap_or(("", &chart));
        let repository = repositories.get(repository).map_or(repository, |url| url);
        Some(package(name, release.version, Some(repository).filter(|url| !url.is_empty())))
    });
    Ok((charts.collect(), local))
}

/// The dependencies of a chart, as its lock file pins them; without one, as they are declared.
fn dependencies(file: &Path) -> Result<Vec<Package>, ReadError> {
    if file.ends_with(CHART) && file.with_file_name(LOCK).exists() {
        return Ok(Vec::new());
    }
    let lock: ChartLock = yaml(file)?;
    let foreign = lock.dependencies.into_iter().filter(|dependency| {
        !dependency.repository.as_ref().is_some_and(|repository| repository.starts_with("file:"))
    });
    Ok(foreign
        .map(|dependency| {
            let (pinned, range) = match dependency.version {
                Some(range) if !is_pinned(&range) => (None, Some(range)),
                version => (version, None),
            };
            let mut package = package(&dependency.name, pinned, dependency.repository.as_deref());
            package.properties.extend(range.map(|range| ("helm:version_range".to_owned(), range)));
            package
        })
        .collect())
}

/// Whether this is one version and no range of them.
fn is_pinned(version: &str) -> bool {
    let core = version.trim_start_matches('v').split(['-', '+']).next().unwrap_or_default();
    let numbers = core.split('.');
    numbers.clone().count() == 3 && numbers.into_iter().all(|number| number.parse::<u64>().is_ok())
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
    // The parser has limits of its own against small files that expand to large documents.
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
        let (packages, problems) = charts(folder.path(), folder.path());
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

    #[test]
    fn a_chart_of_the_repository_tells_what_it_needs_also_without_a_lock_file() {
        let folder = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = folder.path().join("checkout").join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        let needs = |name: &str, version: &str| {
            format!(
                "name: own\nversion: 1.0.0\ndependencies:\n- name: {name}\n  version: {version:?}\n  repository: https://charts.example.com\n"
            )
        };
        write(
            "components/helmfile/shop/helmfile.yaml",
            "releases:\n- { name: a, chart: ../../../charts/a }\n- { name: b, chart: ../../../charts/b }\n\
             - { name: out, chart: ../../../../out }\n",
        );
        write("charts/a/Chart.yaml", &needs("redis", "18.1.0"));
        write("charts/b/Chart.yaml", &needs("postgresql", "^13.0.0"));
        write("charts/b/charts/c/Chart.yaml", &needs("common", "~2.1"));
        write("charts/b/charts/c/Chart.lock", &needs("common", "2.1.7"));
        write("../out/Chart.yaml", &needs("elsewhere", "1.0.0"));
        let root = folder.path().join("checkout");
        let (packages, problems) = charts(&root, &root.join("components/helmfile/shop"));
        assert!(problems.is_empty(), "{problems:?}");
        let named: Vec<_> = packages.iter().map(|one| (one.name.as_str(), one.version.as_deref())).collect();
        assert_eq!(named, [("common", Some("2.1.7")), ("postgresql", None), ("redis", Some("18.1.0"))]);
        assert!(packages[1].properties.contains(&("helm:version_range".to_owned(), "^13.0.0".to_owned())));
    }
}
