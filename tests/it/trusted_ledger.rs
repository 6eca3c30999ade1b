//! The ledger's remote decides: neither another remote's ledger counts, nor refs and records that
//! exist only in this checkout.

use crate::support::{Checkout, Clone, Remote, TestEnvironment};

const DEV: &str = "deployment rollout payment-service --target dev";
const STAGING: &str = "deployment rollout payment-service --target staging --promote-from dev";

fn to_staging(commit: &str) -> String {
    format!("deployment rollout payment-service --target staging --git-sha {commit}")
}

/// Brings a new version to dev and staging.
fn next_version(checkout: &Checkout<'_>, version: &str) -> String {
    let commit = checkout.commit_version(version);
    checkout.git(&["push", "--quiet", "origin", "HEAD:main"]);
    checkout.atmos(DEV).succeeded();
    checkout.atmos(STAGING).succeeded();
    commit
}

/// Tags a record by hand, with plain git.
fn tag_record(checkout: &Checkout<'_>, target: &str, component: &str, commit: &str) -> String {
    let name = format!("atmos/deployments/payment-service/{target}/{component}/2020-01-01T00-00-00Z");
    let message = "atmos.tools/v1alpha1\nkind: Deployment\n---\nstatus: success\n";
    checkout.git(&["tag", "-a", "-m", message, &name, commit]);
    name
}

/// A second remote.
fn with_fork<'e>(environment: &'e TestEnvironment, checkout: &Checkout<'_>) -> Remote<'e> {
    let fork = environment.bare("fork.git", &[]);
    checkout.git(&["remote", "add", "fork", &fork.url()]);
    checkout.git(&["push", "--quiet", "fork", "main"]);
    fork
}

/// Replaces a record tag of this checkout by another object.
fn replace_tag(checkout: &Checkout<'_>, target: &str) -> String {
    let tags = checkout.git(&["tag", "--list", &format!("atmos/deployments/*/{target}/api/*")]);
    let tag = tags.lines().next().unwrap().to_owned();
    checkout.git(&["tag", "-f", "-a", "-m", "another one", &tag, "HEAD"]);
    tag
}

#[test]
fn a_record_that_was_never_pushed_makes_no_known_good() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    checkout.git(&["switch", "--quiet", "-c", "side"]);
    let side = checkout.commit_version("side");
    checkout.git(&["push", "--quiet", "origin", "side"]);
    checkout.git(&["switch", "--quiet", "main"]);
    next_version(&checkout, "2");
    let tag = tag_record(&checkout, "staging", "api", &side);
    let line = format!("{} --component api", to_staging(&side));
    checkout.atmos(&line).refused(3, "Cannot roll out directly to staging");
    // The history shows the record, and marks it.
    let history = "deployment history payment-service --target staging --component api";
    checkout
        .atmos(history)
        .succeeded()
        .says("1 record is only in this checkout, not on origin")
        .says(&tag)
        .shows("only in this checkout");
    let records = &checkout.json(history)["records"];
    let only_here: Vec<_> = records.as_array().unwrap().iter().map(|record| &record["only_here"]).collect();
    assert_eq!(only_here.iter().filter(|mark| ***mark == true).count(), 1, "{records:#}");
    assert_eq!(only_here.len(), 2);
    assert_eq!(remote.records("payment-service", "staging", "api").len(), 1);
    // Once it is on the remote, it counts like any other record.
    checkout.git(&["push", "--quiet", "origin", &format!("refs/tags/{tag}")]);
    checkout.atmos(&line).succeeded();
    let run = checkout.atmos(history).succeeded();
    assert!(!run.stderr.contains("only in this checkout"), "{}", run.report());
}

#[test]
fn what_ran_according_to_another_remote_is_no_known_good() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    with_fork(&environment, &checkout);
    checkout.git(&["switch", "--quiet", "-c", "side"]);
    let side = checkout.commit_version("side");
    checkout.git(&["push", "--quiet", "fork", "side"]);
    for line in [DEV, STAGING] {
        checkout.atmos_with(line, &[("ATMOS_REMOTE", "fork")]).succeeded();
    }
    checkout.git(&["switch", "--quiet", "main"]);
    // Another clone, later, so that its records have other names than those of the fork.
    let other = environment.clone(&remote.url(), "other", Clone::default());
    std::thread::sleep(std::time::Duration::from_millis(1100));
    next_version(&other, "2");
    checkout.atmos(&to_staging(&side)).refused(3, "Cannot roll out directly to staging");
}

#[test]
fn what_runs_according_to_another_remote_is_neither_shown_nor_promoted() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    with_fork(&environment, &checkout);
    checkout.atmos_with(DEV, &[("ATMOS_REMOTE", "fork")]).succeeded();
    let status = "deployment status payment-service --target dev --format json";
    let run = checkout.atmos(status).succeeded().says("only in this checkout, not on origin");
    assert!(!run.stdout.contains(&checkout.head()), "{}", run.report());
    checkout.atmos(STAGING).refused(3, "There is nothing to promote from dev");
    assert_eq!(remote.refs("refs/atmos/"), [""; 0]);
    // Each remote has a ledger of its own, also among the local copies.
    let offline = format!("{status} --offline");
    let run = checkout.atmos_with(&offline, &[("ATMOS_REMOTE", "fork")]).succeeded();
    assert!(run.stdout.contains(&checkout.head()), "{}", run.report());
}

#[test]
fn a_state_that_exists_only_here_is_not_promoted() {
    let environment = TestEnvironment::new();
    let (checkout, _remote) = environment.with_remote();
    checkout.git(&["update-ref", "refs/atmos/deployments/payment-service/dev/api", "HEAD"]);
    checkout.atmos(STAGING).refused(3, "There is nothing to promote from dev");
    // Published by plain git, it is refused as well, until a rollout to dev has made records.
    checkout.git(&["push", "--quiet", "origin", "refs/atmos/*:refs/atmos/*"]);
    checkout.atmos(&format!("{STAGING} --component api --allow-partial")).exited(3);
    checkout.atmos(DEV).succeeded();
    checkout.atmos(STAGING).succeeded();
}

#[test]
fn a_rollout_does_not_go_on_with_another_history_than_the_remote_s() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    let first = checkout.head();
    checkout.atmos(DEV).succeeded();
    checkout.atmos(STAGING).succeeded();
    next_version(&checkout, "2");
    let tag = replace_tag(&checkout, "staging");
    let before = remote.snapshot();
    let run = checkout.atmos(&to_staging(&first)).refused(1, &tag);
    run.says("is another object here than on origin").says(&format!("git tag -d {tag}"));
    assert_eq!(remote.snapshot(), before);
    // Reading goes on with the remote's records and a warning, and does not blame the remote.
    let history = "deployment history payment-service --target staging";
    let run = checkout.atmos(history).succeeded().says("is another object here than on origin");
    assert!(!run.stderr.contains("did not answer"), "{}", run.report());
    let shown = checkout.json(history)["records"].as_array().unwrap().len();
    let there: usize = ["api", "database", "worker"]
        .map(|name| remote.records("payment-service", "staging", name).len())
        .iter()
        .sum();
    assert_eq!(shown, there, "one tag that differs hides no record");
    // The suggested command resolves it.
    checkout.git(&["tag", "-d", &tag]);
    checkout.atmos(&to_staging(&first)).succeeded();
}
