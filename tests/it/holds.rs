//! Holds: a pipeline by itself neither redoes what was rolled back nor goes back to older commits.
//! Also partial promotions.

use crate::support::{Checkout, Clone, Remote, Run, TestEnvironment};

const STAGING: &str = "deployment rollout payment-service --target staging --promote-from dev";
const DEV: &str = "deployment rollout payment-service --target dev";

type Variables = Vec<(&'static str, String)>;

/// The variables of a job on GitHub Actions.
fn github(event: &str, run: &str, attempt: &str) -> Variables {
    [
        ("CI", "true"),
        ("GITHUB_ACTIONS", "true"),
        ("GITHUB_REPOSITORY", "acme/shop"),
        ("GITHUB_EVENT_NAME", event),
        ("GITHUB_RUN_ID", run),
        ("GITHUB_RUN_ATTEMPT", attempt),
        ("GITHUB_ACTOR", "ada"),
    ]
    .map(|(name, value)| (name, value.to_owned()))
    .to_vec()
}

/// The variables of a job on GitLab CI, with more of them.
fn gitlab(pipeline: &str, job: &str, more: &[(&'static str, &str)]) -> Variables {
    [
        ("CI", "true"),
        ("GITLAB_CI", "true"),
        ("CI_PIPELINE_SOURCE", "push"),
        ("CI_PIPELINE_ID", pipeline),
        ("CI_JOB_ID", job),
        ("GITLAB_USER_LOGIN", "ada"),
    ]
    .iter()
    .chain(more)
    .map(|(name, value)| (*name, (*value).to_owned()))
    .collect()
}

fn run(checkout: &Checkout<'_>, line: &str, variables: &Variables) -> Run {
    let variables: Vec<_> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    checkout.atmos_with(line, &variables)
}

/// Replaces the rule of a target of the payment service.
fn rule(checkout: &Checkout<'_>, target: &str, rule: &str) {
    let path = "deployments/payment-service.yaml";
    let file = std::fs::read_to_string(checkout.path.join(path)).unwrap();
    let (before, after) = file.split_once(&format!("  {target}:\n")).unwrap();
    let after = match after.strip_prefix("      promotion: ") {
        Some(after) => after.split_once('\n').unwrap().1,
        None => after,
    };
    checkout.write(path, &format!("{before}  {target}:\n      promotion: {rule}\n{after}"));
    checkout.commit("Other rules");
    checkout.git(&["push", "--quiet", "origin", "main"]);
}

/// Rolls two versions out to dev and staging, and rolls staging back. Returns both commits.
fn rolled_back(checkout: &Checkout<'_>) -> [String; 2] {
    let first = checkout.head();
    for version in ["1", "2"] {
        if version == "2" {
            checkout.commit_version("2");
            checkout.git(&["push", "--quiet", "origin", "main"]);
        }
        checkout.atmos(DEV).succeeded();
        checkout.atmos(STAGING).succeeded();
    }
    checkout
        .atmos(&format!("deployment rollout payment-service --target staging --git-sha {first}"))
        .succeeded();
    [first, checkout.head()]
}

fn held(checkout: &Checkout<'_>) -> bool {
    let status = checkout.json("deployment promotion-status payment-service");
    let of_edge = status["edges"][0]["hold"] == true;
    let status = checkout.json("deployment status payment-service --target staging");
    let components = status["deployments"][0]["targets"][0]["components"].as_array().unwrap();
    let of_status = components.iter().any(|component| component["hold"] == true);
    assert_eq!(of_edge, of_status);
    of_edge
}

#[test]
fn after_a_rollback_only_a_person_moves_a_guarded_target_forwards() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    let [first, second] = rolled_back(&checkout);
    for (variables, is_held) in [
        (github("push", "11", "1"), true),
        (github("schedule", "12", "1"), true),
        (github("merge_group", "13", "1"), true),
        (github("workflow_run", "14", "1"), true),
        (github("workflow_dispatch", "15", "2"), true),
        (github("workflow_dispatch", "16", "1"), false),
        (github("issue_comment", "17", "1"), false),
        (Vec::new(), false),
        (gitlab("18", "1", &[]), true),
        (gitlab("19", "1", &[("CI_ENVIRONMENT_NAME", "staging")]), true),
        (gitlab("20", "1", &[("CI_PIPELINE_SOURCE", "schedule")]), true),
        (gitlab("21", "1", &[("CI_PIPELINE_SOURCE", "web")]), false),
        (gitlab("22", "1", &[("CI_JOB_MANUAL", "true")]), false),
    ] {
        let before = remote.snapshot();
        let found = run(&checkout, STAGING, &variables);
        if is_held {
            found.refused(3, "staging was rolled back; the next step forwards is started by a person");
            assert_eq!(remote.snapshot(), before, "{variables:?}");
            // A plan shows the hold, and changes nothing.
            let plan = run(&checkout, &format!("{STAGING} --plan"), &variables).succeeded();
            plan.says("a rollout would be refused now: staging was rolled back");
            assert_eq!(remote.snapshot(), before, "{variables:?}");
            assert!(held(&checkout));
        } else {
            found.succeeded();
            assert_eq!(remote.state("payment-service", "staging", "api"), second, "{variables:?}");
            assert!(!held(&checkout), "a person's success ends it: {variables:?}");
            let back = format!("deployment rollout payment-service --target staging --git-sha {first}");
            checkout.atmos(&back).succeeded();
            assert!(held(&checkout));
        }
    }
}

#[test]
fn a_hold_outlasts_what_a_pipeline_deploys_again_and_other_components() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    let [first, _] = rolled_back(&checkout);
    let push = github("push", "1", "1");
    run(&checkout, &format!("deployment rollout payment-service --target staging --git-sha {first}"), &push)
        .succeeded();
    assert!(held(&checkout));
    run(&checkout, STAGING, &github("push", "2", "1")).refused(3, "staging was rolled back");
    // A person rolls one component forwards: the others are still held.
    checkout.atmos(&format!("{STAGING} --component worker")).succeeded();
    run(&checkout, STAGING, &github("push", "3", "1"))
        .refused(3, "staging was rolled back")
        .says("api, database");
    run(&checkout, &format!("{STAGING} --component worker"), &github("push", "4", "1")).succeeded();
    assert_eq!(remote.state("payment-service", "staging", "api"), first);
    // A rollout of the same commit by a person counts as one that a person started.
    let line = format!("deployment rollout payment-service --target staging --git-sha {first}");
    checkout.atmos(&format!("{line} --component api --component database")).succeeded();
    assert!(!held(&checkout));
}

#[test]
fn a_hold_is_lifted_for_a_reason_and_comes_with_the_next_rollback() {
    let environment = TestEnvironment::new();
    let (checkout, _remote) = environment.with_remote();
    let [first, second] = rolled_back(&checkout);
    let unlock = "deployment unlock payment-service --target staging --hold";
    checkout.atmos(unlock).exited(2);
    checkout.atmos(&format!("{unlock} --reason \" \"")).exited(2);
    let lifted = checkout.json(&format!("{unlock} --reason \"fixed upstream\" --component api"));
    assert_eq!(lifted["holds_lifted"], serde_json::json!(["api"]));
    run(&checkout, STAGING, &github("push", "1", "1")).refused(3, "staging was rolled back");
    checkout.atmos(&format!("{unlock} --reason \"fixed upstream\"")).succeeded();
    assert!(!held(&checkout));
    checkout.atmos(&format!("{unlock} --reason \"fixed upstream\"")).succeeded().says("is not held");
    run(&checkout, STAGING, &github("push", "2", "1")).succeeded();
    checkout
        .atmos(&format!("deployment rollout payment-service --target staging --git-sha {first}"))
        .succeeded();
    run(&checkout, STAGING, &github("push", "3", "1")).refused(3, "staging was rolled back");
    // A fresh clone refuses as well, and a hold that is lifted there is lifted for all.
    let clone = environment.clone(&checkout.git(&["remote", "get-url", "origin"]), "clone", Clone::SHALLOW);
    run(&clone, STAGING, &github("push", "4", "1")).refused(3, "staging was rolled back");
    clone.atmos(&format!("{unlock} --reason again")).succeeded();
    run(&checkout, STAGING, &github("push", "5", "1")).succeeded();
    assert_eq!(checkout.state("payment-service", "staging", "api"), second);
}

#[test]
fn a_lifted_hold_stays_lifted_when_a_pipeline_deploys_the_same_again() {
    let environment = TestEnvironment::new();
    let (checkout, _remote) = environment.with_remote();
    let [first, _] = rolled_back(&checkout);
    let unlock = "deployment unlock payment-service --target staging --hold --reason fixed";
    checkout.atmos(unlock).succeeded();
    let again = format!("deployment rollout payment-service --target staging --git-sha {first}");
    run(&checkout, &again, &github("schedule", "1", "1")).succeeded();
    assert!(!held(&checkout));
    run(&checkout, STAGING, &github("push", "2", "1")).succeeded();
}

#[test]
fn rules_say_where_there_is_a_hold() {
    for (target, rules, is_held) in [
        ("dev", None, false),
        ("dev", Some("{ hold: true }"), true),
        ("dev", Some("{ hold: false }"), false),
        ("staging", None, true),
        ("staging", Some("{ from: dev, hold: false }"), false),
        ("staging", Some("{ from: dev, hold: true }"), true),
    ] {
        let environment = TestEnvironment::new();
        let (checkout, _remote) = environment.with_remote();
        if let Some(rules) = rules {
            rule(&checkout, target, rules);
        }
        let [first, second] = rolled_back(&checkout);
        let line = if target == "dev" {
            checkout.atmos(&format!("{DEV} --git-sha {first}")).succeeded();
            format!("{DEV} --git-sha {second}")
        } else {
            STAGING.to_owned()
        };
        let found = run(&checkout, &line, &github("push", "1", "1"));
        if is_held {
            found.refused(3, "was rolled back");
        } else {
            found.succeeded();
        }
    }
}

#[test]
fn a_job_that_gitlab_retries_is_held_although_a_person_started_it() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    let first = checkout.head();
    checkout.atmos(DEV).succeeded();
    checkout.atmos(STAGING).succeeded();
    checkout.commit_version("2");
    checkout.git(&["push", "--quiet", "origin", "main"]);
    checkout.atmos(DEV).succeeded();
    let manual = |job| gitlab("7", job, &[("CI_JOB_MANUAL", "true")]);
    run(&checkout, STAGING, &manual("1")).succeeded();
    checkout
        .atmos(&format!("deployment rollout payment-service --target staging --git-sha {first}"))
        .succeeded();
    // The retry has another job id, and the variables still call it a manual job.
    run(&checkout, STAGING, &manual("2")).refused(3, "staging was rolled back");
    assert_eq!(remote.state("payment-service", "staging", "api"), first);
    // A manual job of another pipeline counts as started by a person.
    run(&checkout, STAGING, &gitlab("8", "3", &[("CI_JOB_MANUAL", "true")])).succeeded();
}

/// A clone at an old commit, like that of an old pipeline's job.
fn old_pipeline<'e>(
    environment: &'e TestEnvironment,
    remote: &Remote<'_>,
    name: &str,
    how: Clone<'_>,
    commit: &str,
) -> Checkout<'e> {
    let clone = environment.clone(&remote.url(), name, how);
    let depth = if how.arguments.contains(&"--depth=1") { "--depth=1" } else { "--no-tags" };
    clone.git(&["fetch", "--quiet", depth, "origin", commit]);
    clone.git(&["checkout", "--quiet", "--detach", commit]);
    clone
}

const CLONES: [(&str, Clone<'_>); 3] = [
    ("full", Clone { arguments: &[] }),
    ("shallow", Clone::SHALLOW),
    ("single", Clone { arguments: &["--single-branch"] }),
];

#[test]
fn an_old_pipeline_that_is_started_again_undoes_nothing() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    remote.git(&["config", "uploadpack.allowAnySHA1InWant", "true"]);
    let first = checkout.head();
    run(&checkout, DEV, &github("push", "100", "1")).succeeded();
    let second = checkout.commit_version("2");
    checkout.git(&["push", "--quiet", "origin", "main"]);
    run(&checkout, DEV, &github("push", "101", "1")).succeeded();
    for (at, (name, how)) in CLONES.into_iter().enumerate() {
        let old = old_pipeline(&environment, &remote, name, how, &first);
        let rerun = |line: &str| run(&old, line, &github("push", "100", "2"));
        let before = remote.git(&["for-each-ref"]);
        let refused = rerun(DEV).refused(3, "dev runs newer commits than this run would deploy");
        refused.says(&format!("{} runs, and {} is an ancestor of it", &second[..7], &first[..7]));
        rerun(&format!("{DEV} --plan"))
            .succeeded()
            .says("a rollout would be refused now: dev runs newer commits");
        assert_eq!(remote.git(&["for-each-ref"]), before, "{name}");
        // Intended rollbacks: by the commit's name, by the flag, or by a person.
        let by_name = format!("{DEV} --git-sha {first}");
        let flagged = format!("{DEV} --allow-rollback");
        for (line, variables) in [
            (by_name.as_str(), github("push", &format!("20{at}"), "1")),
            (&flagged, github("push", "100", &format!("{}", at + 3))),
            (DEV, github("workflow_dispatch", &format!("30{at}"), "1")),
        ] {
            run(&old, line, &variables).succeeded();
            assert_eq!(remote.state("payment-service", "dev", "api"), first, "{name}: {line}");
            checkout.atmos(DEV).succeeded();
        }
    }
}

#[test]
fn a_promotion_that_would_go_back_is_not_automatic() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    let [first, second] = rolled_back(&checkout);
    checkout.atmos(STAGING).succeeded();
    checkout.atmos(&format!("{DEV} --git-sha {first}")).succeeded();
    // The version on dev is older than the one on staging.
    for (name, how) in CLONES {
        let clone = environment.clone(&remote.url(), name, how);
        run(&clone, STAGING, &github("push", "1", "1")).refused(3, "staging runs newer commits");
    }
    assert_eq!(remote.state("payment-service", "staging", "api"), second);
    checkout.atmos(STAGING).succeeded();
    let record = remote.git(&["cat-file", "-p", "refs/atmos/latest/payment-service/staging/api"]);
    assert!(record.contains(&format!("rollback_of: {second}")), "{record}");
    assert!(held(&checkout), "a promotion that went back holds like any rollback");
}

#[test]
fn the_retry_of_a_job_of_an_environment_is_how_gitlab_rolls_back() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    let first = checkout.head();
    let job = |pipeline, job, environment_job: bool| {
        let more: &[_] = if environment_job { &[("CI_ENVIRONMENT_NAME", "dev")] } else { &[] };
        gitlab(pipeline, job, more)
    };
    run(&checkout, DEV, &job("1", "1", true)).succeeded();
    checkout.commit_version("2");
    checkout.git(&["push", "--quiet", "origin", "main"]);
    run(&checkout, DEV, &job("2", "2", true)).succeeded();
    let old = old_pipeline(&environment, &remote, "old", Clone { arguments: &[] }, &first);
    // A late pipeline of the old commit and a job without an environment are no intended rollbacks.
    run(&old, DEV, &job("3", "3", true)).refused(3, "dev runs newer commits");
    run(&old, DEV, &job("1", "4", false)).refused(3, "dev runs newer commits");
    run(&old, DEV, &job("1", "5", true)).succeeded();
    assert_eq!(remote.state("payment-service", "dev", "api"), first);
}

#[test]
fn a_freeze_lets_plans_through_and_changes_nothing() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    checkout.atmos(DEV).succeeded();
    checkout.atmos("deployment lock payment-service --target staging --reason \"end of year\"").succeeded();
    environment.forget_applied();
    let before = remote.snapshot();
    let plan = checkout.atmos(&format!("{STAGING} --plan --format json")).succeeded();
    let plan = plan.says("a rollout would be refused now: staging is frozen by");
    let document = plan.json();
    assert_eq!(document["components"].as_array().unwrap().len(), 3);
    assert_eq!(document["would_be_refused"][0]["code"], "frozen", "{document}");
    checkout.atmos(STAGING).refused(3, "end of year");
    assert_eq!((remote.snapshot(), environment.applied().len()), (before, 0));
}

/// Rolls the first version out to dev, and to staging if asked to. Of the second version, the
/// database fails on dev.
fn failed_on_dev(checkout: &Checkout<'_>, on_staging: bool) {
    checkout.atmos(DEV).succeeded();
    if on_staging {
        checkout.atmos(STAGING).succeeded();
    }
    checkout.commit_version("2");
    checkout.git(&["push", "--quiet", "origin", "main"]);
    checkout.atmos_with(DEV, &[("TEST_DO", "[ $ATMOS_COMPONENT != database ]")]).exited(1);
}

fn edge(checkout: &Checkout<'_>) -> (String, bool) {
    let status = checkout.json("deployment promotion-status payment-service");
    let edge = &status["edges"][0];
    (edge["state"].as_str().unwrap().to_owned(), edge["partial"] == true)
}

#[test]
fn a_partial_promotion_is_called_that_everywhere_and_has_to_be_allowed() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    failed_on_dev(&checkout, true);
    assert_eq!(edge(&checkout), ("blocked".to_owned(), true));
    let before = remote.snapshot();
    checkout
        .atmos(STAGING)
        .refused(3, "The promotion from dev would be partial")
        .says("database: its last rollout");
    checkout.atmos(&format!("{STAGING} --plan")).refused(3, "The promotion from dev would be partial");
    assert_eq!(remote.snapshot(), before);
    environment.forget_applied();
    let run = checkout.atmos(&format!("{STAGING} --allow-partial --format json")).succeeded();
    assert_eq!(run.json()["partial"], true);
    let run = run.says("the promotion is partial");
    let components = run.json()["components"].as_array().unwrap().len();
    assert_eq!((components, environment.applied().len()), (2, 2), "{}", run.report());
}

#[test]
fn what_depends_on_what_stays_behind_stays_behind_unless_the_target_has_it() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    failed_on_dev(&checkout, false);
    // The first version of `api` runs on dev, since the second was skipped, and staging lacks the
    // database that it needs.
    checkout.atmos(&format!("{STAGING} --component api")).refused(3, "Cannot promote api from dev");
    checkout.atmos(STAGING).refused(3, "partial").says("api: it depends on database");
    checkout.atmos(&format!("{STAGING} --allow-partial")).succeeded();
    assert_eq!(remote.state("payment-service", "staging", "api"), "");
    assert_ne!(remote.state("payment-service", "staging", "worker"), "");
    assert_eq!(edge(&checkout), ("blocked".to_owned(), true));
    // Once the database runs on dev, all components can be promoted.
    checkout.atmos(DEV).succeeded();
    assert_eq!(edge(&checkout), ("ready".to_owned(), false));
    checkout.atmos(STAGING).succeeded();
    assert_eq!(edge(&checkout), ("up_to_date".to_owned(), false));
}
