//! What people want to know of an SBOM at a glance (`cli-integration.md`, "atmos deployment sbom").

use std::collections::BTreeSet;

use serde_json::Value;

use super::deployment_bom::name_of;
use super::document::{Bom, TYPE, nested, property};

/// A document at a glance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// `CycloneDX 1.5 (JSON)`.
    pub format: String,
    /// When the newest part of it was made, as it says.
    pub generated_at: Option<String>,
    pub components: Vec<SummaryComponent>,
    /// Everything that the components are made of, each once, by name.
    pub dependencies: Vec<Dependency>,
    /// The size of the document, in bytes.
    pub size: usize,
}

/// One of the deployment's components.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SummaryComponent {
    pub name: String,
    /// `nixpack`, `terraform`, …; absent in documents of others.
    pub kind: Option<String>,
    /// CycloneDX's word for it: `container`, `application`.
    pub form: String,
    pub version: Option<String>,
    pub dependencies: Vec<Dependency>,
}

/// Something that a component is made of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Dependency {
    pub name: String,
    pub version: Option<String>,
    pub purl: Option<String>,
}

impl Dependency {
    fn of(component: &Value) -> Self {
        let text = |key: &str| component[key].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        let name = text("name").unwrap_or_default();
        let name = text("group").map_or_else(|| name.clone(), |group| format!("{group}/{name}"));
        Self { name, version: text("version"), purl: text("purl") }
    }
}

/// Summarises a document.
#[must_use]
pub fn summarise(bom: &Bom) -> Summary {
    let components: Vec<_> = bom
        .components()
        .iter()
        .map(|component| {
            let dependencies: BTreeSet<_> = nested(component).into_iter().map(Dependency::of).collect();
            SummaryComponent {
                name: name_of(component).to_owned(),
                kind: property(component, TYPE).map(str::to_owned),
                form: component["type"].as_str().unwrap_or("component").to_owned(),
                version: component["version"].as_str().map(str::to_owned),
                dependencies: dependencies.into_iter().collect(),
            }
        })
        .collect();
    let all: BTreeSet<_> = components.iter().flat_map(|component| component.dependencies.clone()).collect();
    Summary {
        format: format!("CycloneDX {} (JSON)", bom.get("specVersion").as_str().unwrap_or("of no version")),
        generated_at: bom.get("metadata")["timestamp"].as_str().map(str::to_owned),
        components,
        dependencies: all.into_iter().collect(),
        size: bom.to_json().len(),
    }
}
