//! The documents of all verbs: of the right kind, valid by their published schemas, and the same as
//! JSON and as YAML.

use std::path::Path;

use serde_json::Value;

use crate::support::TestEnvironment;

/// A command, the kind of its document, and its exit code.
const DOCUMENTS: [(&str, &str, i32); 25] = [
    ("deployment rollout payment-service --target dev --plan", "RolloutResult", 0),
    ("deployment rollout payment-service --target dev", "RolloutResult", 0),
    ("deployment rollout payment-service --target prod --promote-from dev", "Error", 3),
    ("deployment status", "DeploymentStatus", 0),
    ("deployment status payment-service --target dev", "DeploymentStatus", 0),
    ("deployment history payment-service --target dev", "DeploymentHistory", 0),
    ("deployment list", "DeploymentList", 0),
    ("deployment list targets payment-service", "TargetList", 0),
    ("deployment list components payment-service --target dev", "ComponentList", 0),
    ("deployment describe payment-service --target dev", "DeploymentDescription", 0),
    ("deployment validate --all", "ValidationReport", 0),
    ("deployment vendor status payment-service", "VendorStatus", 0),
    ("deployment vendor cache stats", "VendorCacheStats", 0),
    ("deployment vendor clean", "VendorCleaning", 0),
    ("deployment promotion-graph payment-service", "PromotionGraph", 0),
    ("deployment promotion-status payment-service", "PromotionStatus", 0),
    ("deployment diff payment-service --from-sha HEAD --to-sha HEAD --show-files", "DeploymentDiff", 0),
    ("deployment rollout payment-service --target staging --promote-from dev", "RolloutResult", 0),
    (
        "deployment approve payment-service --target prod --promote-from staging --reason why",
        "ApprovalResult",
        0,
    ),
    ("deployment approvals payment-service", "ApprovalList", 0),
    ("deployment approve payment-service --target prod --revoke --reason why", "ApprovalResult", 0),
    ("deployment approvals payment-service --target prod", "ApprovalList", 0),
    ("deployment lock payment-service --target staging --reason why --expires 2h", "LockResult", 0),
    ("deployment locks", "LockList", 0),
    ("deployment unlock payment-service --target staging", "UnlockResult", 0),
];

/// The published schema of a kind: `DeploymentStatus` is described in
/// `deployment-status.schema.json`.
fn schema(kind: &str) -> jsonschema::Validator {
    let mut name = String::new();
    for character in kind.chars() {
        if character.is_uppercase() && !name.is_empty() {
            name.push('-');
        }
        name.extend(character.to_lowercase());
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("schema").join(format!("{name}.schema.json"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    jsonschema::validator_for(&serde_json::from_str(&text).unwrap()).unwrap()
}

/// Whether any key is null: unknown values have to be absent.
fn has_null(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(values) => values.iter().any(has_null),
        Value::Object(map) => map.values().any(has_null),
        _ => false,
    }
}

#[test]
fn every_verb_prints_the_document_that_its_schema_describes() {
    let mut environment = TestEnvironment::new();
    environment.set_clock("2025-01-22T10:30:00Z");
    let environment = environment;
    let (checkout, _remote) = environment.with_remote();
    for (line, kind, code) in DOCUMENTS {
        let run = checkout.atmos(&format!("{line} --format json")).exited(code);
        let document = run.json();
        assert_eq!(document["apiVersion"], "atmos.tools/v1alpha1", "{}", run.report());
        assert_eq!(document["kind"], kind, "{}", run.report());
        let problems: Vec<_> = schema(kind).iter_errors(&document).map(|error| error.to_string()).collect();
        assert!(problems.is_empty(), "{problems:#?}\n{}", run.report());
        assert!(!has_null(&document), "{}", run.report());
    }
}

#[test]
fn yaml_says_what_json_says() {
    let mut environment = TestEnvironment::new();
    environment.set_clock("2025-01-22T10:30:00Z");
    let environment = environment;
    let (checkout, _remote) = environment.with_remote();
    checkout.atmos("deployment rollout payment-service --target dev --metadata note=no").succeeded();
    for line in [
        "deployment status",
        "deployment history payment-service --target dev",
        "deployment describe payment-service --target dev",
        "deployment rollout payment-service --target prod --promote-from dev",
    ] {
        let json = checkout.atmos(&format!("{line} --format json")).json();
        let yaml = checkout.atmos(&format!("{line} --format yaml"));
        let yaml: Value = serde_yaml::from_str(&yaml.stdout).unwrap_or_else(|_| panic!("{}", yaml.report()));
        assert_eq!(yaml, json, "{line}");
    }
}

#[test]
fn a_pipe_gets_rows_of_tab_separated_columns_and_no_colour() {
    let environment = TestEnvironment::new();
    let (checkout, _remote) = environment.with_remote();
    checkout.atmos("deployment rollout payment-service --target dev").succeeded();
    for line in ["deployment status", "deployment list", "deployment history payment-service --target dev"] {
        let run = checkout.atmos(line).succeeded();
        let columns = |line: &str| line.matches('\t').count();
        let mut lines = run.stdout.lines();
        let header = lines.next().unwrap();
        assert!(columns(header) > 1, "{}", run.report());
        assert!(lines.all(|line| columns(line) == columns(header)), "{}", run.report());
        assert!(!run.stdout.contains('\u{1b}') && !run.stderr.contains('\u{1b}'), "{}", run.report());
    }
}
