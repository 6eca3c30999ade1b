//! The documents of `--format json|yaml`: a public contract (`docs/json.md`).
//!
//! Keys are `snake_case` and absent rather than null, object ids are in full, times are RFC 3339 in
//! UTC. Changes are additive only. The schemas in `schema/` are generated from these types.

pub mod approval;
pub mod attach;
pub mod build;
pub mod describe;
pub mod diff;
pub mod error;
mod format;
pub mod history;
pub mod list;
pub mod locks;
pub mod promotion;
pub mod protection;
pub mod rollout;
pub mod rollout_event;
pub mod sbom;
pub mod status;
pub mod test;
pub mod validate;
pub mod vendor;

use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use schemars::{JsonSchema, Schema};
use serde::Serialize;
use serde_json::Value;

pub use format::Format;

/// The version of every document.
pub const API_VERSION: &str = "atmos.tools/v1alpha1";

/// A document, which a verb prints in JSON or YAML.
pub trait Document: Serialize + JsonSchema {
    /// The document's `kind`.
    const KIND: &'static str;
}

/// A document that cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    #[error("cannot write the document as JSON: {0}")]
    Json(#[from] serde_json::Error),
    #[error("cannot write the document as YAML: {0}")]
    Yaml(#[from] serde_yaml::Error),
}

/// A document with its version and kind in front.
#[derive(Serialize)]
struct Envelope<'a, D> {
    #[serde(rename = "apiVersion")]
    api_version: &'static str,
    kind: &'static str,
    #[serde(flatten)]
    document: &'a D,
}

impl<'a, D: Document> Envelope<'a, D> {
    const fn new(document: &'a D) -> Self {
        Self { api_version: API_VERSION, kind: D::KIND, document }
    }
}

/// The document as JSON, indented, ending in a line break.
pub fn json<D: Document>(document: &D) -> Result<String, DocumentError> {
    let mut text = serde_json::to_string_pretty(&Envelope::new(document))?;
    text.push('\n');
    Ok(text)
}

/// The document as YAML.
pub fn yaml<D: Document>(document: &D) -> Result<String, DocumentError> {
    Ok(serde_yaml::to_string(&Envelope::new(document))?)
}

/// Serialises a value that is not one of our documents, as indented JSON that ends in a line break.
pub fn plain_json(value: &impl Serialize) -> Result<String, DocumentError> {
    let mut text = serde_json::to_string_pretty(value)?;
    text.push('\n');
    Ok(text)
}

/// Serialises a value that is not one of our documents, as YAML.
pub fn plain_yaml(value: &impl Serialize) -> Result<String, DocumentError> {
    Ok(serde_yaml::to_string(value)?)
}

/// The JSON schema of a document.
#[must_use]
pub fn schema<D: Document>() -> Schema {
    let settings = SchemaSettings::draft2020_12()
        .for_serialize()
        .with_transform(RecursiveTransform(absent_rather_than_null));
    let mut schema = settings.into_generator().into_root_schema_for::<D>();
    schema.insert("title".to_owned(), D::KIND.into());
    let head = [("apiVersion", API_VERSION), ("kind", D::KIND)];
    if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
        for (at, (key, value)) in head.into_iter().enumerate() {
            properties.shift_insert(at, key.to_owned(), serde_json::json!({ "const": value }));
        }
    }
    let required = schema.ensure_object().entry("required").or_insert_with(|| serde_json::json!([]));
    if let Some(required) = required.as_array_mut() {
        required.splice(0..0, head.map(|(key, _)| key.into()));
    }
    schema
}

/// Removes null from the types of an optional key: the key is absent instead.
fn absent_rather_than_null(schema: &mut Schema) {
    let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) else { return };
    for property in properties.values_mut().filter_map(Value::as_object_mut) {
        if let Some(types) = property.get_mut("type").and_then(Value::as_array_mut) {
            types.retain(|name| name != "null");
            if let [only] = types.as_slice() {
                property["type"] = only.clone();
            }
        }
        if let Some(choices) = property.get_mut("anyOf").and_then(Value::as_array_mut) {
            choices.retain(|choice| choice.get("type").is_none_or(|name| name != "null"));
            if let [Value::Object(only)] = choices.as_slice() {
                let only = only.clone();
                property.remove("anyOf");
                property.extend(only);
            }
        }
        if let Some(values) = property.get_mut("enum").and_then(Value::as_array_mut) {
            values.retain(|value| !value.is_null());
        }
    }
}

/// Whether a count is zero, and is left out.
// Serde passes fields by reference.
#[allow(clippy::trivially_copy_pass_by_ref)]
const fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// Whether a flag is unset, and is left out.
// Serde passes fields by reference.
#[allow(clippy::trivially_copy_pass_by_ref)]
const fn is_false(flag: &bool) -> bool {
    !*flag
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// Compares a committed schema with the types; with `UPDATE_SCHEMA=1` writes it.
    fn check<D: Document>() {
        let path =
            Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("schema/{}.schema.json", kebab_case(D::KIND)));
        let current = serde_json::to_string_pretty(&schema::<D>()).unwrap() + "\n";
        if std::env::var_os("UPDATE_SCHEMA").is_some() {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, &current).unwrap();
        }
        let committed = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(committed == current, "{} is out of date; run with UPDATE_SCHEMA=1", path.display());
    }

    fn kebab_case(kind: &str) -> String {
        let mut name = String::new();
        for character in kind.chars() {
            if character.is_ascii_uppercase() && !name.is_empty() {
                name.push('-');
            }
            name.push(character.to_ascii_lowercase());
        }
        name
    }

    #[test]
    fn a_commit_that_looks_like_a_number_stays_a_text_in_yaml() {
        let error = error::Error {
            code: "12e4567".to_owned(),
            message: "0123456789".to_owned(),
            details: Vec::new(),
            hints: Vec::new(),
            locations: Vec::new(),
            exit_code: 1,
        };
        let value: Value = serde_yaml::from_str(&yaml(&error).unwrap()).unwrap();
        assert_eq!((&value["code"], &value["message"]), (&"12e4567".into(), &"0123456789".into()));
    }

    #[test]
    fn the_committed_schemas_are_current() {
        check::<attach::AttachResult>();
        check::<build::BuildResult>();
        check::<describe::DeploymentDescription>();
        check::<diff::DeploymentDiff>();
        check::<error::Error>();
        check::<history::DeploymentHistory>();
        check::<list::ComponentList>();
        check::<list::DeploymentList>();
        check::<list::TargetList>();
        check::<locks::LockList>();
        check::<locks::LockResult>();
        check::<approval::ApprovalList>();
        check::<approval::ApprovalResult>();
        check::<locks::UnlockResult>();
        check::<promotion::PromotionGraph>();
        check::<promotion::PromotionStatus>();
        check::<protection::ProtectionResult>();
        check::<rollout::RolloutResult>();
        check::<rollout_event::RolloutEvent>();
        check::<sbom::SbomDiff>();
        check::<sbom::SbomSummary>();
        check::<status::DeploymentStatus>();
        check::<test::TestResult>();
        check::<validate::ValidationReport>();
        check::<vendor::VendorCacheStats>();
        check::<vendor::VendorCleaning>();
        check::<vendor::VendorStatus>();
    }
}
