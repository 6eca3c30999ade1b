//! Names that are part of each other, and records that share a second.

use crate::support::{TestEnvironment, independent_components};

#[test]
fn a_component_may_be_named_like_the_folder_of_another() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    let components = ["vpc", "vpc/flow-logs", "50%"];
    for component in components {
        checkout.write_component(component);
    }
    let file = independent_components("network", &components.map(str::to_owned));
    checkout.write("deployments/network.yaml", &file);
    let commit = checkout.commit("The network");
    checkout.atmos("deployment rollout network --target dev --component vpc").succeeded();
    checkout.atmos("deployment rollout network --target dev --component vpc/flow-logs").succeeded();
    checkout.atmos("deployment rollout network --target dev").succeeded();
    for (segment, records) in [("vpc", 2), ("vpc%2Fflow-logs", 2), ("50%25", 1)] {
        assert_eq!(remote.state("network", "dev", segment), commit, "{segment}");
        assert_eq!(remote.verify_chain("network", "dev", segment), records, "{segment}");
    }
    let status = checkout.json("deployment status network --target dev");
    let mut names: Vec<_> = status["deployments"][0]["targets"][0]["components"]
        .as_array()
        .unwrap()
        .iter()
        .map(|component| component["component"].as_str().unwrap().to_owned())
        .collect();
    names.sort();
    assert_eq!(names, ["50%", "vpc", "vpc/flow-logs"]);
    let history = checkout.json("deployment history network --target dev --component vpc");
    assert_eq!(history["records"].as_array().unwrap().len(), 2, "a component is not its namesake's folder");
}

#[test]
fn a_target_is_not_the_one_whose_name_starts_like_it() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    let file = independent_components("shop", &["api".to_owned()])
        .replace("{ dev: {}, qa: {} }", "{ prod: {}, prod-eu: {}, pro: {} }");
    checkout.write("deployments/shop.yaml", &file);
    // A deployment is not mistaken for one with a longer name either.
    let sibling = independent_components("shop-eu", &["api".to_owned()]).replace("qa", "prod");
    checkout.write("deployments/shop-eu.yaml", &sibling);
    let first = checkout.commit("The shop");
    checkout.atmos("deployment rollout shop --target prod").succeeded();
    let second = checkout.commit_version("2");
    checkout.atmos("deployment rollout shop --target prod-eu").succeeded();
    checkout.atmos("deployment rollout shop-eu --target prod").succeeded();
    assert_eq!(remote.state("shop", "prod", "api"), first);
    assert_eq!(remote.state("shop", "prod-eu", "api"), second);
    for (deployment, target, commit) in
        [("shop", "prod", &first), ("shop", "prod-eu", &second), ("shop-eu", "prod", &second)]
    {
        let history = checkout.json(&format!("deployment history {deployment} --target {target}"));
        let records = history["records"].as_array().unwrap();
        assert_eq!(records.len(), 1, "{deployment} {target}");
        assert_eq!(records[0]["git_sha"], commit.as_str());
        let status = checkout.json(&format!("deployment status {deployment} --target {target}"));
        assert_eq!(status["deployments"][0]["targets"].as_array().unwrap().len(), 1);
        assert_eq!(status["deployments"][0]["targets"][0]["components"][0]["commit"], commit.as_str());
    }
    // A freeze of one target is no freeze of the other.
    checkout.atmos("deployment lock shop --target prod --reason stocktaking").succeeded();
    checkout.atmos("deployment rollout shop --target prod-eu").succeeded();
    checkout.atmos("deployment rollout shop --target prod").exited(3);
}

#[test]
fn records_within_one_second_are_numbered_and_ordered() {
    let mut environment = TestEnvironment::new();
    environment.set_clock("2025-01-22T10:30:00Z");
    let environment = environment;
    let (checkout, remote) = environment.with_remote();
    let mut commits = Vec::new();
    for version in 1..=11 {
        commits.push(checkout.commit_version(&version.to_string()));
        checkout.atmos("deployment rollout payment-service --target dev --component worker").succeeded();
    }
    let name = |sequence: &str| {
        format!("refs/tags/atmos/deployments/payment-service/dev/worker/2025-01-22T10-30-00Z{sequence}")
    };
    let records = remote.records("payment-service", "dev", "worker");
    assert_eq!(records.len(), 11);
    for sequence in ["", "-2", "-9", "-10", "-11"] {
        assert!(records.contains(&name(sequence)), "{records:?}");
    }
    assert_eq!(remote.verify_chain("payment-service", "dev", "worker"), 11);
    let history = checkout.json("deployment history payment-service --target dev --component worker");
    let shown: Vec<_> =
        history["records"].as_array().unwrap().iter().map(|r| r["git_sha"].as_str().unwrap()).collect();
    let newest_first: Vec<_> = commits.iter().rev().map(String::as_str).collect();
    assert_eq!(shown, newest_first);
    let limited = checkout.json("deployment history payment-service --target dev --limit 2");
    assert_eq!(limited["records"].as_array().unwrap().len(), 2);
    assert_eq!(limited["records"][0]["git_sha"], newest_first[0]);
    assert_eq!(limited["truncated"], true);
}
