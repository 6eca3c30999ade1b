//! The document of a deployment: its components, and the dependencies of each.

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::deployment::{CommitId, ComponentKind, ComponentName, DeploymentName};

use super::document::{Bom, COMPONENT, READ_FROM, SPEC_VERSION, TYPE, property};
use super::package::Package;
use super::purl;

/// The content of a document: some components of a deployment at a commit.
#[derive(Debug, Clone)]
pub struct Bill<'a> {
    pub deployment: &'a DeploymentName,
    pub commit: &'a CommitId,
    pub generated_at: Timestamp,
    pub components: Vec<BilledComponent>,
}

/// One component and its dependencies.
#[derive(Debug, Clone)]
pub struct BilledComponent {
    pub component: ComponentName,
    pub kind: ComponentKind,
    /// `registry/name@sha256:…`, of an image that was pushed.
    pub image: Option<String>,
    pub packages: Vec<Package>,
    /// The source of the packages: a scanner, or files.
    pub read_from: Option<String>,
}

impl Bill<'_> {
    /// The document.
    #[must_use]
    pub fn to_bom(&self) -> Bom {
        let root = root_reference(self.deployment);
        let mut dependencies = vec![json!({
            "ref": root,
            "dependsOn": self.components.iter().map(|component| component.component.as_str()).collect::<Vec<_>>(),
        })];
        let mut components = Vec::new();
        for component in &self.components {
            let nested = component.nested();
            let references: Vec<_> = nested.iter().map(|nested| nested["bom-ref"].clone()).collect();
            dependencies.push(json!({ "ref": component.component.as_str(), "dependsOn": references }));
            components.push(component.to_json(self.commit, nested));
        }
        let document = json!({
            "bomFormat": "CycloneDX",
            "specVersion": SPEC_VERSION,
            "serialNumber": serial_number(self.deployment, self.commit),
            "version": 1,
            "metadata": {
                // In whole seconds, as all times of the ledger.
                "timestamp": self.generated_at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
                "tools": { "components": [{
                    "type": "application", "name": "atmos-deployments", "version": env!("CARGO_PKG_VERSION"),
                }] },
                "component": {
                    "type": "application",
                    "bom-ref": root,
                    "name": self.deployment.as_str(),
                    "version": self.commit.as_str(),
                },
            },
            "components": components,
            "dependencies": dependencies,
        });
        match document {
            Value::Object(map) => Bom::new(map),
            _ => Bom::new(Map::new()),
        }
    }
}

/// The reference of the deployment itself. No component can have that name.
pub(super) fn root_reference(deployment: &DeploymentName) -> String {
    format!("deployment:{deployment}")
}

/// The serial number: the same for every document of one deployment and commit, which are versions
/// of one document.
fn serial_number(deployment: &DeploymentName, commit: &CommitId) -> String {
    let digest = Sha256::digest(format!("{deployment}\n{commit}"));
    let bytes: [u8; 16] = std::array::from_fn(|at| digest[at]);
    format!("urn:uuid:{}", uuid::Builder::from_custom_bytes(bytes).into_uuid())
}

impl BilledComponent {
    fn to_json(&self, commit: &CommitId, nested: Vec<Value>) -> Value {
        let kind = if self.kind == ComponentKind::Nixpack { "container" } else { "application" };
        let mut component = Map::new();
        component.insert("type".to_owned(), kind.into());
        component.insert("bom-ref".to_owned(), self.component.as_str().into());
        component.insert("name".to_owned(), self.component.as_str().into());
        let mut properties = vec![
            json!({ "name": COMPONENT, "value": self.component.as_str() }),
            json!({ "name": TYPE, "value": self.kind.as_str() }),
            json!({ "name": "atmos:git_sha", "value": commit.as_str() }),
        ];
        if let Some(read_from) = &self.read_from {
            properties.push(json!({ "name": READ_FROM, "value": read_from }));
        }
        if let Some(image) = &self.image {
            let digest = image.rsplit_once('@').map_or("", |(_, digest)| digest);
            component.insert("version".to_owned(), digest.into());
            component.extend(purl::image(image).map(|purl| ("purl".to_owned(), purl.into())));
            if let Some(content) = digest.strip_prefix("sha256:") {
                component.insert("hashes".to_owned(), json!([{ "alg": "SHA-256", "content": content }]));
            }
            properties.push(json!({ "name": "atmos:image", "value": image }));
        } else {
            component.insert("version".to_owned(), commit.as_str().into());
        }
        component.insert("properties".to_owned(), properties.into());
        if !nested.is_empty() {
            component.insert("components".to_owned(), nested.into());
        }
        component.into()
    }

    fn nested(&self) -> Vec<Value> {
        let packages = self.packages.iter();
        packages
            .map(|package| {
                let named = format!("{}@{}", package.name, package.version.as_deref().unwrap_or("unknown"));
                let identity = package.purl.as_deref().unwrap_or(&named);
                let mut nested = Map::new();
                nested.insert("type".to_owned(), "library".into());
                nested.insert("bom-ref".to_owned(), format!("{}#{identity}", self.component).into());
                nested.insert("name".to_owned(), package.name.as_str().into());
                nested.extend(
                    package.version.as_ref().map(|version| ("version".to_owned(), version.as_str().into())),
                );
                if package.development {
                    nested.insert("scope".to_owned(), "optional".into());
                }
                if !package.hashes.is_empty() {
                    let hashes = package.hashes.iter();
                    let hashes: Vec<_> = hashes
                        .map(|hash| json!({ "alg": hash.algorithm, "content": hash.content }))
                        .collect();
                    nested.insert("hashes".to_owned(), hashes.into());
                }
                nested.extend(package.purl.as_ref().map(|purl| ("purl".to_owned(), purl.as_str().into())));
                if !package.properties.is_empty() {
                    let properties = package.properties.iter();
                    let properties: Vec<_> =
                        properties.map(|(name, value)| json!({ "name": name, "value": value })).collect();
                    nested.insert("properties".to_owned(), properties.into());
                }
                nested.into()
            })
            .collect()
    }
}

/// The part of a document that is about these components of the deployment.
#[must_use]
pub fn select(bom: &Bom, wanted: impl Fn(&str) -> bool) -> Bom {
    let mut selected = bom.clone();
    let is_wanted = |component: &Value| wanted(name_of(component));
    let kept: Vec<_> = bom.components().iter().filter(|component| is_wanted(component)).cloned().collect();
    let mut dropped = std::collections::BTreeSet::new();
    for component in bom.components().iter().filter(|component| !is_wanted(component)) {
        let references = super::document::nested(component).into_iter().chain([component]);
        dropped.extend(references.filter_map(|component| component["bom-ref"].as_str().map(str::to_owned)));
    }
    let is_dropped =
        |reference: &Value| reference.as_str().is_some_and(|reference| dropped.contains(reference));
    if let Some(dependencies) = selected.map_mut().get_mut("dependencies").and_then(Value::as_array_mut) {
        dependencies.retain(|dependency| !is_dropped(&dependency["ref"]));
        for dependency in dependencies {
            if let Some(needs) = dependency.get_mut("dependsOn").and_then(Value::as_array_mut) {
                needs.retain(|need| !is_dropped(need));
            }
        }
    }
    selected.map_mut().insert("components".to_owned(), kept.into());
    selected
}

/// The name of the deployment's component that an outermost component stands for.
pub(super) fn name_of(component: &Value) -> &str {
    property(component, COMPONENT).or_else(|| component["name"].as_str()).unwrap_or_default()
}
