//! Freezes, locks on components, and takeover of expired locks.

use serde_json::json;

use crate::support::{Checkout, Clone, Remote, TestEnvironment, wait_until};

const ROLLOUT: &str = "deployment rollout payment-service --target dev";

#[test]
fn a_freeze_refuses_rollouts_until_it_is_lifted() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    let other = environment.clone(&remote.url(), "other", Clone::default());
    checkout.atmos("deployment lock payment-service --target dev --reason \"release week\"").succeeded();
    assert_eq!(remote.locks(), ["refs/atmos/locks/payment-service/dev/%target"]);
    let before = remote.git(&["for-each-ref"]);
    other
        .atmos(ROLLOUT)
        .refused(3, "frozen")
        .says("ada@example.com")
        .says("release week")
        .says("atmos deployment unlock payment-service --target dev");
    assert_eq!(environment.applied(), [""; 0]);
    assert_eq!(remote.git(&["for-each-ref"]), before);
    let status = other.json("deployment status payment-service --target dev");
    assert_eq!(status["deployments"][0]["targets"][0]["lock"]["reason"], "release week");
    let locks = other.json("deployment locks payment-service");
    assert_eq!(locks["kind"], "LockList");
    assert_eq!(locks["locks"][0]["target"], "dev");
    assert_eq!(locks["locks"][0]["holder"], "ada@example.com");
    assert!(locks["locks"][0].get("component").is_none());
    assert!(locks["locks"][0].get("expires_at").is_none());
    other.atmos("deployment locks").succeeded().shows("release week");

    checkout.atmos("deployment unlock payment-service --target dev").succeeded();
    assert_eq!(remote.locks(), [""; 0]);
    assert_eq!(other.json("deployment locks")["locks"], json!([]));
    other.atmos(ROLLOUT).succeeded();
}

#[test]
fn a_lock_of_a_component_is_about_that_component() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    checkout
        .atmos("deployment lock payment-service --target dev --component worker --reason migration")
        .succeeded();
    let run = checkout.atmos(ROLLOUT).refused(4, "worker");
    assert!(run.stderr.contains("migration") && run.stderr.contains("ada@example.com"), "{}", run.report());
    assert!(run.stderr.contains("atmos deployment unlock payment-service --target dev --component worker"));
    assert_eq!(
        remote.locks(),
        ["refs/atmos/locks/payment-service/dev/worker"],
        "all of a run's locks or none"
    );
    checkout.atmos(&format!("{ROLLOUT} --component api")).succeeded();
    let locks = checkout.json("deployment locks payment-service --target dev");
    assert_eq!(locks["locks"][0]["component"], "worker");
    // The lock is also shown for a component that has never run there.
    let status = checkout.atmos("deployment status payment-service --target dev").succeeded();
    status.shows("locked by ada@example.com").shows(": migration");
}

#[test]
fn a_run_that_died_is_told_of_until_another_one_takes_over() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    // Another clone: the checkout of the run would record at once that it was interrupted.
    let other = environment.clone(&remote.url(), "other", Clone::default());
    let kill = "[ $ATMOS_COMPONENT != api ] || { kill -9 $PPID; exit 1; }";
    checkout.atmos_with(ROLLOUT, &[("TEST_DO", kill)]).killed();
    let line = "deployment status payment-service --target dev";
    let api = || {
        let status = other.json(line);
        let components = status["deployments"][0]["targets"][0]["components"].as_array().unwrap().clone();
        components.into_iter().find(|component| component["component"] == "api").unwrap()
    };
    // `api` has never run there, and the dead run may have applied it.
    let found = api();
    assert_eq!((found.get("commit"), &found["lock"]["dead"]), (None, &json!(true)), "{found:#}");
    assert_eq!(found["lock"]["commit"], checkout.head());
    let said = format!("the rollout of {} by ada@example.com", &checkout.head()[..7]);
    other.atmos(line).succeeded().shows(&said).shows("died: whether it was applied is not known");
    other.atmos("deployment locks payment-service").succeeded().shows("its run has died");
    checkout.atmos(ROLLOUT).succeeded();
    let found = api();
    assert_eq!((&found["commit"], found.get("lock")), (&json!(checkout.head()), None), "{found:#}");
}

#[test]
fn what_was_seen_of_a_lock_is_not_believed_for_longer_than_it_is_true() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    let other = environment.clone(&remote.url(), "other", Clone::default());
    // The filter logs every file that is checked out.
    let checked_out = environment.path("checked-out");
    other.write(".git/info/attributes", "* filter=tell\n");
    let tell = format!("echo >> '{}'; cat", checked_out.display());
    other.git(&["config", "filter.tell.smudge", &tell]);
    let component = "payment-service --target dev --component worker";
    checkout.atmos(&format!("deployment lock {component} --reason migration")).succeeded();
    other.atmos("deployment locks").succeeded().shows("migration");

    other.atmos(ROLLOUT).refused(4, "worker");
    assert!(!checked_out.exists(), "there is no need of files where nothing can run");

    checkout.atmos(&format!("deployment unlock {component}")).succeeded();
    other.atmos(ROLLOUT).succeeded();
    assert!(checked_out.exists());
    assert_eq!(remote.locks(), [""; 0]);
}

#[test]
fn what_is_locked_cannot_be_locked_again_nor_unlocked_twice() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    let lock = "deployment lock payment-service --target dev --reason first";
    checkout.atmos(lock).succeeded();
    let before = remote.git(&["for-each-ref"]);
    checkout.atmos(lock).refused(4, "ada@example.com");
    assert_eq!(remote.git(&["for-each-ref"]), before);
    let unlock = "deployment unlock payment-service --target dev";
    checkout.atmos(unlock).succeeded();
    assert_eq!(remote.locks(), [""; 0]);
    let again = checkout.atmos(unlock).succeeded();
    assert!(again.stderr.contains("is not locked"), "{}", again.report());
}

#[test]
fn the_lock_of_a_run_that_lives_is_taken_away_only_by_force() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    let other = environment.clone(&remote.url(), "other", Clone::default());
    let (started, go) = (environment.path("started"), environment.path("go"));
    let wait = format!(
        "touch {}; for try in $(seq 1200); do [ -e {} ] && break; sleep 0.05; done",
        started.display(),
        go.display()
    );
    let line = format!("{ROLLOUT} --component worker");
    let first = checkout.start(&line, &[("TEST_DO", &wait), ("ATMOS_RUN_ID", "github:7/1")]);
    wait_until("the first one works", || started.exists());

    let run = other.atmos(&line).refused(4, "locked");
    for text in [
        "ada@example.com",
        "github:7/1",
        "atmos deployment unlock payment-service --target dev --component worker",
    ] {
        assert!(run.stderr.contains(text), "no {text:?}\n{}", run.report());
    }
    let unlock = "deployment unlock payment-service --target dev --component worker";
    other.atmos(unlock).refused(4, "may still be running");
    assert_eq!(remote.locks().len(), 1);
    other.atmos(&format!("{unlock} --force")).succeeded();
    assert_eq!(remote.locks(), [""; 0]);
    // The run reports that its lock is gone, and keeps its record for the next command.
    std::fs::write(go, "").unwrap();
    first.wait().exited(4).says("Error: 1 record is not published: the lock on dev is not held any more");
    assert_eq!(remote.verify_chain("payment-service", "dev", "worker"), 1, "that it was interrupted");
    let status = checkout.atmos("deployment status payment-service --target dev").succeeded();
    status.says("Published 1 record that an earlier run had kept, 1 of them late");
    assert_eq!(remote.verify_chain("payment-service", "dev", "worker"), 2);
    assert_eq!(remote.locks(), [""; 0]);
}

/// Writes a lock with plain git, as a run on another machine would.
pub(crate) fn lock_of_elsewhere(checkout: &Checkout<'_>, remote: &Remote<'_>, scope: &str, expires_at: &str) {
    let message = format!(
        "atmos.tools/v1alpha1\nkind: Lock\n---\nholder: bob@example.com\nrun_id: github:9/1\n\
         acquired_at: 2025-01-01T00:00:00Z\nexpires_at: {expires_at}\nhost: elsewhere\nprocess: 1\nprocess_started: 1\n"
    );
    checkout.git(&["tag", "--force", "-a", "-m", &message, "lock-of-elsewhere", "HEAD"]);
    let name = format!("refs/atmos/locks/payment-service/dev/{scope}");
    checkout.git(&["push", "--quiet", &remote.url(), &format!("refs/tags/lock-of-elsewhere:{name}")]);
    checkout.git(&["tag", "-d", "lock-of-elsewhere"]);
}

#[test]
fn a_lease_past_its_end_may_be_taken_over_by_a_run_that_waits_and_one_before_may_not() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    let line = format!("{ROLLOUT} --component worker");
    lock_of_elsewhere(&checkout, &remote, "worker", "2999-01-01T00:00:00Z");
    checkout.atmos(&line).refused(4, "bob@example.com").says("github:9/1");
    checkout.atmos("deployment unlock payment-service --target dev --component worker --force").succeeded();
    lock_of_elsewhere(&checkout, &remote, "worker", "2025-01-01T00:05:00Z");
    assert_eq!(checkout.json("deployment locks")["locks"][0]["expired"], true);
    checkout.atmos(&line).refused(4, "bob@example.com").says("looks abandoned").says("--lock-timeout 4m");
    let unlock = "deployment unlock payment-service --target dev --component worker";
    checkout.atmos(unlock).refused(4, "may still be running");
    checkout.atmos(&format!("{unlock} --force")).succeeded();
    // With a lease of a second, a waiting run takes the lock over before its own timeout.
    lock_of_elsewhere(&checkout, &remote, "worker", "2025-01-01T00:05:00Z\nlease_seconds: 1");
    checkout.atmos(&format!("{line} --lock-timeout 1m")).succeeded();
    let tag = remote.records("payment-service", "dev", "worker").pop().unwrap();
    let record = remote.git(&["cat-file", "-p", &tag]);
    assert!(record.contains("lock_taken_over_from: github:9/1"), "{record}");
    assert_eq!(remote.locks(), [""; 0]);
}

#[test]
fn a_freeze_may_end_by_itself() {
    let mut environment = TestEnvironment::new();
    environment.set_clock("2025-01-22T10:00:00Z");
    {
        let (checkout, _) = environment.with_remote();
        checkout
            .atmos("deployment lock payment-service --target dev --reason lunch --expires 2h")
            .succeeded();
        assert_eq!(checkout.json("deployment locks")["locks"][0]["expires_at"], "2025-01-22T12:00:00Z");
        checkout.atmos(ROLLOUT).exited(3);
    }
    environment.set_clock("2025-01-22T12:00:01Z");
    let checkout = Checkout::new(&environment, environment.path("checkout"));
    checkout.atmos(ROLLOUT).succeeded();
}

#[test]
fn locks_work_without_a_remote() {
    let environment = TestEnvironment::new();
    let checkout = environment.payment_service("alone");
    checkout.atmos("deployment lock payment-service --target dev --reason alone").succeeded();
    checkout.atmos(ROLLOUT).refused(3, "frozen");
    checkout.atmos("deployment unlock payment-service --target dev").succeeded();
    checkout.atmos(ROLLOUT).succeeded();
}
