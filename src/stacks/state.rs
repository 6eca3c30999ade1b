//! The outputs of a component that can be read without terraform: static values, or a local state
//! file.

use serde_json::{Map, Value as Json};

use super::describe::StackComponent;

/// The location of a component's outputs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeptOutputs {
    /// In the stack itself: `remote_state_backend_type: static`.
    Written(Map<String, Json>),
    /// In a file, by its path, relative ones to the root of the tree.
    File(String),
    /// In a backend that only terraform reads.
    Elsewhere,
}

impl StackComponent {
    /// Returns the location of this component's outputs.
    #[must_use]
    pub fn kept_outputs(&self) -> KeptOutputs {
        let text = |section: &str| self.sections.get(section).and_then(Json::as_str).unwrap_or_default();
        if text("remote_state_backend_type") == "static" {
            let values = self.sections.get("remote_state_backend").and_then(Json::as_object);
            return KeptOutputs::Written(values.cloned().unwrap_or_default());
        }
        if !matches!(text("backend_type"), "" | "local") {
            return KeptOutputs::Elsewhere;
        }
        let setting =
            |name: &str| self.sections.get("backend")?.get(name)?.as_str().filter(|path| !path.is_empty());
        let path = match self.workspace.as_deref() {
            None | Some("default") => setting("path").unwrap_or("terraform.tfstate").to_owned(),
            Some(workspace) => {
                let folder = setting("workspace_dir").unwrap_or("terraform.tfstate.d");
                format!("{folder}/{workspace}/terraform.tfstate")
            }
        };
        if path.starts_with('/') {
            return KeptOutputs::File(path);
        }
        let info = self.sections.get("component_info").and_then(|info| info.get("component_path"));
        match info.and_then(Json::as_str) {
            Some(folder) => KeptOutputs::File(format!("{folder}/{path}")),
            None => KeptOutputs::Elsewhere,
        }
    }
}

/// The non-sensitive outputs in a state; `None` where the text is not a state.
#[must_use]
pub fn outputs_of_state(text: &str) -> Option<Map<String, Json>> {
    let state: Json = serde_json::from_str(text).ok()?;
    let outputs = state.get("outputs")?.as_object()?;
    let is_public = |output: &Json| output.get("sensitive").and_then(Json::as_bool) != Some(true);
    let public = outputs.iter().filter(|(_, output)| is_public(output));
    Some(public.filter_map(|(name, output)| Some((name.clone(), output.get("value")?.clone()))).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_state_tells_its_public_outputs() {
        let state = json!({"version": 4, "outputs": {
            "id": {"value": "vpc-1", "type": "string"},
            "key": {"value": "x", "type": "string", "sensitive": true},
            "ids": {"value": [1, 2], "type": ["list", "number"], "sensitive": false},
        }});
        let outputs = outputs_of_state(&state.to_string()).unwrap();
        assert_eq!(Json::Object(outputs), json!({"id": "vpc-1", "ids": [1, 2]}));
        assert_eq!(outputs_of_state("{}"), None);
        assert_eq!(outputs_of_state("not a state"), None);
    }
}
