//! Deployments, targets and components that the files no longer have, and their views.

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

/// The names of an array's items, each with its `removed` mark.
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
    // A name that never existed is a typing error.
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

/// The renamed deployment, after its file was removed.
fn without_file(environment: &TestEnvironment) -> (Checkout<'_>, Remote<'_>) {
    let (checkout, remote) = renamed(environment);
    checkout.git(&["rm", "--quiet", "deployments/shop.yaml"]);
    checkout.commit("No shop any more");
    checkout.git(&["push", "--quiet"]);
    (checkout, remote)
}

#[test]
fn a_deployment_without_a_file_is_listed_compared_and_drawn() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = without_file(&environment);
    let all = marked(&[("dev", true), ("test", true)]);
    // A fresh checkout knows the deployment from the ledger alone.
    let fresh = environment.clone(&remote.url(), "fresh", Clone::SHALLOW);
    for checkout in [&checkout, &fresh] {
        let document = checkout.json("deployment list");
        let item = &document["deployments"][0];
        assert_eq!((&item["deployment"], &item["removed"]), (&"shop".into(), &true.into()));
        assert_eq!(item["removed_targets"], serde_json::json!(["dev", "test"]));
        assert_eq!(item["removed_components"], serde_json::json!(["api", "web"]));

        let document = checkout.json("deployment list targets shop");
        assert_eq!(
            (&document["removed"], marks(&document["targets"], "target")),
            (&true.into(), all.clone())
        );
        for (line, components) in [
            ("shop", marked(&[("api", true), ("web", true)])),
            ("shop --target dev", marked(&[("api", true)])),
        ] {
            let document = checkout.json(&format!("deployment list components {line}"));
            assert_eq!(document["removed"], true, "{line}");
            assert_eq!(document["components"][0]["type"], "command", "{line}");
            assert_eq!(marks(&document["components"], "component"), components, "{line}");
        }
        for verb in ["promotion-graph", "promotion-graph --show-status", "promotion-status"] {
            let document = checkout.json(&format!("deployment {verb} shop"));
            assert_eq!(document["removed"], true, "{verb}");
            assert_eq!(marks(&document["targets"], "target"), all, "{verb}");
            assert_eq!(document["edges"], serde_json::json!([]), "{verb}");
        }
        let document = checkout.json("deployment diff shop --from-target dev --to-target test");
        assert_eq!(document["removed"], true);
        assert_eq!((&document["from"]["removed"], &document["to"]["removed"]), (&true.into(), &true.into()));
        assert_eq!(marks(&document["components"], "component"), marked(&[("api", true), ("web", true)]));
    }
    for (line, shown) in [
        ("list", "shop (removed)"),
        ("list targets shop", "dev (removed)"),
        ("list components shop", "web (removed)"),
        ("promotion-graph shop", "shop (removed) promotion graph:"),
        ("promotion-status shop", "It has no file any more, so that nothing can be promoted."),
        ("diff shop --from-target dev --to-target test", "shop (removed): dev (removed) vs test (removed)"),
        ("diff shop --from-target dev --to-sha HEAD", "shop (removed): dev (removed) vs "),
    ] {
        checkout.atmos(&format!("deployment {line}")).succeeded().shows(shown);
    }
    // `locks` still answers for it.
    assert_eq!(checkout.json("deployment locks shop")["locks"], serde_json::json!([]));
    checkout
        .atmos("deployment diff shop --from-target dev --to-target test --check-drift")
        .succeeded()
        .says("shop → dev was not asked: the deployment has no file")
        .shows("not checked");
}

#[test]
fn what_neither_a_file_nor_the_ledger_knows_is_a_slip_of_the_pen() {
    let environment = TestEnvironment::new();
    let (checkout, _remote) = without_file(&environment);
    checkout.write("deployments/store.yaml", &DEPLOYMENT.replace("name: shop", "name: store"));
    checkout.commit("Another one");
    for line in [
        "list targets stroe",
        "list components stroe",
        "list components stroe --target dev",
        "promotion-graph stroe",
        "promotion-status stroe",
        "diff stroe --from-target dev --to-target test",
        "diff stroe --from-sha HEAD --to-sha HEAD",
        "sbom stroe --target dev",
        "sbom diff stroe dev test",
        "locks stroe",
    ] {
        let run = checkout.atmos(&format!("deployment {line}")).refused(2, "no deployment called stroe");
        run.says("Did you mean store?");
    }
    for line in [
        "list components shop --target prod",
        "diff shop --from-target prod --to-target dev",
        "sbom shop --target prod",
    ] {
        let run = checkout.atmos(&format!("deployment {line}")).refused(2, "shop has no target called prod");
        run.says("atmos deployment status shop");
    }
}

#[test]
fn what_is_removed_is_still_made_of_something() {
    let environment = TestEnvironment::new();
    let (checkout, _remote) = renamed(&environment);
    let document = serde_json::json!({ "bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1,
        "components": [{ "type": "library", "name": "left-pad", "version": "1.3.0" }] });
    checkout.write("../sbom.json", &document.to_string());
    // The commit of `api` on `dev`; the current file has neither name.
    let commit = checkout.git(&["rev-parse", "HEAD~1"]);
    let attach = format!("deployment attach shop sbom --file ../sbom.json --git-sha {}", commit.trim());
    checkout.atmos(&attach).succeeded();
    for line in ["shop --target dev", "shop --target dev --component api"] {
        let summary = checkout.json(&format!("deployment sbom {line} --summary"));
        assert_eq!(summary["dependencies"][0]["name"], "left-pad", "{line}");
    }
    checkout.git(&["rm", "--quiet", "deployments/shop.yaml"]);
    checkout.commit("No shop any more");
    let summary = checkout.json("deployment sbom shop --target dev --component api --summary");
    assert_eq!(summary["dependencies"][0]["name"], "left-pad");
    checkout
        .atmos("deployment sbom shop")
        .exited(1)
        .says("shop has no file any more: name a target on which it runs");
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
    checkout.git(&["push", "--quiet"]);
    checkout.atmos("deployment rollout other --target dev").succeeded();
    let status = checkout.json("deployment status --target dev");
    assert_eq!(marks(&status["deployments"], "deployment"), marked(&[("other", false), ("shop", false)]));
    for deployment in status["deployments"].as_array().unwrap() {
        assert_eq!(deployment["targets"].as_array().unwrap().len(), 1, "{deployment:#}");
    }

    // Skipped checks are reported: silence would pass for a good result.
    let run = checkout.atmos("deployment status --check-health --check-drift").succeeded();
    let run = run
        .says("other → dev: not asked about drift: api (command components have no plan that tells)")
        .says("shop → test: not asked about health: web (no health check is configured)")
        .says("shop → dev was not asked: the deployment's file does not name it")
        .says("elsewhere → qa was not asked: nothing runs there");
    assert!(!run.stderr.contains("other → dev: not asked about health"), "{}", run.report());

    // A checkout that was never refreshed cannot tell that nothing runs.
    let fresh = environment.clone(&remote.url(), "fresh", Clone::default());
    for line in [
        "status",
        "status shop",
        "list components shop --target test",
        "promotion-graph shop",
        "promotion-status shop",
        "diff shop --from-target test --to-sha HEAD",
        "sbom shop --target test",
        "locks",
        "locks shop",
    ] {
        let run = fresh.atmos(&format!("deployment {line} --offline --format json")).exited(1);
        assert_eq!(run.json()["code"], "never_refreshed", "{}", run.report());
    }
    fresh.atmos("deployment history shop --offline").succeeded().shows("dev");
    let unknown = "what runs of these is not known here, since origin has never told this checkout: ";
    fresh.atmos("deployment list targets shop --offline").succeeded().says(&format!("{unknown}shop"));

    // A refresh of one deployment says nothing about the others.
    fresh.atmos("deployment status shop").succeeded();
    fresh.git(&["remote", "set-url", "origin", "../gone.git"]);
    for flag in ["", " --offline"] {
        let run = fresh.atmos(&format!("deployment status --format json{flag}")).succeeded();
        assert_eq!(marks(&run.json()["deployments"], "deployment"), marked(&[("shop", false)]));
        run.says(&format!("{unknown}elsewhere, other"));
        let run = fresh.atmos(&format!("deployment list{flag}")).succeeded();
        run.says(&format!("{unknown}elsewhere, other"));
        fresh
            .atmos(&format!("deployment promotion-graph other{flag}"))
            .refused(1, "has never been refreshed");
        fresh.atmos(&format!("deployment status shop{flag}")).succeeded().says("as of ");
    }
    // The time of the refreshed states does not apply to the history.
    let run = fresh.atmos("deployment history shop --offline").succeeded();
    assert!(!run.stderr.contains("as of"), "{}", run.report());
}
