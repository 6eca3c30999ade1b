//! A ledger that moves while a rollout waits for its locks: the approved or required plan is rolled
//! out, or nothing.

use crate::support::{Checkout, Clone, Remote, Running, TestEnvironment};

const PROMOTE: &str = "deployment rollout payment-service --target prod --promote-from staging";

/// Two clones, the checked-out commit on staging, and a lock by hand on the worker of `prod`.
fn locked(environment: &TestEnvironment) -> (Checkout<'_>, Checkout<'_>, Remote<'_>) {
    let (checkout, remote) = environment.with_remote();
    deploy(&checkout, &["dev", "staging --promote-from dev"]);
    let other = environment.clone(&remote.url(), "other", Clone::default());
    other.atmos(&lock("lock", " --reason migration")).succeeded();
    environment.forget_applied();
    (checkout, other, remote)
}

fn lock(verb: &str, more: &str) -> String {
    format!("deployment {verb} payment-service --target prod --component worker{more}")
}

/// Rolls out to each of these targets.
fn deploy(checkout: &Checkout<'_>, targets: &[&str]) {
    for target in targets {
        checkout.atmos(&format!("deployment rollout payment-service --target {target}")).succeeded();
    }
}

/// Starts a promotion to prod that has to wait for the lock.
fn waiting(checkout: &Checkout<'_>, more: &str) -> Running {
    let waiting = checkout.start(&format!("{PROMOTE} --lock-timeout 100s {more}"), &[]);
    waiting.until_it_says("Waiting for ada@example.com");
    waiting
}

/// Brings the next version to staging from another clone.
fn move_on(other: &Checkout<'_>) -> String {
    let next = other.commit_version("2");
    other.git(&["push", "--quiet"]);
    deploy(other, &["dev", "staging --promote-from dev"]);
    other.environment.forget_applied();
    next
}

#[test]
fn what_was_approved_is_not_replaced_by_what_came_to_the_source_since() {
    let environment = TestEnvironment::new();
    let (checkout, other, remote) = locked(&environment);
    for ahead in [false, true] {
        if ahead {
            other.atmos(&lock("lock", " --reason migration")).succeeded();
            let approve = "deployment approve payment-service --target prod --promote-from staging";
            checkout.atmos(&format!("{approve} --reason CHG-1")).succeeded();
        }
        let waiting = waiting(&checkout, if ahead { "" } else { "--approve CHG-1" });
        move_on(&other);
        other.atmos(&lock("unlock", "")).succeeded();
        waiting.wait().refused(3, "What was approved is no longer what would be rolled out");
        assert_eq!((environment.applied(), remote.locks()), (Vec::new(), Vec::new()));
        assert_eq!(remote.refs("refs/tags/atmos/deployments/payment-service/prod"), [""; 0]);
    }
}

#[test]
fn what_was_approved_is_not_done_on_top_of_what_another_run_did_since() {
    let environment = TestEnvironment::new();
    let (checkout, other, remote) = locked(&environment);
    let waiting = waiting(&checkout, "--approve CHG-1");
    other.atmos(&format!("{PROMOTE} --component database --approve CHG-2")).succeeded();
    environment.forget_applied();
    other.atmos(&lock("unlock", "")).succeeded();
    waiting.wait().refused(3, "What was approved is no longer what would be rolled out");
    assert_eq!((environment.applied(), remote.locks()), (Vec::new(), Vec::new()));
    assert_eq!(remote.verify_chain("payment-service", "prod", "database"), 1);
    assert_eq!(remote.state("payment-service", "prod", "api"), "");
}

/// Makes prod a target that needs no approval.
fn without_approval(checkout: &Checkout<'_>) {
    let file = "deployments/payment-service.yaml";
    let text = std::fs::read_to_string(checkout.path.join(file)).unwrap();
    checkout.write(file, &text.replace(", requires_approval: true, approval_method: manual", ""));
    checkout.commit("Ask for no approval");
    checkout.git(&["push", "--quiet"]);
}

#[test]
fn a_digest_is_insisted_on_although_the_ledger_moves() {
    let environment = TestEnvironment::new();
    let (checkout, other, remote) = locked(&environment);
    without_approval(&other);
    checkout.git(&["pull", "--quiet"]);
    let digest = checkout.json(&format!("{PROMOTE} --plan"))["digest"].as_str().unwrap().to_owned();
    let waiting = waiting(&checkout, &format!("--digest {digest}"));
    move_on(&other);
    other.atmos(&lock("unlock", "")).succeeded();
    let run = waiting.wait().refused(3, "What would be rolled out to prod is not what was planned");
    assert!(run.stderr.contains(&digest), "{}", run.report());
    assert_eq!((environment.applied(), remote.locks()), (Vec::new(), Vec::new()));
}

#[test]
fn without_a_digest_what_is_there_under_the_lock_is_done() {
    let environment = TestEnvironment::new();
    let (checkout, other, remote) = locked(&environment);
    without_approval(&other);
    checkout.git(&["pull", "--quiet"]);
    let waiting = waiting(&checkout, "");
    let next = move_on(&other);
    other.atmos(&lock("unlock", "")).succeeded();
    waiting.wait().succeeded();
    for component in ["api", "worker", "database"] {
        assert_eq!(remote.state("payment-service", "prod", component), next);
    }
    let mut applied = environment.applied();
    applied.sort();
    let expected = ["api", "database", "worker"].map(|component| format!("prod {component} {next} 2"));
    assert_eq!(applied, expected, "the files are those of that commit");
    assert_eq!(remote.locks(), [""; 0]);
}

#[test]
fn a_digest_that_still_holds_is_run_on_top_of_what_another_run_did() {
    let environment = TestEnvironment::new();
    let (checkout, other, remote) = locked(&environment);
    without_approval(&other);
    checkout.git(&["pull", "--quiet"]);
    let digest = checkout.json(&format!("{PROMOTE} --plan"))["digest"].as_str().unwrap().to_owned();
    let waiting = waiting(&checkout, &format!("--digest {digest}"));
    other.atmos(&format!("{PROMOTE} --component database")).succeeded();
    other.atmos(&lock("unlock", "")).succeeded();
    waiting.wait().succeeded();
    assert_eq!(remote.verify_chain("payment-service", "prod", "database"), 2);
    assert_eq!(remote.verify_chain("payment-service", "prod", "worker"), 1);
}

#[test]
fn a_component_that_comes_to_the_source_meanwhile_is_in_no_approval() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    let some = "--component database --component worker";
    let to_staging = format!("staging --promote-from dev {some}");
    deploy(&checkout, &["dev", &to_staging]);
    let other = environment.clone(&remote.url(), "other", Clone::default());
    other.atmos(&lock("lock", " --reason migration")).succeeded();
    let approved = waiting(&checkout, "--approve CHG-1");
    deploy(&other, &["staging --promote-from dev --component api"]);
    environment.forget_applied();
    other.atmos(&lock("unlock", "")).succeeded();
    approved.wait().refused(3, "What was approved is no longer what would be rolled out");
    assert_eq!((environment.applied(), remote.locks()), (Vec::new(), Vec::new()));
    assert_eq!(remote.refs("refs/tags/atmos/deployments/payment-service/prod"), [""; 0]);
    checkout.atmos(&format!("{PROMOTE} --approve CHG-2")).succeeded();
    assert_eq!(environment.applied().len(), 3);
}

#[test]
fn a_component_that_comes_to_the_source_meanwhile_is_promoted_where_nothing_is_insisted_on() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    without_approval(&checkout);
    let some = "--component database --component worker";
    let to_staging = format!("staging --promote-from dev {some}");
    deploy(&checkout, &["dev", &to_staging]);
    let other = environment.clone(&remote.url(), "other", Clone::default());
    other.atmos(&lock("lock", " --reason migration")).succeeded();
    let waiting = waiting(&checkout, "");
    deploy(&other, &["staging --promote-from dev --component api"]);
    environment.forget_applied();
    other.atmos(&lock("unlock", "")).succeeded();
    waiting.wait().succeeded();
    assert_eq!(environment.applied().len(), 3, "under locks of all three");
    assert_eq!(remote.locks(), [""; 0]);
}
