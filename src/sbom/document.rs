//! A CycloneDX document, kept as JSON.

use serde_json::{Map, Value};

/// The format that this program writes.
pub const FORMAT: &str = "CycloneDX 1.5 (JSON)";
/// The version of the standard that this program writes.
pub(super) const SPEC_VERSION: &str = "1.5";
/// The property that names the component of the deployment.
pub(super) const COMPONENT: &str = "atmos:component";
/// The property that names the source of the packages.
pub(super) const READ_FROM: &str = "atmos:read_from";
/// The property that names the kind of a component.
pub(super) const TYPE: &str = "atmos:type";

/// Text that is not a usable SBOM.
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
    pub(super) const fn new(map: Map<String, Value>) -> Self {
        Self(map)
    }

    /// The document's value under a key; null where the key is absent.
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
