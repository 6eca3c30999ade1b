//! The rules that a rollout obeys: those of the default branch and those of the checkout, both.

use serde_json::{Value, json};

use crate::hints::PUSH;
use crate::support::{Checkout, Clone, Remote, Run, TestEnvironment};

const FILE: &str = "deployments/payment-service.yaml";
const DEV: &str = "deployment rollout payment-service --target dev";
const STAGING: &str = "deployment rollout payment-service --target staging";
const GUARDED: &str = "      promotion: { from: dev }\n";
const APPROVED: &str = "      promotion: { from: dev, requires_approval: true, approval_method: manual }\n";

/// Changes the deployment's file in the work tree only.
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

/// The newest record of `worker` on a target.
fn record(checkout: &Checkout<'_>, target: &str) -> String {
    checkout.git(&["cat-file", "-p", &format!("refs/atmos/latest/payment-service/{target}/worker")])
}

#[test]
fn rules_that_are_loosened_in_the_work_tree_stay_as_they_are() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    checkout.atmos(DEV).succeeded();
    push(&checkout, "Not on dev");
    edit(&checkout, GUARDED, "");
    let before = remote.git(&["for-each-ref"]);
    checkout.atmos(&format!("{STAGING} --git-sha HEAD")).refused(3, "Cannot roll out directly to staging");
    let promotion = "deployment rollout payment-service --target prod --promote-from staging";
    checkout.atmos(&format!("{STAGING} --promote-from dev")).succeeded();
    edit(&checkout, "requires_approval: true, approval_method: manual", "hold: false");
    checkout.atmos(promotion).refused(3, "requires an approval");
    // Rules that are loosened in a commit that is not merged change nothing either.
    checkout.commit("Loosened");
    checkout.atmos(promotion).refused(3, "requires an approval");
    checkout.atmos(STAGING).refused(3, "Cannot roll out directly to staging");
    assert_eq!(remote.refs("refs/atmos/deployments/payment-service/prod"), [""; 0]);
    assert_ne!(remote.git(&["for-each-ref"]), before);
}

#[test]
fn the_default_branch_says_how_an_approval_is_given_whatever_else_the_checkout_changes() {
    let environment = TestEnvironment::new();
    let (checkout, _remote) = environment.with_remote();
    edit(&checkout, GUARDED, &APPROVED.replace("manual", "ci"));
    push(&checkout, "Let the platform ask");
    checkout.atmos(DEV).succeeded();
    let promotion = format!("{STAGING} --promote-from dev --approve \"looked at it\"");
    edit(&checkout, "approval_method: ci", "approval_method: manual");
    checkout.commit("Ask by hand");
    checkout.atmos(&promotion).refused(3, "requires an approval, by the CI platform");
    edit(&checkout, "approval_method: manual", "approval_expires: 12h, approval_method: manual");
    checkout.atmos(&promotion).refused(3, "requires an approval, by the CI platform");
}

#[test]
fn without_a_remote_the_commit_that_is_checked_out_bounds_the_work_tree() {
    let environment = TestEnvironment::new();
    let checkout = environment.payment_service("alone");
    checkout.atmos(DEV).succeeded();
    let head = checkout.commit("Not on dev");
    edit(&checkout, GUARDED, "");
    checkout.atmos(&format!("{STAGING} --git-sha HEAD")).refused(3, "Cannot roll out directly to staging");
    checkout.atmos(&format!("{STAGING} --promote-from dev")).succeeded();
    assert!(record(&checkout, "staging").contains("rules: uncommitted"), "{}", record(&checkout, "staging"));
    checkout.git(&["checkout", "--quiet", "."]);
    checkout.atmos(&format!("{STAGING} --promote-from dev")).succeeded();
    assert!(record(&checkout, "staging").contains(&format!("rules: {head}")));
}

#[test]
fn stricter_rules_of_the_work_tree_are_obeyed_and_on_record() {
    let environment = TestEnvironment::new();
    let (checkout, _remote) = environment.with_remote();
    checkout.atmos(DEV).succeeded();
    let promotion = format!("{STAGING} --promote-from dev");
    edit(&checkout, GUARDED, APPROVED);
    checkout.atmos(&promotion).refused(3, "requires an approval");
    checkout.atmos(&format!("{promotion} --approve \"looked at it\"")).succeeded();
    let record = record(&checkout, "staging");
    assert!(record.contains("rules: uncommitted") && record.contains("approver"), "{record}");
}

#[test]
fn the_record_names_the_commit_of_the_default_branch_and_an_old_checkout_obeys_it() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    let old = checkout.head();
    edit(&checkout, GUARDED, APPROVED);
    let new = push(&checkout, "Approve what comes to staging");
    checkout.git(&["checkout", "--quiet", "--detach", &old]);
    checkout.atmos(DEV).succeeded();
    assert!(record(&checkout, "dev").contains(&format!("rules: {new}")), "{}", record(&checkout, "dev"));
    let promotion = format!("{STAGING} --promote-from dev");
    checkout.atmos(&promotion).refused(3, "requires an approval");
    // The job of an old pipeline, in a clone of depth 1, is refused as well.
    let clone = environment.clone(&remote.url(), "clone", Clone::SHALLOW);
    clone.git(&["fetch", "--quiet", "--depth=1", "origin", &old]);
    clone.git(&["checkout", "--quiet", "--detach", &old]);
    clone.atmos_with(&promotion, &PUSH).refused(3, "requires an approval");
    clone.atmos(&format!("{promotion} --approve why")).succeeded();
    assert!(record(&clone, "staging").contains(&format!("rules: {new}")));
    // Old rules of the checkout that are stricter count, too.
    checkout.git(&["checkout", "--quiet", "main"]);
    edit(
        &checkout,
        "      promotion: { from: staging, requires_approval: true, approval_method: manual }\n",
        "",
    );
    push(&checkout, "Anything goes to prod");
    checkout.git(&["checkout", "--quiet", "--detach", &old]);
    checkout
        .atmos("deployment rollout payment-service --target prod")
        .refused(3, "Cannot roll out directly to prod");
}

#[test]
fn what_was_mended_on_the_default_branch_refuses_nothing_any_more() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    let sound = checkout.head();
    edit(&checkout, "  targets:", "  target:");
    let broken = push(&checkout, "Mistype");
    checkout.git(&["checkout", "--quiet", "--detach", &sound]);
    let refusal = checkout.atmos(DEV).refused(2, "the configuration has");
    refusal.says(&format!("in commit {} of the default branch, whose rules hold", &broken[..7]));
    let clone = environment.clone(&remote.url(), "clone", Clone::default());
    clone.git(&["revert", "--no-edit", "HEAD"]);
    clone.git(&["push", "--quiet", "origin", "HEAD:main"]);
    checkout.atmos(DEV).succeeded();
}

#[test]
fn what_was_replaced_on_the_source_refuses_no_promotion_any_more() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    let tools = environment.path("tools");
    let tool = tools.join("deploy-worker");
    std::fs::create_dir(&tools).unwrap();
    std::os::unix::fs::symlink("/bin/true", &tool).unwrap();
    edit(&checkout, "apply: [./services/worker/deploy.sh]", "apply: [deploy-worker]");
    push(&checkout, "Use a tool");
    let path = format!("{}:{}", tools.display(), environment.variable("PATH"));
    checkout.atmos_with(DEV, &[("PATH", &path)]).succeeded();
    let promotion = format!("{STAGING} --promote-from dev");
    checkout.atmos(&promotion).refused(2, "deploy-worker");
    let clone = environment.clone(&remote.url(), "clone", Clone::default());
    clone.git(&["revert", "--no-edit", "HEAD"]);
    clone.git(&["push", "--quiet", "origin", "HEAD:main"]);
    clone.atmos(DEV).succeeded();
    checkout.atmos(&promotion).succeeded();
    assert_eq!(remote.state("payment-service", "staging", "worker"), clone.head());
}

#[test]
fn the_list_of_targets_shows_the_rules_that_hold() {
    let environment = TestEnvironment::new();
    let (checkout, _remote) = environment.with_remote();
    let old = checkout.head();
    edit(&checkout, GUARDED, APPROVED);
    push(&checkout, "Approve what comes to staging");
    checkout.git(&["checkout", "--quiet", "--detach", &old]);
    let list = checkout.json("deployment list targets payment-service");
    let staging =
        list["targets"].as_array().unwrap().iter().find(|target| target["target"] == "staging").unwrap();
    assert_eq!(staging["requires_approval"], true, "{list:#}");
}

#[test]
fn a_target_that_the_default_branch_does_not_declare_has_no_rules() {
    let environment = TestEnvironment::new();
    let (checkout, _remote) = environment.with_remote();
    checkout.git(&["checkout", "--quiet", "-b", "preview"]);
    edit(&checkout, "  targets:\n", "  targets:\n    preview: {}\n    gated: { promotion: { from: dev } }\n");
    checkout.commit("More targets");
    checkout.atmos("deployment rollout payment-service --target preview").succeeded();
    checkout.atmos(DEV).succeeded();
    let promotion = "deployment rollout payment-service --target gated --promote-from dev";
    checkout.atmos(promotion).refused(3, "The rules for gated are not known to the default branch");
    let edge = edge(&checkout, "gated");
    assert_eq!(edge["state"], "blocked", "{edge}");
    checkout.git(&["push", "--quiet", "origin", "preview:main"]);
    checkout.atmos(promotion).succeeded();
}

#[test]
fn sources_that_the_default_branch_and_the_checkout_do_not_share_are_refused() {
    let environment = TestEnvironment::new();
    let (checkout, _remote) = environment.with_remote();
    checkout.atmos(DEV).succeeded();
    edit(&checkout, "promotion: { from: staging,", "promotion: { from: dev,");
    let run = checkout.atmos("deployment rollout payment-service --target prod --promote-from dev");
    run.refused(3, "the default branch promotes to prod from staging, this checkout from dev");
}

/// Writes a deployment file without the rule for staging into another folder.
fn loose_at(checkout: &Checkout<'_>, folder: &str) {
    let file = std::fs::read_to_string(checkout.path.join(FILE)).unwrap();
    let loose = file.replace(GUARDED, "");
    checkout.write(&format!("{folder}/{FILE}"), &loose);
}

#[test]
fn no_other_place_for_deployments_leads_to_other_rules() {
    for with_remote in [true, false] {
        let environment = TestEnvironment::new();
        let checkout =
            if with_remote { environment.with_remote().0 } else { environment.payment_service("alone") };
        // One of the folders is even part of the default branch, as an example.
        loose_at(&checkout, "examples/shop");
        checkout.write("examples/shop/atmos.yaml", "base_path: \"\"\n");
        checkout.commit("Add an example");
        if with_remote {
            checkout.git(&["push", "--quiet", "origin", "main"]);
        }
        checkout.atmos(DEV).succeeded();
        checkout.commit("Not on dev");
        loose_at(&checkout, "loose");
        let refused = |run: Run| run.refused(3, "Cannot roll out directly to staging");
        let line = format!("{STAGING} --git-sha HEAD");
        // No commit has a deployment in `loose`: a commit is read in the folder that its own
        // configuration names.
        for folder in ["examples/shop", "loose"] {
            refused(checkout.atmos(&format!("--base-path {folder} {line}")));
            refused(checkout.atmos_with(&line, &[("ATMOS_BASE_PATH", folder)]));
            checkout.write("other.yaml", &format!("base_path: {folder}\n"));
            refused(checkout.atmos(&format!("--config other.yaml {line}")));
            checkout.write("atmos.yaml", &format!("deployments: {{ base_path: {folder}/deployments }}\n"));
            refused(checkout.atmos(&line));
            std::fs::remove_file(checkout.path.join("atmos.yaml")).unwrap();
        }
        refused(checkout.atmos(&format!("-C examples/shop {line}")));
        if with_remote {
            checkout.write("atmos.yaml", "deployments: { base_path: loose/deployments }\n");
            checkout.commit("Keep deployments elsewhere");
            refused(checkout.atmos(STAGING));
        }
    }
}

#[test]
fn the_default_branch_may_name_another_one_for_its_rules() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    checkout.git(&["push", "--quiet", "origin", "main:rules"]);
    edit(&checkout, GUARDED, "");
    checkout.write("atmos.yaml", "deployments: { rules_from: rules }\n");
    push(&checkout, "Take the rules from a branch of their own");
    checkout.atmos(DEV).succeeded();
    let of_rules = remote.git(&["rev-parse", "refs/heads/rules"]);
    assert!(record(&checkout, "dev").contains(&format!("rules: {of_rules}")), "{}", record(&checkout, "dev"));
    push(&checkout, "Not on dev");
    checkout.atmos(STAGING).refused(3, "Cannot roll out directly to staging");
    // A checkout cannot name the branch of the rules.
    checkout.git(&["push", "--quiet", "origin", "main:loose"]);
    checkout.write("atmos.yaml", "deployments: { rules_from: loose }\n");
    checkout.commit("Other rules");
    checkout.atmos(STAGING).refused(3, "Cannot roll out directly to staging");
    remote.git(&["branch", "-D", "rules"]);
    checkout.atmos(STAGING).refused(2, "names the branch rules, which does not exist");
}

#[test]
fn without_the_default_branch_a_pipeline_rolls_nothing_out() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    checkout.atmos(DEV).succeeded();
    // The ledger is on a remote of its own, and the remote of the code is gone.
    let ledger = environment.bare("ledger.git", &[]);
    checkout.git(&["remote", "add", "ledger", &ledger.url()]);
    let on_ledger = |more: &[(&'static str, &'static str)]| [&[("ATMOS_REMOTE", "ledger")], more].concat();
    checkout.atmos_with(DEV, &on_ledger(&[])).succeeded();
    std::fs::rename(&remote.path, environment.path("gone.git")).unwrap();
    let before = ledger.git(&["for-each-ref"]);
    let run = checkout
        .atmos_with(DEV, &on_ledger(&PUSH))
        .refused(1, "The promotion rules of origin's default branch");
    run.says("try again when origin can be reached");
    assert_eq!(ledger.git(&["for-each-ref"]), before);
    // At a terminal, the rules that were fetched last count.
    checkout.commit("Not on the ledger yet");
    checkout.atmos_with(DEV, &on_ledger(&[])).succeeded();
    let stale = record(&checkout, "dev");
    assert!(stale.contains("rules: stale "), "{stale}");
}

#[test]
fn a_remote_without_a_commit_has_no_rules_of_its_own() {
    let environment = TestEnvironment::new();
    let remote = environment.bare("remote.git", &[]);
    let checkout = environment.payment_service("checkout");
    checkout.git(&["remote", "add", "origin", &remote.url()]);
    checkout
        .atmos(DEV)
        .succeeded()
        .says("origin has no default branch: the rules of this checkout alone hold");
    let head = checkout.head();
    assert!(record(&checkout, "dev").contains(&format!("rules: {head}")));
    checkout.commit("Not on dev");
    checkout.atmos(STAGING).refused(3, "Cannot roll out directly to staging");
    checkout.atmos(&format!("{STAGING} --promote-from dev")).succeeded();
}

#[test]
fn a_default_branch_that_was_not_asked_for_yet_is_not_said_to_be_missing() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    checkout
        .atmos("deployment lock payment-service --target dev --component worker --reason migration")
        .succeeded();
    let fresh = |folder| environment.clone(&remote.url(), folder, Clone::default());
    let not_yet = "the default branch of origin has not been read here yet";
    for (folder, line, code) in
        [("waits", format!("{DEV} --lock-timeout 1s"), 4), ("offline", format!("{DEV} --plan --offline"), 0)]
    {
        let run = fresh(folder).atmos(&line).exited(code).says(not_yet);
        assert!(!run.stderr.contains("no default branch"), "{}", run.report());
    }
}

fn edge(checkout: &Checkout<'_>, to: &str) -> Value {
    let status = checkout.json("deployment promotion-status payment-service");
    let edges = status["edges"].as_array().unwrap();
    edges.iter().find(|edge| edge["to"] == to).unwrap().clone()
}

/// Rolls a component out to dev so that it ends like this.
fn attempt(checkout: &Checkout<'_>, component: &str, ending: &str) {
    let line = format!("{DEV} --component {component}");
    let wait = format!("touch {}; sleep 60", checkout.environment.path("runs").display());
    match ending {
        "never" => {}
        "success" => drop(checkout.atmos(&line).succeeded()),
        "failed" => drop(checkout.atmos_with(&line, &[("TEST_DO", "exit 1")]).exited(1)),
        "success, failed" => {
            attempt(checkout, component, "success");
            attempt(checkout, component, "failed");
        }
        _ => {
            let running = checkout.start(&line, &[("TEST_DO", &wait)]);
            crate::support::wait_until("it runs", || checkout.environment.path("runs").exists());
            running.signal(rustix::process::Signal::INT);
            running.wait().exited(130);
            std::fs::remove_file(checkout.environment.path("runs")).unwrap();
        }
    }
}

/// Asserts that the state in `promotion-status` for staging matches the result of a promotion to
/// it.
fn agrees(checkout: &Checkout<'_>, remote: &Remote<'_>, what: &str) -> String {
    let before = remote.git(&["for-each-ref"]);
    let edge = edge(checkout, "staging");
    let graph = checkout.json("deployment promotion-graph payment-service");
    let of_graph =
        graph["edges"].as_array().unwrap().iter().find(|found| found["to"] == "staging").unwrap().clone();
    for key in ["from", "state", "hold"] {
        if !of_graph[key].is_null() {
            assert_eq!(of_graph[key], edge[key], "{what}: {key}");
        }
    }
    let run = checkout.atmos(&format!("{STAGING} --promote-from dev --plan --format json"));
    assert_eq!(remote.git(&["for-each-ref"]), before, "{what}");
    let state = edge["state"].as_str().unwrap();
    let does = match (run.code, run.json()["code"].as_str()) {
        (Some(3), Some("nothing_to_promote")) if edge["components"] == json!([]) => "nothing_to_promote",
        (Some(3), _) => "blocked",
        (Some(0), _) => {
            let plan = run.json();
            let components = plan["components"].as_array().unwrap();
            let stays = |found: &Value| found["commit"] == found["previous_commit"];
            if components.iter().all(stays) { "up_to_date" } else { "ready" }
        }
        _ => panic!("{what}\n{}", run.report()),
    };
    assert_eq!(state, does, "{what}: {edge:#}\n{}", run.report());
    state.to_owned()
}

#[test]
fn what_promotion_status_says_is_what_a_promotion_does() {
    const ENDINGS: [&str; 5] = ["never", "success", "failed", "cancelled", "success, failed"];
    let mut seen = std::collections::BTreeSet::new();
    for on_target in [false, true] {
        for database in ENDINGS {
            let environment = TestEnvironment::new();
            let (checkout, remote) = environment.with_remote();
            if on_target {
                checkout.atmos(&format!("{STAGING} --skip-promotion-check --component database")).succeeded();
                checkout.commit_version("2");
                checkout.git(&["push", "--quiet", "origin", "main"]);
            }
            attempt(&checkout, "database", database);
            for api in ENDINGS {
                // Each ending of `api` follows the one before it, from never having been deployed.
                attempt(&checkout, "api", api);
                seen.insert(agrees(
                    &checkout,
                    &remote,
                    &format!("database {database}, api {api}, {on_target}"),
                ));
            }
        }
    }
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), ["blocked", "nothing_to_promote", "ready"]);
}
