//! Parses Terraform's JSON: a plan's changes, a state's outputs.

use serde::Deserialize;

use crate::component::Changes;
use crate::deployment::definition::Values;

/// The relevant part of `terraform show -json <plan>`.
#[derive(Debug, Deserialize)]
struct Plan {
    #[serde(default)]
    resource_changes: Vec<ResourceChange>,
}

#[derive(Debug, Deserialize)]
struct ResourceChange {
    mode: String,
    change: Change,
}

#[derive(Debug, Deserialize)]
struct Change {
    actions: Vec<String>,
}

/// One output of `terraform output -json`.
#[derive(Debug, Deserialize)]
struct Output {
    sensitive: bool,
    value: serde_json::Value,
}

/// Counts a plan's changes like Terraform's own summary: a replacement is one to add and one to
/// destroy, a data read is none.
pub(super) fn changes(plan: &[u8]) -> Result<Changes, serde_json::Error> {
    let plan: Plan = crate::text::json(plan)?;
    let mut changes = Changes::default();
    let managed = plan.resource_changes.iter().filter(|change| change.mode == "managed");
    for action in managed.flat_map(|change| &change.change.actions) {
        match action.as_str() {
            "create" => changes.add += 1,
            "update" => changes.change += 1,
            "delete" => changes.destroy += 1,
            // "no-op", "read", and "forget", which only changes the state.
            _ => {}
        }
    }
    Ok(changes)
}

/// The outputs to show and pass on; sensitive ones are removed.
pub(super) fn outputs(outputs: &[u8]) -> Result<Values, serde_json::Error> {
    let outputs: indexmap::IndexMap<String, Output> = crate::text::json(outputs)?;
    let shown = outputs.into_iter().filter(|(_, output)| !output.sensitive);
    Ok(shown.map(|(name, output)| (name, output.value)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replacement_counts_twice_and_data_not_at_all() {
        let plan = br#"{"format_version": "1.2", "resource_changes": [
            {"mode": "managed", "change": {"actions": ["create"]}},
            {"mode": "managed", "change": {"actions": ["delete", "create"]}},
            {"mode": "managed", "change": {"actions": ["update"]}},
            {"mode": "managed", "change": {"actions": ["no-op"]}},
            {"mode": "managed", "change": {"actions": ["forget"]}},
            {"mode": "data", "change": {"actions": ["read"]}}
        ]}"#;
        assert_eq!(changes(plan).unwrap(), Changes { add: 2, change: 1, destroy: 1 });
        assert_eq!(changes(br#"{"format_version": "1.2"}"#).unwrap(), Changes::default());
    }
}
