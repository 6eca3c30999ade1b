//! The summary of an SBOM for people (`cli-integration.md`, "atmos deployment sbom").

use std::collections::BTreeSet;

use serde_json::Value;

use super::deployment_bom::name_of;
use super::document::{Bom, READ_FROM, TYPE, is_flat, nested, property};

/// The placeholder for a component's name where a document lists the parts of all components.
pub const WHOLE: &str = "(all components)";

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
    /// The source of the packages, where this program wrote the document.
    pub read_from: Option<String>,
    pub dependencies: Vec<Dependency>,
}

/// A dependency of a component.
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
    let (flat, outermost): (Vec<_>, Vec<_>) =
        bom.components().iter().partition(|component| is_flat(component));
    let is_package = |component: &&Value| component["type"] != "file";
    let mut components: Vec<_> = outermost
        .into_iter()
        .map(|component| {
            let dependencies: BTreeSet<_> =
                nested(component).into_iter().filter(is_package).map(Dependency::of).collect();
            SummaryComponent {
                name: name_of(component).to_owned(),
                kind: property(component, TYPE).map(str::to_owned),
                form: component["type"].as_str().unwrap_or("component").to_owned(),
                version: component["version"].as_str().map(str::to_owned),
                read_from: property(component, READ_FROM).map(str::to_owned),
                dependencies: dependencies.into_iter().collect(),
            }
        })
        .collect();
    if !flat.is_empty() {
        let dependencies: BTreeSet<_> = flat.into_iter().filter(is_package).map(Dependency::of).collect();
        components.push(SummaryComponent {
            name: WHOLE.to_owned(),
            kind: None,
            form: "other tool".to_owned(),
            version: None,
            read_from: None,
            dependencies: dependencies.into_iter().collect(),
        });
    }
    let all: BTreeSet<_> = components.iter().flat_map(|component| component.dependencies.clone()).collect();
    Summary {
        format: format!("CycloneDX {} (JSON)", bom.get("specVersion").as_str().unwrap_or("of no version")),
        generated_at: bom.get("metadata")["timestamp"].as_str().map(str::to_owned),
        components,
        dependencies: all.into_iter().collect(),
        size: bom.to_json().len(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(components: &Value) -> Summary {
        let bom = json!({ "bomFormat": "CycloneDX", "specVersion": "1.5", "components": components });
        summarise(&Bom::parse(bom.to_string().as_bytes()).unwrap())
    }

    fn names(dependencies: &[Dependency]) -> Vec<&str> {
        dependencies.iter().map(|dependency| dependency.name.as_str()).collect()
    }

    #[test]
    fn a_flat_document_lists_dependencies_and_no_components() {
        let flat = of(&json!([
            { "type": "library", "name": "x", "version": "1" },
            { "type": "library", "name": "x", "version": "2" },
            { "type": "framework", "group": "org.acme", "name": "web" },
            { "type": "operating-system", "name": "debian" },
            { "type": "file", "name": "/etc/passwd" },
        ]));
        assert_eq!(names(&flat.dependencies), ["debian", "org.acme/web", "x", "x"]);
        let [whole] = &flat.components[..] else { panic!("{flat:?}") };
        assert_eq!((whole.name.as_str(), whole.dependencies.len()), (WHOLE, 4));
    }

    #[test]
    fn components_stay_components_beside_what_is_flat() {
        let component = |name: &str| json!([{ "name": "atmos:component", "value": name }]);
        let both = of(&json!([
            { "type": "application", "name": "net", "properties": component("net") },
            { "type": "container", "name": "api", "components": [
                { "type": "library", "name": "y" }, { "type": "file", "name": "/y" },
            ] },
            { "type": "library", "name": "x" },
        ]));
        let listed: Vec<_> =
            both.components.iter().map(|it| (it.name.as_str(), it.dependencies.len())).collect();
        assert_eq!(listed, [("net", 0), ("api", 1), (WHOLE, 1)]);
        assert_eq!(names(&both.dependencies), ["x", "y"]);
    }
}
