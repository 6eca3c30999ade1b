//! Records of failed rollouts, and the next steps that rollouts suggest.

use serde_json::Value;

use crate::support::{Checkout, Remote, Run, TestEnvironment};

const TOKEN: &str = "ghs_averysecrettoken";

/// Lets the database fail. It prints a token and a value of its configuration.
const FAILS: [(&str, &str); 2] = [
    ("GITHUB_TOKEN", TOKEN),
    (
        "TEST_DO",
        "if [ $ATMOS_COMPONENT = database ]; then echo preparing $GITHUB_TOKEN; \
         echo 'Error: no room for orders-primary' >&2; exit 3; fi",
    ),
];

const ROLLOUT: &str = "deployment rollout payment-service --target dev";

/// Deploys with that failure; the database has a variable whose value it prints.
fn failing<'e>(environment: &'e TestEnvironment, configuration: &str) -> (Checkout<'e>, Remote<'e>, Run) {
    let (checkout, remote) = environment.with_remote();
    let file = "deployments/payment-service.yaml";
    let text = std::fs::read_to_string(checkout.path.join(file)).unwrap();
    checkout.write(file, &text.replace("database:\n", "database:\n        vars: { name: orders-primary }\n"));
    checkout.write("atmos.yaml", configuration);
    checkout.commit("Name the database");
    let run = checkout.atmos_with(&format!("{ROLLOUT} --format json"), &FAILS).exited(1);
    (checkout, remote, run)
}

/// The next steps in a rollout's document: each text with its commands.
fn next(run: &Run) -> Vec<(String, Vec<String>)> {
    let document = run.json();
    let hints = document["next"].as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let commands = |hint: &Value| {
        let steps = hint["steps"].as_array().cloned().unwrap_or_default();
        steps.iter().map(|step| text(&step["command"])).collect()
    };
    hints.iter().map(|hint| (text(&hint["text"]), commands(hint))).collect()
}

fn record(checkout: &Checkout<'_>, component: &str) -> Value {
    let line = format!("deployment history payment-service --target dev --component {component}");
    checkout.json(&line)["records"][0].clone()
}

#[test]
fn the_record_of_a_failure_says_why_and_a_note_keeps_what_was_printed() {
    let environment = TestEnvironment::new();
    let (checkout, remote, run) = failing(&environment, "");
    let failed = record(&checkout, "database");
    assert_eq!(failed["status"], "failed");
    let error = failed["error"].as_str().unwrap();
    assert!(error.contains("failed with exit status 3: Error: no room for ***"), "{error}");
    assert!(failed["duration_seconds"].is_u64() && failed["run_id"].is_string(), "{failed}");

    let note = remote.git(&["notes", "--ref=atmos/payment-service/run-log", "show", &checkout.head()]);
    let log: Value = serde_json::from_str(&note).unwrap();
    assert_eq!((&log["component"], &log["target"]), (&"database".into(), &"dev".into()));
    assert_eq!((&log["record"], &log["run_id"]), (&failed["record"], &failed["run_id"]));
    let lines: Vec<_> = log["lines"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert!(lines.contains(&"preparing ***"), "{lines:?}");
    assert!(lines.iter().any(|line| line.starts_with("Error: no room")), "{lines:?}");

    // The token is not in any other object, nor in the output.
    let everything = remote.git(&["cat-file", "--batch-all-objects", "--batch", "--unordered"]);
    assert!(!everything.contains(TOKEN) && !run.stdout.contains(TOKEN));
}

#[test]
fn where_errors_are_not_kept_neither_the_record_nor_a_note_has_them() {
    let environment = TestEnvironment::new();
    let (checkout, remote, run) = failing(&environment, "deployments: { ledger: { errors: false } }\n");
    let failed = record(&checkout, "database");
    assert_eq!((&failed["status"], &failed["error"]), (&"failed".into(), &Value::Null));
    assert_eq!(remote.refs("refs/notes/atmos/payment-service/run-log"), [""; 0]);
    let texts: Vec<_> = next(&run).into_iter().map(|(text, _)| text).collect();
    assert_eq!(texts, ["To try again what did not succeed"]);
}

#[test]
fn what_failed_is_tried_again_by_the_command_that_is_told() {
    let environment = TestEnvironment::new();
    let (checkout, _remote, run) = failing(&environment, "");
    let steps = next(&run);
    let [(again, retry), (read, reading)] = &steps[..] else { panic!("{steps:?}") };
    assert_eq!(again, "To try again what did not succeed");
    // The worker has succeeded; `api` depends on the database.
    let names: Vec<_> = retry[0].split(" --component ").skip(1).collect();
    assert_eq!((names.len(), names.contains(&"worker")), (2, false), "{retry:?}");
    assert_eq!(read, "To read what database printed last");
    let runs: Vec<_> = reading.iter().map(|command| checkout.shell(command, &[]).succeeded()).collect();
    let shown = runs.last().unwrap();
    assert!(shown.stdout.contains("Error: no room"), "{}", shown.report());

    environment.forget_applied();
    checkout.shell(&retry[0], &[]).succeeded();
    let applied = environment.applied();
    assert_eq!(applied.len(), 2, "{applied:?}");
    assert_eq!(record(&checkout, "api")["status"], "success");

    let told = checkout.atmos_with(ROLLOUT, &FAILS).exited(1).says("To try again what did not succeed:\n");
    assert!(!told.stdout.contains("To try again"), "stdout is data\n{}", told.report());
}

#[test]
fn a_success_tells_the_next_target_by_the_declared_path() {
    let environment = TestEnvironment::new();
    let (checkout, _remote) = environment.with_remote();
    let put_out = ("TEST_DO", "printf 'url=https://shop.example.com\\npassword=s3\\n' > $ATMOS_OUTPUT");
    let run = checkout.atmos_with(&format!("{ROLLOUT} --format json"), &[put_out]).succeeded();
    let outputs: Vec<_> =
        run.json()["components"].as_array().unwrap().iter().map(|one| one["outputs"].clone()).collect();
    assert_eq!(outputs, vec![serde_json::json!({ "url": "https://shop.example.com" }); 3]);
    let steps = next(&run);
    assert_eq!(steps.len(), 1, "{steps:?}");
    assert_eq!(
        (steps[0].0.as_str(), steps[0].1.as_slice()),
        (
            "To promote it to staging",
            &["atmos deployment rollout payment-service --target staging --promote-from dev".to_owned()][..]
        )
    );
    checkout.shell(&steps[0].1[0], &[]).succeeded().says("--target prod --promote-from staging");
    // The last target has no next one, and a plan has rolled out nothing yet.
    let last = "deployment rollout payment-service --target prod --promote-from staging --approve CHG-1";
    assert_eq!(next(&checkout.atmos(&format!("{last} --format json")).succeeded()), []);
    assert_eq!(next(&checkout.atmos(&format!("{ROLLOUT} --plan --format json")).succeeded()), []);
}
