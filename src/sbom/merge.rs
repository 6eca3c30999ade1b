//! Merges two documents of one commit component by component, so that builds of different
//! components can run at once.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::deployment_bom::name_of;
use super::document::{Bom, is_flat};
use super::spdx::to_spdx;

/// Merges two notes; of a component that both have, the second one wins. An error says why one is
/// no SBOM.
pub fn merge_notes(older: &[u8], newer: &[u8]) -> Result<Vec<u8>, String> {
    let parse = |bytes| Bom::parse(bytes).map_err(|error| error.to_string());
    Ok(merge(&parse(older)?, &parse(newer)?).to_json().into_bytes())
}

/// The SPDX document that follows from a note.
pub fn spdx_note(note: &[u8]) -> Result<Vec<u8>, String> {
    let bom = Bom::parse(note).map_err(|error| error.to_string())?;
    let mut text = serde_json::to_string_pretty(&to_spdx(&bom)).map_err(|error| error.to_string())?;
    text.push('\n');
    Ok(text.into_bytes())
}

/// Merges two documents; of a component that both have, the second one wins.
#[must_use]
pub fn merge(older: &Bom, newer: &Bom) -> Bom {
    let mut merged = older.map().clone();
    for (key, value) in newer.map() {
        let before = merged.get(key);
        let after = match (key.as_str(), before, value) {
            ("components", Some(Value::Array(older)), Value::Array(newer)) => components(older, newer),
            ("dependencies", Some(Value::Array(older)), Value::Array(newer)) => dependencies(older, newer),
            ("specVersion", Some(older), newer) => later(older, newer),
            ("version", Some(older), _) => older.clone(),
            // Every other list: vulnerabilities, services, annotations.
            (_, Some(Value::Array(older)), Value::Array(newer)) => {
                let added = newer.iter().filter(|item| !older.contains(item));
                older.iter().chain(added).cloned().collect::<Vec<_>>().into()
            }
            // The document stays that of the deployment; it is as old as its youngest part.
            ("metadata", Some(Value::Object(older)), Value::Object(newer)) => metadata(older, newer),
            ("serialNumber", Some(older), _) => older.clone(),
            _ => value.clone(),
        };
        merged.insert(key.clone(), after);
    }
    if merged != *older.map() {
        let version = merged.get("version").and_then(Value::as_u64).unwrap_or(0);
        merged.insert("version".to_owned(), version.saturating_add(1).into());
    }
    let mut merged = Bom::new(merged);
    make_references_unique(&mut merged);
    merged
}

fn metadata(older: &Map<String, Value>, newer: &Map<String, Value>) -> Value {
    let mut merged = older.clone();
    for (key, value) in newer {
        match (key.as_str(), merged.get(key)) {
            ("timestamp", Some(before)) if before.as_str() >= value.as_str() => {}
            ("timestamp", _) | (_, None) => {
                merged.insert(key.clone(), value.clone());
            }
            _ => {}
        }
    }
    merged.into()
}

fn components(older: &[Value], newer: &[Value]) -> Value {
    let mut merged = older.to_vec();
    for component in newer {
        match merged.iter_mut().find(|known| identity(known) == identity(component)) {
            Some(known) => overlay(known, component),
            None => merged.push(component.clone()),
        }
    }
    // Sorted, so that the result does not depend on the order of the merge.
    merged.sort_by(|a, b| name_of(a).cmp(name_of(b)));
    merged.into()
}

/// The identity of a component: its name; for a package of a flat document, which can have several
/// versions of one, also group, version and package URL.
fn identity(component: &Value) -> (&str, Option<&str>, Option<&str>, Option<&str>) {
    if !is_flat(component) {
        return (name_of(component), None, None, None);
    }
    let text = |key: &str| Some(component[key].as_str().unwrap_or_default());
    (name_of(component), text("group"), text("version"), text("purl"))
}

/// Overwrites the older component's values with the newer one's. Values that only the older one has
/// stay, such as the image of a scanned component.
fn overlay(known: &mut Value, component: &Value) {
    let (Some(known), Some(component)) = (known.as_object_mut(), component.as_object()) else { return };
    for (key, value) in component {
        match (key.as_str(), known.get(key), value) {
            ("properties", Some(Value::Array(older)), Value::Array(newer)) => {
                let kept = older.iter().filter(|old| !newer.iter().any(|new| new["name"] == old["name"]));
                let properties: Vec<_> = newer.iter().chain(kept).cloned().collect();
                known.insert(key.clone(), properties.into());
            }
            _ => {
                known.insert(key.clone(), value.clone());
            }
        }
    }
}

fn dependencies(older: &[Value], newer: &[Value]) -> Value {
    let mut merged = older.to_vec();
    for dependency in newer {
        let Some(known) = merged.iter_mut().find(|known| known["ref"] == dependency["ref"]) else {
            merged.push(dependency.clone());
            continue;
        };
        let is_root =
            dependency["ref"].as_str().is_some_and(|reference| reference.starts_with("deployment:"));
        if !is_root {
            *known = dependency.clone();
            continue;
        }
        let both = known["dependsOn"].as_array().into_iter().chain(dependency["dependsOn"].as_array());
        let needs: BTreeSet<String> =
            both.flatten().filter_map(|need| need.as_str().map(str::to_owned)).collect();
        known["dependsOn"] = needs.into_iter().collect::<Vec<_>>().into();
    }
    merged.into()
}

/// The later of two versions of the standard, which covers both documents.
fn later(older: &Value, newer: &Value) -> Value {
    let number = |value: &Value| -> Option<(u32, u32)> {
        let (major, minor) = value.as_str()?.split_once('.')?;
        Some((major.parse().ok()?, minor.parse().ok()?))
    };
    if number(older) >= number(newer) { older.clone() } else { newer.clone() }
}

/// Makes the references of a document unique: those of nested components come from independent
/// tools. Dependencies from or on absent components are dropped.
fn make_references_unique(bom: &mut Bom) {
    let mut seen = BTreeSet::new();
    let root = bom.get("metadata")["component"]["bom-ref"].as_str().map(str::to_owned);
    seen.extend(root);
    if let Some(components) = bom.map_mut().get_mut("components").and_then(Value::as_array_mut) {
        for component in components {
            rename(component, &mut seen);
        }
    }
    if let Some(services) = bom.get("services").as_array() {
        seen.extend(services.iter().filter_map(|service| service["bom-ref"].as_str().map(str::to_owned)));
    }
    let is_there = |reference: &Value| reference.as_str().is_some_and(|reference| seen.contains(reference));
    if let Some(dependencies) = bom.map_mut().get_mut("dependencies").and_then(Value::as_array_mut) {
        dependencies.retain(|dependency| is_there(&dependency["ref"]));
        for dependency in dependencies {
            if let Some(needs) = dependency.get_mut("dependsOn").and_then(Value::as_array_mut) {
                needs.retain(is_there);
            }
        }
    }
}

fn rename(component: &mut Value, seen: &mut BTreeSet<String>) {
    if let Some(reference) = component["bom-ref"].as_str().map(str::to_owned) {
        let mut unique = reference.clone();
        let mut number = 1;
        while !seen.insert(unique.clone()) {
            number += 1;
            unique = format!("{reference}~{number}");
        }
        component["bom-ref"] = unique.into();
    }
    if let Some(components) = component.get_mut("components").and_then(Value::as_array_mut) {
        // The recursion is bounded by the JSON parser's depth limit.
        for component in components {
            rename(component, seen);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::document::nested;
    use super::*;

    fn bom(components: &[(&str, &[&str])]) -> Bom {
        let components: Vec<_> = components
            .iter()
            .map(|(name, nested)| {
                let nested: Vec<_> =
                    nested.iter().map(|name| json!({ "name": name, "bom-ref": name })).collect();
                json!({ "name": name, "bom-ref": name, "components": nested })
            })
            .collect();
        Bom::parse(
            json!({ "bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1, "components": components })
                .to_string()
                .as_bytes(),
        )
        .unwrap()
    }

    #[test]
    fn components_of_both_are_kept_and_a_newer_one_replaces_its_own() {
        let first = bom(&[("api", &["x"]), ("worker", &["y", "z"])]);
        let merged = merge(&first, &bom(&[("api", &["a", "b"]), ("zebra", &[])]));
        let names: Vec<_> = merged.components().iter().map(name_of).collect();
        assert_eq!(names, ["api", "worker", "zebra"]);
        let counts: Vec<_> = merged.components().iter().map(|component| nested(component).len()).collect();
        assert_eq!(counts, [2, 2, 0]);
        assert_eq!(merged.get("version"), 2);
        assert_eq!(merge(&merged, &first).components().len(), 3);
        assert_eq!(merge(&first, &first), first);
    }

    /// A document of the deployment, of one component with properties and dependencies.
    fn own(component: &str, minute: u32, properties: &[(&str, &str)], needs: &Value) -> Bom {
        let properties: Vec<_> =
            properties.iter().map(|(name, value)| json!({ "name": name, "value": value })).collect();
        let document = json!({
            "bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1,
            "serialNumber": format!("urn:uuid:00000000-0000-8000-8000-0000000000{minute:02}"),
            "metadata": {
                "timestamp": format!("2025-01-22T12:{minute:02}:00Z"),
                "component": { "type": "application", "name": "shop", "bom-ref": "deployment:shop" },
            },
            "components": [{ "type": "application", "name": component, "bom-ref": component,
                             "properties": properties, "components": [
                                 { "type": "library", "name": "x", "bom-ref": format!("{component}#x") } ] }],
            "dependencies": needs,
        });
        Bom::parse(document.to_string().as_bytes()).unwrap()
    }

    fn needs(of: &str, on: &[&str]) -> Value {
        json!({ "ref": of, "dependsOn": on })
    }

    #[test]
    fn the_document_stays_the_deployments_and_is_as_old_as_its_youngest_part() {
        let (first, second) = (own("api", 1, &[], &json!([])), own("worker", 2, &[], &json!([])));
        for (older, newer, minute) in [(&first, &second, 1), (&second, &first, 2)] {
            let merged = merge(older, newer);
            let serial = format!("urn:uuid:00000000-0000-8000-8000-0000000000{minute:02}");
            assert_eq!((merged.get("serialNumber"), merged.get("version")), (&serial.into(), &2.into()));
            assert_eq!(merged.get("metadata")["timestamp"], "2025-01-22T12:02:00Z");
            assert_eq!(merged.get("metadata")["component"]["name"], "shop");
        }
    }

    #[test]
    fn properties_of_before_stay_where_the_newer_ones_do_not_say_otherwise() {
        let older =
            own("api", 1, &[("atmos:image", "r/api@sha256:a"), ("atmos:type", "nixpack")], &json!([]));
        let newer = own("api", 2, &[("atmos:type", "command"), ("scanner", "x")], &json!([]));
        let merged = merge(&older, &newer);
        let mut properties: Vec<_> = merged.components()[0]["properties"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| (one["name"].as_str().unwrap(), one["value"].as_str().unwrap()))
            .collect();
        properties.sort_unstable();
        assert_eq!(
            properties,
            [("atmos:image", "r/api@sha256:a"), ("atmos:type", "command"), ("scanner", "x")]
        );
    }

    #[test]
    fn the_deployment_depends_on_the_components_of_both_and_nothing_on_what_is_gone() {
        let older = own(
            "api",
            1,
            &[],
            &json!([
                needs("deployment:shop", &["api"]),
                needs("api", &["api#x", "api#gone"]),
                needs("api#gone", &[])
            ]),
        );
        let newer = own(
            "worker",
            2,
            &[],
            &json!([needs("deployment:shop", &["worker"]), needs("worker", &["worker#x"])]),
        );
        let merged = merge(&older, &newer);
        assert_eq!(
            *merged.get("dependencies"),
            json!([
                needs("deployment:shop", &["api", "worker"]),
                needs("api", &["api#x"]),
                needs("worker", &["worker#x"]),
            ])
        );
        // A component's dependencies are those of its newer document.
        let again = own("api", 3, &[], &json!([needs("api", &[])]));
        let dependencies = merge(&merged, &again).get("dependencies").clone();
        assert!(dependencies.as_array().unwrap().contains(&needs("api", &[])), "{dependencies}");
    }

    #[test]
    fn versions_of_one_package_in_a_flat_document_all_stay() {
        let flat = |versions: &[&str]| {
            let components: Vec<_> = versions
                .iter()
                .map(|version| json!({ "type": "library", "name": "x", "version": version }))
                .collect();
            let document =
                json!({ "bomFormat": "CycloneDX", "specVersion": "1.5", "components": components });
            Bom::parse(document.to_string().as_bytes()).unwrap()
        };
        let merged = merge(&flat(&["1", "2"]), &flat(&["2", "3"]));
        let mut versions: Vec<_> =
            merged.components().iter().map(|one| one["version"].as_str().unwrap()).collect();
        versions.sort_unstable();
        assert_eq!(versions, ["1", "2", "3"]);
    }

    #[test]
    fn what_others_wrote_is_kept() {
        let other = Bom::parse(
            br#"{"bomFormat":"CycloneDX","specVersion":"1.6","components":[],"vulnerabilities":[{"id":"CVE-1"}],"x":{"y":1}}"#,
        )
        .unwrap();
        let merged = merge(&bom(&[("api", &[])]), &other);
        assert_eq!(merged.get("specVersion"), "1.6");
        assert_eq!(merged.get("vulnerabilities")[0]["id"], "CVE-1");
        assert_eq!(merged.get("x")["y"], 1);
    }

    #[test]
    fn references_stay_unique() {
        let merged = merge(&bom(&[("api", &["x"])]), &bom(&[("worker", &["x"])]));
        let mut references: Vec<_> = merged
            .components()
            .iter()
            .flat_map(|component| nested(component).into_iter().chain([component]))
            .map(|component| component["bom-ref"].as_str().unwrap())
            .collect();
        references.sort_unstable();
        assert_eq!(references, ["api", "worker", "x", "x~2"]);
    }
}
