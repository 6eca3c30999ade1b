//! `describe` as text.

use serde_json::Value;

use super::diff::shown;
use super::document::describe::{DeploymentDescription, DescribedComponent};
use super::escape::escape;
use super::style::{DETAIL, HEADING};
use super::table::{pad, widest};
use super::{Presentation, count, styled};
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
            push!(text, "{label}: {}\n", escape(&value));
        }
    }
    if !description.context.is_empty() {
        push!(text, "\n{}\n", styled("Context:", HEADING));
        value_lines(&mut text, "  ", &description.context, None);
    }
    let components = count(description.components.len(), "component");
    push!(text, "\n{}\n", styled(&format!("{components}:"), HEADING));
    for component in &description.components {
        component_lines(&mut text, component);
    }
    text
}

fn component_lines(text: &mut String, component: &DescribedComponent) {
    let name = format!("{}/{}", component.kind, component.component);
    let folder = component.folder.as_ref().filter(|folder| *folder != component.component.as_str());
    let folder = folder.map(|folder| format!(" (in {})", escape(folder))).unwrap_or_default();
    push!(text, "  {}{folder}\n", escape(&name));
    if !component.depends_on.is_empty() {
        let names: Vec<_> = component.depends_on.iter().map(AsRef::as_ref).collect();
        push!(text, "    depends on: {}\n", escape(&names.join(", ")));
    }
    if let (Some(workspace), Some(stack)) = (&component.workspace, &component.stack) {
        let location = component.state.as_ref().map(|state| format!(", {state}")).unwrap_or_default();
        let place = format!("workspace {workspace} of the stack {stack}{location}");
        push!(text, "    state: {}\n", styled(&escape(&place), DETAIL));
    }
    if let Some(code) = &component.code {
        let version = code.version.as_ref().map(|version| format!("@{version}")).unwrap_or_default();
        let place = styled(&format!("({})", escape(&code.declared_at)), DETAIL);
        push!(text, "    code: {}{}  {place}\n", escape(&code.source), escape(&version));
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
        if let Some(source) = sources.and_then(|sources| nearest_source(sources, path)) {
            let source = styled(&format!("({})", escape(source)), DETAIL);
            push!(text, "{indent}{}  {source}\n", pad(&line, width));
        } else {
            push!(text, "{indent}{line}\n");
        }
    }
}

/// The source of a value, by default that of the nearest map that contains it.
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

#[cfg(test)]
mod tests {

    use super::super::fixtures::{json, plain, terminal};
    use super::*;
    use crate::deployment::ComponentKind;
    use crate::deployment::fixtures::{component_name, target_name};

    fn values(value: &Value) -> Values {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn values_and_where_they_came_from() {
        let sources = [("source", "deployments/api.yaml"), ("autoscale", "target prod")]
            .map(|(path, source)| (path.to_owned(), source.to_owned()));
        let vars = serde_json::json!({"source": "./services/\u{1b}api", "autoscale": {"max": 32, "tags": []}, "env": {}});
        let description = DeploymentDescription {
            deployment: "api".parse().unwrap(),
            description: Some("REST API".to_owned()),
            labels: [("team".to_owned(), "backend".to_owned())].into_iter().collect(),
            stacks: vec!["platform/vpc".to_owned(), "ecs".to_owned()],
            targets: ["dev", "prod"].map(target_name).to_vec(),
            target: Some(target_name("prod")),
            context: values(&serde_json::json!({"cpu": 2048, "version": "1.0"})),
            components: vec![DescribedComponent {
                component: component_name("api"),
                kind: ComponentKind::Nixpack,
                folder: Some("service".to_owned()),
                labels: crate::deployment::definition::Labels::new(),
                depends_on: vec![component_name("ecr/api")],
                stack: Some("acme-prod".to_owned()),
                workspace: Some("acme-prod-api".to_owned()),
                state: Some("s3 states/api/acme-prod-api/terraform.tfstate".to_owned()),
                vars: values(&vars),
                sources: Some(sources.into_iter().collect()),
                code: None,
                context_overrides: [("autoscale.max".to_owned(), "32".to_owned())].into(),
            }],
        };
        insta::assert_snapshot!("describe", plain(&text(&description, &terminal())));
        insta::assert_snapshot!("describe_json", json(&description));
    }
}
