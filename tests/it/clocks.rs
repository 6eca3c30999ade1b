//! Records from machines with wrong clocks, and the numbers that order the records.

use serde_json::Value;

use crate::support::{Checkout, Run, TestEnvironment};

const HISTORY: &str = "deployment history payment-service --target dev --component api";

/// Rolls a new version of `api` out at this time.
fn roll_out_at(checkout: &Checkout<'_>, time: &str) -> Run {
    checkout.commit_version(time);
    let line = "deployment rollout payment-service --target dev --component api";
    checkout.atmos_with(line, &[("ATMOS_NOW", time)]).succeeded()
}

/// The value of one field in each record of a history, in its order.
fn fields(history: &Value, field: &str) -> Vec<Value> {
    history["records"].as_array().unwrap().iter().map(|record| record[field].clone()).collect()
}

/// Tags a record of `api` with plain git.
fn tag_by_hand(checkout: &Checkout<'_>, time: &str) -> String {
    let name = format!("atmos/deployments/payment-service/dev/api/{}", time.replace(':', "-"));
    let message = format!(
        "atmos.tools/v1alpha1\nkind: Deployment\n---\ndeployment: payment-service\ntarget: dev\ncomponent: api\n\
         timestamp: {time}\nstatus: success"
    );
    checkout.git(&["tag", "-a", "-m", &message, &name, "HEAD"]);
    checkout.git(&["update-ref", "refs/atmos/deployments/payment-service/dev/api", "HEAD"]);
    format!("refs/tags/{name}")
}

#[test]
fn records_have_the_true_time_and_count_on() {
    let mut environment = TestEnvironment::new();
    environment.set_clock("2025-01-22T12:00:00Z");
    let environment = environment;
    let (checkout, remote) = environment.with_remote();
    for time in ["2025-01-22T10:00:00Z", "2030-01-01T00:00:00Z", "2025-01-22T10:30:00Z"] {
        roll_out_at(&checkout, time);
    }
    let run = checkout.atmos(&format!("{HISTORY} --format json")).succeeded();
    let history = run.json();
    assert_eq!(fields(&history, "number"), [3, 2, 1], "{}", run.report());
    assert_eq!(
        fields(&history, "timestamp"),
        ["2025-01-22T10:30:00Z", "2030-01-01T00:00:00Z", "2025-01-22T10:00:00Z"]
    );
    assert_eq!(run.stderr.matches("clock of its machine was wrong").count(), 1, "{}", run.report());
    assert!(
        run.stderr.contains("dev/api/2030-01-01T00-00-00Z is dated 2030-01-01T00:00:00Z"),
        "{}",
        run.stderr
    );
    assert_eq!(remote.verify_chain("payment-service", "dev", "api"), 3);
    // The newest record by number counts as running, and its view does not warn about the clock.
    let status = checkout.atmos("deployment status payment-service --target dev --format json").succeeded();
    let component = &status.json()["deployments"][0]["targets"][0]["components"][0];
    assert_eq!(component["deployed_at"], "2025-01-22T10:30:00Z");
    assert!(!status.stderr.contains("clock"), "{}", status.report());
    // The wrong time displaces no other record.
    let limited = checkout.json(&format!("{HISTORY} --limit 1"));
    assert_eq!(fields(&limited, "number"), [3]);
    assert_eq!(limited["truncated"], true);
    let since = checkout.json(&format!("{HISTORY} --since 2026-01-01"));
    assert_eq!(fields(&since, "number"), [2]);
}

#[test]
fn the_newest_record_is_reported_where_it_is_dated_in_the_future() {
    let mut environment = TestEnvironment::new();
    environment.set_clock("2025-01-22T12:00:00Z");
    let environment = environment;
    let (checkout, _remote) = environment.with_remote();
    roll_out_at(&checkout, "2025-01-22T12:05:00Z");
    let status = || checkout.atmos("deployment status payment-service --target dev").succeeded();
    assert!(!status().stderr.contains("clock"), "{}", status().report());
    roll_out_at(&checkout, "2025-01-22T12:05:01Z");
    assert_eq!(status().stderr.matches("clock of its machine was wrong").count(), 1, "{}", status().report());
}

#[test]
fn a_name_that_an_older_record_has_is_passed_over() {
    let environment = TestEnvironment::new();
    let alone = environment.payment_service("alone");
    let (shared, _remote) = environment.with_remote();
    for checkout in [alone, shared] {
        for second in ["03", "05", "03", "03"] {
            roll_out_at(&checkout, &format!("2025-01-22T10:30:{second}Z"));
            let pending = checkout.git(&["for-each-ref", "refs/atmos/pending"]);
            assert_eq!(pending, "", "it has arrived, renamed or not");
        }
        let history = checkout.json(HISTORY);
        assert_eq!(fields(&history, "number"), [4, 3, 2, 1]);
        let names = fields(&history, "record");
        let ends = ["03Z-3", "03Z-2", "05Z", "03Z"];
        assert!(names.iter().zip(ends).all(|(name, end)| name.as_str().unwrap().ends_with(end)), "{names:?}");
    }
}

#[test]
fn records_without_numbers_are_counted_and_come_before_ours() {
    let mut environment = TestEnvironment::new();
    environment.set_clock("2025-01-22T12:00:00Z");
    let environment = environment;
    let checkout = environment.payment_service("checkout");
    let wrong = tag_by_hand(&checkout, "2099-01-01T00:00:00Z");
    tag_by_hand(&checkout, "2025-01-20T00:00:00Z");
    checkout.git(&["update-ref", "refs/atmos/latest/payment-service/dev/api", &wrong]);
    for minute in 0..4 {
        roll_out_at(&checkout, &format!("2025-01-22T10:0{minute}:00Z"));
    }
    let history = checkout.json(HISTORY);
    assert_eq!(fields(&history, "number")[..4], [6, 5, 4, 3]);
    assert_eq!(fields(&history, "timestamp")[4..], ["2099-01-01T00:00:00Z", "2025-01-20T00:00:00Z"]);
    // The same in a part of the history: the record that follows the wrong one is not in it.
    let limited = checkout.atmos(&format!("{HISTORY} --limit 2 --format json")).succeeded();
    assert_eq!(fields(&limited.json(), "number"), [6, 5]);
    assert!(!limited.stderr.contains("clock"), "{}", limited.report());
}

#[test]
fn a_number_that_does_not_follow_is_a_warning_and_does_not_count() {
    let mut environment = TestEnvironment::new();
    environment.set_clock("2025-01-22T12:00:00Z");
    let environment = environment;
    let checkout = environment.payment_service("checkout");
    roll_out_at(&checkout, "2025-01-22T10:00:00Z");
    roll_out_at(&checkout, "2025-01-22T10:01:00Z");
    let message = "atmos.tools/v1alpha1\nkind: Deployment\n---\ntimestamp: 2025-01-20T00:00:00Z\nnumber: 99";
    let name = "atmos/deployments/payment-service/dev/api/2025-01-20T00-00-00Z";
    checkout.git(&["tag", "-a", "-m", message, name, "HEAD"]);
    let run = checkout.atmos(&format!("{HISTORY} --format json")).succeeded();
    assert_eq!(fields(&run.json(), "number"), [2, 1, 99]);
    assert!(run.stderr.contains("the number 99 of"), "{}", run.report());
}
