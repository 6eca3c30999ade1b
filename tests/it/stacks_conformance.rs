//! Stacks against the reference implementation: its own scenarios, and the values that it recorded for them.
//!
//! The scenarios are not part of the repository. They are looked for in `ATMOS_CONFORMANCE_DIR`, else in
//! `../shared/conformance/stacks`; without them the test is skipped, unless `ATMOS_TEST_REQUIRE` lists
//! `conformance`.

use std::path::{Path, PathBuf};

use atmos_deployments::stacks::{
    Describer, DirectoryFiles, Functions, KindSettings, ListMergeStrategy, OutputRequest, Processing,
    StackReader, StackSettings,
};
use serde_json::{Map, Value as Json};

/// A world in which nothing is set, as the values were recorded in.
struct Nothing;

impl Functions for Nothing {
    fn environment(&self, _: &str) -> Option<String> {
        None
    }

    fn repository_root(&self) -> Option<String> {
        None
    }

    fn terraform_output(&self, _: &OutputRequest<'_>) -> Result<Json, String> {
        Err("nothing is deployed".to_owned())
    }
}

#[test]
fn stacks_mean_what_the_reference_implementation_recorded() {
    let Some(cases) = cases() else { return };
    let failures: Vec<String> = cases.iter().flat_map(|case| failures(case)).collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// The directories of the cases; nothing, with a word why, where there are none to be had.
pub(crate) fn cases() -> Option<Vec<PathBuf>> {
    let directory = match std::env::var_os("ATMOS_CONFORMANCE_DIR") {
        Some(directory) => PathBuf::from(directory),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/conformance/stacks"),
    };
    let Ok(entries) = directory.read_dir() else {
        let is_required = std::env::var("ATMOS_TEST_REQUIRE").is_ok_and(|list| list.contains("conformance"));
        assert!(!is_required, "the conformance cases are required, but not there");
        eprintln!("skipped: there are no conformance cases; set ATMOS_CONFORMANCE_DIR");
        return None;
    };
    let mut cases: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    cases.retain(|case| case.join("expected.json").is_file());
    cases.sort();
    assert!(!cases.is_empty(), "no conformance case was found");
    Some(cases)
}

/// Every difference between what a case expects and what comes out.
fn failures(case: &Path) -> Vec<String> {
    let name = case.file_name().unwrap_or_default().to_string_lossy();
    let expected: Json =
        serde_json::from_str(&std::fs::read_to_string(case.join("expected.json")).unwrap()).unwrap();
    let settings = settings(&std::fs::read_to_string(case.join("atmos.yaml")).unwrap());
    let files = DirectoryFiles::new(case);
    let reader = StackReader::new(&files, &settings);
    let stacks = match reader.all() {
        Ok(stacks) => stacks,
        Err(error) => return vec![format!("{name}: {error}")],
    };
    let describer = Describer::new(&reader, &Nothing, Processing::DESCRIBE);
    let mut failures = Vec::new();
    for entry in expected["cases"].as_array().unwrap() {
        let (stack, component) = (entry["stack"].as_str().unwrap(), entry["component"].as_str().unwrap());
        let outcome = describer.find(&stacks, stack, None, component);
        match (outcome, entry.get("error")) {
            (Ok(_), Some(why)) => {
                failures.push(format!("{name}: {component} in {stack} was found, but {why}"));
            }
            (Err(_), Some(_)) => {}
            (Err(error), None) => failures.push(format!("{name}: {component} in {stack}: {error}")),
            (Ok(component_found), None) => {
                let expected = entry["expect"].as_object().unwrap();
                let whole = expected.len() > 1;
                for (section, value) in expected {
                    if let Some(difference) = difference(&component_found.sections, section, value, whole) {
                        failures.push(format!("{name}: {component} in {stack}: {difference}"));
                    }
                }
            }
        }
    }
    failures
}

/// How a section differs from what is expected. Where only `vars` are given, others may exist.
pub(crate) fn difference(
    described: &Map<String, Json>,
    section: &str,
    expected: &Json,
    whole: bool,
) -> Option<String> {
    let Some(found) = described.get(section) else {
        return Some(format!("there is no `{section}`"));
    };
    if whole || section != "vars" {
        return (found != expected).then(|| format!("`{section}` is {found}, not {expected}"));
    }
    let wrong = expected.as_object()?.iter().find(|(name, value)| !holds(found, name, value))?;
    Some(format!("`{section}` is {found}, where `{}` must be {}", wrong.0, wrong.1))
}

/// Whether a variable has a value. The recorded expectations name a variable inside a map by its last key alone.
fn holds(variables: &Json, name: &str, value: &Json) -> bool {
    match variables.get(name) {
        Some(found) => found == value,
        None => variables.as_object().is_some_and(|map| map.values().any(|inner| holds(inner, name, value))),
    }
}

/// The settings of an `atmos.yaml`, as far as the scenarios set them.
fn settings(atmos_yaml: &str) -> StackSettings {
    let config: Json = serde_yaml::from_str(atmos_yaml).unwrap();
    let text = |pointer: &str| config.pointer(pointer).and_then(Json::as_str).map(ToOwned::to_owned);
    let list = |pointer: &str| -> Vec<String> {
        let items = config.pointer(pointer).and_then(Json::as_array);
        items.into_iter().flatten().filter_map(Json::as_str).map(ToOwned::to_owned).collect()
    };
    let flag = |pointer: &str| config.pointer(pointer).and_then(Json::as_bool);
    let terraform = KindSettings {
        base_path: text("/components/terraform/base_path"),
        command: text("/components/terraform/command"),
    };
    let template_env = config.pointer("/templates/settings/env").and_then(Json::as_object);
    let delimiters = list("/templates/settings/delimiters");
    let default = StackSettings::default();
    StackSettings {
        templates: flag("/templates/settings/enabled").unwrap_or(default.templates),
        template_delimiters: match delimiters.as_slice() {
            [left, right] => (left.clone(), right.clone()),
            _ => default.template_delimiters.clone(),
        },
        template_env: template_env
            .into_iter()
            .flatten()
            .filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
            .collect(),
        base_path: text("/stacks/base_path").unwrap_or_default(),
        included_paths: list("/stacks/included_paths"),
        excluded_paths: list("/stacks/excluded_paths"),
        name_pattern: text("/stacks/name_pattern"),
        name_template: text("/stacks/name_template"),
        list_merge_strategy: text("/settings/list_merge_strategy")
            .map(|strategy| ListMergeStrategy::parse(&strategy).unwrap())
            .unwrap_or_default(),
        workspaces_enabled: flag("/components/terraform/workspaces_enabled").unwrap_or(true),
        kinds: [("terraform".to_owned(), terraform)].into(),
        ..default
    }
}
