//! Approvals by people: given ahead or with the rollout, valid for exactly what was approved, once.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::support::{Checkout, Clone, Remote, TestEnvironment, independent_components};

const PROMOTE: &str = "deployment rollout payment-service --target prod --promote-from staging";
const APPROVE: &str = "deployment approve payment-service --target prod --promote-from staging";
const NEEDED: &str = "requires an approval";

/// The rule of a target to which any commit may be rolled out, once it is approved.
const ENTRY_POINT: &str = "{ promotion: { requires_approval: true, approval_method: manual } }";

/// Brings the checked-out commit to staging.
fn to_staging(checkout: &Checkout<'_>) {
    checkout.atmos("deployment rollout payment-service --target dev").succeeded();
    checkout.atmos("deployment rollout payment-service --target staging --promote-from dev").succeeded();
}

/// The newest record of a component.
fn record(remote: &Remote<'_>, target: &str, component: &str) -> String {
    remote.git(&["cat-file", "-p", &format!("refs/atmos/latest/payment-service/{target}/{component}")])
}

#[track_caller]
fn approved(checkout: &Checkout<'_>, line: &str) -> Value {
    let document = checkout.json(line);
    assert!(document["approved"].is_object(), "{document}");
    document["approved"].clone()
}

/// The id of each approval of a deployment, with its state.
fn standings(checkout: &Checkout<'_>, deployment: &str) -> Vec<(String, String)> {
    let list = checkout.json(&format!("deployment approvals {deployment}"));
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    list["approvals"].as_array().unwrap().iter().map(|one| (text(&one["id"]), text(&one["state"]))).collect()
}

/// Writes a deployment of components without dependencies on each other, whose targets `qa` and
/// `prod` have this declaration.
fn fleet(checkout: &Checkout<'_>, name: &str, components: &[&str], prod: &str) {
    let components: Vec<_> = components.iter().map(|&component| component.to_owned()).collect();
    for component in &components {
        checkout.write_component(component);
    }
    let file = independent_components(name, &components);
    let file = file.replace(
        "targets: { dev: {}, qa: {} }",
        &format!("targets: {{ dev: {{}}, qa: {prod}, prod: {prod} }}"),
    );
    checkout.write(&format!("deployments/{name}.yaml"), &file);
    checkout.commit("Add a fleet");
    checkout.git(&["push", "--quiet", "origin", "HEAD:main"]);
}

/// The variables of an attempt of a run on GitHub that a person started.
fn attempt(number: &str) -> [(&'static str, &str); 5] {
    [
        ("CI", "true"),
        ("GITHUB_ACTIONS", "true"),
        ("GITHUB_EVENT_NAME", "workflow_dispatch"),
        ("GITHUB_RUN_ID", "77"),
        ("GITHUB_RUN_ATTEMPT", number),
    ]
}

#[test]
fn an_approval_that_is_given_ahead_is_used_once_and_is_on_record() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    let first = checkout.head();
    to_staging(&checkout);
    let unseen = approved(&checkout, &format!("{APPROVE} --reason CHG-41"));
    assert_eq!((&unseen["state"], &unseen["of"]), (&"valid".into(), &"unseen".into()));
    let id = unseen["id"].as_str().unwrap();
    assert_eq!(standings(&checkout, "payment-service"), [(id.to_owned(), "valid".to_owned())]);
    let ci = environment.clone(&remote.url(), "ci", Clone::SHALLOW);
    ci.atmos(PROMOTE).succeeded().says("Approval received from ada@example.com");
    let text = record(&remote, "prod", "api");
    let given_at = unseen["approved_at"].as_str().unwrap();
    for line in [
        id,
        "approvals_of: unseen",
        "reason: CHG-41",
        "approver: ada@example.com",
        &format!("approval_timestamp: \"{given_at}\""),
    ] {
        assert!(text.contains(line), "no {line:?} in\n{text}");
    }
    assert!(!record(&remote, "staging", "api").contains("approv"), "{}", record(&remote, "staging", "api"));
    assert_eq!(standings(&checkout, "payment-service"), [(id.to_owned(), "used".to_owned())]);

    // The next version, with an approval of a plan that was seen.
    let second = checkout.commit_version("2");
    to_staging(&checkout);
    let plan = checkout.json(&format!("{PROMOTE} --plan"));
    let digest = plan["digest"].as_str().unwrap();
    checkout.atmos(PROMOTE).refused(3, NEEDED).says(digest);
    let seen = approved(&checkout, &format!("{APPROVE} --digest {digest} --reason CHG-42"));
    checkout.atmos(PROMOTE).succeeded();
    let text = record(&remote, "prod", "api");
    assert!(text.contains(seen["id"].as_str().unwrap()) && text.contains("approvals_of: seen"), "{text}");
    assert_eq!(remote.state("payment-service", "prod", "api"), second);

    // A rollback needs no approval, and does not make the used one valid again.
    checkout
        .atmos(&format!("deployment rollout payment-service --target prod --git-sha {first}"))
        .succeeded();
    let text = record(&remote, "prod", "api");
    assert!(!text.contains("approv"), "{text}");
    let before = remote.snapshot();
    environment.forget_applied();
    checkout.atmos(PROMOTE).refused(3, NEEDED);
    checkout.atmos(&format!("{PROMOTE} --digest {digest}")).refused(3, NEEDED);
    assert_eq!((remote.snapshot(), environment.applied()), (before, Vec::new()));
    // Compared as sets: approvals of one second are listed in the order of their ids.
    let used = |id: &Value| (id.as_str().unwrap().to_owned(), "used".to_owned());
    let listed = BTreeSet::from_iter(standings(&checkout, "payment-service"));
    assert_eq!(listed, BTreeSet::from([used(&seen["id"]), used(&unseen["id"])]));
}

#[test]
fn one_approval_of_a_plan_does_for_every_job_of_a_matrix() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    let components = ["c1", "c2", "c3", "c4", "c5", "c6"];
    fleet(&checkout, "fleet", &components, ENTRY_POINT);
    let line = "deployment rollout fleet --target prod";
    let plan = checkout.json(&format!("{line} --plan"));
    let digest = plan["digest"].as_str().unwrap();
    let given = approved(
        &checkout,
        &format!("deployment approve fleet --target prod --digest {digest} --reason \"looked at it\""),
    );
    let id = given["id"].as_str().unwrap();
    let covered = given["components"].as_array().unwrap();
    assert_eq!(covered.len(), 6);
    for (at, component) in components.iter().enumerate() {
        let job = environment.clone(&remote.url(), &format!("job-{at}"), Clone::SHALLOW);
        let run = job.atmos_with(&format!("{line} --component {component}"), &attempt("1"));
        run.succeeded().says("Approval received from ada@example.com");
        let text = remote.git(&["cat-file", "-p", &format!("refs/atmos/latest/fleet/prod/{component}")]);
        let own = covered.iter().find(|one| one["component"] == *component).unwrap();
        let own = own["digest"].as_str().unwrap();
        assert!(text.contains(id) && text.contains(&format!("digest: {own}")), "{own}\n{text}");
        let left = if at == 5 { "used" } else { "partly_used" };
        assert_eq!(standings(&checkout, "fleet"), [(id.to_owned(), left.to_owned())]);
    }
    let again = format!("{line} --component c1");
    checkout.atmos(&again).refused(3, NEEDED);
}

#[test]
fn failed_components_that_are_run_again_need_no_second_approval() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    fleet(&checkout, "fleet", &["c1", "c2", "c3", "c4"], ENTRY_POINT);
    let line = "deployment rollout fleet --target prod";
    let fail = ("TEST_DO", "case $ATMOS_COMPONENT in c2|c4) exit 1;; esac");
    let variables = [&attempt("1")[..], &[fail]].concat();
    checkout.atmos_with(&format!("{line} --approve why"), &variables).exited(1);
    assert_eq!(environment.applied().len(), 2);
    let run = checkout.atmos_with(line, &attempt("2")).succeeded();
    run.says("already deployed by this run").says("Approval received");
    let applied: Vec<_> = environment.applied();
    let applied: Vec<_> = applied.iter().map(|line| line.split(' ').nth(1).unwrap()).collect();
    assert_eq!(applied.iter().filter(|name| ["c2", "c4"].contains(name)).count(), 2, "{applied:?}");
    assert_eq!(applied.len(), 4, "{applied:?}");
    assert_eq!(standings(&checkout, "fleet").len(), 1, "there is one approval");
    assert_eq!(remote.verify_chain("fleet", "prod", "c1"), 1);
    assert_eq!(remote.verify_chain("fleet", "prod", "c2"), 2);
    // Everything is deployed: another attempt needs no approval.
    let run = checkout.atmos_with(line, &attempt("3")).succeeded();
    assert!(!run.stderr.contains("Approval received"), "{}", run.report());
    // Another run needs an approval of its own.
    checkout.atmos(line).refused(3, NEEDED);
}

#[test]
fn an_approval_that_was_taken_back_allows_nothing() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    fleet(&checkout, "fleet", &["c1", "c2"], ENTRY_POINT);
    let (line, approve) =
        ("deployment rollout fleet --target prod", "deployment approve fleet --target prod");
    let other = environment.clone(&remote.url(), "other", Clone::default());
    approved(&checkout, &format!("{approve} --reason CHG-1"));
    other.atmos(&format!("{approve} --revoke --reason \"found a bug\"")).succeeded();
    checkout.atmos(line).refused(3, NEEDED);
    assert_eq!(standings(&checkout, "fleet")[0].1, "revoked");
    checkout.atmos(&format!("{approve} --revoke")).refused(2, "no approval that still counts");
    checkout.atmos(&format!("{approve} --revoke 0000")).refused(2, "no approval 0000 that still counts");

    // An approval that is revoked while the rollout waits does not count either.
    approved(&checkout, &format!("{approve} --reason CHG-2"));
    other.atmos("deployment lock fleet --target prod --component c2 --reason migration").succeeded();
    let waiting = checkout.start(&format!("{line} --lock-timeout 100s"), &[]);
    waiting.until_it_says("Waiting for ada@example.com");
    other.atmos(&format!("{approve} --revoke --reason \"found another\"")).succeeded();
    other.atmos("deployment unlock fleet --target prod --component c2").succeeded();
    waiting.wait().refused(3, "What was approved is no longer what would be rolled out");
    assert_eq!(environment.applied(), [""; 0]);
    assert_eq!(remote.locks(), [""; 0]);
    assert_eq!(remote.refs("refs/atmos/deployments/fleet"), [""; 0]);
    // A valid approval counts once the lock is free.
    approved(&checkout, &format!("{approve} --reason CHG-3"));
    checkout.atmos(line).succeeded();
}

#[test]
fn an_approval_counts_until_it_expires() {
    let mut environment = TestEnvironment::new();
    environment.set_clock("2025-01-22T10:00:00Z");
    let (checkout, _remote) = environment.with_remote();
    let rule = "{ promotion: { requires_approval: true, approval_method: manual, approval_expires: 2h } }";
    fleet(&checkout, "fleet", &["c1", "c2"], rule);
    let line = "deployment rollout fleet --target prod";
    let given = approved(&checkout, "deployment approve fleet --target prod --reason CHG-1");
    assert_eq!(given["expires_at"], "2025-01-22T12:00:00Z");
    let at = |time| [("ATMOS_NOW", time)];
    let before = format!("{line} --component c1");
    checkout.atmos_with(&before, &at("2025-01-22T11:59:59Z")).succeeded();
    checkout.atmos_with(line, &at("2025-01-22T12:00:00Z")).refused(3, NEEDED);
    let list = checkout.atmos_with("deployment approvals fleet", &at("2025-01-22T12:00:00Z"));
    list.succeeded().shows("expired");
    // Without the setting, an approval is valid for a day.
    fleet(&checkout, "other", &["c1"], ENTRY_POINT);
    let given = approved(&checkout, "deployment approve other --target prod --reason CHG-2");
    assert_eq!(given["expires_at"], "2025-01-23T10:00:00Z");
}

#[test]
fn what_is_overridden_is_approved_with_that_and_no_other_override() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    fleet(&checkout, "fleet", &["c1"], ENTRY_POINT);
    let line = "deployment rollout fleet --target prod";
    let approve = "deployment approve fleet --target prod --context cpu=512 --reason CHG-1";
    approved(&checkout, approve);
    for other in ["", "--context cpu=513", "--context memory=512", "--context cpu=512 --context memory=1"] {
        checkout.atmos(&format!("{line} {other}")).refused(3, NEEDED);
    }
    checkout.atmos(&format!("{line} --context cpu=512")).succeeded();
    let text = remote.git(&["cat-file", "-p", "refs/atmos/latest/fleet/prod/c1"]);
    assert!(text.contains("cpu: '512'") || text.contains("cpu: \"512\""), "{text}");
}

#[test]
fn what_an_approval_overrides_is_shown_and_secrets_are_not() {
    let environment = TestEnvironment::new();
    let (checkout, _remote) = environment.with_remote();
    fleet(&checkout, "fleet", &["c1"], ENTRY_POINT);
    checkout.write("atmos.yaml", "deployments: { ledger: { redact: [password] } }\n");
    checkout.commit("Keep the password out");
    checkout.git(&["push", "--quiet", "origin", "main"]);
    let given = "--context cpu=9 --context password=hunter2";
    approved(&checkout, &format!("deployment approve fleet --target prod {given} --reason why"));
    let list = checkout.json("deployment approvals fleet");
    assert_eq!(list["approvals"][0]["context_overrides"]["cpu"], "9", "{list}");
    assert!(list.to_string().contains("sha256:") && !list.to_string().contains("hunter2"), "{list}");
    checkout.atmos("deployment approvals fleet").succeeded().shows("--context cpu=9");
    checkout.atmos(&format!("deployment rollout fleet --target prod {given}")).succeeded();
}

#[test]
fn an_approval_is_of_one_target_of_one_deployment() {
    let environment = TestEnvironment::new();
    let (checkout, _remote) = environment.with_remote();
    fleet(&checkout, "fleet", &["c1"], ENTRY_POINT);
    fleet(&checkout, "other", &["c1"], ENTRY_POINT);
    approved(&checkout, "deployment approve fleet --target prod --reason CHG-1");
    checkout.atmos("deployment rollout fleet --target qa").refused(3, NEEDED);
    checkout.atmos("deployment rollout other --target prod").refused(3, NEEDED);
    assert_eq!(environment.applied(), [""; 0]);
    checkout.atmos("deployment rollout fleet --target prod").succeeded();
}

#[test]
fn what_needs_no_approval_or_another_one_is_not_approved_here() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    fleet(&checkout, "fleet", &["c1"], "{ promotion: { requires_approval: true, approval_method: ci } }");
    let before = remote.snapshot();
    let run = checkout.atmos("deployment approve payment-service --target dev --reason CHG-1").succeeded();
    run.says("payment-service → dev needs no approval");
    let run = checkout.atmos("deployment approve fleet --target prod --reason CHG-1");
    run.refused(3, "Rollouts to prod are approved by ci, not by this command");
    let run = checkout.atmos("deployment approve fleet --target dev --reason \" \"");
    run.refused(2, "--reason");
    checkout.atmos("deployment rollout fleet --target prod --approve \"\"").refused(2, "--approve");
    assert_eq!(remote.snapshot(), before);
    // A rollout that needs no approval says so, and records none.
    checkout
        .atmos("deployment rollout fleet --target dev --approve why")
        .succeeded()
        .says("needs no approval");
    let text = remote.git(&["cat-file", "-p", "refs/atmos/latest/fleet/dev/c1"]);
    assert!(!text.contains("approv"), "{text}");
}

#[test]
fn where_a_digest_is_required_only_a_plan_that_was_seen_is_approved() {
    let environment = TestEnvironment::new();
    let (checkout, _remote) = environment.with_remote();
    let rule = "{ promotion: { requires_approval: true, approval_method: manual, require_digest: true } }";
    fleet(&checkout, "fleet", &["c1"], rule);
    let line = "deployment rollout fleet --target prod";
    let unseen = "of a plan that was seen (promotion.require_digest)";
    let run = checkout.atmos(&format!("{line} --approve why")).refused(3, unseen);
    assert!(
        run.stderr.contains(&format!("atmos {line}")) && run.stderr.contains("--plan"),
        "{}",
        run.report()
    );
    checkout.atmos("deployment approve fleet --target prod --reason why").refused(3, unseen);
    let digest = checkout.json(&format!("{line} --plan"))["digest"].as_str().unwrap().to_owned();
    checkout.atmos(&format!("{line} --digest {digest}")).refused(3, NEEDED);
    assert_eq!(environment.applied(), [""; 0]);
    checkout.atmos(&format!("{line} --approve why --digest {digest}")).succeeded();
    // The same with an approval that is given ahead.
    checkout.commit_version("2");
    let digest = checkout.json(&format!("{line} --plan"))["digest"].as_str().unwrap().to_owned();
    let approve = format!("deployment approve fleet --target prod --digest {digest} --reason why");
    assert_eq!(approved(&checkout, &approve)["of"], "seen");
    checkout.atmos(line).succeeded();
}

#[test]
fn without_the_remote_nothing_is_approved() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    fleet(&checkout, "fleet", &["c1"], ENTRY_POINT);
    checkout.atmos("deployment status fleet").succeeded();
    let (there, away) = (&remote.path, environment.path("away.git"));
    std::fs::rename(there, &away).unwrap();
    let before = checkout.snapshot();
    let approve = "deployment approve fleet --target prod --reason CHG-1";
    checkout.atmos(approve).exited(1);
    checkout.atmos("deployment rollout fleet --target prod --approve why").exited(1);
    assert_eq!(checkout.snapshot(), before);
    std::fs::rename(&away, there).unwrap();
    checkout.atmos("deployment status fleet").succeeded();
    assert_eq!(standings(&checkout, "fleet"), []);
    assert_eq!(remote.refs("refs/notes/atmos/"), [""; 0]);
    approved(&checkout, approve);
    assert_eq!(standings(&checkout, "fleet").len(), 1);
}

#[test]
fn an_approval_that_only_one_clone_has_does_not_count() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    fleet(&checkout, "fleet", &["c1"], ENTRY_POINT);
    let (line, approve) =
        ("deployment rollout fleet --target prod", "deployment approve fleet --target prod --reason CHG-1");
    for (line, what) in [
        (approve, "approvals are kept on origin"),
        ("deployment approve fleet --target prod --revoke", "approvals are kept on origin"),
        ("deployment unlock fleet --target prod --hold --reason why", "holds are kept on origin"),
        ("deployment lock fleet --target prod", "locks are kept on origin"),
    ] {
        checkout.atmos(&format!("{line} --offline")).refused(2, what);
    }
    assert_eq!(checkout.git(&["for-each-ref", "refs/notes/"]), "");

    // Deleted by hand on the remote, while this checkout still has its copy.
    let id = approved(&checkout, approve)["id"].clone();
    let notes = "refs/notes/atmos/fleet/approvals";
    remote.git(&["update-ref", "-d", notes]);
    assert_ne!(checkout.git(&["for-each-ref", notes]), "");
    assert_eq!(standings(&checkout, "fleet"), []);
    checkout.atmos(line).refused(3, NEEDED);
    // The next approval does not make the deleted one count.
    let other = approved(&checkout, &approve.replace("CHG-1", "CHG-2"))["id"].clone();
    assert_ne!(id, other);
    assert_eq!(standings(&checkout, "fleet"), [(other.as_str().unwrap().to_owned(), "valid".to_owned())]);
    checkout.atmos(line).succeeded();
}

#[test]
fn a_variable_that_is_not_set_takes_no_approval_back() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    fleet(&checkout, "fleet", &["c1"], ENTRY_POINT);
    let approve = "deployment approve fleet --target prod";
    // Without a terminal, the reason cannot be asked for.
    checkout.atmos(approve).refused(2, "--reason is required where there is no terminal");
    let id = approved(&checkout, &format!("{approve} --reason CHG-1"))["id"].as_str().unwrap().to_owned();
    let before = remote.snapshot();
    for empty in ["--revoke \"\"", "--revoke=", "--revoke \" \""] {
        checkout.atmos(&format!("{approve} {empty}")).refused(2, "--revoke");
    }
    assert_eq!(remote.snapshot(), before);
    let start = &id["sha256:".len()..][..8];
    let revoke = format!("{approve} --revoke {start} --reason \"found a bug\"");
    checkout.atmos(&revoke).succeeded();
    let list = checkout.json("deployment approvals fleet");
    assert_eq!(list["approvals"][0]["revocation_reason"], "found a bug", "{list}");
    let run = checkout.atmos(&revoke).refused(2, &format!("no approval {start} that still counts"));
    run.says("has been revoked already, by ada@example.com");
}

#[test]
fn how_old_a_list_is_is_said_once() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    checkout.atmos("deployment status").succeeded();
    let line = "deployment approvals payment-service";
    let run = checkout.atmos(&format!("{line} --offline")).succeeded();
    assert_eq!(run.stderr.matches("Offline: ").count(), 1, "{}", run.report());
    std::fs::rename(&remote.path, environment.path("away.git")).unwrap();
    let run = checkout.atmos(line).succeeded();
    assert_eq!(run.stderr.matches("did not answer").count(), 1, "{}", run.report());
    // Commands that write need the remote.
    for line in [
        "deployment lock payment-service --target dev",
        "deployment unlock payment-service --target dev",
        "deployment approve payment-service --target prod --revoke",
        "deployment rollout payment-service --target dev",
    ] {
        let run = checkout.atmos(line).exited(1);
        assert!(!run.stderr.contains("--offline"), "{}", run.report());
    }
}

#[test]
fn a_jump_can_be_approved_ahead() {
    let environment = TestEnvironment::new();
    let (checkout, _remote) = environment.with_remote();
    checkout.atmos("deployment rollout payment-service --target dev").succeeded();
    let approve = "deployment approve payment-service --target prod --reason CHG-1";
    let run = checkout.atmos(&format!("{approve} --format json")).exited(3);
    let hints = run.hints();
    let (_, skip) = hints.last().unwrap();
    assert_eq!(
        skip[0],
        format!("{approve} --skip-promotion-check").replace("deployment", "atmos deployment")
    );
    checkout.shell(&skip[0], &[]).succeeded();
    checkout.atmos("deployment rollout payment-service --target prod --skip-promotion-check").succeeded();
}

#[test]
fn approvals_that_are_given_at_once_are_all_kept() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    let components = ["c1", "c2", "c3", "c4"];
    fleet(&checkout, "fleet", &components, ENTRY_POINT);
    let clones =
        components.map(|name| environment.clone(&remote.url(), &format!("of-{name}"), Clone::SHALLOW));
    let approving: Vec<_> = clones
        .iter()
        .zip(components)
        .map(|(clone, component)| {
            let line = format!(
                "deployment approve fleet --target prod --component {component} --reason {component}"
            );
            clone.start(&line, &[])
        })
        .collect();
    for approving in approving {
        approving.wait().succeeded();
    }
    let notes = "refs/notes/atmos/fleet/approvals";
    let lines = remote.git(&["notes", "--ref", notes, "show", &checkout.head()]);
    assert_eq!(lines.lines().filter(|line| line.starts_with('{')).count(), 4, "{lines}");
    assert!(standings(&checkout, "fleet").iter().all(|(_, state)| state == "valid"));
    for component in components {
        let line = format!("deployment rollout fleet --target prod --component {component}");
        checkout.atmos(&line).succeeded();
    }
}
