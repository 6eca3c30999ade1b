//! The specification's story: roll out, promote, be refused, be approved, look, roll back.

use serde_json::json;

use crate::support::{Checkout, Clone, TestEnvironment};

const DEPLOYMENT: &str = "payment-service";
const COMPONENTS: [&str; 3] = ["api", "worker", "database"];

/// Rolls out to dev and promotes to staging and prod.
fn everywhere(checkout: &Checkout<'_>) {
    for line in [
        "deployment rollout payment-service --target dev",
        "deployment rollout payment-service --target staging --promote-from dev",
        "deployment rollout payment-service --target prod --promote-from staging --approve \"release 1\"",
    ] {
        checkout.atmos(line).succeeded();
    }
}

#[test]
fn a_rollout_applies_the_commit_and_records_every_component() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    let commit = checkout.head();
    // The commit is deployed, not the work tree.
    checkout.write("services/api/version", "not committed\n");
    let run = checkout.atmos("deployment rollout payment-service --target dev").succeeded();
    assert!(run.stderr.contains("commit"), "a dirty tree is worth a warning\n{}", run.report());

    let mut applied = environment.applied();
    applied.sort();
    let expected = ["api", "database", "worker"].map(|component| format!("dev {component} {commit} 1"));
    assert_eq!(applied, expected);
    for component in COMPONENTS {
        assert_eq!(remote.state(DEPLOYMENT, "dev", component), commit);
        assert_eq!(checkout.state(DEPLOYMENT, "dev", component), commit);
        assert_eq!(remote.verify_chain(DEPLOYMENT, "dev", component), 1);
    }
    assert_eq!(remote.locks(), [""; 0]);
    assert_eq!(remote.refs("refs/atmos/pending"), [""; 0]);
    assert_eq!(checkout.git(&["for-each-ref", "refs/atmos/pending"]), "");
}

#[test]
fn a_component_runs_after_what_it_depends_on_is_kept_where_nothing_loses_it() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    let records = format!("git -C {} for-each-ref refs/atmos/pending", checkout.path.display());
    let records = format!("{records}; git -C {} for-each-ref refs/tags/atmos", remote.path.display());
    let seen = environment.path("seen");
    let look = format!("if [ $ATMOS_COMPONENT = api ]; then ({records}) >> {}; fi", seen.display());
    checkout.atmos_with("deployment rollout payment-service --target dev", &[("TEST_DO", &look)]).succeeded();
    let seen = std::fs::read_to_string(seen).unwrap();
    assert!(seen.contains("%records-") || seen.contains("/database/"), "{seen}");
}

#[test]
fn the_jump_over_staging_is_refused_in_the_words_of_the_specification() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    checkout.atmos("deployment rollout payment-service --target dev").succeeded();
    let before = (checkout.snapshot(), remote.snapshot());
    let line = "deployment rollout payment-service --target prod --promote-from dev";
    let run = checkout.atmos(line).refused(3, "Cannot promote directly from dev to prod");
    // `cli-integration.md`, "Error Messages".
    assert_eq!(
        run.stderr,
        "\
Error: Cannot promote directly from dev to prod
Promotion path requires: dev → staging → prod

To deploy to prod:
  1. Promote to staging first:
     atmos deployment rollout payment-service --target staging --promote-from dev

  2. Then promote to prod:
     atmos deployment rollout payment-service --target prod --promote-from staging

Or skip promotion validation (not recommended):
  atmos deployment rollout payment-service --target prod --skip-promotion-check
"
    );
    let document = checkout.atmos(&format!("{line} --format json")).exited(3).json();
    assert_eq!(document["kind"], "Error");
    assert_eq!(document["code"], "promotion_path");
    assert_eq!(document["exit_code"], 3);
    assert_eq!(document["hints"][0]["steps"].as_array().unwrap().len(), 2);
    assert_eq!((checkout.snapshot(), remote.snapshot()), before);
}

#[test]
fn promotion_carries_the_commit_on_and_approval_is_on_record() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    let commit = checkout.head();
    everywhere(&checkout);
    // Later commits are not promoted.
    checkout.commit_version("2");
    for component in COMPONENTS {
        assert_eq!(remote.state(DEPLOYMENT, "prod", component), commit);
        let tag = remote.records(DEPLOYMENT, "prod", component).pop().unwrap();
        let record = remote.git(&["cat-file", "-p", &tag]);
        for line in ["promoted_from: staging", "status: success", "approver: ada@example.com"] {
            assert!(record.contains(line), "no {line:?} in\n{record}");
        }
    }
    let note = remote.git(&["notes", "--ref=atmos/payment-service/approvals", "show", &commit]);
    let note: serde_json::Value = serde_json::from_str(note.trim()).unwrap();
    assert_eq!(note["approved_by"], "ada@example.com");
    assert_eq!(note["deployment"], DEPLOYMENT);
    assert_eq!(note["target"], "prod");
    assert_eq!(note["promoted_from"], "staging");
    assert!(note["approved_at"].as_str().unwrap().ends_with('Z'));
}

#[test]
fn without_approval_nothing_reaches_prod() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    checkout.atmos("deployment rollout payment-service --target dev").succeeded();
    checkout.atmos("deployment rollout payment-service --target staging --promote-from dev").succeeded();
    let line = "deployment rollout payment-service --target prod --promote-from staging";
    let before = remote.snapshot();
    checkout.atmos(line).refused(3, "approv").says("--approve");
    // Other methods fail closed: outside of CI there is no platform to ask.
    for method in ["ci", "pro"] {
        let file = std::fs::read_to_string(checkout.path.join("deployments/payment-service.yaml")).unwrap();
        let start = file.find("approval_method: ").unwrap() + "approval_method: ".len();
        let end = start + file[start..].find(' ').unwrap();
        checkout.write(
            "deployments/payment-service.yaml",
            &format!("{}{method}{}", &file[..start], &file[end..]),
        );
        checkout.atmos(line).refused(3, "approv");
    }
    assert_eq!(remote.snapshot(), before);
}

#[test]
fn status_and_history_say_what_runs_where() {
    let mut environment = TestEnvironment::new();
    environment.set_clock("2025-01-22T10:00:00Z");
    let environment = environment;
    let (checkout, _remote) = environment.with_remote();
    everywhere(&checkout);
    let commit = checkout.head();
    let status = checkout.json("deployment status payment-service --target prod");
    assert_eq!(status["apiVersion"], "atmos.tools/v1alpha1");
    assert_eq!(status["kind"], "DeploymentStatus");
    let target = &status["deployments"][0]["targets"][0];
    assert_eq!(target["target"], "prod");
    let names: Vec<_> = target["components"].as_array().unwrap().iter().map(|c| &c["component"]).collect();
    assert_eq!(names, COMPONENTS);
    for component in target["components"].as_array().unwrap() {
        let name = component["component"].as_str().unwrap();
        let record = format!("atmos/deployments/payment-service/prod/{name}/2025-01-22T10-00-00Z");
        let expected = json!({
            "component": name, "type": "command", "commit": commit, "status": "success",
            "deployed_at": "2025-01-22T10:00:00Z", "deployed_by": "ada@example.com",
            "promoted_from": "staging", "approved_by": "ada@example.com", "record": record,
        });
        for (key, value) in expected.as_object().unwrap() {
            assert_eq!(&component[key], value, "{key} of {component:#}");
        }
        assert!(component.get("health").is_none() && component.get("drift").is_none());
    }
    let short = &commit[..7];
    checkout
        .atmos("deployment status payment-service --target prod")
        .succeeded()
        .shows(short)
        .shows("Promoted from: staging")
        .shows("Approved by: ada@example.com");
    let all = checkout.atmos("deployment status payment-service").succeeded();
    assert_eq!(all.stdout.matches(short).count(), 9, "{}", all.report());
    checkout.atmos("deployment status").succeeded().shows("payment-service");

    let history = checkout.json("deployment history payment-service --target prod");
    assert_eq!(history["kind"], "DeploymentHistory");
    assert_eq!(history["records"].as_array().unwrap().len(), 3);
    for record in history["records"].as_array().unwrap() {
        assert_eq!(record["git_sha"], commit.as_str());
        assert_eq!(record["promoted_from"], "staging");
        let object =
            checkout.git(&["rev-parse", &format!("refs/tags/{}", record["record"].as_str().unwrap())]);
        assert_eq!(record["object"], object.as_str());
    }
    checkout
        .atmos("deployment history payment-service --target prod")
        .succeeded()
        .shows("Promoted from staging");
}

#[test]
fn a_rollback_names_what_it_replaced_and_needs_no_promotion() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    let first = checkout.head();
    everywhere(&checkout);
    let second = checkout.commit_version("2");
    everywhere(&checkout);
    environment.forget_applied();
    let line = format!("deployment rollout payment-service --target prod --git-sha {first}");
    let document = checkout.json(&line);
    assert_eq!(document["result"], "success");
    assert_eq!(document["rolled_back_to"], first.as_str());
    assert_eq!(environment.applied().len(), 3);
    assert!(environment.applied().iter().all(|line| line.ends_with(&format!("{first} 1"))));
    for component in COMPONENTS {
        assert_eq!(remote.state(DEPLOYMENT, "prod", component), first);
        assert_eq!(remote.verify_chain(DEPLOYMENT, "prod", component), 3);
    }
    let history = checkout.json("deployment history payment-service --target prod --component api");
    assert_eq!(history["records"][0]["rollback_of"], second.as_str());
    assert_eq!(history["records"][0]["status"], "success", "a rollback is derived, not stored");
    assert!(history["records"][1].get("rollback_of").is_none());
    checkout
        .atmos("deployment history payment-service --target prod --component api")
        .succeeded()
        .shows("rollback")
        .shows(&format!("Rollback of {}", &second[..7]));
}

#[test]
fn a_commit_that_never_ran_in_prod_comes_there_by_promotion_only() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    everywhere(&checkout);
    checkout.commit_version("2");
    let before = remote.snapshot();
    checkout
        .atmos("deployment rollout payment-service --target prod --approve why")
        .refused(3, "prod")
        .says("--promote-from staging")
        .says("--skip-promotion-check");
    assert_eq!(remote.snapshot(), before);
}

#[test]
fn a_plan_changes_nothing() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    let before = (checkout.snapshot(), remote.snapshot());
    let document = checkout.json("deployment rollout payment-service --target dev --plan");
    assert_eq!(document["dry_run"], true);
    for component in document["components"].as_array().unwrap() {
        assert_eq!(component["status"], "planned");
        assert!(component.get("record").is_none());
    }
    assert_eq!(environment.applied(), [""; 0]);
    // Only the local copy of the default branch has changed, from which the rules are read.
    checkout.git(&["update-ref", "-d", "refs/atmos-rules/origin/default"]);
    assert_eq!((checkout.snapshot(), remote.snapshot()), before);
    let left: Vec<_> =
        std::fs::read_dir(checkout.path.join(".atmos/workdir")).into_iter().flatten().collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn what_a_rollout_is_told_reaches_components_and_record() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    let vars = environment.path("vars.json");
    let copy = format!("cp \"$ATMOS_VARS_FILE\" {}", vars.display());
    let line = "deployment rollout payment-service --target dev --component api \
                --context cpu=512 --context zone=eu --metadata pr=#482 --metadata jira=PROJ-123";
    checkout.atmos_with(line, &[("TEST_DO", &copy), ("ATMOS_RUN_ID", "github:1/1")]).succeeded();
    let vars: serde_json::Value = serde_json::from_slice(&std::fs::read(vars).unwrap()).unwrap();
    assert_eq!((&vars["cpu"], &vars["memory"], &vars["zone"]), (&json!(512), &json!(512), &json!("eu")));
    let tag = remote.records(DEPLOYMENT, "dev", "api").pop().unwrap();
    let record = remote.git(&["cat-file", "-p", &tag]);
    for text in ["#482", "PROJ-123", "run_id: github:1/1", "component_type: command"] {
        assert!(record.contains(text), "no {text:?} in\n{record}");
    }
    assert_eq!(environment.applied().len(), 1);
    assert_eq!(remote.records(DEPLOYMENT, "dev", "worker"), [""; 0]);
}

#[test]
fn a_failed_component_blocks_what_depends_on_it_and_nothing_else() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    let line = "deployment rollout payment-service --target dev";
    checkout.atmos(line).succeeded();
    let first = checkout.head();
    let second = checkout.commit_version("2");
    let fail = "[ $ATMOS_COMPONENT != database ] || { echo disk full >&2; exit 7; }";
    let run = checkout.atmos_with(&format!("{line} --format json"), &[("TEST_DO", fail)]).exited(1);
    let document = run.json();
    assert_eq!(document["result"], "failed");
    let component = |name: &str| {
        let components = document["components"].as_array().unwrap();
        components.iter().find(|component| component["component"] == name).unwrap().clone()
    };
    assert_eq!(component("database")["status"], "failed");
    assert_eq!(component("api")["status"], "skipped");
    assert_eq!(component("worker")["status"], "success");
    assert!(run.stderr.contains("disk full"), "{}", run.report());

    assert_eq!(
        remote.state(DEPLOYMENT, "dev", "database"),
        first,
        "a failed component's state does not move"
    );
    assert_eq!(remote.state(DEPLOYMENT, "dev", "api"), first);
    assert_eq!(remote.state(DEPLOYMENT, "dev", "worker"), second);
    assert_eq!(remote.verify_chain(DEPLOYMENT, "dev", "database"), 2);
    assert_eq!(remote.verify_chain(DEPLOYMENT, "dev", "api"), 1, "what never started has no record");
    let newest =
        &checkout.json("deployment history payment-service --target dev --component database")["records"][0];
    assert_eq!((&newest["status"], &newest["git_sha"]), (&json!("failed"), &json!(second)));
    assert_eq!(remote.locks(), [""; 0]);
}

#[test]
fn the_promotion_graph_and_status_know_what_is_ready() {
    let environment = TestEnvironment::new();
    let (checkout, _remote) = environment.with_remote();
    checkout.atmos("deployment rollout payment-service --target dev").succeeded();
    let edges = |checkout: &Checkout<'_>| {
        let document = checkout.json("deployment promotion-status payment-service");
        assert_eq!(document["kind"], "PromotionStatus");
        let edges = document["edges"].as_array().unwrap().clone();
        edges
            .into_iter()
            .map(|edge| format!("{} {} {}", edge["from"], edge["to"], edge["state"]))
            .collect::<Vec<_>>()
    };
    assert_eq!(edges(&checkout), [r#""dev" "staging" "ready""#, r#""staging" "prod" "nothing_to_promote""#]);
    checkout.atmos("deployment rollout payment-service --target staging --promote-from dev").succeeded();
    assert_eq!(edges(&checkout), [r#""dev" "staging" "up_to_date""#, r#""staging" "prod" "ready""#]);
    checkout
        .atmos("deployment promotion-status payment-service")
        .succeeded()
        .shows("payment-service promotion status")
        .shows("staging → prod (ready, requires approval)");
    assert_eq!(checkout.json("deployment promotion-graph payment-service")["kind"], "PromotionGraph");
    checkout
        .atmos("deployment promotion-graph payment-service")
        .succeeded()
        .shows("payment-service promotion graph:")
        .shows("(entry point)")
        .shows("from: staging, requires approval");
    checkout
        .atmos("deployment promotion-graph payment-service --show-status")
        .succeeded()
        .shows("ready to promote ✓")
        .shows("not deployed");
}

#[test]
fn another_checkout_sees_the_same_and_goes_on() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    everywhere(&checkout);
    let second = checkout.commit_version("2");
    checkout.git(&["push", "--quiet"]);
    let other = environment.clone(&remote.url(), "other", Clone::default());
    // A clone does not bring the ledger along, and offline it cannot tell that nothing runs.
    other
        .atmos("deployment status payment-service --offline")
        .refused(1, "this checkout has never been refreshed from origin, and cannot tell");
    assert_eq!(
        other.json("deployment status payment-service"),
        checkout.json("deployment status payment-service")
    );
    other.atmos("deployment rollout payment-service --target dev").succeeded();
    assert_eq!(remote.verify_chain(DEPLOYMENT, "dev", "api"), 2);
    let status = checkout.json("deployment status payment-service --target dev");
    assert_eq!(status["deployments"][0]["targets"][0]["components"][0]["commit"], second.as_str());
}

#[test]
fn without_a_remote_the_ledger_is_kept_here() {
    let environment = TestEnvironment::new();
    let checkout = environment.payment_service("alone");
    everywhere(&checkout);
    let names = checkout.git(&["for-each-ref", "--format=%(refname)", "refs/atmos", "refs/tags"]);
    assert_eq!(names.lines().filter(|name| name.starts_with("refs/tags/")).count(), 9);
    assert_eq!(names.lines().filter(|name| name.starts_with("refs/atmos/deployments/")).count(), 9);
    for gone in ["refs/atmos/locks/", "refs/atmos/pending/", "refs/atmos-remotes/"] {
        assert!(!names.contains(gone), "{names}");
    }
}
