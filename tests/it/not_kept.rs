//! A rollout that cannot write its records into its own repository.

use crate::support::TestEnvironment;

#[test]
fn what_depends_on_a_component_whose_record_cannot_be_kept_is_not_started() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    // A file in place of the folder for kept records: later ones cannot be written.
    let kept = checkout.path.join(".git/refs/atmos/pending");
    let block = format!("mkdir -p {0}; rmdir {0}; touch {0}", kept.display());
    let script = format!("if [ $ATMOS_COMPONENT = database ]; then {block}; fi");
    let line =
        "deployment rollout payment-service --target dev --component database --component api --format json";
    let run = checkout.atmos_with(line, &[("TEST_DO", &script)]).exited(1);
    let document: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    let of = |name: &str| {
        let components = document["components"].as_array().unwrap().iter();
        components.clone().find(|component| component["component"] == name).unwrap()
    };
    assert_eq!(of("database")["status"], "success", "{document:#}");
    assert_eq!(of("api")["status"], "skipped", "{document:#}");
    // The error names the dependency, whichever of two threads is faster.
    assert_eq!(of("api")["error"], "database, which it depends on, could not be recorded", "{document:#}");
    assert_eq!(environment.applied().len(), 1);

    // Only the lock tells that the component was applied, and stays for the next run.
    assert!(run.stderr.contains("the locks stay"), "{}", run.report());
    assert_eq!(remote.locks().len(), 2);
    std::fs::remove_file(&kept).unwrap();
    checkout.atmos("deployment rollout payment-service --target dev --component database").succeeded();
    let history = checkout.json("deployment history payment-service --target dev --component database");
    let statuses: Vec<_> =
        history["records"].as_array().unwrap().iter().map(|record| &record["status"]).collect();
    assert_eq!(statuses, ["success", "cancelled"]);
    assert_eq!(history["records"][1]["error"], "interrupted");
}
