//! The pull request of a job, whatever started it; the commit of statuses; the next pipeline.

use serde_json::{Value, json};

use crate::ci_reports::pull_request;
use crate::support::{Checkout, CiJob, Platform, TestEnvironment};

fn job<'c, 'e>(checkout: &'c Checkout<'e>, platform: &Platform, event: &str, sha: &str) -> CiJob<'c, 'e> {
    let job = CiJob::github(checkout, event).rollout("dev").with("GITHUB_API_URL", platform.github());
    job.with("GITHUB_REF", "refs/heads/main").with("GITHUB_SHA", sha)
}

/// Adds an open pull request of the repository to the platform.
fn open(platform: &Platform, number: u64, head: &str) {
    let request = json!({ "number": number, "head": head, "branch": "feature", "base": "main", "repository": "acme/shop" });
    platform.control("POST", "/__requests", &request);
}

fn commits_of_statuses(platform: &Platform) -> Vec<String> {
    platform.told("statuses").iter().map(|status| status["sha"].as_str().unwrap().to_owned()).collect()
}

#[test]
#[cfg_attr(without_python3, ignore = "needs python3")]
fn the_pull_request_is_found_whatever_event_is_about_it() {
    let platform = Platform::start();
    let environment = TestEnvironment::new();
    let (checkout, _remote) = environment.with_remote();
    let head = checkout.head();
    let run = |pulls: Value| {
        json!({ "workflow_run": { "event": "pull_request", "head_sha": head, "head_branch": "feature",
            "head_repository": { "full_name": "acme/shop" }, "pull_requests": pulls },
            "repository": { "full_name": "acme/shop" } })
    };
    let listed = json!([{ "number": 5, "head": { "sha": head }, "base": { "sha": head, "ref": "main" } }]);
    let events = [
        ("issue_comment", "main", json!({ "issue": { "number": 1, "pull_request": {} } })),
        (
            "merge_group",
            "gh-readonly-queue/main/pr-2-x",
            json!({ "merge_group": {
            "head_ref": "refs/heads/gh-readonly-queue/main/pr-2-x", "base_ref": "refs/heads/main" } }),
        ),
        ("pull_request_review", "main", json!({ "pull_request": { "number": 3, "head": { "sha": head } } })),
        (
            "check_suite",
            "main",
            json!({ "check_suite": { "head_sha": head, "head_branch": "feature",
            "pull_requests": [{ "number": 4, "head": { "sha": head } }] } }),
        ),
        ("workflow_run", "main", run(listed)),
        ("workflow_run", "main", run(json!([]))),
        (
            "check_run",
            "main",
            json!({ "check_run": { "head_sha": head, "pull_requests": [],
            "check_suite": { "head_branch": "feature" } } }),
        ),
        ("deployment", "main", json!({ "deployment": { "id": 1, "sha": head, "environment": "other" } })),
        ("push", "feature", json!({})),
        ("workflow_dispatch", "feature", json!({})),
    ];
    for (at, (event, branch, payload)) in (1..).zip(events) {
        platform.control("DELETE", "/__comments", &json!({}));
        open(&platform, at, &head);
        let job = job(&checkout, &platform, event, &head).event(&payload);
        let job =
            job.with("GITHUB_REF", &format!("refs/heads/{branch}")).with("GITHUB_RUN_ID", &at.to_string());
        let run = job.run().succeeded();
        let comments = platform.told("comments");
        assert_eq!(comments.len(), 1, "{event}: {}", run.report());
        let number = comments[0]["issue_url"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
        // Of several pull requests with the commit, the newest counts.
        assert_eq!(number, at.to_string(), "{event}: {}", run.report());
    }
    // Without a comment, the platform is not asked for a pull request.
    let asked = platform.requests("/pulls");
    let payload = json!({ "issue": { "number": 1, "pull_request": {} } });
    job(&checkout, &platform, "issue_comment", &head)
        .input("comment", "false")
        .event(&payload)
        .run()
        .succeeded();
    assert_eq!(platform.requests("/pulls"), asked);
}

#[test]
#[cfg_attr(without_python3, ignore = "needs python3")]
fn a_comment_s_rollout_of_the_base_does_not_say_that_the_change_is_deployed() {
    let platform = Platform::start();
    let environment = TestEnvironment::new();
    let (checkout, _remote) = environment.with_remote();
    let base = checkout.head();
    let head = checkout.commit_version("2");
    checkout.git(&["push", "--quiet", "origin", "HEAD:feature"]);
    open(&platform, 7, &head);
    let payload = json!({ "issue": { "number": 7, "pull_request": {} } });
    let body = || platform.told("comments")[0]["body"].as_str().unwrap().to_owned();
    checkout.git(&["checkout", "--quiet", &base]);
    job(&checkout, &platform, "issue_comment", &base).event(&payload).run().succeeded();
    assert!(body().contains("dev ➖"), "{}", body());
    checkout.git(&["checkout", "--quiet", &head]);
    let run = job(&checkout, &platform, "issue_comment", &base).with("GITHUB_RUN_ID", "100");
    run.event(&payload).run().succeeded();
    assert!(body().contains("dev ✅"), "{}", body());
}

#[test]
#[cfg_attr(without_python3, ignore = "needs python3")]
fn after_a_merge_statuses_stand_at_what_was_deployed_and_the_base_goes_on() {
    let platform = Platform::start();
    let environment = TestEnvironment::new();
    let (checkout, _remote) = environment.with_remote();
    checkout.git(&["checkout", "--quiet", "-b", "feature"]);
    let head = checkout.commit_version("2");
    checkout.git(&["checkout", "--quiet", "main"]);
    checkout.git(&["merge", "--quiet", "--no-ff", "--message", "Merge", "feature"]);
    let merge = checkout.head();
    checkout.git(&["push", "--quiet", "origin", "main"]);
    let workflow = "on: { workflow_dispatch: { inputs: { target: {}, commit: {}, other: {} } } }";
    let file = json!({ "path": ".github/workflows/promote.yml", "ref": "main", "content": workflow });
    platform.control("POST", "/__files", &file);
    let mut request = pull_request("acme/shop", &head);
    for (key, value) in
        [("merge_commit_sha", json!(merge)), ("state", json!("closed")), ("merged", json!(true))]
    {
        request["pull_request"][key] = value;
    }
    request["pull_request"]["base"]["ref"] = json!("main");
    request["pull_request"]["head"]["ref"] = json!("feature");
    let job = job(&checkout, &platform, "pull_request", &merge).with("GITHUB_HEAD_REF", "feature");
    // A workflow may also be named by its path.
    job.event(&request).input("dispatch", ".github/workflows/promote.yml").run().succeeded();
    assert_eq!(commits_of_statuses(&platform), [merge.clone(), merge.clone()]);
    let [dispatch] = &platform.told("dispatches")[..] else { panic!("one workflow is started") };
    assert_eq!((&dispatch["workflow"], &dispatch["ref"]), (&json!("promote.yml"), &json!("main")));
    assert_eq!(dispatch["inputs"], json!({ "target": "dev", "commit": merge }));
}

#[test]
#[cfg_attr(without_python3, ignore = "needs python3")]
fn the_trial_merge_of_an_open_request_has_its_statuses_at_the_head() {
    let platform = Platform::start();
    let environment = TestEnvironment::new();
    let (checkout, _remote) = environment.with_remote();
    let head = "c".repeat(40);
    let merge = checkout.head();
    let mut request = pull_request("acme/shop", &head);
    request["pull_request"]["state"] = json!("open");
    let trial = job(&checkout, &platform, "pull_request", &merge).with("GITHUB_REF", "refs/pull/7/merge");
    trial.event(&request).run().succeeded();
    assert_eq!(commits_of_statuses(&platform), [head.clone(), head]);
}

#[test]
#[cfg_attr(without_python3, ignore = "needs python3")]
fn what_comes_next_never_runs_on_the_branch_of_a_fork() {
    let platform = Platform::start();
    let environment = TestEnvironment::new();
    let (checkout, _remote) = environment.with_remote();
    let head = checkout.head();
    let mut request = pull_request("mallory/shop", &"f".repeat(40));
    request["pull_request"]["base"]["ref"] = json!("release/1");
    let of_fork =
        job(&checkout, &platform, "pull_request_target", &head).with("GITHUB_HEAD_REF", "release-2019");
    of_fork.event(&request).unreported().input("dispatch", "promote.yml").run().succeeded();
    // The comment's job runs on the default branch, and the pull request has another base.
    let told = json!({ "number": 8, "head": head, "branch": "x", "base": "release/2", "repository": "mallory/shop" });
    platform.control("POST", "/__requests", &told);
    let comment = job(&checkout, &platform, "issue_comment", &head).with("GITHUB_RUN_ID", "100").unreported();
    let payload = json!({ "issue": { "number": 8, "pull_request": {} } });
    comment.event(&payload).input("dispatch", "promote.yml").run().succeeded();
    let references: Vec<_> = platform.told("dispatches").iter().map(|told| told["ref"].clone()).collect();
    assert_eq!(references, ["release/1", "release/2"]);
}

/// Creates a deployment to dev, whose event starts jobs, and returns its id.
fn asking_deployment(platform: &Platform, commit: &str) -> Value {
    platform.job("a runner", Some("dev"), commit);
    platform.told("deployments")[0]["id"].clone()
}

#[test]
#[cfg_attr(without_python3, ignore = "needs python3")]
fn a_deployment_event_is_answered_at_the_deployment_that_started_it() {
    let platform = Platform::start();
    let environment = TestEnvironment::new();
    let (checkout, _remote) = environment.with_remote();
    let head = checkout.head();
    let id = asking_deployment(&platform, &head);
    let before = platform.told("deployment_statuses").len();
    let event = |environment: &str, commit: &str| {
        let deployment = json!({ "id": id, "sha": commit, "environment": environment });
        json!({ "deployment": deployment, "repository": { "full_name": "acme/shop" } })
    };
    let run = |at: &str, event: &Value| {
        job(&checkout, &platform, "deployment", &head)
            .with("GITHUB_RUN_ID", at)
            .event(event)
            .run()
            .succeeded();
        platform.told("deployments").len()
    };
    assert_eq!(run("100", &event("Dev", &head)), 1);
    let states: Vec<_> =
        platform.told("deployment_statuses")[before..].iter().map(|told| told["state"].clone()).collect();
    assert_eq!(states, ["in_progress", "success"]);
    // Rollouts that the deployment did not ask for have deployments of their own.
    assert_eq!(run("101", &event("prod", &head)), 2);
    assert_eq!(run("102", &event("dev", &"e".repeat(40))), 3);
}

#[test]
#[cfg_attr(without_python3, ignore = "needs python3")]
fn a_deployment_whose_rollout_does_not_come_to_a_plan_does_not_stay_pending() {
    let platform = Platform::start();
    let environment = TestEnvironment::new();
    let (checkout, _remote) = environment.with_remote();
    let head = checkout.head();
    let id = asking_deployment(&platform, &head);
    let deployment = json!({ "id": id, "sha": head, "environment": "dev" });
    let event = json!({ "deployment": deployment, "repository": { "full_name": "acme/shop" } });
    checkout.atmos("deployment lock payment-service --target dev --reason freeze").succeeded();
    job(&checkout, &platform, "deployment", &head).event(&event).run().exited(3);
    let told = platform.told("deployment_statuses");
    assert_eq!(told.last().unwrap()["state"], "error", "{told:#?}");
    assert_eq!(platform.told("deployments").len(), 1);
}
