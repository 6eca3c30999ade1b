//! Faults while components run: they hang, are interrupted, or the disk has no room.

use rustix::process::Signal;
use serde_json::Value;

use crate::support::{Checkout, Remote, Run, TestEnvironment, wait_until};

/// `first` and `independent` start at once; `second` waits for `first`.
const DEPLOYMENT: &str = "\
deployment:
  name: shop
  components:
    command:
      first: { settings: { command: { apply: [./first.sh]LIMITS } } }
      second: { metadata: { depends_on: [first] }, settings: { command: { apply: [./apply.sh] } } }
      independent: { settings: { command: { apply: [./apply.sh] } } }
  targets: { dev: {} }
";

const APPLY: &str = "#!/bin/sh\necho \"$ATMOS_COMPONENT\" >> $TEST_APPLIED\n";

fn shop<'e>(environment: &'e TestEnvironment, first: &str, limits: &str) -> (Checkout<'e>, Remote<'e>) {
    let remote = environment.bare("remote.git", &[]);
    let checkout = environment.empty_repository("checkout", &[]);
    checkout.write("deployments/shop.yaml", &DEPLOYMENT.replace("LIMITS", limits));
    checkout.write_script("first.sh", first);
    checkout.write_script("apply.sh", APPLY);
    checkout.commit("Version 1");
    checkout.git(&["remote", "add", "origin", &remote.url()]);
    (checkout, remote)
}

/// The status of each component, by name.
fn statuses(result: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let components = result["components"].as_array().unwrap().iter();
    let mut statuses: Vec<_> =
        components.map(|component| (text(&component["component"]), text(&component["status"]))).collect();
    statuses.sort();
    statuses
}

/// The events of a rollout, each validated by its schema.
fn events(run: &Run) -> Vec<Value> {
    let schema = include_str!("../../schema/rollout-event.schema.json");
    let schema = jsonschema::validator_for(&serde_json::from_str(schema).unwrap()).unwrap();
    let lines = run.stderr.lines().filter(|line| line.starts_with('{'));
    let events: Vec<Value> = lines.map(|line| serde_json::from_str(line).unwrap()).collect();
    for event in &events {
        assert!(schema.is_valid(event), "{event}");
    }
    events
}

/// The ends of components by the events, in their order: name, status, error.
fn ends(run: &Run) -> Vec<(String, String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let events = events(run);
    let ends = events.iter().filter(|event| event["event"] == "component_finished");
    ends.map(|event| (text(&event["component"]), text(&event["status"]), text(&event["error"]))).collect()
}

const ROLLOUT: &str = "deployment rollout shop --target dev --parallelism 4 --format json";

#[test]
fn a_component_that_hangs_fails_in_time_and_the_rest_is_finished() {
    let environment = TestEnvironment::new();
    let hang = "#!/bin/sh\nsleep 600 & echo $! > $TEST_APPLIED.pid\nwait\n";
    let (checkout, remote) = shop(&environment, hang, ", timeout: 1s");
    let run = checkout.atmos(ROLLOUT).exited(1);
    let expected = [("first", "failed"), ("independent", "success"), ("second", "skipped")];
    assert_eq!(statuses(&run.json()), expected.map(|(name, status)| (name.to_owned(), status.to_owned())));
    let result = run.json();
    let components = result["components"].as_array().unwrap();
    let first = components.iter().find(|component| component["component"] == "first").unwrap();
    assert_eq!(first["error"], "it did not end within 1 s and was stopped");
    let pid = std::fs::read_to_string(environment.path("applied.pid")).unwrap();
    assert!(!std::path::Path::new("/proc").join(pid.trim()).join("exe").exists(), "the sleep is gone");
    assert_eq!(remote.locks(), [""; 0]);
    assert_eq!(remote.records("shop", "dev", "first").len(), 1);
    assert_eq!(remote.records("shop", "dev", "second").len(), 0);
}

#[test]
fn the_second_interrupt_kills_what_ignores_the_first() {
    let environment = TestEnvironment::new();
    let stubborn = "#!/bin/sh\ntrap 'echo > $TEST_APPLIED.asked' TERM INT\necho > $TEST_APPLIED.up\n\
                    while true; do sleep 0.1; done\n";
    let (checkout, remote) = shop(&environment, stubborn, "");
    let running = checkout.start(ROLLOUT, &[]);
    wait_until("the component runs", || environment.path("applied.up").exists());
    running.signal(Signal::INT);
    running.until_it_says("Once more stops it at once");
    wait_until("the component is asked", || environment.path("applied.asked").exists());
    running.signal(Signal::INT);
    let run = running.wait().exited(130);
    assert_eq!(statuses(&run.json())[0], ("first".to_owned(), "cancelled".to_owned()));
    assert_eq!(remote.locks(), [""; 0], "{}", run.report());
    let history = checkout.json("deployment history shop --target dev --component first");
    assert_eq!(history["records"][0]["status"], "cancelled");
}

#[test]
fn where_nothing_can_be_written_nothing_is_applied_and_the_locks_are_given_back() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = shop(&environment, APPLY, "");
    checkout.write("large", &"0123456789abcdef".repeat(8 * 1024));
    checkout.commit("Add something large");
    checkout.git(&["push", "--quiet", "origin", "main"]);
    // Files are limited to 64 KiB, so the commit cannot be checked out.
    let atmos = env!("CARGO_BIN_EXE_atmos");
    let mut command = environment.command("sh", &checkout.path);
    command.args(["-c", &format!("trap '' XFSZ; ulimit -f 128; exec {atmos} {ROLLOUT}")]);
    let run = crate::support::Running::start(command).wait().exited(1);
    assert_eq!(run.json()["code"], "checkout", "{}", run.report());
    assert_eq!(environment.applied(), [""; 0]);
    assert_eq!(remote.locks(), [""; 0]);
    assert_eq!(remote.refs("refs/atmos/deployments/"), [""; 0]);
    checkout.atmos(ROLLOUT).succeeded();
}

#[test]
fn events_are_told_as_they_happen() {
    let environment = TestEnvironment::new();
    let (checkout, _) = shop(&environment, "#!/bin/sh\necho hello\n", "");
    let run = checkout.atmos(ROLLOUT).succeeded();
    assert_eq!(run.json()["kind"], "RolloutResult");
    let events = events(&run);
    let planned = events[0]["components"].as_array().unwrap();
    let second = planned.iter().find(|component| component["component"] == "second").unwrap();
    assert_eq!(
        (&events[0]["event"], &second["waits_for"]),
        (&"planned".into(), &serde_json::json!(["first"]))
    );
    let of_first: Vec<_> = events
        .iter()
        .filter(|event| event["component"] == "first")
        .map(|event| event["event"].as_str().unwrap())
        .collect();
    assert_eq!(of_first, ["component_started", "component_output", "component_finished"]);
    assert_eq!(events.last().unwrap()["event"], "finished");
}

#[test]
fn what_never_starts_is_told_of_too() {
    let environment = TestEnvironment::new();
    let (checkout, _) = shop(&environment, "#!/bin/sh\nexit 1\n", "");
    let in_turn = ROLLOUT.replace("--parallelism 4", "--parallelism 1");
    let skipped = |name: &str, why: &str| (name.to_owned(), "skipped".to_owned(), why.to_owned());
    let run = checkout.atmos(&in_turn).exited(1);
    let [first, second, independent] = <[_; 3]>::try_from(ends(&run)).unwrap();
    assert_eq!((first.0.as_str(), first.1.as_str()), ("first", "failed"));
    assert_eq!(second, skipped("second", "first, which it depends on, did not succeed"));
    assert_eq!(independent.1, "success");
    let run = checkout.atmos(&format!("{in_turn} --fail-fast")).exited(1);
    assert_eq!(ends(&run)[2], skipped("independent", "first failed, and --fail-fast stops there"));
    let text = checkout.atmos(&in_turn.replace(" --format json", "")).exited(1);
    text.shows("Deployment failed: 1 of 3 components failed, 1 skipped").says("- command/second (skipped)");

    let slow = "#!/bin/sh\necho > $TEST_APPLIED.up\nsleep 600 & wait\n";
    checkout.write_script("first.sh", slow);
    checkout.commit("Wait");
    let running = checkout.start(&in_turn, &[]);
    wait_until("the component runs", || environment.path("applied.up").exists());
    running.signal(Signal::INT);
    let run = running.wait().exited(130);
    let [first, second, independent] = <[_; 3]>::try_from(ends(&run)).unwrap();
    assert_eq!((first.0.as_str(), first.1.as_str()), ("first", "cancelled"));
    assert_eq!(second, skipped("second", "first, which it depends on, did not succeed"));
    assert_eq!(independent, skipped("independent", "the rollout was cancelled"));
}

#[test]
fn what_a_command_puts_out_is_there_for_what_comes_after_it_in_the_same_rollout() {
    let environment = TestEnvironment::new();
    let (checkout, _) = shop(&environment, "#!/bin/sh\necho id=t1 > \"$ATMOS_OUTPUT\"\n", "");
    let uses = |output: &str| {
        let vars = format!("depends_on: [first] }}, vars: {{ token: '{{{{ outputs.first.{output} }}}}' }}");
        let file = DEPLOYMENT.replace("LIMITS", "").replace("depends_on: [first] }", &vars);
        checkout.write("deployments/shop.yaml", &file);
        checkout.commit("Use what was put out");
    };
    checkout.write_script("apply.sh", "#!/bin/sh\ncat \"$ATMOS_VARS_FILE\" >> $TEST_APPLIED\n");
    let rollout = "deployment rollout shop --target dev";
    uses("id");
    checkout
        .atmos(&format!("{rollout} --component second"))
        .refused(2, "what a command component puts out is known only while it is rolled out")
        .says("--component second --component first");
    checkout.atmos(rollout).succeeded();
    assert!(environment.applied().iter().any(|line| line.contains("\"token\": \"t1\"")));
    uses("name");
    checkout.atmos(rollout).exited(1).says("first has put out no such value on dev");
    checkout.write(
        "deployments/shop.yaml",
        &DEPLOYMENT
            .replace("LIMITS", "")
            .replace("depends_on: [first] }", "depends_on: [first] }, vars: { x: '{{ outputs.frist.id }}' }"),
    );
    checkout.commit("Mistype");
    checkout.atmos(rollout).refused(2, "it needs outputs of frist, which the deployment does not have");
}

#[test]
fn a_terraform_that_is_too_old_or_missing_is_found_out_before_anything_is_applied() {
    let environment = TestEnvironment::new();
    let checkout = environment.empty_repository("checkout", &[]);
    let old = environment.path("old-terraform");
    checkout.write(
        "deployments/shop.yaml",
        "deployment:\n  name: shop\n  components:\n    terraform: { vpc: {} }\n    command:\n      \
         first: { settings: { command: { apply: [./apply.sh] } } }\n  targets: { dev: {} }\n",
    );
    checkout.write_script("apply.sh", APPLY);
    checkout.write("components/terraform/vpc/main.tf", "");
    checkout.write("atmos.yaml", &format!("components: {{terraform: {{command: {}}}}}\n", old.display()));
    checkout.commit("Version 1");
    let rollout = "deployment rollout shop --target dev";
    checkout
        .atmos(rollout)
        .refused(2, "vpc needs the program")
        .says("developer.hashicorp.com/terraform/install");
    checkout.write_script("../old-terraform", "#!/bin/sh\necho '{\"terraform_version\": \"1.3.9\"}'\n");
    checkout.atmos(rollout).refused(2, "1.3.9 is too old: version 1.4.0 or newer is needed");
    assert_eq!(environment.applied(), [""; 0]);
}

#[test]
fn components_do_not_see_the_key_that_provenance_is_signed_with() {
    let environment = TestEnvironment::new();
    let (checkout, _remote) = shop(&environment, "#!/bin/sh\nenv > $TEST_APPLIED.env\n", "");
    checkout.atmos_with(ROLLOUT, &[("ATMOS_PROVENANCE_KEY", "key.pem"), ("OTHER_KEY", "x")]).succeeded();
    let seen = std::fs::read_to_string(environment.path("applied.env")).unwrap();
    assert!(seen.contains("OTHER_KEY=x"), "{seen}");
    assert!(!seen.contains("PROVENANCE_KEY"), "{seen}");
}
