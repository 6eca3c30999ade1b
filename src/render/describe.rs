//! `describe` as text.

use super::diff::shown;
use super::document::describe::{DeploymentDescription, DescribedComponent};
use super::escape::escape;
use super::style::{DETAIL, HEADING};
use super::table::{pad, widest};
use super::{Presentation, count, styled};
use serde_json::Value;

use crate::deployment::definition::Values;

/// The resolved configuration of a deployment or of one target.
#[must_use]
pub fn text(description: &DeploymentDescription, _: &Presentation) -> String {
    let title = match &description.target {
        Some(target) => format!("{} → {target}", description.deployment),
        None => description.deployment.to_string(),
    };
    let mut text = format!("{}\n\n", styled(&title, HEADING));
    let labels: Vec<_> = description.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let targets: Vec<_> = description.targets.iter().map(AsRef::as_ref).collect();
    for (label, value) in [
        ("Description", description.description.clone().unwrap_or_default()),
        ("Labels", labels.join(", ")),
        ("Stacks", description.stacks.join(", ")),
        ("Targets", targets.join(", ")),
    ] {
        if !value.is_empty() {
            text.push_str(&format!("{label}: {}\n", escape(&value)));
        }
    }
    if !description.context.is_empty() {
        text.push_str(&format!("\n{}\n", styled("Context:", HEADING)));
        value_lines(&mut text, "  ", &description.context, None);
    }
    let components = count(description.components.len(), "component");
    text.push_str(&format!("\n{}\n", styled(&format!("{components}:"), HEADING)));
    for component in &description.components {
        component_lines(&mut text, component);
    }
    text
}

fn component_lines(text: &mut String, component: &DescribedComponent) {
    let name = format!("{}/{}", component.kind, component.component);
    let folder = component.folder.as_ref().filter(|folder| *folder != component.component.as_str());
    let folder = folder.map(|folder| format!(" (in {})", escape(folder))).unwrap_or_default();
    text.push_str(&format!("  {}{folder}\n", escape(&name)));
    if !component.depends_on.is_empty() {
        let names: Vec<_> = component.depends_on.iter().map(AsRef::as_ref).collect();
        text.push_str(&format!("    depends on: {}\n", escape(&names.join(", "))));
    }
    value_lines(text, "    ", &component.vars, component.sources.as_ref());
}

/// `replicas: 2  (deployments/api.yaml)`, one line for each value that is not a map itself.
fn value_lines(
    text: &mut String,
    indent: &str,
    values: &Values,
    sources: Option<&indexmap::IndexMap<String, String>>,
) {
    let mut leaves = Vec::new();
    collect_leaves(&mut leaves, None, values);
    let lines: Vec<_> = leaves
        .iter()
        .map(|(path, value)| (path, format!("{}: {}", escape(path), shown(Some(value)))))
        .collect();
    let width = widest(lines.iter().map(|(_, line)| line.as_str()));
    for (path, line) in lines {
        let source = sources.and_then(|sources| nearest_source(sources, path));
        match source {
            Some(source) => {
                let source = styled(&format!("({})", escape(source)), DETAIL);
                text.push_str(&format!("{indent}{}  {source}\n", pad(&line, width)));
            }
            None => text.push_str(&format!("{indent}{line}\n")),
        }
    }
}

/// Where a value came from, or else the nearest map that holds it.
fn nearest_source<'a>(sources: &'a indexmap::IndexMap<String, String>, path: &str) -> Option<&'a str> {
    let mut path = path;
    loop {
        if let Some(source) = sources.get(path) {
            return Some(source);
        }
        (path, _) = path.rsplit_once('.')?;
    }
}

fn collect_leaves<'a>(leaves: &mut Vec<(String, &'a Value)>, path: Option<&str>, values: &'a Values) {
    for (key, value) in values {
        let path = path.map_or_else(|| key.clone(), |path| format!("{path}.{key}"));
        match value {
            Value::Object(inner) if !inner.is_empty() => collect_leaves(leaves, Some(&path), inner),
            _ => leaves.push((path, value)),
        }
    }
}
