//! The documents' claims: links, error codes, keys of deployment files, schemas.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn read(path: impl AsRef<Path>) -> String {
    let path = Path::new(ROOT).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The files below a folder of the repository with this ending.
fn files(folder: &str, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![Path::new(ROOT).join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.to_str().unwrap().ends_with(ending) {
                found.push(path);
            }
        }
    }
    found
}

/// The documents: Markdown files in the root, and all of `docs/`.
fn documents() -> Vec<PathBuf> {
    let root = fs::read_dir(ROOT).unwrap().map(|entry| entry.unwrap().path());
    root.filter(|path| path.extension().is_some_and(|ending| ending == "md"))
        .chain(files("docs", ".md"))
        .collect()
}

/// The targets of the links in a document, except for links in code.
fn links(document: &str) -> Vec<String> {
    let mut in_code = false;
    let mut links = Vec::new();
    for line in document.lines() {
        in_code ^= line.starts_with("```");
        if in_code {
            continue;
        }
        let mut rest = line;
        while let Some((_, after)) = rest.split_once("](") {
            let (target, after) = after.split_once(')').unwrap_or((after, ""));
            links.push(target.to_owned());
            rest = after;
        }
    }
    links
}

/// The anchors that GitHub and GitLab make of a document's headings.
fn anchors(document: &str) -> BTreeSet<String> {
    let headings = document.lines().filter(|line| line.starts_with('#'));
    headings
        .map(|heading| {
            let text = heading.trim_start_matches('#').trim().to_lowercase();
            let kept = text.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
            kept.map(|c| if c == ' ' { '-' } else { c }).collect()
        })
        .collect()
}

#[test]
fn every_relative_link_leads_somewhere() {
    let mut broken = Vec::new();
    for path in documents() {
        let document = read(&path);
        for link in links(&document) {
            if link.contains("://") {
                continue;
            }
            let (file, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target = if file.is_empty() { path.clone() } else { path.parent().unwrap().join(file) };
            let leads = target.exists() && (anchor.is_empty() || anchors(&read(&target)).contains(anchor));
            if !leads {
                broken.push(format!("{}: {link}", path.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn the_tree_of_the_architecture_is_that_of_the_sources() {
    let modules: BTreeSet<_> = read("src/lib.rs")
        .lines()
        .filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'))
        .map(str::to_owned)
        .collect();
    assert!(modules.contains("deployment"), "the modules were not found: {modules:?}");
    let drawn: BTreeSet<_> = read("docs/architecture.md")
        .lines()
        .filter_map(|line| line.strip_prefix("  ")?.split_whitespace().next())
        .filter_map(|name| name.strip_suffix('/').or_else(|| name.strip_suffix(".rs")))
        .filter(|name| *name != "main")
        .map(str::to_owned)
        .collect();
    assert_eq!(drawn, modules, "docs/architecture.md draws another tree than src/lib.rs");
}

#[test]
fn every_error_code_is_that_of_some_error() {
    let codes = read("src/error/code.rs");
    let codes: BTreeSet<_> = codes
        .lines()
        .filter_map(|line| line.strip_prefix("        ")?.split_once(" \""))
        .map(|(variant, _)| variant.trim())
        .filter(|variant| variant.chars().all(char::is_alphanumeric) && !variant.is_empty())
        .collect();
    assert!(codes.contains("PromotionPath"), "the codes were not found: {codes:?}");
    let sources: Vec<_> = files("src", ".rs").iter().map(read).collect();
    let is_used = |code: &&&str| {
        let used = format!("Code::{code}");
        let ends = |rest: &str| !rest.starts_with(char::is_alphanumeric);
        sources
            .iter()
            .any(|source| source.match_indices(&used).any(|(at, _)| ends(&source[at + used.len()..])))
    };
    let unused: Vec<_> = codes.iter().filter(|code| !is_used(code)).collect();
    assert!(unused.is_empty(), "no error has these codes: {unused:?}");
}

#[test]
fn every_key_of_a_deployment_file_is_documented() {
    fn keys(value: &serde_json::Value, found: &mut BTreeSet<String>) {
        if let Some(properties) = value["properties"].as_object() {
            found.extend(properties.keys().cloned());
        }
        let inner = value.as_object().map(|map| map.values().collect::<Vec<_>>());
        let inner = inner.or_else(|| value.as_array().map(|items| items.iter().collect()));
        for inner in inner.into_iter().flatten() {
            keys(inner, found);
        }
    }
    let schema = serde_json::from_str(&read("schema/deployment.schema.json")).unwrap();
    let documented = read("docs/deployment-files.md");
    let words: BTreeSet<_> = documented.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
    let mut known = BTreeSet::new();
    keys(&schema, &mut known);
    assert!(known.contains("approval_method"), "the keys were not found: {known:?}");
    let missing: Vec<_> = known.iter().filter(|key| !words.contains(key.as_str())).collect();
    assert!(missing.is_empty(), "docs/deployment-files.md does not speak of {missing:?}");
}

#[test]
fn every_schema_is_linked() {
    let linked = links(&read("docs/json.md"));
    for path in files("schema", ".json") {
        let link = format!("../schema/{}", path.file_name().unwrap().to_str().unwrap());
        assert!(linked.contains(&link), "docs/json.md does not link to {link}");
    }
}

#[test]
fn the_places_that_architecture_and_contributing_name_exist() {
    let mut named = 0;
    for document in ["docs/architecture.md", "CONTRIBUTING.md"] {
        let text = read(document);
        for code in text.split('`').skip(1).step_by(2) {
            let is_place =
                ["src/", "tests/", "docs/", "schema/", "examples/"].iter().any(|top| code.starts_with(top));
            if is_place && !code.contains(['<', '{', ' ', '*', '\n']) {
                assert!(Path::new(ROOT).join(code).exists(), "{document} names {code}");
                named += 1;
            }
        }
    }
    assert!(named > 20, "only {named} places were found");
}
