//! Rollouts with `--context`: the views show the values that run, not those of the files.

use serde_json::{Value, json};

use crate::support::{Checkout, Clone, Remote, TestEnvironment};

/// A project that redacts `password` in its records, and whose api runs on dev with overrides of
/// `cpu` and `password`.
fn overridden(environment: &TestEnvironment) -> (Checkout<'_>, Remote<'_>) {
    let (checkout, remote) = environment.with_remote();
    checkout.write("atmos.yaml", "deployments: { ledger: { redact: [password] } }\n");
    checkout.commit("Keep the password out");
    checkout.git(&["push", "--quiet", "origin", "main"]);
    checkout.atmos("deployment rollout payment-service --target dev").succeeded();
    checkout.atmos("deployment rollout payment-service --target staging --promote-from dev").succeeded();
    let line = "deployment rollout payment-service --target dev --component api";
    checkout.atmos(&format!("{line} --context cpu=9999 --context password=s3cret")).succeeded();
    (checkout, remote)
}

fn component<'d>(document: &'d Value, name: &str) -> &'d Value {
    let all = document["components"].as_array().unwrap();
    all.iter().find(|component| component["component"] == name).unwrap()
}

fn value<'d>(diff: &'d Value, path: &str) -> &'d Value {
    let all = diff["configuration"].as_array().unwrap();
    all.iter().find(|value| value["path"] == path).unwrap_or_else(|| panic!("{path}: {diff:#}"))
}

fn is_hash(value: &Value) -> bool {
    value.as_str().and_then(|text| text.strip_prefix("sha256:")).is_some_and(|digits| digits.len() == 64)
}

#[test]
fn status_shows_what_a_component_runs_with() {
    let environment = TestEnvironment::new();
    let (checkout, _) = overridden(&environment);
    let line = "deployment status payment-service --target dev";
    let shown = checkout.atmos(line).succeeded().shows("Context: --context cpu=9999 password=sha256:");
    let rows: Vec<_> = shown.stdout.lines().filter(|row| row.contains("--context")).collect();
    assert!(matches!(rows[..], [row] if row.contains("\tapi\t")), "{}", shown.report());
    assert!(!shown.stdout.contains("s3cret"), "{}", shown.report());
    let status = checkout.json(line);
    let target = &status["deployments"][0]["targets"][0];
    assert_eq!(component(target, "api")["context_overrides"]["cpu"], "9999");
    assert!(is_hash(&component(target, "api")["context_overrides"]["password"]));
    assert_eq!(component(target, "worker")["context_overrides"], Value::Null);
    // The next rollout without them removes the overrides, and says so.
    checkout
        .atmos("deployment rollout payment-service --target dev")
        .succeeded()
        .says("api runs with --context cpu=9999, password=sha256:");
    let status = checkout.json(line);
    let target = &status["deployments"][0]["targets"][0];
    assert_eq!(component(target, "api")["context_overrides"], Value::Null);
}

#[test]
fn a_plan_says_which_overrides_stay_behind() {
    let environment = TestEnvironment::new();
    let (checkout, _) = overridden(&environment);
    let run = checkout.atmos("deployment rollout payment-service --target staging --promote-from dev --plan");
    run.succeeded()
        .says("api runs with --context cpu=9999, password=sha256:")
        .says("on dev, which does not travel");
    let line = "deployment rollout payment-service --target dev --component api --context cpu=128 --plan";
    let run = checkout.atmos(line).succeeded();
    let run = run.says(", with --context cpu");
    assert!(!run.stderr.contains("no change") && !run.stdout.contains("no change"), "{}", run.report());
}

#[test]
fn a_diff_compares_what_runs_and_says_what_is_of_the_command_line() {
    let environment = TestEnvironment::new();
    let (checkout, _) = overridden(&environment);
    let line = "deployment diff payment-service --from-target dev --to-target staging";
    let diff = checkout.json(line);
    let cpu = value(&diff, "api.context.cpu");
    let expected = json!({
        "path": "api.context.cpu", "from": 9999, "to": 512, "change": "decreased", "overridden": ["from"]
    });
    assert_eq!(*cpu, expected);
    assert_eq!(value(&diff, "worker.context.cpu")["from"], 256);
    assert_eq!(value(&diff, "worker.context.cpu")["overridden"], Value::Null);
    let password = value(&diff, "api.vars.password");
    assert!(is_hash(&password["from"]) && password["to"].is_null(), "{password}");
    assert_eq!(password["overridden"], json!(["from"]));
    let shown = checkout.atmos(line).succeeded().shows("9999 (--context) → 512");
    assert!(!shown.stdout.contains("s3cret"), "{}", shown.report());
    // A commit has no overrides, on either side of the comparison.
    let commit = checkout.json("deployment diff payment-service --from-sha HEAD --to-target dev");
    assert_eq!(value(&commit, "api.context.cpu")["overridden"], json!(["to"]));
    assert_eq!(value(&commit, "api.context.cpu")["from"], 256);
}

#[test]
fn a_description_of_a_target_has_the_values_that_run_there() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = overridden(&environment);
    let clone = environment.clone(&remote.url(), "clone", Clone::SHALLOW);
    for place in [&checkout, &clone] {
        let line = "deployment describe payment-service --target dev --sources";
        let run = place.atmos(&format!("{line} --format json")).succeeded();
        let run = run.says("api runs with --context cpu, password; that is what is shown");
        let described = run.json();
        let api = component(&described, "api");
        assert_eq!(api["vars"]["cpu"], 9999);
        assert!(is_hash(&api["vars"]["password"]));
        assert_eq!(api["sources"]["cpu"], "--context of what runs");
        assert_eq!(api["context_overrides"]["cpu"], "9999");
        let worker = component(&described, "worker");
        assert_eq!((&worker["vars"]["cpu"], &worker["context_overrides"]), (&json!(256), &Value::Null));
        assert!(!run.stdout.contains("s3cret"), "{}", run.report());
        let text = place.atmos(line).succeeded().shows("(--context of what runs)");
        assert!(text.stdout.contains("cpu: 9999"), "{}", text.report());
    }
    // Without a target, no running values are shown, and no remote is asked.
    let plain = checkout.atmos("deployment describe payment-service").succeeded();
    assert!(!plain.stdout.contains("9999") && plain.stderr.is_empty(), "{}", plain.report());
}

#[test]
fn a_target_is_described_without_a_remote_or_a_ledger_and_where_the_remote_is_gone() {
    let environment = TestEnvironment::new();
    let alone = environment.payment_service("alone");
    let line = "deployment describe payment-service --target dev";
    let described = alone.json(line);
    assert_eq!(component(&described, "api")["vars"]["cpu"], 256);
    let shallow = environment.clone(&format!("file://{}", alone.path.display()), "shallow", Clone::SHALLOW);
    assert_eq!(component(&shallow.json(line), "api")["vars"]["cpu"], 256);

    let (checkout, remote) = overridden(&environment);
    checkout.atmos("deployment status payment-service").succeeded();
    std::fs::rename(&remote.path, environment.path("elsewhere.git")).unwrap();
    let run = checkout.atmos(&format!("{line} --format json")).succeeded();
    assert_eq!(component(&run.json(), "api")["vars"]["cpu"], 9999);
    assert!(run.stderr.contains("remote"), "it says how old this is\n{}", run.report());
    let offline = checkout.atmos(&format!("{line} --offline --format json")).succeeded().says("Offline");
    assert_eq!(component(&offline.json(), "api")["vars"]["cpu"], 9999);
}

#[test]
fn an_unborn_repository_can_be_described() {
    let environment = TestEnvironment::new();
    let checkout = environment.empty_repository("unborn", &[]);
    let file = "deployment: { name: shop, components: { command: { api: { settings: { command: { apply: ['true'] } } } } }, targets: { dev: { context: { cpu: 1 } } } }\n";
    checkout.write("deployments/shop.yaml", file);
    let described = checkout.json("deployment describe shop --target dev");
    assert_eq!(component(&described, "api")["vars"]["cpu"], 1);
}

#[test]
fn what_runs_with_overrides_counts_as_changed() {
    let environment = TestEnvironment::new();
    let (checkout, _) = overridden(&environment);
    let run = checkout.atmos("deployment matrix payment-service --target dev --changed").succeeded();
    let run = run.says("api: it runs with --context cpu, password").says("worker: unchanged");
    assert!(!run.stdout.contains("worker") && run.stdout.contains("api"), "{}", run.report());
}

/// A fake `helmfile` that finds no drift if a component's values have `replicas: 3`.
const HELMFILE: &str = r#"#!/bin/sh
[ "$1" = version ] && { echo "1.1.0"; exit; }
cat "$2" >> "$TEST_APPLIED"
case "$*" in
*--detailed-exitcode*) grep -q 'replicas.*3' "$2" || exit 2 ;;
esac
"#;

const CHARTS: &str = "\
deployment:
  name: charts
  components: { helmfile: { open: {}, hidden: {} } }
  targets: { dev: { context: { replicas: 1 } } }
";

#[test]
fn drift_is_looked_for_with_the_recorded_overrides_and_not_where_only_a_hash_is_known() {
    let mut environment = TestEnvironment::new();
    let path = format!("{}:{}", environment.path("bin").display(), std::env::var("PATH").unwrap());
    environment.set("PATH", &path);
    let (checkout, _) = environment.with_remote();
    checkout.write_script("../bin/helmfile", HELMFILE);
    checkout.write_script("../bin/helm", "#!/bin/sh\n");
    checkout.write("deployments/charts.yaml", CHARTS);
    checkout.write("atmos.yaml", "deployments: { ledger: { redact: [token] } }\n");
    for component in ["open", "hidden"] {
        checkout.write(&format!("components/helmfile/{component}/helmfile.yaml"), "releases: []\n");
    }
    checkout.commit("Add the charts");
    checkout.git(&["push", "--quiet", "origin", "main"]);
    let rollout = "deployment rollout charts --target dev --component";
    checkout.atmos(&format!("{rollout} open --context replicas=3")).succeeded();
    let status = "deployment status charts --target dev --check-drift";
    // With the recorded override, three replicas, it has not drifted.
    let run = checkout.atmos(&format!("{status} --format json")).succeeded();
    let target = |document: &Value| document["deployments"][0]["targets"][0].clone();
    assert_eq!(component(&target(&run.json()), "open")["drift"], "none");

    checkout.atmos(&format!("{rollout} hidden --context replicas=3 --context token=s3cret")).succeeded();
    environment.forget_applied();
    let run = checkout.atmos(&format!("{status} --format json")).exited(1);
    let run = run.says("hidden on dev cannot be looked at for drift: it runs with --context token, of which only a hash is recorded");
    assert_eq!(component(&target(&run.json()), "hidden")["drift"], Value::Null);
    assert_eq!(component(&target(&run.json()), "open")["drift"], "none");
    let seen = std::fs::read_to_string(environment.path("applied")).unwrap();
    assert!(!seen.contains("sha256:"), "a hash was taken for a value: {seen}");
    // A diff does not claim either that nothing has drifted.
    let diff = checkout.json("deployment diff charts --from-target dev --to-sha HEAD --check-drift");
    assert_eq!(diff["drift"], "not_checked");
}
