//! Shallow checkouts keep their depth, and make the first rollout of a ledger.

use crate::support::{Clone, TestEnvironment};

#[test]
fn the_first_rollout_of_all_may_come_from_a_shallow_clone() {
    let environment = TestEnvironment::new();
    let (_, remote) = environment.with_remote();
    let ci = environment.clone(&remote.url(), "ci", Clone::SHALLOW);
    let status = ci.atmos("deployment status payment-service").succeeded();
    assert!(!status.stderr.contains("Warning"), "{}", status.report());
    let rollout = ci.atmos("deployment rollout payment-service --target dev").succeeded();
    assert!(!rollout.stderr.contains("Warning"), "{}", rollout.report());
    assert_eq!(remote.state("payment-service", "dev", "api"), ci.head());
    let history = ci.atmos("deployment history payment-service --target dev").succeeded();
    assert!(!history.stderr.contains("Warning"), "{}", history.report());
}

#[test]
fn a_clone_of_some_depth_keeps_its_depth() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    for version in ["2", "3"] {
        checkout.commit_version(version);
    }
    checkout.atmos("deployment rollout payment-service --target dev").succeeded();
    for version in ["4", "5", "6"] {
        checkout.commit_version(version);
    }
    checkout.git(&["push", "--quiet", "origin", "HEAD:main"]);
    let five = Clone { arguments: &["--depth=5", "--no-tags"] };
    let ci = environment.clone(&remote.url(), "ci", five);
    assert_eq!(ci.git(&["rev-list", "--count", "HEAD"]), "5");
    ci.atmos("deployment status payment-service").succeeded().shows("success");
    ci.atmos("deployment history payment-service --target dev").succeeded();
    assert_eq!(ci.git(&["rev-list", "--count", "HEAD"]), "5", "nothing was cut off");
    assert_eq!(ci.git(&["rev-parse", "--is-shallow-repository"]), "true", "and nothing was added");
}
