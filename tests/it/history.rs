//! `history` by rollout: the records of one rollout, and the times, targets and deployments to
//! show.

use serde_json::Value;

use crate::support::{Checkout, TestEnvironment};

/// Each rollout of a document: its deployment, its target, and its components in alphabetical
/// order.
fn rollouts(document: &Value) -> Vec<String> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let of = |rollout: &Value| {
        let components = rollout["components"].as_array().unwrap();
        let mut names: Vec<_> = components.iter().map(|component| text(&component["component"])).collect();
        names.sort();
        format!("{}/{}: {}", text(&rollout["deployment"]), text(&rollout["target"]), names.join(" "))
    };
    document["rollouts"].as_array().unwrap().iter().map(of).collect()
}

fn records(document: &Value) -> usize {
    document["records"].as_array().unwrap().len()
}

#[test]
fn a_rollout_is_one_entry_with_its_components() {
    let environment = TestEnvironment::new();
    let (checkout, _remote) = environment.with_remote();
    let line = "deployment rollout payment-service --target dev --parallelism 1";
    checkout.atmos(&format!("{line} --reason first")).succeeded();
    checkout.commit_version("2");
    checkout.atmos_with(&format!("{line} --reason second"), &[("ATMOS_RUN_ID", "jenkins/7")]).succeeded();
    let history = "deployment history payment-service --target dev";
    let document = checkout.json(history);
    let whole = "payment-service/dev: api database worker";
    assert_eq!(rollouts(&document), [whole, whole], "{document:#}");
    let newest = &document["rollouts"][0];
    assert_eq!(
        (&newest["run_id"], &newest["reason"], &newest["status"]),
        (&"jenkins/7".into(), &"second".into(), &"success".into())
    );
    assert!(newest["duration_seconds"].is_u64() && newest["started_at"].is_string(), "{newest:#}");
    let of_newest: Vec<_> =
        newest["components"].as_array().unwrap().iter().map(|found| &found["record"]).collect();
    assert!(of_newest.contains(&&document["records"][0]["record"]), "{document:#}");

    // The limit counts the entries that are shown: rollouts, or records.
    let one = checkout.json(&format!("{history} --limit 1"));
    assert_eq!((rollouts(&one).len(), records(&one), &one["truncated"]), (1, 3, &true.into()));
    let one = checkout.json(&format!("{history} --limit 1 --records"));
    assert_eq!((rollouts(&one).len(), records(&one), &one["truncated"]), (1, 1, &true.into()));
    let rows = |line: &str| checkout.atmos(line).succeeded().stdout.lines().count() - 1;
    assert_eq!((rows(history), rows(&format!("{history} --records"))), (2, 6));
    let shown = checkout.atmos(history).succeeded();
    shown.shows("second, run jenkins/7");
}

/// Tags a record by hand for each of these times of `2025-01-22`.
fn tagged(checkout: &Checkout<'_>, times: &[&str]) {
    for time in times {
        let message = format!(
            "atmos.tools/v1alpha1\nkind: Deployment\n---\ndeployed_by: ci@example.com\n\
             timestamp: 2025-01-22T{time}Z\nstatus: success\n"
        );
        let tag =
            format!("atmos/deployments/payment-service/prod/api/2025-01-22T{}Z", time.replace(':', "-"));
        checkout.git(&["tag", "-a", "-m", &message, &tag, "HEAD"]);
    }
    checkout.git(&["push", "--quiet", "origin", "refs/tags/atmos/*:refs/tags/atmos/*"]);
}

#[test]
fn a_time_is_read_as_it_is_meant() {
    let mut environment = TestEnvironment::new();
    environment.set_clock("2025-01-22T14:00:00Z");
    let environment = environment;
    let (checkout, _remote) = environment.with_remote();
    tagged(&checkout, &["10:30:00", "12:00:00", "12:00:30"]);
    for (range, found) in [
        ("--since 2025-01-22T11:00:00Z", 2),
        ("--since 2025-01-22T11:00:00", 2),
        ("--since \"2025-01-22 11:00\"", 2),
        ("--since \"2025-01-22 11:00\" --timezone America/New_York", 0),
        ("--since \"2025-01-22 07:00\" --timezone America/New_York", 2),
        ("--until \"2025-01-22 12:00\"", 3),
        ("--until \"2025-01-22 12:00:00\"", 2),
        ("--since 3h", 2),
        ("--since 1d", 3),
        ("--since today", 3),
        ("--until yesterday", 0),
    ] {
        let document = checkout.json(&format!("deployment history payment-service --target prod {range}"));
        assert_eq!(records(&document), found, "{range}");
    }
    checkout.atmos("deployment history payment-service --target prod").shows("2025-01-22 12:00:30");
}

#[test]
fn targets_and_deployments_that_are_not_named_are_all_of_them() {
    let environment = TestEnvironment::new();
    let (checkout, _remote) = environment.with_remote();
    let file = std::fs::read_to_string(checkout.path.join("deployments/payment-service.yaml")).unwrap();
    checkout.write("deployments/shop.yaml", &file.replace("name: payment-service", "name: shop"));
    checkout.commit("Another one");
    checkout.git(&["push", "--quiet"]);
    for line in [
        "payment-service --target dev",
        "shop --target dev --component database",
        "shop --target staging --promote-from dev --component database",
    ] {
        checkout.atmos(&format!("deployment rollout {line}")).succeeded();
    }
    let count = |line: &str| rollouts(&checkout.json(&format!("deployment history {line}"))).len();
    for (line, expected) in [
        ("", 3),
        ("shop", 2),
        ("shop --target dev", 1),
        ("--target dev", 2),
        ("--component worker", 1),
        ("shop --component database", 2),
    ] {
        assert_eq!(count(line), expected, "{line:?}");
    }
    let all = checkout.json("deployment history");
    assert!(rollouts(&all).contains(&"shop/staging: database".to_owned()), "{all:#}");
    assert_eq!((all.get("deployment"), all.get("target")), (None, None));
    assert!(all["records"].as_array().unwrap().iter().any(|record| record["target"] == "staging"));
}
