//! A run does not repeat its own rollouts; it does everything else that it is asked for.

use crate::support::{Checkout, Clone, TestEnvironment};

const DEV: &str = "deployment rollout payment-service --target dev";
const DONE: &str = "already deployed by this run";

/// The variables of an attempt of a run on GitHub that a person started.
fn run<'v>(id: &'v str, attempt: &'v str) -> [(&'static str, &'v str); 5] {
    [
        ("CI", "true"),
        ("GITHUB_ACTIONS", "true"),
        ("GITHUB_EVENT_NAME", "workflow_dispatch"),
        ("GITHUB_RUN_ID", id),
        ("GITHUB_RUN_ATTEMPT", attempt),
    ]
}

/// The number of components that were applied since the last call.
fn applied(checkout: &Checkout<'_>) -> usize {
    let applied = checkout.environment.applied().len();
    checkout.environment.forget_applied();
    applied
}

#[test]
fn a_run_does_the_same_only_once_and_says_so() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    let done = |line: &str, id, attempt| {
        let run = checkout.atmos_with(line, &run(id, attempt)).succeeded();
        (applied(&checkout), run.stderr.matches(DONE).count())
    };
    assert_eq!(done(DEV, "7", "1"), (3, 0));
    assert_eq!(done(DEV, "7", "1"), (0, 3));
    assert_eq!(done(DEV, "7", "2"), (0, 3), "another attempt of it is the same run");
    assert_eq!(remote.verify_chain("payment-service", "dev", "api"), 1);
    // A different rollout is done, even by the same run.
    let overridden = format!("{DEV} --context cpu=512");
    assert_eq!(done(&overridden, "7", "2"), (3, 0));
    assert_eq!(done(&overridden, "7", "3"), (0, 3));
    assert_eq!(done(DEV, "7", "3"), (3, 0), "without the override it runs no more");
    assert_eq!(done(DEV, "8", "1"), (3, 0), "another run does it again");
    let document = checkout.atmos_with(&format!("{DEV} --format json"), &run("8", "2")).succeeded().json();
    assert_eq!(document["components"][0]["notice"], DONE, "{document}");
    assert_eq!(remote.verify_chain("payment-service", "dev", "api"), 4);
}

#[test]
fn a_run_that_goes_back_and_forth_is_obeyed_each_time() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    let (first, second) = (checkout.head(), checkout.commit_version("2"));
    for commit in [&first, &second, &first, &second] {
        let line = format!("{DEV} --git-sha {commit} --allow-rollback");
        checkout.atmos_with(&line, &run("7", "1")).succeeded();
        assert_eq!(applied(&checkout), 3, "{commit}");
        assert_eq!(remote.state("payment-service", "dev", "api"), *commit);
    }
    assert_eq!(remote.verify_chain("payment-service", "dev", "worker"), 4);
}

#[test]
fn what_a_run_has_done_stays_done_where_another_run_came_after_it() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    let (older, newer) = (checkout.head(), checkout.commit_version("2"));
    checkout.git(&["push", "--quiet"]);
    let fail = ("TEST_DO", "[ $ATMOS_COMPONENT != worker ]");
    let variables = [&run("7", "1")[..], &[fail]].concat();
    checkout.atmos_with(DEV, &variables).exited(1);
    let back = format!("{DEV} --git-sha {older} --allow-rollback");
    checkout.atmos_with(&back, &run("8", "1")).succeeded();
    environment.forget_applied();
    // The old run again: its rollouts were rolled back since, and stay so.
    let again = checkout.atmos_with(DEV, &run("7", "2")).succeeded();
    let replaced = format!("{DONE}, since replaced by {} (run github:8/1)", &older[..7]);
    assert_eq!(again.stderr.matches(&replaced).count(), 2, "{}", again.report());
    assert_eq!(environment.applied(), [format!("dev worker {newer} 2")]);
    assert_eq!(remote.state("payment-service", "dev", "api"), older);
    assert_eq!(remote.state("payment-service", "dev", "worker"), newer);
}

#[test]
fn a_run_that_is_run_again_to_go_back_goes_back() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    let older = checkout.head();
    let old = environment.clone(&remote.url(), "old", Clone::default());
    old.atmos_with(DEV, &run("7", "1")).succeeded();
    let newer = checkout.commit_version("2");
    checkout.git(&["push", "--quiet"]);
    checkout.atmos_with(DEV, &run("8", "1")).succeeded();
    environment.forget_applied();
    old.atmos_with(DEV, &run("7", "2")).exited(3);
    assert_eq!(remote.state("payment-service", "dev", "api"), newer);
    let on_purpose = format!("{DEV} --allow-rollback");
    old.atmos_with(&on_purpose, &run("7", "3")).succeeded();
    assert_eq!(applied(&old), 3);
    assert_eq!(remote.state("payment-service", "dev", "api"), older);
}

#[test]
fn a_success_that_came_late_is_not_done_again_by_another_attempt() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    let other = environment.clone(&remote.url(), "other", Clone::default());
    let line = format!("{DEV} --component worker");
    // The run is killed after it has kept its success; its lock is freed before the record is
    // published.
    checkout.atmos_with(&line, &[("ATMOS_RUN_ID", "github:7/1"), ("ATMOS_FAILPOINT", "kept")]).killed();
    other.atmos("deployment unlock payment-service --target dev --component worker --force").succeeded();
    checkout.atmos("deployment status payment-service --target dev").succeeded().says("Published 1 record");
    assert_eq!(remote.verify_chain("payment-service", "dev", "worker"), 2);
    assert_eq!(applied(&checkout), 1);

    let again = |attempt: &str| other.atmos_with(&line, &[("ATMOS_RUN_ID", attempt)]).succeeded();
    again("github:7/2").says(&format!("{DONE}, but recorded after run github:7/1 (cancelled)"));
    assert_eq!(applied(&other), 0);
    // Another run applies it, and then the state follows.
    again("github:8/1");
    assert_eq!(applied(&other), 1);
    assert_eq!(remote.state("payment-service", "dev", "worker"), other.head());
}

#[test]
fn a_run_does_not_apply_again_what_is_only_kept_here() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    let worker = format!("{DEV} --component worker");
    let closed = "#!/bin/sh\nif grep -q refs/tags/atmos; then echo closed >&2; exit 1; fi\n";
    remote.hook("pre-receive", closed);
    checkout.atmos_with(&worker, &run("7", "1")).exited(1);
    assert_eq!(applied(&checkout), 1);
    for (attempt, line) in [("1", &worker), ("2", &worker), ("2", &DEV.to_owned())] {
        let refused = checkout.atmos_with(line, &run("7", attempt)).exited(1);
        refused.says("This run has deployed worker already, which origin does not know yet");
        assert_eq!(applied(&checkout), 0, "{line}");
        assert_eq!(remote.locks(), [""; 0]);
    }
    // Another configuration is another rollout, and is done.
    checkout.atmos_with(&format!("{worker} --context cpu=512"), &run("7", "2")).exited(1);
    assert_eq!(applied(&checkout), 1);
    std::fs::remove_file(remote.path.join("hooks/pre-receive")).unwrap();
    checkout.atmos("deployment status payment-service --target dev").succeeded().says("Published 2 records");
    checkout.atmos_with(&format!("{worker} --context cpu=512"), &run("7", "2")).succeeded().says(DONE);
    assert_eq!(applied(&checkout), 0);
    assert_eq!(remote.verify_chain("payment-service", "dev", "worker"), 2);
}
