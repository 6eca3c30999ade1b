//! The action, the GitLab template and the program agree on their inputs and outputs.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::support::TestEnvironment;

/// The documents of a YAML file of the repository.
fn documents(file: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(format!("{}/{file}", env!("CARGO_MANIFEST_DIR"))).unwrap();
    text.split("\n---\n").map(|document| serde_yaml::from_str(document).unwrap()).collect()
}

fn keys(map: &Value) -> BTreeSet<String> {
    map.as_object().unwrap().keys().cloned().collect()
}

/// The inputs that the program lists when it is given an unknown one.
fn known_inputs() -> BTreeSet<String> {
    let environment = TestEnvironment::new();
    let checkout = environment.payment_service("checkout");
    let run = checkout.atmos_with("deployment ci", &[("ATMOS_INPUT_ZZZZZZZZZZ", "x")]).exited(2);
    let named = run.stderr.split_once("The inputs are ").map(|(_, named)| named.lines().next().unwrap());
    named.unwrap_or_else(|| panic!("{}", run.report())).split(", ").map(str::to_owned).collect()
}

#[test]
fn the_action_has_the_inputs_that_the_program_knows() {
    assert_eq!(keys(&documents("action.yml")[0]["inputs"]), known_inputs());
}

#[test]
fn the_template_has_them_too_and_hands_all_of_them_on() {
    let template = documents("gitlab-ci-template.yml");
    let mut inputs = keys(&template[0]["spec"]["inputs"]);
    // The inputs that only GitLab needs.
    for own in ["image", "stage"] {
        assert!(inputs.remove(own), "there is no input {own}");
    }
    // Each hidden job sets the command itself.
    let mut known = known_inputs();
    assert!(known.remove("command"));
    assert_eq!(inputs, known);
    let jobs = template[1].as_object().unwrap().values();
    let handed_on: BTreeSet<_> = jobs
        .filter_map(|job| job["variables"].as_object())
        .flatten()
        .filter_map(|(variable, value)| {
            let input = value.as_str()?.strip_prefix("$[[ inputs.")?.strip_suffix(" ]]")?;
            let named = format!("ATMOS_INPUT_{}", input.to_uppercase().replace('-', "_"));
            assert_eq!(*variable, named);
            Some(input.to_owned())
        })
        .collect();
    assert_eq!(handed_on, known);
}

/// Neither platform distinguishes an input that was left out from an empty one.
#[test]
fn a_digest_that_was_left_out_is_none_and_not_empty() {
    assert_eq!(documents("action.yml")[0]["inputs"]["digest"]["default"], "none");
    assert_eq!(documents("gitlab-ci-template.yml")[0]["spec"]["inputs"]["digest"]["default"], "none");
}

#[test]
fn the_template_puts_nothing_into_a_shell() {
    let template = documents("gitlab-ci-template.yml");
    for (name, job) in template[1].as_object().unwrap() {
        for line in job["script"].as_array().into_iter().flatten() {
            assert!(!line.as_str().unwrap().contains('$'), "{name}: {line}");
        }
    }
}
