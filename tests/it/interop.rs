//! The ledger and the specification's plain git commands, each reading what the other wrote.

use serde_json::json;

use crate::support::{Checkout, TestEnvironment};

/// Creates a ledger by hand, with the commands of `git-tracking.md`: two records of `api` in prod.
/// Returns the two commits.
fn by_hand(checkout: &Checkout<'_>) -> [String; 2] {
    let first = checkout.head();
    let second = checkout.commit_version("2");
    for (commit, time, name) in [
        (&first, "2025-01-21T14:20:00Z", "2025-01-21T14-20-00Z"),
        (&second, "2025-01-22T10:30:00Z", "2025-01-22T10-30-00Z"),
    ] {
        checkout.git(&["update-ref", "refs/atmos/deployments/payment-service/prod/api", commit]);
        let message = format!(
            "atmos.tools/v1alpha1\nkind: Deployment\n---\ndeployment: payment-service\ntarget: prod\ncomponent: api\n\
             deployed_by: ci@example.com\nbuild_id: abc123\ntimestamp: {time}\nstatus: success"
        );
        let tag = format!("atmos/deployments/payment-service/prod/api/{name}");
        checkout.git(&["tag", "-a", "-m", &message, &tag, commit]);
    }
    [first, second]
}

#[test]
fn a_ledger_of_plain_git_commands_reads_correctly() {
    let environment = TestEnvironment::new();
    let checkout = environment.payment_service("checkout");
    let [first, second] = by_hand(&checkout);
    let status = checkout.json("deployment status payment-service --target prod");
    let component = &status["deployments"][0]["targets"][0]["components"][0];
    assert_eq!(component["component"], "api");
    assert_eq!(component["commit"], second.as_str());
    assert_eq!(component["status"], "success");
    assert_eq!(component["deployed_at"], "2025-01-22T10:30:00Z");
    assert_eq!(component["deployed_by"], "ci@example.com");
    assert_eq!(component["build_id"], "abc123");

    let history = checkout.json("deployment history payment-service --target prod");
    let records: Vec<_> =
        history["records"].as_array().unwrap().iter().map(|r| (&r["git_sha"], &r["timestamp"])).collect();
    assert_eq!(
        records,
        [(&json!(second), &json!("2025-01-22T10:30:00Z")), (&json!(first), &json!("2025-01-21T14:20:00Z"))]
    );
}

#[test]
fn a_state_without_any_record_is_still_a_state() {
    let environment = TestEnvironment::new();
    let checkout = environment.payment_service("checkout");
    checkout.git(&["update-ref", "refs/atmos/deployments/payment-service/dev/worker", "HEAD"]);
    let status = checkout.json("deployment status payment-service --target dev");
    let component = &status["deployments"][0]["targets"][0]["components"][0];
    assert_eq!(component["commit"], checkout.head().as_str());
    assert!(component.get("deployed_at").is_none());
    // The state can be promoted if it is trusted.
    let promote = "deployment rollout payment-service --target staging --promote-from dev --component worker";
    let run = checkout.atmos(promote).refused(3, "no record says that");
    assert!(run.stderr.contains("--trust-state"), "{}", run.report());
    checkout.atmos(&format!("{promote} --trust-state")).succeeded();
    assert_eq!(checkout.state("payment-service", "staging", "worker"), checkout.head());
}

#[test]
fn records_made_by_hand_are_followed_by_ours() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    let [first, second] = by_hand(&checkout);
    checkout.git(&[
        "push",
        "--quiet",
        "origin",
        "refs/atmos/*:refs/atmos/*",
        "refs/tags/atmos/*:refs/tags/atmos/*",
    ]);
    let line = format!("deployment rollout payment-service --target prod --component api --git-sha {first}");
    checkout.atmos(&line).succeeded();
    let [newest] = &remote.records("payment-service", "prod", "api")[2..] else { panic!("three records") };
    let record = remote.git(&["cat-file", "-p", newest]);
    let by_hand = remote
        .git(&["rev-parse", "refs/tags/atmos/deployments/payment-service/prod/api/2025-01-22T10-30-00Z"]);
    assert!(record.contains(&format!("previous: {by_hand}")), "{record}");
    assert_eq!(remote.state("payment-service", "prod", "api"), first);
    let history = checkout.json("deployment history payment-service --target prod");
    assert_eq!(history["records"].as_array().unwrap().len(), 3);
    assert_eq!(history["records"][0]["rollback_of"], second.as_str());
}

#[test]
fn what_is_written_reads_correctly_with_plain_git_commands() {
    let mut environment = TestEnvironment::new();
    environment.set_clock("2025-01-22T10:30:00Z");
    let checkout = environment.payment_service("checkout");
    let commit = checkout.head();
    checkout.atmos("deployment rollout payment-service --target dev").succeeded();
    checkout.atmos("deployment rollout payment-service --target staging --promote-from dev").succeeded();
    checkout
        .atmos(
            "deployment rollout payment-service --target prod --promote-from staging --approve \"release 1\"",
        )
        .succeeded();

    assert_eq!(
        checkout.git_line("git show-ref refs/atmos/deployments/payment-service/prod/api"),
        format!("{commit} refs/atmos/deployments/payment-service/prod/api")
    );
    assert_eq!(
        checkout.git_line("git show-ref --hash refs/atmos/deployments/payment-service/staging/api"),
        commit
    );
    assert_eq!(
        checkout.git_line("git tag -l atmos/deployments/payment-service/prod/api/* --sort=-creatordate"),
        "atmos/deployments/payment-service/prod/api/2025-01-22T10-30-00Z"
    );
    assert_eq!(
        checkout
            .git_line("git tag -l atmos/deployments/payment-service/prod/* --sort=-creatordate")
            .lines()
            .count(),
        3
    );
    assert_eq!(checkout.git_line("git tag -l atmos/deployments/**").lines().count(), 9);
    let tag = "atmos/deployments/payment-service/prod/api/2025-01-22T10-30-00Z";
    let text = checkout.git(&["cat-file", "-p", tag]);
    // Parsed like in `ParseDeploymentTag` of `git-tracking.md`: the message follows the first blank
    // line.
    let (header, message) = text.split_once("\n\n").unwrap();
    assert!(
        header
            .starts_with(&format!("object {commit}\ntype commit\ntag {tag}\ntagger Ada <ada@example.com> "))
    );
    let lines: Vec<_> = message.lines().collect();
    assert_eq!(lines[..3], ["atmos.tools/v1alpha1", "kind: Deployment", "---"]);
    let fields: serde_json::Value = serde_yaml::from_str(&lines[3..].join("\n")).unwrap();
    let expected = json!({
        "deployment": "payment-service", "target": "prod", "component": "api", "component_type": "command",
        "deployed_by": "ada@example.com", "git_sha": commit, "status": "success", "promoted_from": "staging",
    });
    for (key, value) in expected.as_object().unwrap() {
        assert_eq!(&fields[key], value, "{key} in\n{text}");
    }
    assert_eq!(fields["metadata"]["approver"], "ada@example.com");

    let note = checkout.git(&["notes", "--ref=atmos/payment-service/approvals", "show", &commit]);
    let note: serde_json::Value = serde_json::from_str(&note).unwrap();
    assert_eq!(note["approved_by"], "ada@example.com");
    checkout.git(&["fsck", "--strict"]);
}

/// With such refspecs, git updates the same refs after each push that a rollout prepares meanwhile.
#[test]
fn refspecs_that_cover_the_ledger_are_in_nobodys_way() {
    let environment = TestEnvironment::new();
    let (checkout, _remote) = environment.with_remote();
    for refspec in ["+refs/tags/*:refs/tags/*", "+refs/atmos/*:refs/atmos-remotes/origin/*"] {
        checkout.git(&["config", "--add", "remote.origin.fetch", refspec]);
    }
    // Must not wait for ref locks: with this timeout the test would take a quarter of an hour.
    checkout.git(&["config", "core.filesRefLockTimeout", "60000"]);
    for _ in 0..2 {
        checkout.atmos("deployment rollout payment-service --target dev").succeeded();
    }
    let history = checkout.json("deployment history payment-service --target dev --offline");
    assert_eq!(history["records"].as_array().map(Vec::len), Some(6));
    assert_eq!(checkout.git(&["for-each-ref", "refs/atmos/pending", "refs/atmos-remotes/origin/locks"]), "");
}

#[test]
fn a_note_that_somebody_wrote_with_plain_git_is_kept() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    let commit = checkout.head();
    let by_hand = r#"{"approved_by":"user@example.com","approved_at":"2025-01-22T10:30:00Z"}"#;
    checkout.git(&["notes", "--ref=atmos/payment-service/approvals", "add", "-m", by_hand, &commit]);
    checkout.git(&["push", "--quiet", "origin", "refs/notes/atmos/payment-service/approvals"]);
    let skip = "--skip-promotion-check --approve \"on my word\"";
    checkout.atmos(&format!("deployment rollout payment-service --target prod {skip}")).succeeded();
    let note = remote.git(&["notes", "--ref=atmos/payment-service/approvals", "show", &commit]);
    assert_eq!(note.lines().count(), 2, "{note}");
    assert!(note.lines().any(|line| line == by_hand), "{note}");
    assert!(note.lines().any(|line| line.contains("ada@example.com")), "{note}");
}

/// Every record example of the specification, word for word.
const EXAMPLES: [(&str, &str); 4] = [
    (
        "git-tracking.md, Tag Message Format",
        "atmos.tools/v1alpha1
kind: Deployment
---
deployment: payment-service
target: prod
component: api
deployed_by: ci@example.com
build_id: abc123
git_sha: abc123def456789
timestamp: 2025-01-22T10:30:00Z
status: success
metadata:
  pr: \"#482\"
  jira: PROJ-123
  approver: user@example.com
rollback_of: null
",
    ),
    (
        "git-tracking.md, Create deployment tag",
        "atmos.tools/v1alpha1
kind: Deployment
---
deployment: payment-service
target: prod
component: api
deployed_by: ci@example.com
build_id: abc123
timestamp: 2025-01-22T10:30:00Z
status: success",
    ),
    (
        "target-promotion.md, Deployment Tag Metadata",
        "atmos.tools/v1alpha1
kind: Deployment
---
deployment: payment-service
target: prod
component: api
deployed_by: ci@example.com
build_id: abc123
git_sha: abc123def456789
timestamp: 2025-01-22T12:00:00Z
status: success
promoted_from: staging  # Source target
promoted_at: 2025-01-22T12:00:00Z
metadata:
  pr: \"#482\"
  jira: PROJ-123
  approver: alice@example.com
  approval_timestamp: 2025-01-22T11:55:00Z
",
    ),
    (
        "definitions.md, Git Tag",
        "atmos.tools/v1alpha1
kind: Deployment
---
deployment: payment-service
target: prod
component: api
deployed_by: ci@example.com
timestamp: 2025-01-22T12:00:00Z
status: success
promoted_from: staging
metadata:
  pr: \"#482\"
  approver: alice@example.com
",
    ),
];

#[test]
fn every_record_example_of_the_specification_is_read() {
    let environment = TestEnvironment::new();
    for (at, (place, message)) in EXAMPLES.iter().enumerate() {
        let checkout = environment.payment_service(&format!("example-{at}"));
        let time = message.lines().find_map(|line| line.strip_prefix("timestamp: ")).unwrap();
        let tag = format!("atmos/deployments/payment-service/prod/api/{}", time.replace(':', "-"));
        checkout.git(&["tag", "-a", "-m", message, &tag, "HEAD"]);
        checkout.git(&["update-ref", "refs/atmos/deployments/payment-service/prod/api", "HEAD"]);
        let run =
            checkout.atmos("deployment history payment-service --target prod --format json").succeeded();
        assert_eq!(run.stderr, "", "{place}");
        let history = run.json();
        let record = &history["records"][0];
        assert_eq!(record["status"], "success", "{place}");
        assert_eq!(record["timestamp"], time, "{place}");
        assert_eq!(record["deployed_by"], "ci@example.com", "{place}");
        assert!(record.get("rollback_of").is_none(), "{place}");
        if message.contains("pr:") {
            assert_eq!(record["metadata"]["pr"], "#482", "{place}");
        }
        if message.contains("promoted_from") {
            assert_eq!(record["promoted_from"], "staging", "{place}");
        }
    }
}

#[test]
fn a_tag_of_another_version_or_of_nobodys_is_skipped_with_a_warning() {
    let environment = TestEnvironment::new();
    let checkout = environment.payment_service("checkout");
    let [_, second] = by_hand(&checkout);
    for (time, message) in [
        ("2025-02-01T00-00-00Z", "atmos.tools/v2\nkind: Deployment\n---\nanything: at all\n"),
        ("2025-02-02T00-00-00Z", "release day!\n"),
        ("2025-02-03T00-00-00Z", "atmos.tools/v1alpha1\nkind: Deployment\n---\n\t{not yaml\n"),
    ] {
        checkout.git(&[
            "tag",
            "-a",
            "-m",
            message,
            &format!("atmos/deployments/payment-service/prod/api/{time}"),
            "HEAD",
        ]);
    }
    let run = checkout.atmos("deployment history payment-service --target prod --format json").succeeded();
    assert_eq!(run.json()["records"].as_array().unwrap().len(), 2, "{}", run.report());
    for tag in ["2025-02-01T00-00-00Z", "2025-02-02T00-00-00Z", "2025-02-03T00-00-00Z"] {
        assert!(run.stderr.contains(tag), "{}", run.report());
    }
    let status = checkout.json("deployment status payment-service --target prod");
    assert_eq!(status["deployments"][0]["targets"][0]["components"][0]["commit"], second.as_str());
}

/// More records than fit on one page of the history.
const MANY: u32 = 450;

#[test]
fn a_long_history_is_in_order_and_what_is_no_record_does_not_count() {
    let environment = TestEnvironment::new();
    let checkout = environment.payment_service("checkout");
    let commit = checkout.head();
    let tags: Vec<_> = (0..MANY)
        .map(|number| {
            let (hour, minute, second) = (number / 3600, number / 60 % 60, number % 60);
            let time = format!("2025-01-21T{hour:02}:{minute:02}:{second:02}Z");
            let name = format!("payment-service/prod/api/{}", time.replace(':', "-"));
            let message = if number % 200 == 7 {
                "somebody's own tag".to_owned()
            } else {
                format!(
                    "atmos.tools/v1alpha1\nkind: Deployment\n---\ndeployment: payment-service\ntarget: prod\n\
                     component: api\ntimestamp: {time}\nstatus: success"
                )
            };
            let length = message.len();
            let tagger = "tagger Somebody <somebody@example.com> 1737460800 +0000";
            format!("tag atmos/deployments/{name}\nfrom {commit}\n{tagger}\ndata {length}\n{message}\n")
        })
        .collect();
    checkout.write("tags", &tags.concat());
    let imported =
        environment.command("sh", &checkout.path).args(["-c", "git fast-import --quiet < tags"]).status();
    assert!(imported.unwrap().success());
    let times = |limit: usize| {
        let line = format!("deployment history payment-service --target prod --limit {limit}");
        let history = checkout.json(&line);
        let records = history["records"].as_array().unwrap().clone();
        records.into_iter().map(|record| record["timestamp"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let all = times(0);
    assert_eq!(all.len(), 447);
    assert!(all.is_sorted_by(|newer, older| newer > older), "{all:?}");
    // Two of the newest 250 tags are no records: older records take their place.
    assert_eq!(times(250), all[..250]);
    let warned = checkout.atmos("deployment history payment-service --target prod --limit 0");
    assert_eq!(warned.stderr.matches("is skipped").count(), 3, "{}", warned.stderr);
}
