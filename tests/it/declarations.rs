//! The scope of a promotion: the checkout, its commit, the default branch and the promoted commits
//! all declare components and dependencies.

use serde_json::Value;

use crate::hints::PUSH;
use crate::support::{Checkout, TestEnvironment};

const FILE: &str = "deployments/payment-service.yaml";
const DEV: &str = "deployment rollout payment-service --target dev";
const STAGING: &str = "deployment rollout payment-service --target staging --promote-from dev";
const NEEDS: &str = "        metadata: { depends_on: [database] }\n";
const WORKER: &str = "      worker:
        settings: { command: { plan: [./services/worker/deploy.sh, --plan], apply: [./services/worker/deploy.sh] } }
";

fn edit(checkout: &Checkout<'_>, from: &str, to: &str) {
    let file = std::fs::read_to_string(checkout.path.join(FILE)).unwrap();
    assert!(file.contains(from), "{from} in {file}");
    checkout.write(FILE, &file.replacen(from, to, 1));
}

fn push(checkout: &Checkout<'_>, message: &str) -> String {
    let commit = checkout.commit(message);
    checkout.git(&["push", "--quiet", "origin", "HEAD:main"]);
    commit
}

fn edge(checkout: &Checkout<'_>) -> Value {
    let status = checkout.json("deployment promotion-status payment-service");
    status["edges"][0].clone()
}

#[test]
fn a_pipeline_promotes_by_what_is_committed() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    checkout.atmos(DEV).succeeded();
    let before = remote.git(&["for-each-ref"]);
    for (from, to) in [
        (NEEDS, ""),
        (NEEDS, "        metadata: { depends_on: [worker] }\n"),
        (WORKER, ""),
        ("      labels: { environment: staging }\n", "      labels: { environment: dev }\n"),
        ("    dev:\n", "    qa: {}\n    dev:\n"),
    ] {
        edit(&checkout, from, to);
        checkout.atmos_with(STAGING, &PUSH).refused(2, "of the checkout differ from those of its commit");
        checkout.git(&["checkout", "--quiet", FILE]);
    }
    assert_eq!(remote.git(&["for-each-ref"]), before);
    // Values are those of the promoted commits, so the checkout may change them.
    edit(&checkout, "cpu: 512", "cpu: 1024");
    checkout.atmos_with(STAGING, &PUSH).succeeded();
}

#[test]
fn a_dependency_holds_whichever_of_checkout_commit_and_promoted_commit_declares_it() {
    let environment = TestEnvironment::new();
    let (checkout, _remote) = environment.with_remote();
    checkout.atmos(DEV).succeeded();
    let api = format!("{STAGING} --component api");
    let refused = || checkout.atmos(&api).refused(3, "it depends on database");
    // Declared by the commit and by the promoted commit, not by the working tree.
    edit(&checkout, NEEDS, "");
    refused();
    // Declared by the promoted commit alone.
    let without = push(&checkout, "Need nothing");
    refused();
    // Declared nowhere any more.
    checkout.atmos(DEV).succeeded();
    checkout.atmos(&format!("{api} --plan")).succeeded();
    // Declared by the working tree alone.
    edit(&checkout, "      api:\n", &format!("      api:\n{NEEDS}"));
    refused();
    // Declared by the checked-out commit alone.
    checkout.commit("Need the database again");
    edit(&checkout, NEEDS, "");
    refused();
    checkout.git(&["checkout", "--quiet", "--force", &without]);
    checkout.atmos(&api).succeeded();
}

#[test]
fn components_follow_the_order_that_the_promoted_commits_declare() {
    let environment = TestEnvironment::new();
    let (checkout, _remote) = environment.with_remote();
    checkout.atmos(DEV).succeeded();
    edit(&checkout, NEEDS, "");
    edit(&checkout, "      database:\n", "      database:\n        metadata: { depends_on: [worker] }\n");
    push(&checkout, "Another order");
    environment.forget_applied();
    checkout.atmos(STAGING).succeeded();
    let applied = environment.applied();
    let order: Vec<_> = applied.iter().map(|line| line.split(' ').nth(1).unwrap()).collect();
    assert_eq!(order, ["worker", "database", "api"]);
}

#[test]
fn what_an_old_checkout_does_not_declare_makes_a_promotion_partial() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    edit(&checkout, WORKER, "");
    let old = push(&checkout, "No worker yet");
    edit(&checkout, "      database:\n", &format!("{WORKER}      database:\n"));
    push(&checkout, "Add the worker");
    for rollouts in [
        vec![DEV.to_owned()],
        ["database", "api"].map(|name| format!("{DEV} --component {name} --git-sha {old}")).to_vec(),
    ] {
        checkout.git(&["checkout", "--quiet", "main"]);
        for line in rollouts {
            checkout.atmos(&format!("{line} --allow-rollback")).succeeded();
        }
        // The worker is declared by its promoted commit, then by the default branch alone.
        checkout.git(&["checkout", "--quiet", "--detach", &old]);
        let edge = edge(&checkout);
        assert_eq!((&edge["state"], &edge["partial"]), (&"blocked".into(), &true.into()), "{edge:#}");
        let why = "it runs on dev, and this checkout does not declare it";
        assert!(edge["reason"].to_string().contains(why), "{edge:#}");
        let run = checkout.atmos(STAGING).refused(3, "The promotion from dev would be partial");
        run.says(&format!("worker: {why}"));
    }
    // Named components are promoted on their own.
    checkout.atmos(&format!("{STAGING} --component database")).succeeded();
    let run = checkout.atmos(&format!("{STAGING} --allow-partial")).succeeded();
    run.says("worker is left out").says("the promotion is partial");
    assert_eq!(remote.state("payment-service", "staging", "api"), old);
    assert_eq!(remote.state("payment-service", "staging", "worker"), "");
}

#[test]
fn what_was_removed_from_the_deployment_is_not_waited_for() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    checkout.atmos(DEV).succeeded();
    edit(&checkout, WORKER, "");
    let head = push(&checkout, "Remove the worker");
    // The promoted commits still declare the worker.
    checkout.atmos(STAGING).refused(3, "The promotion from dev would be partial");
    checkout.atmos(DEV).succeeded();
    assert_eq!(edge(&checkout)["state"], "ready");
    let run = checkout.atmos(STAGING).succeeded();
    run.says("worker is left out: it still runs on dev, and is not part of the deployment any more");
    assert_eq!(remote.state("payment-service", "staging", "api"), head);
}

#[test]
fn a_dependency_that_only_the_working_tree_disables_is_waited_for() {
    let environment = TestEnvironment::new();
    let (checkout, _remote) = environment.with_remote();
    checkout.write("atmos.yaml", "stacks: { base_path: stacks }\n");
    checkout.write("stacks/team.yaml", "components: { command: { database: {}, api: {}, worker: {} } }\n");
    edit(&checkout, "  components:\n", "  stacks: [team]\n  components:\n");
    push(&checkout, "Add a stack");
    checkout.atmos(DEV).succeeded();
    let disabled =
        "components: { command: { database: { metadata: { enabled: false } }, api: {}, worker: {} } }\n";
    checkout.write("stacks/team.yaml", disabled);
    let api = format!("{STAGING} --component api --plan");
    checkout.atmos(&api).refused(3, "it depends on database");
    push(&checkout, "Disable the database");
    checkout.atmos(&api).succeeded();
}

#[test]
fn commits_are_read_where_they_keep_deployments() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    let before = checkout.head();
    checkout.atmos(DEV).succeeded();
    std::fs::create_dir(checkout.path.join("conf")).unwrap();
    checkout.git(&["mv", "deployments", "conf/deployments"]);
    checkout.write("atmos.yaml", "deployments: { base_path: conf/deployments }\n");
    push(&checkout, "Move the deployments");
    assert_eq!(edge(&checkout)["state"], "ready");
    checkout.atmos(STAGING).succeeded();
    assert_eq!(remote.state("payment-service", "staging", "api"), before);
    checkout.atmos(DEV).succeeded();
    checkout.atmos(&format!("{DEV} --git-sha {before}")).succeeded().shows("Rolled back");
    // The same from a checkout of a commit before the move.
    checkout.git(&["checkout", "--quiet", "--detach", &before]);
    checkout.atmos(&format!("{DEV} --git-sha main")).succeeded();
    assert_eq!(edge(&checkout)["state"], "ready");
    checkout.atmos(STAGING).succeeded();
}

#[test]
fn views_call_a_commit_without_the_deployment_what_a_promotion_calls_it() {
    let environment = TestEnvironment::new();
    let (checkout, _remote) = environment.with_remote();
    checkout.atmos(DEV).succeeded();
    // In a ledger of plain refs, any commit may be said to run.
    checkout.git(&["checkout", "--quiet", "--orphan", "empty"]);
    checkout.git(&["rm", "--quiet", "-r", "--cached", "."]);
    checkout.git(&["commit", "--quiet", "--allow-empty", "--message", "Nothing"]);
    let nothing = checkout.head();
    checkout.git(&["checkout", "--quiet", "--force", "main"]);
    let name = "refs/atmos/deployments/payment-service/dev/worker";
    checkout.git(&["push", "--quiet", "--force", "origin", &format!("{nothing}:{name}")]);
    checkout.git(&["push", "--quiet", "origin", "--delete", "refs/atmos/latest/payment-service/dev/worker"]);
    let run = checkout.atmos(STAGING).refused(3, "would be partial");
    run.says("does not declare staging");
    let edge = edge(&checkout);
    assert_eq!(edge["state"], "blocked", "{edge:#}");
    assert!(edge["reason"].to_string().contains("does not declare staging"), "{edge:#}");
}
