//! Leases of locks while a rollout works: renewed independently of the components, and the end of a
//! run that cannot renew them (`ledger.md`, "Locks").

use std::path::Path;

use crate::support::{Clone, Remote, TestEnvironment, wait_until};

const ROLLOUT: &str = "deployment rollout payment-service --target dev";

/// A shell snippet that waits until a file exists, and creates another file at the timeout.
fn wait_for(file: &Path) -> String {
    let (file, missed) = (file.display(), file.with_extension("missed"));
    format!(
        "for try in $(seq 600); do [ -e {file} ] && break; sleep 0.05; done; [ -e {file} ] || touch {}",
        missed.display()
    )
}

/// Installs a hook that reports the push of a record, and blocks it until a file exists.
fn hang_at_records(remote: &Remote<'_>, pushing: &Path, go: &Path) {
    let hang = format!("touch {}; {}", pushing.display(), wait_for(go));
    remote.hook("pre-receive", &format!("#!/bin/sh\nif grep -q refs/tags/atmos; then {hang}; fi\nexit 0\n"));
}

/// The time at which the lock of a component expires, from the remote.
fn expiry(remote: &Remote<'_>, component: &str) -> String {
    let lock = format!("refs/atmos/locks/payment-service/dev/{component}");
    let lock = remote.git(&["cat-file", "-p", &lock]);
    let line = lock.lines().find_map(|line| line.strip_prefix("expires_at: "));
    line.unwrap_or_default().to_owned()
}

#[test]
fn a_component_does_not_wait_for_the_push_of_what_it_depends_on() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    let [pushing, ended] = ["pushing", "api-ended"].map(|name| environment.path(name));
    hang_at_records(&remote, &pushing, &ended);
    let of_api = format!("{}; touch {}", wait_for(&pushing), ended.display());
    let script = format!("if [ $ATMOS_COMPONENT = api ]; then {of_api}; fi");
    let run = checkout.atmos_with(&format!("{ROLLOUT} -v"), &[("TEST_DO", &script)]).succeeded();
    for file in [&pushing, &ended] {
        assert!(!file.with_extension("missed").exists(), "{} came too late", file.display());
    }
    // Records that were made during the first push went up with the last one.
    assert!(run.stderr.contains("3 records (pushes: 2)"), "{}", run.report());
    for component in ["api", "worker", "database"] {
        assert_eq!(remote.verify_chain("payment-service", "dev", component), 1);
    }
    assert_eq!(remote.locks(), [""; 0]);
}

#[test]
fn a_lease_is_renewed_while_components_work_and_while_a_push_hangs() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    let [pushing, pushed, go] = ["pushing", "pushed", "go"].map(|name| environment.path(name));
    hang_at_records(&remote, &pushing, &pushed);
    let script = format!("if [ $ATMOS_COMPONENT = worker ]; then {}; fi", wait_for(&go));
    let variables = [("TEST_DO", script.as_str()), ("ATMOS_LOCK_LEASE", "9")];
    let run = checkout.start(ROLLOUT, &variables);
    wait_until("a push hangs", || pushing.exists());
    for _ in 0..2 {
        let before = expiry(&remote, "worker");
        wait_until("the lease is renewed", || expiry(&remote, "worker") > before);
    }
    std::fs::write(pushed, "").unwrap();
    wait_until("the push has arrived", || remote.records("payment-service", "dev", "api").len() == 1);
    let before = expiry(&remote, "worker");
    wait_until("the lease is renewed", || expiry(&remote, "worker") > before);
    std::fs::write(go, "").unwrap();
    run.wait().succeeded();
    for component in ["api", "worker", "database"] {
        assert_eq!(remote.verify_chain("payment-service", "dev", component), 1);
    }
    assert_eq!(remote.locks(), [""; 0]);
}

#[test]
fn a_run_that_cannot_renew_ends_its_components_starts_nothing_more_and_loses_nothing() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    let [started, away] = ["started", "away.git"].map(|name| environment.path(name));
    let script = format!("touch {}; exec sleep 60", started.display());
    let script = format!("if [ $ATMOS_COMPONENT = database ]; then {script}; fi");
    let run = checkout.start(ROLLOUT, &[("TEST_DO", &script), ("ATMOS_LOCK_LEASE", "3")]);
    wait_until("it works", || started.exists());
    std::fs::rename(&remote.path, &away).unwrap();
    let run = run.wait().exited(4);
    for text in ["could not be renewed for 3 seconds", "refs/atmos/pending"] {
        assert!(run.stderr.contains(text), "{}", run.report());
    }
    assert!(!environment.applied().iter().any(|line| line.contains(" api ")), "api needs database");
    std::fs::rename(&away, &remote.path).unwrap();
    checkout.atmos("deployment status payment-service").succeeded();
    let newest = &remote.records("payment-service", "dev", "database")[0];
    let record = remote.git(&["cat-file", "-p", newest]);
    assert!(record.contains("status: cancelled"), "{record}");
    assert_eq!(remote.records("payment-service", "dev", "api"), [""; 0]);
    checkout.atmos(ROLLOUT).succeeded();
}

#[test]
fn a_run_whose_lock_was_taken_away_moves_nothing_and_its_records_become_late() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    let other = environment.clone(&remote.url(), "other", Clone::default());
    let [started, go] = ["started", "go"].map(|name| environment.path(name));
    let wait = format!("trap '' TERM; touch {}; {}", started.display(), wait_for(&go));
    let line = format!("{ROLLOUT} --component worker");
    let variables =
        [("TEST_DO", wait.as_str()), ("ATMOS_RUN_ID", "github:7/1"), ("ATMOS_LOCK_LEASE", "3000")];
    let first = checkout.start(&line, &variables);
    wait_until("the first one works", || started.exists());
    let unlock = "deployment unlock payment-service --target dev --component worker --force";
    other.atmos(unlock).succeeded();
    let newer = other.commit_version("2");
    other.git(&["push", "--quiet", "origin", "HEAD:main"]);
    other.atmos(&line).succeeded();
    std::fs::write(go, "").unwrap();
    first.wait().exited(4).says("is not held any more");
    assert_eq!(remote.state("payment-service", "dev", "worker"), newer);
    other.atmos("deployment status payment-service").succeeded();
    checkout.atmos("deployment status payment-service").succeeded();
    assert_eq!(remote.state("payment-service", "dev", "worker"), newer, "a late record moves nothing");
    let history = other.json("deployment history payment-service --target dev --component worker");
    let records = history["records"].as_array().unwrap();
    let late = records.iter().filter(|record| record.get("late_of").is_some()).count();
    assert_eq!((records.len(), late), (3, 1), "{history:#}");
}

#[test]
fn a_lease_that_ended_by_another_clock_is_no_reason_to_rob_a_run_that_lives_here() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    let other = environment.clone(&remote.url(), "other", Clone::default());
    let [started, go] = ["started", "go"].map(|name| environment.path(name));
    let wait = format!("touch {}; {}", started.display(), wait_for(&go));
    let line = format!("{ROLLOUT} --component worker");
    let first = checkout.start(&line, &[("TEST_DO", &wait)]);
    wait_until("the first one works", || started.exists());
    let ahead = [("ATMOS_NOW", "2999-01-01T00:00:00Z")];
    other.atmos_with(&line, &ahead).refused(4, "locked");
    std::fs::write(go, "").unwrap();
    first.wait().succeeded();
    assert_eq!(remote.verify_chain("payment-service", "dev", "worker"), 1);
}
