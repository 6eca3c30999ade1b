//! Stacks against the reference implementation: its own scenarios, and the values that it recorded
//! for them.
//!
//! The scenarios are not part of the repository. They are looked for in `ATMOS_CONFORMANCE_DIR`,
//! else in `../shared/conformance/stacks`; without them the test is ignored.

use std::path::{Path, PathBuf};

use atmos_deployments::config::{self, atmos::Variable};
use atmos_deployments::deployment::ComponentKind;
use atmos_deployments::stacks::{
    self, Describer, DirectoryFiles, Functions, Inherit, KindSettings, ListMergeStrategy, OutputRequest,
    Processing, StackReader, StackSettings,
};
use serde_json::{Map, Value as Json};

use crate::support::{conformance_cases, insist_on};

/// An empty environment, like that in which the values were recorded.
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
#[cfg_attr(without_conformance, ignore = "needs conformance")]
fn stacks_mean_what_the_reference_implementation_recorded() {
    let cases = cases();
    let failures: Vec<String> = cases.iter().flat_map(|case| failures(case)).collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// The directories of the cases.
pub(crate) fn cases() -> Vec<PathBuf> {
    let entries = conformance_cases().read_dir();
    insist_on("conformance", entries.is_ok());
    let entries = entries.unwrap();
    let mut cases: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    cases.retain(|case| case.join("expected.json").is_file());
    cases.sort();
    assert!(!cases.is_empty(), "no conformance case was found");
    cases
}

/// All differences between the expected and the found values of a case.
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

/// The difference of a section from the expected one. If only `vars` are given, others may exist.
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

/// Whether a variable has a value. The recorded expectations name a variable
/// inside a map by its last key alone.
fn holds(variables: &Json, name: &str, value: &Json) -> bool {
    match variables.get(name) {
        Some(found) => found == value,
        None => variables.as_object().is_some_and(|map| map.values().any(|inner| holds(inner, name, value))),
    }
}

/// The settings of an `atmos.yaml`, as far as they concern stacks.
fn settings(atmos_yaml: &str) -> StackSettings {
    let config = config::atmos::parse("atmos.yaml", atmos_yaml).unwrap();
    let default = StackSettings::default();
    let kind = |kind: ComponentKind| {
        let base_path = Some(config.components_directory(kind));
        (kind.as_str().to_owned(), KindSettings { base_path, command: Some(config.command(kind).to_owned()) })
    };
    let text = |value: &Variable| match value {
        Variable::Text(text) => stacks::Variable::Text(text.clone()),
        Variable::Function { .. } => panic!("the scenarios have no functions in `env` of atmos.yaml"),
    };
    StackSettings {
        base_path: config.stacks_directory(),
        included_paths: config.stacks.included_paths.clone().unwrap_or(default.included_paths.clone()),
        excluded_paths: config.stacks.excluded_paths.clone().unwrap_or(default.excluded_paths.clone()),
        name_pattern: config.stacks.name_pattern.clone(),
        name_template: config.stacks.name_template.clone(),
        inherit: Inherit {
            metadata: config.stacks.inherit_metadata.unwrap_or(true),
            source: config.stacks.inherit_source.unwrap_or(true),
        },
        list_merge_strategy: match config.list_merge_strategy {
            config::atmos::ListMergeStrategy::Replace => ListMergeStrategy::Replace,
            config::atmos::ListMergeStrategy::Append => ListMergeStrategy::Append,
            config::atmos::ListMergeStrategy::Merge => ListMergeStrategy::Merge,
        },
        templates: config.templates.enabled.unwrap_or(default.templates),
        github_integration: config.github_integration.clone(),
        env: config.env.iter().map(|(name, value)| (name.clone(), text(value))).collect(),
        workspaces_enabled: config.terraform.workspaces_enabled.unwrap_or(default.workspaces_enabled),
        kinds: [ComponentKind::Terraform, ComponentKind::Helmfile].map(kind).into(),
        template_delimiters: match &config.templates.delimiters {
            Some([left, right]) => (left.clone(), right.clone()),
            None => default.template_delimiters.clone(),
        },
        template_env: config.templates.env.clone(),
        ..default
    }
}
