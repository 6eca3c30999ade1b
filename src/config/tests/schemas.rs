//! The schemas of configuration files, which are published for editors and read by the check.

use std::path::Path;

use crate::config::{atmos, deployment_file};

/// The published schemas are the generated ones. `UPDATE_SCHEMA=1 cargo test` rewrites them.
#[test]
fn the_published_schemas_are_current() {
    for (name, schema) in [("deployment", deployment_file::schema()), ("atmos", atmos::schema())] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("schema/{name}.schema.json"));
        let generated = serde_json::to_string_pretty(&schema).unwrap() + "\n";
        if std::env::var_os("UPDATE_SCHEMA").is_some() {
            std::fs::write(&path, &generated).unwrap();
        }
        let published = std::fs::read_to_string(path).unwrap();
        assert!(published == generated, "the types have changed; run the tests with UPDATE_SCHEMA=1");
    }
}
