//! A document that another tool wrote about one component, as that component of the deployment.

use serde_json::{Value, json};

use crate::deployment::{CommitId, ComponentKind, ComponentName, DeploymentName};

use super::deployment_bom::{Bill, BilledComponent};
use super::document::Bom;

/// Adds a document to a component of the deployment: its entries become the component's
/// dependencies.
#[must_use]
pub fn as_component(
    bom: &Bom,
    deployment: &DeploymentName,
    commit: &CommitId,
    component: &ComponentName,
    kind: ComponentKind,
    now: jiff::Timestamp,
) -> Bom {
    let billed = BilledComponent {
        component: component.clone(),
        kind,
        image: None,
        packages: Vec::new(),
        read_from: None,
    };
    let bill = Bill { deployment, commit, generated_at: now, components: vec![billed] };
    let mut ours = bill.to_bom();
    let prefix = |reference: &Value| reference.as_str().map(|reference| format!("{component}#{reference}"));
    let mut listed = bom.components().to_vec();
    for listed in &mut listed {
        prefix_references(listed, &prefix);
    }
    let needs: Vec<_> =
        listed.iter().filter_map(|listed| listed["bom-ref"].as_str().map(str::to_owned)).collect();
    let mut dependencies = ours.get("dependencies").as_array().cloned().unwrap_or_default();
    for dependency in &mut dependencies {
        if dependency["ref"] == component.as_str() {
            dependency["dependsOn"] = json!(needs);
        }
    }
    for dependency in bom.get("dependencies").as_array().into_iter().flatten() {
        let Some(reference) = prefix(&dependency["ref"]) else { continue };
        let needs: Vec<_> =
            dependency["dependsOn"].as_array().into_iter().flatten().filter_map(prefix).collect();
        dependencies.push(json!({ "ref": reference, "dependsOn": needs }));
    }
    let map = ours.map_mut();
    map.insert("dependencies".to_owned(), dependencies.into());
    map.insert("specVersion".to_owned(), bom.get("specVersion").clone());
    if let Some(Value::Array(components)) = map.get_mut("components")
        && let Some(outer) = components.first_mut()
    {
        outer["components"] = listed.into();
    }
    if let Some(vulnerabilities) = bom.get("vulnerabilities").as_array() {
        map.insert("vulnerabilities".to_owned(), vulnerabilities.clone().into());
    }
    ours
}

fn prefix_references(component: &mut Value, prefix: &impl Fn(&Value) -> Option<String>) {
    if let Some(reference) = prefix(&component["bom-ref"]) {
        component["bom-ref"] = reference.into();
    }
    if let Some(components) = component.get_mut("components").and_then(Value::as_array_mut) {
        // The recursion is bounded by the JSON parser's depth limit.
        for component in components {
            prefix_references(component, prefix);
        }
    }
}
