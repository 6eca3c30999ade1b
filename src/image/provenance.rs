//! The provenance of an image, as an in-toto statement with SLSA's predicate for builds, version 1.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::deployment::BuildRecord;

/// The data of a build that its provenance needs.
#[derive(Debug, Clone, Copy)]
pub struct Provenance<'a> {
    pub record: &'a BuildRecord,
    /// The repository's address, without credentials.
    pub repository: Option<&'a str>,
    /// The folder of the source.
    pub source: &'a str,
    pub started_at: Timestamp,
}

/// The statement about one image: the subject is its digest, the source is the commit.
#[must_use]
pub fn statement(provenance: Provenance<'_>) -> Value {
    let Provenance { record, repository, source, started_at } = provenance;
    let (name, digest) = record.image.split_once('@').unwrap_or((&record.image, ""));
    let uri = repository.map_or_else(|| "git+file:".to_owned(), |address| format!("git+{address}"));
    json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{ "name": name, "digest": { "sha256": digest.trim_start_matches("sha256:") } }],
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {
                "buildType": "https://atmos.tools/build/v1alpha1",
                "externalParameters": {
                    "deployment": record.deployment.as_str(),
                    "component": record.component.as_str(),
                    "target": record.target.as_str(),
                    "source": source,
                    "inputs": record.inputs,
                },
                "internalParameters": { "builder": record.builder, "engine": record.engine },
                "resolvedDependencies": [{ "uri": uri, "digest": { "gitCommit": record.commit.as_str() } }],
            },
            "runDetails": {
                "builder": {
                    "id": "https://atmos.tools/deployments",
                    "version": { "atmos-deployments": env!("CARGO_PKG_VERSION") },
                },
                "metadata": {
                    "invocationId": record.run_id,
                    "startedOn": started_at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
                    "finishedOn": record.timestamp.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
                },
            },
        },
    })
}
