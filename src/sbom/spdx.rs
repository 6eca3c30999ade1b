//! Conversion of a CycloneDX document to SPDX 2.3 as JSON.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::document::Bom;

/// The word of SPDX for an unknown value.
const UNKNOWN: &str = "NOASSERTION";

/// Writes a document as SPDX 2.3.
#[must_use]
pub fn to_spdx(bom: &Bom) -> Value {
    let root = &bom.get("metadata")["component"];
    let name = root["name"].as_str().unwrap_or("deployment");
    let mut writer = Writer::default();
    let root_id = writer.package(root, name);
    writer.relate("SPDXRef-DOCUMENT", "DESCRIBES", &root_id);
    for component in bom.components() {
        writer.below(&root_id, component);
    }
    writer.dependencies(bom);
    let content = bom.to_json();
    let digest = Sha256::digest(content.as_bytes());
    let unique = digest.iter().take(16).fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
    let created = bom.get("metadata")["timestamp"].as_str().unwrap_or("1970-01-01T00:00:00Z");
    json!({
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": name,
        "documentNamespace": format!("https://atmos.tools/spdx/{}-{unique}", identifier(name)),
        "creationInfo": {
            "created": in_seconds(created),
            "creators": [format!("Tool: atmos-deployments-{}", env!("CARGO_PKG_VERSION"))],
        },
        "packages": writer.packages,
        "relationships": writer.relationships,
    })
}

/// SPDX knows whole seconds in UTC alone.
fn in_seconds(time: &str) -> String {
    let time: jiff::Timestamp = time.parse().unwrap_or_default();
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// The characters that an identifier may have.
fn identifier(text: &str) -> String {
    let allowed = |c: char| if c.is_ascii_alphanumeric() || c == '.' || c == '-' { c } else { '-' };
    text.chars().map(allowed).collect()
}

#[derive(Default)]
struct Writer {
    packages: Vec<Value>,
    relationships: Vec<Value>,
    /// From references of CycloneDX to identifiers.
    identifiers: BTreeMap<String, String>,
}

impl Writer {
    /// Adds a component and the components nested in it.
    fn below(&mut self, parent: &str, component: &Value) {
        let name = component["name"].as_str().unwrap_or("unknown");
        let id = self.package(component, name);
        self.relate(parent, "CONTAINS", &id);
        // The recursion is bounded by the JSON parser's depth limit.
        for nested in component["components"].as_array().into_iter().flatten() {
            self.below(&id, nested);
        }
    }

    /// Adds a package and returns its identifier.
    fn package(&mut self, component: &Value, name: &str) -> String {
        let id = format!("SPDXRef-{}-{}", self.packages.len(), identifier(name));
        let mut package = Map::new();
        package.insert("SPDXID".to_owned(), id.as_str().into());
        package.insert("name".to_owned(), name.into());
        if let Some(version) = component["version"].as_str().filter(|version| !version.is_empty()) {
            package.insert("versionInfo".to_owned(), version.into());
        }
        package.insert("downloadLocation".to_owned(), UNKNOWN.into());
        package.insert("filesAnalyzed".to_owned(), false.into());
        package.insert("licenseConcluded".to_owned(), UNKNOWN.into());
        package.insert("licenseDeclared".to_owned(), UNKNOWN.into());
        package.insert("copyrightText".to_owned(), UNKNOWN.into());
        let checksums: Vec<_> = checksums(component).collect();
        if !checksums.is_empty() {
            package.insert("checksums".to_owned(), checksums.into());
        }
        let purpose = match component["type"].as_str() {
            Some("container") => Some("CONTAINER"),
            Some("application") => Some("APPLICATION"),
            Some("library") => Some("LIBRARY"),
            _ => None,
        };
        package.extend(purpose.map(|purpose| ("primaryPackagePurpose".to_owned(), purpose.into())));
        if let Some(purl) = component["purl"].as_str() {
            let reference = json!({
                "referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": purl,
            });
            package.insert("externalRefs".to_owned(), vec![reference].into());
        }
        self.packages.push(package.into());
        if let Some(reference) = component["bom-ref"].as_str() {
            self.identifiers.insert(reference.to_owned(), id.clone());
        }
        id
    }

    fn dependencies(&mut self, bom: &Bom) {
        for dependency in bom.get("dependencies").as_array().into_iter().flatten() {
            let identifier = |reference: &Value| self.identifiers.get(reference.as_str()?).cloned();
            let Some(from) = identifier(&dependency["ref"]) else { continue };
            let needs = dependency["dependsOn"].as_array().into_iter().flatten();
            let needs: Vec<_> = needs.filter_map(identifier).collect();
            for need in needs {
                self.relate(&from, "DEPENDS_ON", &need);
            }
        }
    }

    fn relate(&mut self, from: &str, how: &str, to: &str) {
        self.relationships.push(json!({
            "spdxElementId": from, "relationshipType": how, "relatedSpdxElement": to,
        }));
    }
}

/// The checksums whose algorithms SPDX has a name for. One each: of a provider, whose archives for
/// several platforms have their own, none is the package's.
fn checksums(component: &Value) -> impl Iterator<Item = Value> {
    let hashes = component["hashes"].as_array().filter(|hashes| hashes.len() == 1);
    hashes.into_iter().flatten().filter_map(|hash| {
        let algorithm = match hash["alg"].as_str()? {
            "MD5" => "MD5",
            "SHA-1" => "SHA1",
            "SHA-256" => "SHA256",
            "SHA-384" => "SHA384",
            "SHA-512" => "SHA512",
            _ => return None,
        };
        Some(json!({ "algorithm": algorithm, "checksumValue": hash["content"].as_str()? }))
    })
}
