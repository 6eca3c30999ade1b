//! A component's names in external tools: `spacelift_stack` and `atlantis_project`.

use super::error::StackError;
use super::evaluate::Evaluator;
use super::name::by_tokens;
use super::value::{Map, Value};

/// The names that follow from `settings.spacelift` and `settings.atlantis`;
/// templates see them by these keys.
pub(super) fn names(
    stack_name: &str,
    component: &str,
    sections: &Map,
    evaluator: &Evaluator<'_>,
) -> Result<Vec<(&'static str, String)>, StackError> {
    let settings_of = |tool: &str| sections.get("settings")?.as_map()?.get(tool)?.as_map();
    let component = component.replace('/', "-");
    let mut names = Vec::new();
    if let Some(spacelift) = settings_of("spacelift")
        && spacelift.get("workspace_enabled") == Some(&Value::Bool(true))
    {
        let text = |key: &str| spacelift.get(key).and_then(Value::as_str);
        let name = match (text("stack_name_pattern"), text("stack_name")) {
            (Some(pattern), _) => by_tokens(pattern, &component, None, evaluator)?,
            (None, Some(name)) => name.to_owned(),
            (None, None) => format!("{stack_name}-{component}").replace('/', "-"),
        };
        names.push(("spacelift_stack", name));
    }
    let template = settings_of("atlantis").and_then(|atlantis| atlantis.get("project_template")?.as_map());
    if let Some(pattern) = template.and_then(|template| template.get("name")?.as_str())
        && !pattern.is_empty()
    {
        names.push(("atlantis_project", by_tokens(pattern, &component, None, evaluator)?));
    }
    Ok(names)
}
