//! Filters outputs for display: drops secrets, and outputs with names like secrets.

use serde_json::Value;

use crate::component::Masks;
use crate::deployment::ComponentKind;
use crate::deployment::definition::Values;

/// Parts of names that mark a command's output as a secret, because nothing else does.
const SECRET: [&str; 9] = [
    "password",
    "passwd",
    "passphrase",
    "secret",
    "token",
    "credential",
    "private_key",
    "api_key",
    "access_key",
];

/// The outputs of a component that may be shown, with secrets masked in their values.
///
/// Terraform marks sensitive outputs, which are left out before; commands cannot mark theirs.
pub(super) fn shown(outputs: &Values, kind: ComponentKind, redacted: &[String], masks: &Masks) -> Values {
    let is_hidden = |name: &str| {
        redacted.iter().any(|redacted| redacted == name)
            || (kind != ComponentKind::Terraform && may_be_secret(name))
    };
    let shown = outputs.iter().filter(|(name, _)| !is_hidden(name));
    shown.map(|(name, value)| (name.clone(), masked(value, masks))).collect()
}

fn may_be_secret(name: &str) -> bool {
    let name = name.to_lowercase().replace('-', "_");
    SECRET.iter().any(|part| name.contains(part) || name.contains(&part.replace('_', "")))
}

fn masked(value: &Value, masks: &Masks) -> Value {
    match value {
        Value::String(text) => masks.apply(text.clone()).into(),
        Value::Array(items) => items.iter().map(|item| masked(item, masks)).collect(),
        Value::Object(map) => {
            map.iter().map(|(key, value)| (key.clone(), masked(value, masks))).collect::<Values>().into()
        }
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn names(kind: ComponentKind, names: &[&str]) -> Vec<String> {
        let outputs: Values = names.iter().map(|name| ((*name).to_owned(), json!("value"))).collect();
        shown(&outputs, kind, &["internal".to_owned()], &Masks::default()).keys().cloned().collect()
    }

    #[test]
    fn what_may_be_a_secret_by_its_name_is_left_out() {
        let all = ["url", "DB_PASSWORD", "apiKey", "api-key", "session_token", "internal", "keyboard"];
        assert_eq!(names(ComponentKind::Command, &all), ["url", "keyboard"]);
        // Terraform itself marks sensitive outputs.
        assert_eq!(names(ComponentKind::Terraform, &["internal", "token_url", "url"]), ["token_url", "url"]);
    }

    #[test]
    fn known_secrets_are_masked_at_any_depth() {
        let outputs = json!({ "a": "x hunter2", "b": [{ "c": "hunter2" }, 3] });
        let outputs = outputs.as_object().unwrap();
        let shown = shown(outputs, ComponentKind::Command, &[], &Masks::new(["hunter2"]));
        assert_eq!(Value::Object(shown), json!({ "a": "x ***", "b": [{ "c": "***" }, 3] }));
    }
}
