//! The approvals of a job, and whether this job waited for them.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use wiremock::matchers::{header, method, path, query_param};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::*;

#[tokio::test]
async fn the_reviewers_of_this_environment_are_its_approvers() {
    let server = MockServer::start().await;
    let review = |state: &str, environment: &str, login: &str| json!({ "state": state, "comment": "", "user": { "login": login }, "environments": [{ "name": environment }] });
    let reviews = json!([
        review("approved", "staging", "bob"),
        review("rejected", "prod", "eve"),
        review("approved", "Prod", "alice")
    ]);
    mount(&server, "GET", "/api/v3/repos/acme/shop/actions/runs/99/approvals", 200, reviews).await;
    let approvals = github(&server).approvals("prod").await.unwrap().approvals;
    assert_eq!(approvals.iter().map(|approval| approval.approved_by.as_str()).collect::<Vec<_>>(), ["alice"]);

    let project = "/gitlab/api/v4/projects/42";
    let listed = json!([{ "id": 2, "deployable": { "id": 5 } }, { "id": 1, "deployable": { "id": 6 } }]);
    mount(&server, "GET", &format!("{project}/deployments"), 200, listed).await;
    let approval = json!({ "user": { "username": "carol" }, "status": "approved", "created_at": "2025-01-23T15:30:00Z", "comment": "ok" });
    mount(
        &server,
        "GET",
        &format!("{project}/deployments/1"),
        200,
        json!({ "id": 1, "approvals": [approval] }),
    )
    .await;
    let approvals = gitlab(&server, "GITLAB_TOKEN").approvals("prod").await.unwrap().approvals;
    assert_eq!((approvals[0].approved_by.as_str(), approvals[0].comment.as_deref()), ("carol", Some("ok")));
    assert_eq!(approvals[0].approved_at.unwrap().to_string(), "2025-01-23T15:30:00Z");
}

/// A run of which alice approved prod, its jobs (id, status, runner), and the addresses of the logs
/// of the deployments.
async fn approved_run(jobs: Value, logs: &[&str]) -> MockServer {
    let server = MockServer::start().await;
    let repository = "/api/v3/repos/acme/shop";
    let review = json!({ "state": "approved", "comment": "", "user": { "login": "alice" }, "environments": [{ "name": "prod" }] });
    mount(&server, "GET", &format!("{repository}/actions/runs/99/approvals"), 200, json!([review])).await;
    let jobs = json!({ "total_count": 1, "jobs": jobs });
    mount(&server, "GET", &format!("{repository}/actions/runs/99/attempts/2/jobs"), 200, jobs).await;
    let deployments: Vec<_> = (0..logs.len()).map(|id| json!({ "id": id, "payload": "" })).collect();
    Mock::given(method("GET"))
        .and(path(format!("{repository}/deployments")))
        .and(query_param("environment", "prod"))
        .and(query_param("sha", "a".repeat(40)))
        .respond_with(ResponseTemplate::new(200).set_body_json(deployments))
        .mount(&server)
        .await;
    for (id, log) in logs.iter().enumerate() {
        let statuses = json!([{ "log_url": log, "target_url": "" }, { "log_url": "" }]);
        mount(&server, "GET", &format!("{repository}/deployments/{id}/statuses"), 200, statuses).await;
    }
    server
}

fn job(id: u64, status: &str, runner: &str) -> Value {
    json!({ "id": id, "status": status, "runner_name": runner, "head_sha": "a".repeat(40) })
}

#[tokio::test]
async fn an_approval_counts_for_the_jobs_that_waited_for_it() {
    const RUNS: &str = "https://github.example.com/acme/shop/actions/runs";
    let [own, earlier, other_run] =
        ["99/job/7", "99/job/5", "98/job/7"].map(|of_job| format!("{RUNS}/{of_job}"));
    let this =
        || json!([job(6, "in_progress", "GitHub Actions 2"), job(7, "in_progress", "GitHub Actions 1")]);
    let waited = async |jobs: Value, logs: &[&str]| {
        let server = approved_run(jobs, logs).await;
        let answer = github(&server).approvals("prod").await.unwrap();
        (answer.approvals.len(), answer.of_other_jobs, answer.unchecked)
    };
    assert_eq!(waited(this(), &[&earlier, &own]).await, (1, false, None));
    assert_eq!(waited(this(), &[&format!("{own}?pr=1")]).await, (1, false, None));
    // Of an earlier attempt, or of another job that has an environment.
    assert_eq!(waited(this(), &[&earlier, &other_run]).await, (0, true, None));

    // The cases that cannot be determined.
    let none = "GitHub has no deployment of this run to prod, and without `id-token: write` it does not say which environment \
                this job has";
    assert_eq!(waited(this(), &[&other_run, RUNS, ""]).await, (1, false, Some(none.to_owned())));
    assert_eq!(waited(this(), &[]).await, (1, false, Some(none.to_owned())));
    let unclear = "GitHub does not say which job of this run is on the runner \"GitHub Actions 1\"";
    let done = json!([job(7, "completed", "GitHub Actions 1"), { "id": 8, "status": "queued", "head_sha": "a", "runner_name": null }]);
    assert_eq!(waited(done, &[&earlier]).await, (1, false, Some(unclear.to_owned())));
    let two = json!([job(7, "in_progress", "GitHub Actions 1"), job(8, "in_progress", "GitHub Actions 1")]);
    assert_eq!(waited(two, &[&own]).await, (1, false, Some(unclear.to_owned())));
    let many = vec![earlier.as_str(); 31];
    let bounded = "none of the 30 newest deployments to prod is known to be this job's";
    assert_eq!(waited(this(), &many).await, (1, false, Some(bounded.to_owned())));
}

/// Mocks GitHub's answer to a job's request for its identity.
async fn identify(server: &MockServer, claims: Value) {
    let claims = URL_SAFE_NO_PAD.encode(claims.to_string());
    Mock::given(method("GET"))
        .and(path("/identity"))
        .and(query_param("api-version", "2.0"))
        .and(query_param("audience", "atmos-deployments"))
        .and(header("authorization", "Bearer request-token"))
        .respond_with(
            ResponseTemplate::new(200).set_body_json(json!({ "value": format!("e30.{claims}.sig") })),
        )
        .mount(server)
        .await;
}

#[tokio::test]
async fn the_job_s_identity_says_which_environment_it_waited_for() {
    let waited = async |claims: Option<Value>, logs: &[&str]| {
        let server = approved_run(json!([job(7, "in_progress", "GitHub Actions 1")]), logs).await;
        if let Some(claims) = claims {
            identify(&server, claims).await;
        }
        let answer = github_with_identity(&server).approvals("prod").await.unwrap();
        (answer.approvals.len(), answer.of_other_jobs, answer.unchecked)
    };
    let of = |run: &str, environment: &str| {
        Some(json!({ "run_id": run, "environment": environment, "sub": "repo:acme/shop" }))
    };
    // The workflow made no deployment.
    assert_eq!(waited(of("99", "prod"), &[]).await, (1, false, None));
    assert_eq!(waited(of("99", "Prod"), &[]).await, (1, false, None));
    let own = "https://github.example.com/acme/shop/actions/runs/99/job/7";
    assert_eq!(waited(of("99", "staging"), &[own]).await, (0, true, None));
    assert_eq!(waited(Some(json!({ "run_id": "99" })), &[]).await, (0, true, None));
    let other = "the job's identity is that of run 98";
    assert_eq!(waited(of("98", "prod"), &[]).await, (1, false, Some(other.to_owned())));
    // Without an identity, the deployments decide.
    assert_eq!(waited(None, &[own]).await, (1, false, None));
    assert_eq!(waited(Some(json!({ "run": 99 })), &[own]).await, (1, false, None));
}

#[tokio::test]
async fn a_token_that_may_not_read_deployments_leaves_the_job_unchecked_and_an_outage_does_not() {
    for (at, status) in [("actions/runs/99/attempts/2/jobs", 403), ("deployments", 404)] {
        let server = MockServer::start().await;
        Mock::given(path(format!("/api/v3/repos/acme/shop/{at}")))
            .respond_with(ResponseTemplate::new(status).set_body_json(json!({ "message": "No" })))
            .mount(&server)
            .await;
        let review = json!({ "state": "approved", "user": { "login": "alice" }, "environments": [{ "name": "prod" }] });
        mount(&server, "GET", "/api/v3/repos/acme/shop/actions/runs/99/approvals", 200, json!([review]))
            .await;
        let jobs = json!({ "jobs": [job(7, "in_progress", "GitHub Actions 1")] });
        mount(&server, "GET", "/api/v3/repos/acme/shop/actions/runs/99/attempts/2/jobs", 200, jobs).await;
        let answer = github(&server).approvals("prod").await.unwrap();
        assert_eq!(answer.approvals.len(), 1);
        assert_eq!(
            answer.unchecked.unwrap(),
            format!(
                "GitHub refused to tell what this job waited for ({status}: No). The job needs `actions: read` and \
                 `deployments: read` under `permissions:`; a pull request from a fork cannot have it"
            )
        );
    }
    let server = MockServer::start().await;
    let review =
        json!({ "state": "approved", "user": { "login": "alice" }, "environments": [{ "name": "prod" }] });
    mount(&server, "GET", "/api/v3/repos/acme/shop/actions/runs/99/approvals", 200, json!([review])).await;
    mount(
        &server,
        "GET",
        "/api/v3/repos/acme/shop/actions/runs/99/attempts/2/jobs",
        503,
        json!({ "message": "down" }),
    )
    .await;
    let error = github(&server).approvals("prod").await.unwrap_err();
    assert_eq!(error.to_string(), "GitHub could not tell what this job waited for: 503 down");
}
