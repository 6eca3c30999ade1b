//! What the files do not name any more, and what is known of it all the same.

use serde_json::Value;

use crate::support::{Checkout, Clone, Remote, TestEnvironment};

const DEPLOYMENT: &str = "\
deployment:
  name: shop
  components: { command: { api: { settings: { command: { apply: ['true'] } } } } }
  targets: { dev: {}, prod: { promotion: { from: dev } } }
";

/// A deployment whose component and target were renamed after a rollout.
fn renamed(environment: &TestEnvironment) -> (Checkout<'_>, Remote<'_>) {
    let remote = environment.bare("remote.git", &[]);
    let checkout = environment.empty_repository("checkout", &[]);
    checkout.write("deployments/shop.yaml", DEPLOYMENT);
    checkout.commit("Version 1");
    checkout.git(&["remote", "add", "origin", &remote.url()]);
    checkout.git(&["push", "--quiet", "--set-upstream", "origin", "main"]);
    checkout.atmos("deployment rollout shop --target dev").succeeded();
    let names = DEPLOYMENT
        .replace("{ api:", "{ web:")
        .replace("{ dev:", "{ test:")
        .replace("from: dev", "from: test");
    checkout.write("deployments/shop.yaml", &names);
    checkout.commit("Other names");
    checkout.git(&["push", "--quiet"]);
    checkout.atmos("deployment rollout shop --target test").succeeded();
    (checkout, remote)
}

/// The marks of what an array has, by names.
fn marks(array: &Value, name: &str) -> Vec<(String, bool)> {
    let of = |item: &Value| {
        let removed = item.get("removed").is_some_and(|removed| removed == true);
        (item[name].as_str().unwrap().to_owned(), removed)
    };
    array.as_array().unwrap().iter().map(of).collect()
}

fn marked(items: &[(&str, bool)]) -> Vec<(String, bool)> {
    items.iter().map(|(name, removed)| ((*name).to_owned(), *removed)).collect()
}

#[test]
fn a_target_and_a_component_are_shown_and_marked() {
    let environment = TestEnvironment::new();
    let (checkout, _remote) = renamed(&environment);
    let status = checkout.json("deployment status shop");
    let targets = &status["deployments"][0]["targets"];
    assert_eq!(marks(targets, "target"), marked(&[("test", false), ("dev", true)]));
    assert_eq!(marks(&targets[1]["components"], "component"), marked(&[("api", true)]));
    assert_eq!(marks(&targets[0]["components"], "component"), marked(&[("web", false)]));
    let asked = checkout.json("deployment status shop --target dev");
    assert_eq!(marks(&asked["deployments"][0]["targets"], "target"), marked(&[("dev", true)]));
    checkout
        .atmos("deployment status shop --target dev")
        .succeeded()
        .shows("target (removed); component (removed)");

    let list = checkout.json("deployment list targets shop");
    assert_eq!(marks(&list["targets"], "target"), marked(&[("test", false), ("prod", false), ("dev", true)]));
    let list = checkout.json("deployment list components shop --target dev");
    assert_eq!(marks(&list["components"], "component"), marked(&[("web", false), ("api", true)]));
    assert_eq!(checkout.json("deployment list")["deployments"][0]["removed_targets"][0], "dev");
    let graph = checkout.json("deployment promotion-graph shop");
    assert_eq!(
        marks(&graph["targets"], "target"),
        marked(&[("test", false), ("prod", false), ("dev", true)])
    );
    let diff = checkout.json("deployment diff shop --from-target dev --to-target test");
    assert_eq!(marks(&diff["components"], "component"), marked(&[("web", false), ("api", true)]));
    // What never was there is a slip of the pen.
    checkout.atmos("deployment status shop --target tset").refused(2, "no target called tset");
    checkout
        .atmos("deployment diff shop --from-target tset --to-target test")
        .refused(2, "no target called tset");
}

#[test]
fn a_deployment_without_a_file_has_its_status_and_its_history() {
    let environment = TestEnvironment::new();
    let (checkout, _remote) = renamed(&environment);
    checkout.git(&["mv", "deployments/shop.yaml", "deployments/store.yaml"]);
    let file = std::fs::read_to_string(checkout.path.join("deployments/store.yaml")).unwrap();
    checkout.write("deployments/store.yaml", &file.replace("name: shop", "name: store"));
    checkout.commit("Another name");
    for line in ["deployment status", "deployment list"] {
        let document = checkout.json(line);
        assert!(
            marks(&document["deployments"], "deployment").contains(&("shop".to_owned(), true)),
            "{document:#}"
        );
        assert!(
            marks(&document["deployments"], "deployment").contains(&("store".to_owned(), false)),
            "{document:#}"
        );
    }
    let status = checkout.json("deployment status shop --target test");
    assert_eq!(marks(&status["deployments"], "deployment"), marked(&[("shop", true)]));
    for (line, records) in [("shop", 2), ("shop --target dev", 1), ("shop --component api", 1), ("", 2)] {
        let document = checkout.json(&format!("deployment history {line}"));
        assert_eq!(document["records"].as_array().unwrap().len(), records, "{line:?}");
    }
    for verb in ["history", "status"] {
        let run =
            checkout.atmos(&format!("deployment {verb} stroe")).refused(2, "no deployment called stroe");
        run.says("Did you mean store?");
    }
}

#[test]
fn a_file_that_cannot_be_used_is_not_gone() {
    let environment = TestEnvironment::new();
    let (checkout, _remote) = renamed(&environment);
    checkout.write("deployments/shop.yaml", "deployment: { nonsense: 1 }\n");
    let status = checkout.json("deployment status");
    assert_eq!(marks(&status["deployments"], "deployment"), marked(&[("shop", false)]));
}

#[test]
fn a_target_of_all_deployments_can_be_asked_about() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = renamed(&environment);
    let other = DEPLOYMENT
        .replace("name: shop", "name: other")
        .replace("settings: {", "settings: { health: { command: ['true'] },");
    checkout.write("deployments/other.yaml", &other);
    checkout.write(
        "deployments/elsewhere.yaml",
        &DEPLOYMENT.replace("name: shop", "name: elsewhere").replace("dev", "qa"),
    );
    checkout.commit("More of them");
    checkout.atmos("deployment rollout other --target dev").succeeded();
    let status = checkout.json("deployment status --target dev");
    assert_eq!(marks(&status["deployments"], "deployment"), marked(&[("other", false), ("shop", false)]));
    for deployment in status["deployments"].as_array().unwrap() {
        assert_eq!(deployment["targets"].as_array().unwrap().len(), 1, "{deployment:#}");
    }

    // What is not looked at is said: silence would pass for a good answer.
    let run = checkout.atmos("deployment status --check-health --check-drift").succeeded();
    let run = run
        .says("other → dev: not asked about drift: api (command components have no plan that tells)")
        .says("shop → test: not asked about health: web (no health check is configured)")
        .says("shop → dev was not asked: the deployment's file does not name it")
        .says("elsewhere → qa was not asked: nothing runs there");
    assert!(!run.stderr.contains("other → dev: not asked about health"), "{}", run.report());

    // A checkout that has never heard of the ledger does not know that nothing runs.
    let fresh = environment.clone(&remote.url(), "fresh", Clone::default());
    for line in ["status", "status shop"] {
        let run = fresh.atmos(&format!("deployment {line} --offline --format json")).exited(1);
        assert_eq!(run.json()["code"], "never_refreshed", "{}", run.report());
    }
    fresh.atmos("deployment history shop --offline").succeeded().shows("dev");
}
