//! The names that follow from a component's variables: its stack's and its terraform workspace's.

use std::sync::Arc;

use super::component::TERRAFORM;
use super::error::StackError;
use super::evaluate::Evaluator;
use super::settings::StackSettings;
use super::stack::Stack;
use super::value::{Location, Map, Value};

/// Terraform's default workspace.
const DEFAULT_WORKSPACE: &str = "default";

/// The one valid name of a stack: the manifest's own, else by template, else by pattern, else the
/// file's.
pub(super) fn stack_name(
    settings: &StackSettings,
    stack: &Stack,
    component: &str,
    evaluator: &Evaluator<'_>,
) -> Result<String, StackError> {
    if let Some(name) = stack.manifest_name() {
        return Ok(name.to_owned());
    }
    if let Some(template) = &settings.name_template {
        let at = Location { file: Arc::from("stacks.name_template"), line: 1, column: 1 };
        return evaluator.name(template, &at).map_err(|error| match error {
            // The template is shared by the repository; the error names the component that it fails
            // for.
            StackError::Unsupported { what, at } if *at.file == *"stacks.name_template" => StackError::Name {
                file: stack.file().to_owned(),
                component: component.to_owned(),
                message: format!("{at}: {what}"),
            },
            error => error,
        });
    }
    let by_pattern = match &settings.name_pattern {
        Some(pattern) => name_by_pattern(pattern, evaluator)?,
        None => None,
    };
    // A stack that lacks a variable of the pattern is named after its file.
    Ok(by_pattern.unwrap_or_else(|| stack.file().to_owned()))
}

/// Evaluates a pattern's tokens, joined by `-`; `None` where a variable is missing.
fn name_by_pattern(pattern: &str, evaluator: &Evaluator<'_>) -> Result<Option<String>, StackError> {
    let mut parts = Vec::new();
    for token in pattern.split('-') {
        let variable = match token {
            "{namespace}" => "namespace",
            "{tenant}" => "tenant",
            "{environment}" => "environment",
            "{stage}" => "stage",
            _ => continue,
        };
        match text_variable(variable, evaluator)? {
            Some(value) => parts.push(value),
            None => return Ok(None),
        }
    }
    Ok(Some(parts.join("-")).filter(|name| !name.is_empty()))
}

fn text_variable(name: &str, evaluator: &Evaluator<'_>) -> Result<Option<String>, StackError> {
    let value = evaluator.data.get("vars").and_then(Value::as_map).and_then(|vars| vars.get(name));
    match value.map(|value| evaluator.value(value)).transpose()?.flatten() {
        Some(serde_json::Value::String(text)) if !text.is_empty() => Ok(Some(text)),
        _ => Ok(None),
    }
}

/// The component that another one is derived from, unless that is itself: `metadata.component`,
/// else `component`.
pub(super) fn base_component<'s>(sections: &'s Map, component: &str) -> Option<&'s str> {
    let metadata = sections.get("metadata").and_then(Value::as_map);
    let of_metadata = metadata.and_then(|metadata| metadata.get("component")).and_then(Value::as_str);
    of_metadata
        .or_else(|| sections.get("component")?.as_str())
        .filter(|base| *base != component && !base.is_empty())
}

/// The terraform workspace: `<stack>`, or `<stack>-<component>` where the
/// component has a base; `/` becomes `-`.
///
/// `metadata.terraform_workspace`, `…_template` or `…_pattern` set it instead,
/// the first of them that is there.
pub(super) fn workspace(
    settings: &StackSettings,
    stack_name: &str,
    component: &str,
    sections: &Map,
    evaluator: &Evaluator<'_>,
) -> Result<String, StackError> {
    let is_http = sections.get("backend_type").and_then(Value::as_str) == Some("http");
    if !settings.workspaces_enabled || is_http {
        return Ok(DEFAULT_WORKSPACE.to_owned());
    }
    let metadata = |key: &str| sections.get("metadata")?.as_map()?.get(key);
    let text = |key: &str| metadata(key).map(written).filter(|text| !text.is_empty());
    let name = if text("terraform_workspace").is_some() {
        match metadata("terraform_workspace").map(|value| evaluator.value(value)).transpose()?.flatten() {
            Some(serde_json::Value::String(name)) => name,
            _ => stack_name.to_owned(),
        }
    } else if let Some(template) = text("terraform_workspace_template") {
        let at = match metadata("terraform_workspace_template") {
            Some(Value::Call(call)) => call.at.clone(),
            _ => Location { file: Arc::from(stack_name), line: 1, column: 1 },
        };
        evaluator.name(template, &at)?
    } else if let Some(pattern) = text("terraform_workspace_pattern") {
        by_tokens(pattern, component, base_component(sections, component), evaluator)?
    } else if base_component(sections, component).is_some() {
        format!("{stack_name}-{component}")
    } else {
        stack_name.to_owned()
    };
    Ok(name.replace('/', "-"))
}

/// The unevaluated text, its templates included.
fn written(value: &Value) -> &str {
    match value {
        Value::Call(call) => call.argument.as_str().unwrap_or_default(),
        value => value.as_str().unwrap_or_default(),
    }
}

/// A pattern with its tokens filled in, such as `{tenant}-{component}`.
pub(super) fn by_tokens(
    pattern: &str,
    component: &str,
    base: Option<&str>,
    evaluator: &Evaluator<'_>,
) -> Result<String, StackError> {
    let mut name =
        pattern.replace("{base-component}", base.unwrap_or_default()).replace("{component}", component);
    for variable in ["namespace", "tenant", "environment", "region", "stage"] {
        let token = format!("{{{variable}}}");
        if name.contains(&token) {
            name = name.replace(&token, &text_variable(variable, evaluator)?.unwrap_or_default());
        }
    }
    if name.contains("{attributes}") {
        let attributes =
            evaluator.data.get("vars").and_then(Value::as_map).and_then(|vars| vars.get("attributes"));
        let attributes = attributes.and_then(Value::as_list).unwrap_or_default();
        let attributes: Vec<&str> = attributes.iter().filter_map(Value::as_str).collect();
        name = name.replace("{attributes}", &attributes.join("-"));
    }
    Ok(name)
}

/// The name of the file that terraform reads a component's variables from.
pub(super) fn variables_file(stack_name: &str, component: &str, base: Option<&str>) -> String {
    let (own_folder, name) = component.rsplit_once('/').unwrap_or(("", component));
    // The folders of the base replace the component's own.
    let folder = base.map_or(own_folder, |base| base.rsplit_once('/').map_or("", |(folder, _)| folder));
    let parts = [stack_name, folder, name];
    let parts: Vec<String> =
        parts.iter().filter(|part| !part.is_empty()).map(|part| part.replace('/', "-")).collect();
    format!("{}.{TERRAFORM}.tfvars.json", parts.join("-"))
}
