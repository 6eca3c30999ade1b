//! A CycloneDX document, as the JSON that it is.

use serde_json::{Map, Value};

use crate::text;

use super::from_spdx;

/// What this program writes.
pub const FORMAT: &str = "CycloneDX 1.5 (JSON)";
/// The version of the standard that this program writes.
pub(super) const SPEC_VERSION: &str = "1.5";
/// The property that names the component of the deployment.
pub(super) const COMPONENT: &str = "atmos:component";
/// The property that says what was read.
pub(super) const READ_FROM: &str = "atmos:read_from";
/// The property that says of which kind it is.
pub(super) const TYPE: &str = "atmos:type";

/// Text that is not an SBOM that can be worked with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    #[error("it is not JSON: {0}")]
    NotJson(String),
    #[error("it is SPDX of a version that is not read ({0}): write SPDX 2.3 as JSON, or CycloneDX")]
    SpdxVersion(String),
    #[error("it is neither CycloneDX nor SPDX as JSON: it has no \"bomFormat\": \"CycloneDX\"")]
    NotCycloneDx,
    #[error("its {0} are not what the format has there")]
    Shape(&'static str),
}

/// A software bill of materials.
#[derive(Debug, Clone, PartialEq)]
pub struct Bom(Map<String, Value>);

impl Bom {
    /// Reads a document: CycloneDX, whose version does not matter and of which everything is kept,
    /// or SPDX 2, as CycloneDX.
    ///
    /// # Errors
    ///
    /// Text that is neither, or has something else where these have components.
    pub fn parse(bytes: &[u8]) -> Result<Self, DocumentError> {
        // Deeper nesting than any document has ends with an error, not with the stack.
        let text = text::of_file(bytes).ok_or_else(|| DocumentError::NotJson("it is not text".to_owned()))?;
        let value: Value =
            serde_json::from_str(&text).map_err(|error| DocumentError::NotJson(error.to_string()))?;
        let Value::Object(map) = value else { return Err(DocumentError::NotCycloneDx) };
        if map.contains_key("spdxVersion") {
            return Ok(Self(from_spdx::to_cyclonedx(&map)?));
        }
        if let Some(context) = map.get("@context").and_then(Value::as_str)
            && context.contains("spdx.org")
        {
            return Err(DocumentError::SpdxVersion("3".to_owned()));
        }
        if map.get("bomFormat").and_then(Value::as_str) != Some("CycloneDX") {
            return Err(DocumentError::NotCycloneDx);
        }
        let bom = Self(map);
        for key in ["components", "dependencies"] {
            match bom.0.get(key) {
                None => {}
                Some(Value::Array(items)) if items.iter().all(Value::is_object) => {}
                Some(_) if key == "components" => return Err(DocumentError::Shape("components")),
                Some(_) => return Err(DocumentError::Shape("dependencies")),
            }
        }
        Ok(bom)
    }

    pub(super) const fn new(map: Map<String, Value>) -> Self {
        Self(map)
    }

    /// The document's value under a key; null where there is none.
    #[must_use]
    pub fn get(&self, key: &str) -> &Value {
        self.0.get(key).unwrap_or(&Value::Null)
    }

    pub(super) const fn map(&self) -> &Map<String, Value> {
        &self.0
    }

    pub(super) fn map_mut(&mut self) -> &mut Map<String, Value> {
        &mut self.0
    }

    /// The document's outermost components: those of the deployment.
    #[must_use]
    pub fn components(&self) -> &[Value] {
        self.get("components").as_array().map_or(&[], Vec::as_slice)
    }

    /// The document as text.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Maps of strings and values are always JSON.
        let mut text = serde_json::to_string_pretty(&self.0).unwrap_or_default();
        text.push('\n');
        text
    }

    /// The document as a value.
    #[must_use]
    pub fn into_value(self) -> Value {
        Value::Object(self.0)
    }
}

/// The value of one of a component's properties.
pub(super) fn property<'c>(component: &'c Value, name: &str) -> Option<&'c str> {
    let properties = component["properties"].as_array()?;
    properties.iter().find(|property| property["name"] == name)?["value"].as_str()
}

/// Whether an outermost component is a part of the deployment as a whole, as flat documents of
/// other tools list them, and not one of its components.
pub(super) fn is_flat(component: &Value) -> bool {
    property(component, COMPONENT).is_none()
        && !matches!(component["type"].as_str(), Some("application" | "container"))
        && component["components"].as_array().is_none_or(Vec::is_empty)
}

/// Every component below this one, at any depth.
pub(super) fn nested(component: &Value) -> Vec<&Value> {
    let mut found = Vec::new();
    let mut open: Vec<&Value> = component["components"].as_array().into_iter().flatten().collect();
    while let Some(component) = open.pop() {
        found.push(component);
        open.extend(component["components"].as_array().into_iter().flatten());
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_sbom_is_told_apart() {
        let parse = |text: &str| Bom::parse(text.as_bytes());
        assert!(matches!(parse("<bom/>"), Err(DocumentError::NotJson(_))));
        assert_eq!(parse("[]"), Err(DocumentError::NotCycloneDx));
        assert_eq!(parse(r#"{"spdxVersion": "SPDX-2.3"}"#), Err(DocumentError::Shape("SPDX packages")));
        assert_eq!(
            parse(r#"{"spdxVersion": "SPDX-1.2"}"#),
            Err(DocumentError::SpdxVersion("SPDX-1.2".to_owned()))
        );
        let newest = r#"{"@context": "https://spdx.org/rdf/3.0.1/spdx-context.jsonld", "@graph": []}"#;
        assert_eq!(parse(newest), Err(DocumentError::SpdxVersion("3".to_owned())));
        assert_eq!(
            parse(r#"{"bomFormat": "CycloneDX", "components": [1]}"#),
            Err(DocumentError::Shape("components"))
        );
        let bomb = format!(r#"{{"bomFormat": "CycloneDX", "components": {}"#, "[".repeat(1_000_000));
        assert!(matches!(parse(&bomb), Err(DocumentError::NotJson(_))));
        assert!(parse(r#"{"bomFormat": "CycloneDX", "specVersion": "1.9", "x": 1}"#).is_ok());
    }
}
