//! SPDX 2 documents of other tools, read as CycloneDX.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::document::{DocumentError, SPEC_VERSION};
use super::package::Hash;

/// The property that names the original format of a converted document.
const CONVERTED_FROM: &str = "atmos:converted_from";

/// The words of SPDX for an unknown value.
const UNKNOWN: [&str; 2] = ["NOASSERTION", "NONE"];

/// Converts an SPDX document to CycloneDX: the described subject, its packages and their
/// dependencies.
pub(super) fn to_cyclonedx(spdx: &Map<String, Value>) -> Result<Map<String, Value>, DocumentError> {
    let version = spdx.get("spdxVersion").and_then(Value::as_str).unwrap_or_default();
    if !version.starts_with("SPDX-2.") {
        return Err(DocumentError::SpdxVersion(version.to_owned()));
    }
    let packages = match spdx.get("packages") {
        Some(Value::Array(packages)) if packages.iter().all(Value::is_object) => packages.as_slice(),
        _ => return Err(DocumentError::Shape("SPDX packages")),
    };
    let described = described(spdx);
    // The one package that the document describes contains all others.
    let root = match described.iter().next() {
        Some(only) if described.len() == 1 && packages.len() > 1 => {
            packages.iter().find(|package| package["SPDXID"] == **only)
        }
        _ => None,
    };
    let is_root = |package: &Value| root.is_some_and(|root| root["SPDXID"] == package["SPDXID"]);
    let components: Vec<_> = packages.iter().filter(|package| !is_root(package)).map(component).collect();
    let mut metadata = Map::new();
    if let Some(created) = spdx.get("creationInfo").and_then(|info| info["created"].as_str()) {
        metadata.insert("timestamp".to_owned(), created.into());
    }
    if let Some(root) = root {
        metadata.insert("component".to_owned(), component(root));
    }
    metadata.insert("properties".to_owned(), json!([{ "name": CONVERTED_FROM, "value": version }]));
    let document = json!({
        "bomFormat": "CycloneDX",
        "specVersion": SPEC_VERSION,
        "version": 1,
        "metadata": metadata,
        "components": components,
        "dependencies": dependencies(spdx, packages),
    });
    match document {
        Value::Object(map) => Ok(map),
        _ => Err(DocumentError::NotCycloneDx),
    }
}

fn relationships(spdx: &Map<String, Value>) -> impl Iterator<Item = (&str, &str, &str)> {
    let all = spdx.get("relationships").and_then(Value::as_array).into_iter().flatten();
    all.filter_map(|relationship| {
        let field = |name: &str| relationship[name].as_str();
        Some((field("spdxElementId")?, field("relationshipType")?, field("relatedSpdxElement")?))
    })
}

/// The identifiers of the elements that the document describes.
fn described(spdx: &Map<String, Value>) -> BTreeSet<&str> {
    let listed = spdx.get("documentDescribes").and_then(Value::as_array).into_iter().flatten();
    let related = relationships(spdx).filter_map(|(from, how, to)| match how {
        "DESCRIBES" if from == "SPDXRef-DOCUMENT" => Some(to),
        "DESCRIBED_BY" if to == "SPDXRef-DOCUMENT" => Some(from),
        _ => None,
    });
    listed.filter_map(Value::as_str).chain(related).collect()
}

fn component(package: &Value) -> Value {
    let text = |key: &str| package[key].as_str().filter(|text| !text.is_empty() && !UNKNOWN.contains(text));
    let mut component = Map::new();
    let kind = match text("primaryPackagePurpose") {
        Some(purpose @ ("APPLICATION" | "FRAMEWORK" | "CONTAINER" | "FIRMWARE" | "DEVICE" | "FILE")) => {
            purpose.to_ascii_lowercase()
        }
        Some("OPERATING-SYSTEM") => "operating-system".to_owned(),
        _ => "library".to_owned(),
    };
    component.insert("type".to_owned(), kind.into());
    if let Some(id) = text("SPDXID") {
        component.insert("bom-ref".to_owned(), id.into());
    }
    component.insert("name".to_owned(), text("name").unwrap_or("unknown").into());
    if let Some(version) = text("versionInfo") {
        component.insert("version".to_owned(), version.into());
    }
    let hashes: Vec<_> = package["checksums"].as_array().into_iter().flatten().filter_map(hash).collect();
    if !hashes.is_empty() {
        component.insert("hashes".to_owned(), hashes.into());
    }
    if let Some(license) = text("licenseConcluded").or_else(|| text("licenseDeclared")) {
        component.insert("licenses".to_owned(), json!([{ "expression": license }]));
    }
    let references = package["externalRefs"].as_array().into_iter().flatten();
    let mut purls = references.filter(|reference| reference["referenceType"] == "purl");
    if let Some(purl) = purls.find_map(|reference| reference["referenceLocator"].as_str()) {
        component.insert("purl".to_owned(), purl.into());
    }
    component.into()
}

fn hash(checksum: &Value) -> Option<Value> {
    let algorithm = match checksum["algorithm"].as_str()? {
        "MD5" => "MD5",
        "SHA1" => "SHA-1",
        "SHA256" => "SHA-256",
        "SHA384" => "SHA-384",
        "SHA512" => "SHA-512",
        _ => return None,
    };
    let hash = Hash::hexadecimal(algorithm, checksum["checksumValue"].as_str()?)?;
    Some(json!({ "alg": hash.algorithm, "content": hash.content }))
}

/// The dependencies between packages of the document.
fn dependencies(spdx: &Map<String, Value>, packages: &[Value]) -> Vec<Value> {
    let known: BTreeSet<_> = packages.iter().filter_map(|package| package["SPDXID"].as_str()).collect();
    let mut needs: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (from, how, to) in relationships(spdx) {
        let (from, to) = match how {
            "DEPENDS_ON" => (from, to),
            "DEPENDENCY_OF" | "RUNTIME_DEPENDENCY_OF" | "DEV_DEPENDENCY_OF" => (to, from),
            _ => continue,
        };
        if known.contains(from) && known.contains(to) {
            needs.entry(from).or_default().insert(to);
        }
    }
    needs.into_iter().map(|(from, to)| json!({ "ref": from, "dependsOn": to })).collect()
}

#[cfg(test)]
mod tests {
    use super::super::document::Bom;
    use super::super::summary::summarise;
    use super::*;

    fn document(packages: &Value, relationships: &Value) -> Value {
        json!({
            "spdxVersion": "SPDX-2.3", "SPDXID": "SPDXRef-DOCUMENT", "name": "shop",
            "creationInfo": { "created": "2025-01-22T12:00:00Z", "creators": ["Tool: x"] },
            "packages": packages, "relationships": relationships,
        })
    }

    fn read(document: &Value) -> Bom {
        Bom::parse(document.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn packages_and_what_they_need_are_read() {
        let purl = json!([{ "referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl",
                            "referenceLocator": "pkg:npm/left-pad@1.3.0" }]);
        let packages = json!([
            { "SPDXID": "SPDXRef-app", "name": "shop", "versionInfo": "1.0" },
            { "SPDXID": "SPDXRef-a", "name": "left-pad", "versionInfo": "1.3.0", "externalRefs": purl,
              "licenseDeclared": "WTFPL", "licenseConcluded": "NOASSERTION",
              "checksums": [{ "algorithm": "SHA256", "checksumValue": "AB".repeat(32) }] },
            { "SPDXID": "SPDXRef-b", "name": "other", "versionInfo": "NOASSERTION" },
        ]);
        let relationships = json!([
            { "spdxElementId": "SPDXRef-DOCUMENT", "relationshipType": "DESCRIBES", "relatedSpdxElement": "SPDXRef-app" },
            { "spdxElementId": "SPDXRef-app", "relationshipType": "DEPENDS_ON", "relatedSpdxElement": "SPDXRef-a" },
            { "spdxElementId": "SPDXRef-b", "relationshipType": "DEPENDENCY_OF", "relatedSpdxElement": "SPDXRef-a" },
            { "spdxElementId": "SPDXRef-a", "relationshipType": "DEPENDS_ON", "relatedSpdxElement": "SPDXRef-gone" },
        ]);
        let bom = read(&document(&packages, &relationships));
        let summary = summarise(&bom);
        let listed: Vec<_> = summary
            .dependencies
            .iter()
            .map(|it| (it.name.as_str(), it.version.as_deref(), it.purl.as_deref()))
            .collect();
        assert_eq!(
            listed,
            [("left-pad", Some("1.3.0"), Some("pkg:npm/left-pad@1.3.0")), ("other", None, None)]
        );
        assert_eq!(summary.generated_at.as_deref(), Some("2025-01-22T12:00:00Z"));
        assert_eq!(bom.get("metadata")["component"]["name"], "shop");
        let left_pad = &bom.components()[0];
        assert_eq!(left_pad["licenses"], json!([{ "expression": "WTFPL" }]));
        assert_eq!(left_pad["hashes"][0]["content"], "ab".repeat(32));
        assert_eq!(
            *bom.get("dependencies"),
            json!([
                { "ref": "SPDXRef-a", "dependsOn": ["SPDXRef-b"] },
                { "ref": "SPDXRef-app", "dependsOn": ["SPDXRef-a"] },
            ])
        );
    }

    #[test]
    fn where_several_packages_are_described_none_is_the_root() {
        let packages =
            json!([{ "SPDXID": "SPDXRef-a", "name": "a" }, { "SPDXID": "SPDXRef-b", "name": "b" }]);
        let mut both = document(&packages, &json!([]));
        both["documentDescribes"] = json!(["SPDXRef-a", "SPDXRef-b"]);
        assert_eq!(summarise(&read(&both)).dependencies.len(), 2);
        let mut only = document(&json!([{ "SPDXID": "SPDXRef-a", "name": "a" }]), &json!([]));
        only["documentDescribes"] = json!(["SPDXRef-a"]);
        assert_eq!(summarise(&read(&only)).dependencies.len(), 1);
    }
}
