//! Configuration values.

/// Configuration values in the JSON data model.
pub type Values = serde_json::Map<String, serde_json::Value>;
