//! Values of configuration.

/// Configuration values as people write them: the JSON data model.
pub type Values = serde_json::Map<String, serde_json::Value>;
