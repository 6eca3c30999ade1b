//! The components that a promotion takes along or leaves behind, and the flags that override it.

use crate::support::{Checkout, TestEnvironment};

const DEPLOYMENT: &str = "payment-service";

/// Rolls the components out to dev at three commits: `database` at the first, `api` at the second,
/// `worker` at the third.
fn apart(checkout: &Checkout<'_>) -> [String; 3] {
    let first = checkout.head();
    checkout.atmos("deployment rollout payment-service --target dev").succeeded();
    let second = checkout.commit_version("2");
    checkout.atmos("deployment rollout payment-service --target dev --component api").succeeded();
    let third = checkout.commit_version("3");
    checkout.atmos("deployment rollout payment-service --target dev --component worker").succeeded();
    [first, second, third]
}

#[test]
fn components_at_different_commits_go_each_to_its_own() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    let [first, second, third] = apart(&checkout);
    environment.forget_applied();
    checkout.atmos("deployment rollout payment-service --target staging --promote-from dev").succeeded();
    let mut applied = environment.applied();
    applied.sort();
    let expected = [
        format!("staging api {second} 2"),
        format!("staging database {first} 1"),
        format!("staging worker {third} 3"),
    ];
    assert_eq!(applied, expected, "each runs from a checkout of its own commit");
    for (component, commit) in [("database", &first), ("api", &second), ("worker", &third)] {
        assert_eq!(remote.state(DEPLOYMENT, "staging", component), *commit);
    }
}

#[test]
fn a_mix_is_refused_where_that_is_asked_for() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    let commits = apart(&checkout);
    let before = remote.snapshot();
    let line = "deployment rollout payment-service --target staging --promote-from dev --require-uniform";
    let run = checkout.atmos(line).exited(3);
    for commit in &commits {
        assert!(run.stderr.contains(&commit[..7]), "{}", run.report());
    }
    assert_eq!(remote.snapshot(), before);
    checkout.atmos("deployment rollout payment-service --target dev").succeeded();
    checkout.atmos(line).succeeded();
}

#[test]
fn a_component_is_promoted_alone() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    checkout.atmos("deployment rollout payment-service --target dev").succeeded();
    environment.forget_applied();
    checkout
        .atmos("deployment rollout payment-service --target staging --promote-from dev --component database")
        .succeeded();
    assert_eq!(environment.applied(), [format!("staging database {} 1", checkout.head())]);
    assert_eq!(
        remote.refs("refs/atmos/deployments/payment-service/staging/"),
        ["refs/atmos/deployments/payment-service/staging/database"]
    );
    // A reference may carry its kind, and there may be several.
    checkout
        .atmos("deployment rollout payment-service --target staging --promote-from dev --component command/worker --component api")
        .succeeded();
    assert_eq!(remote.refs("refs/atmos/deployments/payment-service/staging/").len(), 3);
}

#[test]
fn what_failed_stays_behind() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    checkout.atmos("deployment rollout payment-service --target dev").succeeded();
    checkout.commit_version("2");
    let fail = "[ $ATMOS_COMPONENT != worker ]";
    let line = "deployment rollout payment-service --target dev";
    checkout.atmos_with(line, &[("TEST_DO", fail)]).exited(1);
    let promote = "deployment rollout payment-service --target staging --promote-from dev";
    checkout
        .atmos(promote)
        .refused(3, "The promotion from dev would be partial")
        .says("worker: its last rollout");
    let rest = checkout.atmos(&format!("{promote} --allow-partial")).succeeded();
    rest.says("worker is left out").says("the promotion is partial");
    assert_eq!(remote.state(DEPLOYMENT, "staging", "worker"), "", "its newest record on dev is no success");
    assert_eq!(remote.state(DEPLOYMENT, "staging", "api"), checkout.head());
    // A selection by name is refused.
    checkout.atmos(&format!("{promote} --component worker")).refused(3, "worker");
}

#[test]
fn nothing_deployed_is_nothing_to_promote() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    let before = remote.snapshot();
    checkout
        .atmos("deployment rollout payment-service --target staging --promote-from dev")
        .refused(3, "dev")
        .says("deployment rollout payment-service --target dev");
    assert_eq!(remote.snapshot(), before);
}

#[test]
fn whoever_skips_the_check_is_on_record() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    checkout.atmos("deployment rollout payment-service --target dev").succeeded();
    checkout
        .atmos("deployment rollout payment-service --target prod --promote-from dev --skip-promotion-check --approve \"incident 42\"")
        .succeeded();
    let record = |target: &str| {
        let tag = remote.records(DEPLOYMENT, target, "api").pop().unwrap();
        remote.git(&["cat-file", "-p", &tag])
    };
    assert!(record("prod").contains("promotion_check: skipped"), "{}", record("prod"));
    assert!(record("prod").contains("promoted_from: dev"), "{}", record("prod"));
    assert!(!record("dev").contains("promotion_check"), "{}", record("dev"));
    // A direct rollout records the skipped check as well.
    checkout.commit_version("2");
    checkout.atmos("deployment rollout payment-service --target staging --skip-promotion-check").succeeded();
    assert!(record("staging").contains("promotion_check: skipped"), "{}", record("staging"));
}

#[test]
fn after_a_rollback_a_pipeline_waits_and_a_person_does_not() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    let promote = "deployment rollout payment-service --target staging --promote-from dev";
    let first = checkout.head();
    checkout.atmos("deployment rollout payment-service --target dev").succeeded();
    checkout.atmos(promote).succeeded();
    let second = checkout.commit_version("2");
    checkout.atmos("deployment rollout payment-service --target dev").succeeded();
    checkout.atmos(promote).succeeded();
    checkout
        .atmos(&format!("deployment rollout payment-service --target staging --git-sha {first}"))
        .succeeded();

    let pipeline = [
        ("CI", "true"),
        ("GITHUB_ACTIONS", "true"),
        ("GITHUB_EVENT_NAME", "push"),
        ("GITHUB_RUN_ID", "1"),
        ("GITHUB_RUN_ATTEMPT", "1"),
    ];
    checkout.git(&["push", "--quiet"]);
    let before = remote.snapshot();
    checkout.atmos_with(promote, &pipeline).refused(3, "staging");
    assert_eq!(remote.snapshot(), before);
    let status = checkout.json("deployment promotion-status payment-service");
    assert_eq!(status["edges"][0]["hold"], true);
    checkout.atmos(promote).succeeded();
    assert_eq!(remote.state(DEPLOYMENT, "staging", "api"), second);
}

#[test]
fn the_rules_are_those_of_the_checkout() {
    let environment = TestEnvironment::new();
    let (checkout, _remote) = environment.with_remote();
    checkout.atmos("deployment rollout payment-service --target dev").succeeded();
    // A promoted commit cannot bring promotion rules of its own.
    let path = "deployments/payment-service.yaml";
    let file = std::fs::read_to_string(checkout.path.join(path)).unwrap();
    checkout.write(
        path,
        &file.replace("{ from: staging, requires_approval: true, approval_method: manual }", "{ from: dev }"),
    );
    checkout.commit("No rules");
    checkout.atmos("deployment rollout payment-service --target dev").succeeded();
    checkout.git(&["checkout", "--quiet", "HEAD~1"]);
    checkout
        .atmos("deployment rollout payment-service --target prod --promote-from dev")
        .refused(3, "Cannot promote directly from dev to prod");
}

#[test]
fn a_promotion_does_not_cross_deployments() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    let before = remote.snapshot();
    // `target-promotion.md`, "Cross-Deployment Promotion".
    checkout
        .atmos("deployment rollout payment-service --target prod --promote-from inventory-service/prod")
        .refused(3, "Cannot promote across deployments. Use same-deployment promotion only.");
    assert_eq!(remote.snapshot(), before);
}
