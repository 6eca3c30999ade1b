//! Reading a document: CycloneDX, or SPDX as CycloneDX.

use serde_json::Value;

use crate::text;

use super::document::{Bom, DocumentError};
use super::from_spdx;

impl Bom {
    /// Reads a document: CycloneDX, whose version does not matter and of which everything is kept,
    /// or SPDX 2, as CycloneDX.
    ///
    /// # Errors
    ///
    /// Text that is neither, or has another shape in the place of the components.
    pub fn parse(bytes: &[u8]) -> Result<Self, DocumentError> {
        // Deeper nesting than any document has ends with an error, not with the stack.
        let text = text::of_file(bytes).ok_or_else(|| DocumentError::NotJson("it is not text".to_owned()))?;
        let value: Value =
            serde_json::from_str(&text).map_err(|error| DocumentError::NotJson(error.to_string()))?;
        let Value::Object(map) = value else { return Err(DocumentError::NotCycloneDx) };
        if map.contains_key("spdxVersion") {
            return Ok(Self::new(from_spdx::to_cyclonedx(&map)?));
        }
        if let Some(context) = map.get("@context").and_then(Value::as_str)
            && context.contains("spdx.org")
        {
            return Err(DocumentError::SpdxVersion("3".to_owned()));
        }
        if map.get("bomFormat").and_then(Value::as_str) != Some("CycloneDX") {
            return Err(DocumentError::NotCycloneDx);
        }
        let bom = Self::new(map);
        for key in ["components", "dependencies"] {
            match bom.map().get(key) {
                None => {}
                Some(Value::Array(items)) if items.iter().all(Value::is_object) => {}
                Some(_) if key == "components" => return Err(DocumentError::Shape("components")),
                Some(_) => return Err(DocumentError::Shape("dependencies")),
            }
        }
        Ok(bom)
    }
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
