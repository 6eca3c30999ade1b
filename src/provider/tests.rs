//! The providers against servers that misbehave as the platforms do.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use wiremock::matchers::{body_partial_json, header, method, path, query_param};
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

use super::*;
use crate::deployment::{DeploymentName, TargetName};

const TOKEN: &str = "ghs_averysecrettoken";

const POLICY: RetryPolicy = RetryPolicy {
    attempts: 3,
    first_pause: Duration::from_millis(1),
    longest_pause: Duration::from_secs(2),
    // Longer than a busy machine takes to answer itself.
    timeout: Duration::from_mins(1),
};

const COMMENTS: &str = "/api/v3/repos/acme/shop/issues/7/comments";
const NOTES: &str = "/gitlab/api/v4/projects/42/merge_requests/7/notes";

fn deployment() -> DeploymentName {
    "api".parse().unwrap()
}

fn commit() -> CommitId {
    "a".repeat(40).parse().unwrap()
}

fn sticky(body: &str) -> StickyComment {
    StickyComment::new(&deployment(), body)
}

fn status() -> CommitStatus {
    let target: TargetName = "prod".parse().unwrap();
    CommitStatus::new(&deployment(), &target, CommitStatusState::Success, "3 components", None)
}

fn provider(variables: &[(&str, &str)]) -> Box<dyn Provider> {
    patient(POLICY, variables)
}

fn patient(policy: RetryPolicy, variables: &[(&str, &str)]) -> Box<dyn Provider> {
    let settings = ProviderSettings::detect(
        |name| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| *value),
        None,
    );
    connect(settings.unwrap(), policy)
}

fn github(server: &MockServer) -> Box<dyn Provider> {
    patient_github(POLICY, server)
}

fn patient_github(policy: RetryPolicy, server: &MockServer) -> Box<dyn Provider> {
    let address = format!("{}/api/v3", server.uri());
    let variables = [
        ("GITHUB_ACTIONS", "true"),
        ("GITHUB_API_URL", address.as_str()),
        ("GITHUB_REPOSITORY", "acme/shop"),
        ("GITHUB_TOKEN", TOKEN),
        ("GITHUB_RUN_ID", "99"),
        ("GITHUB_RUN_ATTEMPT", "2"),
        ("RUNNER_NAME", "GitHub Actions 1"),
        ("GITHUB_SHA", &"a".repeat(40)),
    ];
    patient(policy, &variables)
}

fn gitlab(server: &MockServer, token: &str) -> Box<dyn Provider> {
    provider(&[
        ("GITLAB_CI", "true"),
        ("CI_API_V4_URL", &format!("{}/gitlab/api/v4", server.uri())),
        ("CI_PROJECT_ID", "42"),
        ("CI_PIPELINE_ID", "5"),
        ("CI_COMMIT_SHA", commit().as_str()),
        ("CI_JOB_ID", "6"),
        (token, TOKEN),
    ])
}

fn comment(id: u64, body: &str, kind: &str) -> Value {
    json!({ "id": id, "body": body, "html_url": format!("https://x/{id}"), "user": { "login": "someone", "type": kind } })
}

/// The token acts as an app, as a job's own does.
async fn acts_as_app(server: &MockServer) {
    Mock::given(method("GET"))
        .and(path("/api/v3/user"))
        .respond_with(
            ResponseTemplate::new(403)
                .set_body_json(json!({ "message": "Resource not accessible by integration" })),
        )
        .mount(server)
        .await;
}

async fn mount(server: &MockServer, verb: &str, at: &str, status: u16, body: Value) {
    Mock::given(method(verb))
        .and(path(at))
        .respond_with(ResponseTemplate::new(status).set_body_json(body))
        .mount(server)
        .await;
}

async fn requests(server: &MockServer, verb: &str) -> Vec<Request> {
    let received = server.received_requests().await.unwrap();
    received.into_iter().filter(|request| request.method.as_str() == verb).collect()
}

#[tokio::test]
async fn a_comment_is_written_once_and_then_edited() {
    let server = MockServer::start().await;
    acts_as_app(&server).await;
    mount(&server, "POST", COMMENTS, 201, comment(1, "", "Bot")).await;
    Mock::given(method("GET"))
        .and(path(COMMENTS))
        .respond_with(ResponseTemplate::new(200).set_body_json(json!([])))
        .up_to_n_times(1)
        .mount(&server)
        .await;
    let github = github(&server);

    let first = github.put_comment(7, &sticky("one")).await.unwrap();
    assert_eq!((first.posted, first.url.as_deref()), (Posted::Created, Some("https://x/1")));

    // A person has copied the marker into a comment of their own; it is left alone.
    let listed =
        json!([comment(5, sticky("forged").body(), "User"), comment(1, sticky("one").body(), "Bot"),]);
    mount(&server, "GET", COMMENTS, 200, listed).await;
    mount(&server, "PATCH", "/api/v3/repos/acme/shop/issues/comments/1", 200, comment(1, "", "Bot")).await;
    assert_eq!(github.put_comment(7, &sticky("one")).await.unwrap().posted, Posted::Unchanged);
    let second = github.put_comment(7, &sticky("two")).await.unwrap();
    assert_eq!((second.id, second.posted), (1, Posted::Edited));

    let posts = requests(&server, "POST").await;
    assert_eq!(posts.len(), 1);
    assert_eq!(posts[0].headers.get_all("accept").iter().count(), 1);
    assert_eq!(posts[0].headers["accept"], "application/vnd.github+json, application/json;q=0.9");
    assert_eq!(posts[0].headers["authorization"], format!("Bearer {TOKEN}"));
    assert_eq!(
        posts[0].body_json::<Value>().unwrap(),
        json!({ "body": "<!-- atmos-deployments: api -->\none" })
    );
}

#[tokio::test]
async fn a_post_without_an_answer_is_looked_for_before_another_is_sent() {
    let server = MockServer::start().await;
    acts_as_app(&server).await;
    mount(&server, "POST", COMMENTS, 502, json!({ "message": "Server Error" })).await;
    let asked = AtomicUsize::new(0);
    Mock::given(method("GET"))
        .and(path(COMMENTS))
        .respond_with(move |_: &Request| {
            let comments = match asked.fetch_add(1, Ordering::SeqCst) {
                0 => json!([]),
                _ => json!([comment(3, sticky("one").body(), "Bot")]),
            };
            ResponseTemplate::new(200).set_body_json(comments)
        })
        .mount(&server)
        .await;

    let posted = github(&server).put_comment(7, &sticky("one")).await.unwrap();
    assert_eq!((posted.id, posted.posted), (3, Posted::Unchanged));
    assert_eq!(requests(&server, "POST").await.len(), 1);
}

#[tokio::test]
async fn a_comment_that_is_deleted_before_its_edit_is_written_anew() {
    let server = MockServer::start().await;
    acts_as_app(&server).await;
    mount(&server, "POST", COMMENTS, 201, comment(2, "", "Bot")).await;
    mount(
        &server,
        "PATCH",
        "/api/v3/repos/acme/shop/issues/comments/1",
        404,
        json!({ "message": "Not Found" }),
    )
    .await;
    Mock::given(method("GET"))
        .and(path(COMMENTS))
        .respond_with(ResponseTemplate::new(200).set_body_json(json!([comment(
            1,
            sticky("old").body(),
            "Bot"
        )])))
        .up_to_n_times(1)
        .mount(&server)
        .await;
    mount(&server, "GET", COMMENTS, 200, json!([])).await;

    let posted = github(&server).put_comment(7, &sticky("new")).await.unwrap();
    assert_eq!((posted.id, posted.posted), (2, Posted::Created));
}

#[tokio::test]
async fn of_two_jobs_that_write_the_first_comment_at_once_one_gives_way() {
    let server = MockServer::start().await;
    acts_as_app(&server).await;
    let (theirs, ours) = (comment(1, sticky("one").body(), "Bot"), comment(2, sticky("two").body(), "Bot"));
    mount(&server, "POST", COMMENTS, 201, ours.clone()).await;
    mount(&server, "PATCH", "/api/v3/repos/acme/shop/issues/comments/1", 200, comment(1, "", "Bot")).await;
    Mock::given(method("DELETE"))
        .and(path("/api/v3/repos/acme/shop/issues/comments/2"))
        .respond_with(ResponseTemplate::new(204))
        .expect(1)
        .mount(&server)
        .await;
    let asked = AtomicUsize::new(0);
    let listed = [json!([]), json!([theirs.clone(), ours]), json!([theirs])];
    Mock::given(method("GET"))
        .and(path(COMMENTS))
        .respond_with(move |_: &Request| {
            let at = asked.fetch_add(1, Ordering::SeqCst).min(listed.len() - 1);
            ResponseTemplate::new(200).set_body_json(&listed[at])
        })
        .mount(&server)
        .await;
    let posted = github(&server).put_comment(7, &sticky("two")).await.unwrap();
    assert_eq!((posted.id, posted.posted), (1, Posted::Edited));
    assert_eq!(requests(&server, "PATCH").await.len(), 1);
}

#[tokio::test]
async fn what_was_merged_is_the_newest_request_into_the_branch_that_made_the_commit() {
    let (server, commit) = (MockServer::start().await, commit());
    let pull = |number: u64, base: &str, merged_at: Option<&str>, made: &str| json!({ "number": number, "base": { "ref": base }, "merged_at": merged_at, "merge_commit_sha": made });
    let time = |day: u32| Some(format!("2025-01-{day}T15:30:00Z"));
    let listed = json!([
        pull(1, "main", None, commit.as_str()),
        pull(2, "develop", time(28).as_deref(), commit.as_str()),
        pull(3, "main", time(24).as_deref(), commit.as_str()),
        pull(4, "main", time(25).as_deref(), "other"),
    ]);
    let at = format!("/api/v3/repos/acme/shop/commits/{commit}/pulls");
    mount(&server, "GET", &at, 200, listed).await;
    let (github, gitlab) = (github(&server), gitlab(&server, "GITLAB_TOKEN"));
    assert_eq!(github.merged_change_request("main", &commit).await, Ok(Some(3)));
    assert_eq!(github.merged_change_request("release", &commit).await, Ok(None));

    let request = |iid: u64, target: &str, state: &str, squashed: Option<&str>| {
        json!({ "iid": iid, "target_branch": target, "state": state, "squash_commit_sha": squashed,
                "merged_at": time(20 + u32::try_from(iid).unwrap()) })
    };
    let listed = json!([
        request(1, "main", "merged", Some(commit.as_str())),
        request(2, "main", "merged", None),
        request(3, "main", "opened", Some(commit.as_str())),
        request(4, "release", "merged", None),
        request(5, "release", "merged", None),
    ]);
    let at = format!("/gitlab/api/v4/projects/42/repository/commits/{commit}/merge_requests");
    mount(&server, "GET", &at, 200, listed).await;
    assert_eq!(gitlab.merged_change_request("main", &commit).await, Ok(Some(1)));
    assert_eq!(gitlab.merged_change_request("release", &commit).await, Ok(Some(5)));
    assert_eq!(gitlab.merged_change_request("develop", &commit).await, Ok(None));
}

/// Pages of comments that never end; the sticky one is on page `at`.
async fn pages(server: &MockServer, at: u32) {
    Mock::given(method("GET"))
        .and(path(COMMENTS))
        .respond_with(move |request: &Request| {
            let page: u32 =
                request.url.query_pairs().find(|(key, _)| key == "page").unwrap().1.parse().unwrap();
            let mut comments: Vec<_> =
                (0..100).map(|n| comment(u64::from(page) * 100 + n, "LGTM", "User")).collect();
            if page == at {
                comments[99] = comment(1, sticky("old").body(), "Bot");
            }
            ResponseTemplate::new(200).set_body_json(comments)
        })
        .mount(server)
        .await;
}

#[tokio::test]
async fn a_comment_on_page_300_is_found_and_beyond_that_none_is_written() {
    let server = MockServer::start().await;
    acts_as_app(&server).await;
    pages(&server, 300).await;
    mount(&server, "PATCH", "/api/v3/repos/acme/shop/issues/comments/1", 200, comment(1, "", "Bot")).await;
    assert_eq!(github(&server).put_comment(7, &sticky("new")).await.unwrap().posted, Posted::Edited);

    let server = MockServer::start().await;
    pages(&server, 301).await;
    let error = github(&server).put_comment(7, &sticky("new")).await.unwrap_err();
    assert_eq!(error, ProviderError::TooManyComments { searched: 30_000 });
    assert!(requests(&server, "POST").await.is_empty());
}

#[tokio::test]
async fn server_errors_are_retried_a_bounded_number_of_times() {
    let server = MockServer::start().await;
    mount(
        &server,
        "POST",
        &format!("/api/v3/repos/acme/shop/statuses/{}", commit()),
        503,
        json!({ "message": "down" }),
    )
    .await;
    let error = github(&server).set_commit_status(&commit(), &status()).await.unwrap_err();
    assert_eq!(error.to_string(), "GitHub could not set the commit status: 503 down");
    assert_eq!(requests(&server, "POST").await.len(), 3);
}

#[tokio::test]
async fn a_stalled_connection_ends_in_a_time_out() {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .respond_with(ResponseTemplate::new(201).set_delay(Duration::from_secs(20)))
        .mount(&server)
        .await;
    let impatient = RetryPolicy { timeout: Duration::from_millis(100), ..POLICY };
    let github = patient_github(impatient, &server);
    let error = github.set_commit_status(&commit(), &status()).await.unwrap_err();
    assert!(error.to_string().contains("no answer within"), "{error}");
}

#[tokio::test]
async fn a_rate_limit_is_waited_for_unless_it_asks_for_too_much() {
    for (code, message) in [(429, "slow down"), (403, "You have exceeded a secondary rate limit")] {
        let server = MockServer::start().await;
        Mock::given(method("POST"))
            .respond_with(
                ResponseTemplate::new(code)
                    .insert_header("retry-after", "1")
                    .set_body_json(json!({ "message": message })),
            )
            .up_to_n_times(1)
            .mount(&server)
            .await;
        Mock::given(method("POST"))
            .respond_with(ResponseTemplate::new(201).set_body_json(json!({})))
            .mount(&server)
            .await;
        github(&server).set_commit_status(&commit(), &status()).await.unwrap();
        assert_eq!(requests(&server, "POST").await.len(), 2);
    }
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .respond_with(ResponseTemplate::new(429).insert_header("retry-after", "3600"))
        .mount(&server)
        .await;
    let error = github(&server).set_commit_status(&commit(), &status()).await.unwrap_err();
    assert!(
        error.to_string().ends_with("too many requests to set the commit status and wants a pause of 3600 s"),
        "{error}"
    );
    assert_eq!(requests(&server, "POST").await.len(), 1);
}

#[tokio::test]
async fn a_refusal_says_which_permission_is_missing_and_never_the_token() {
    let server = MockServer::start().await;
    let message = json!({ "message": format!("Resource not accessible by {TOKEN}\n::error::") });
    Mock::given(wiremock::matchers::any())
        .respond_with(ResponseTemplate::new(403).set_body_json(message))
        .mount(&server)
        .await;
    let github = github(&server);
    let error = github.put_comment(7, &sticky("x")).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "GitHub refused to write the comment (403: Resource not accessible by *** ::error::). The job needs \
         `pull-requests: write` under `permissions:`; a pull request from a fork cannot have it"
    );
    let error = github.protect().await.unwrap_err();
    assert!(error.to_string().contains("`administration: write`"), "{error}");
    assert!(!format!("{github:?} {error:?}").contains(TOKEN));

    let error = gitlab(&server, "CI_JOB_TOKEN").put_comment(7, &sticky("x")).await.unwrap_err();
    assert!(error.to_string().contains("A GitLab job token cannot write MR notes"), "{error}");
    assert!(!format!("{error:?}").contains(TOKEN));
    let error = gitlab(&server, "GITLAB_TOKEN").protect().await.unwrap_err();
    assert!(error.to_string().contains("role Maintainer"), "{error}");
}

/// Collects what is logged.
#[derive(Clone, Default)]
struct Log(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn no_log_level_shows_the_token() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let server = MockServer::start().await;
    let message = json!({ "message": format!("{TOKEN} is no good") });
    Mock::given(method("POST"))
        .respond_with(ResponseTemplate::new(500).set_body_json(message))
        .mount(&server)
        .await;
    // Places that log and that another thread comes by for the first time just now may not know of this log yet: once all of
    // them have been seen, they are told.
    for _ in 0..2 {
        for provider in [github(&server), gitlab(&server, "GITLAB_TOKEN")] {
            provider.set_commit_status(&commit(), &status()).await.unwrap_err();
        }
        tracing::callsite::rebuild_interest_cache();
    }
    let logged = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(logged.contains("*** is no good"), "{logged}");
    // The server of this test runs here as well, and may log what it receives.
    let ours = logged.lines().filter(|line| !line.contains("wiremock")).collect::<String>();
    assert!(!ours.contains(TOKEN), "{ours}");
}

#[tokio::test]
async fn an_unreachable_platform_is_no_more_than_an_error() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let github = provider(&[
        ("GITHUB_ACTIONS", "true"),
        ("GITHUB_API_URL", &address),
        ("GITHUB_REPOSITORY", "acme/shop"),
        ("GITHUB_TOKEN", TOKEN),
    ]);
    let error = github.put_comment(7, &sticky("x")).await.unwrap_err();
    assert!(error.to_string().starts_with("GitHub could not write the comment: "), "{error}");
    let error = connect(ProviderSettings::None, POLICY).put_comment(7, &sticky("x")).await.unwrap_err();
    assert_eq!(error.to_string(), "A job outside of GitHub Actions and GitLab CI cannot write the comment");
}

#[tokio::test]
async fn a_run_has_one_deployment_record_on_github() {
    let server = MockServer::start().await;
    let deployments = "/api/v3/repos/acme/shop/deployments";
    mount(&server, "POST", deployments, 201, json!({ "id": 11 })).await;
    let other = json!([{ "id": 9, "payload": "text" }, { "id": 10, "payload": { "run_id": "github:98/1" } }]);
    Mock::given(method("GET"))
        .and(path(deployments))
        .and(query_param("environment", "prod/eu"))
        .respond_with(ResponseTemplate::new(200).set_body_json(other))
        .up_to_n_times(1)
        .mount(&server)
        .await;
    mount(&server, "GET", deployments, 200, json!([{ "id": 11, "payload": { "run_id": "github:99/1" } }]))
        .await;
    let new = NewDeployment {
        deployment: deployment(),
        target: "prod".parse().unwrap(),
        commit: commit(),
        reference: None,
        environment: "prod/eu".to_owned(),
        environment_url: None,
        run_id: "github:99/1".to_owned(),
        description: String::new(),
    };
    let github = github(&server);
    assert_eq!(github.start_deployment(&new).await.unwrap().id, 11);
    assert_eq!(github.start_deployment(&new).await.unwrap().id, 11);
    assert_eq!(requests(&server, "POST").await.len(), 1);
}

#[tokio::test]
async fn a_ruleset_is_made_repaired_or_left_alone() {
    let server = MockServer::start().await;
    let rulesets = "/api/v3/repos/acme/shop/rulesets";
    Mock::given(method("GET"))
        .and(path(rulesets))
        .respond_with(ResponseTemplate::new(200).set_body_json(json!([])))
        .up_to_n_times(2)
        .mount(&server)
        .await;
    mount(&server, "POST", rulesets, 201, json!({ "id": 3 })).await;
    mount(&server, "PUT", &format!("{rulesets}/3"), 200, json!({ "id": 3 })).await;
    let github = github(&server);
    assert_eq!(github.protection().await.unwrap().rules[0].state, RuleState::Missing);
    assert!(requests(&server, "POST").await.is_empty());
    github.protect().await.unwrap();
    let made: Value = requests(&server, "POST").await[0].body_json().unwrap();

    mount(&server, "GET", rulesets, 200, json!([{ "id": 3, "name": "atmos deployments" }])).await;
    let mut disabled = made.clone();
    disabled["enforcement"] = json!("disabled");
    Mock::given(method("GET"))
        .and(path(format!("{rulesets}/3")))
        .respond_with(ResponseTemplate::new(200).set_body_json(disabled))
        .up_to_n_times(1)
        .mount(&server)
        .await;
    mount(&server, "GET", &format!("{rulesets}/3"), 200, made.clone()).await;
    assert_eq!(github.protect().await.unwrap().rules[0].state, RuleState::Differs);
    assert_eq!(requests(&server, "PUT").await[0].body_json::<Value>().unwrap(), made);
    let protection = github.protect().await.unwrap();
    assert!(protection.is_complete());
    assert!(protection.unprotected.iter().any(|said| said.starts_with("refs/atmos/*")));
    assert_eq!((requests(&server, "POST").await.len(), requests(&server, "PUT").await.len()), (1, 1));
}

#[tokio::test]
async fn the_reviewers_of_this_environment_are_its_approvers() {
    let server = MockServer::start().await;
    let review = |state: &str, environment: &str, login: &str| json!({ "state": state, "comment": "", "user": { "login": login }, "environments": [{ "name": environment }] });
    let reviews = json!([
        review("approved", "staging", "bob"),
        review("rejected", "prod", "eve"),
        review("approved", "prod", "alice")
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

/// A run of which alice approved prod, its jobs (id, status, runner), and the addresses of the logs of the deployments.
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
    // Of an earlier attempt, or of a job that has an environment.
    assert_eq!(waited(this(), &[&earlier, &other_run]).await, (0, true, None));

    // What cannot be told.
    let none = "GitHub has no deployment of this run to prod";
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

#[tokio::test]
async fn gitlab_is_spoken_to_with_the_token_s_own_header() {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .and(path(NOTES))
        .and(header("private-token", TOKEN))
        .respond_with(
            ResponseTemplate::new(201)
                .set_body_json(json!({ "id": 1, "body": "", "author": { "username": "bot" } })),
        )
        .expect(1)
        .mount(&server)
        .await;
    mount(&server, "GET", NOTES, 200, json!([])).await;
    assert_eq!(
        gitlab(&server, "GITLAB_TOKEN").put_comment(7, &sticky("x")).await.unwrap().posted,
        Posted::Created
    );

    Mock::given(method("POST"))
        .and(path(format!("/gitlab/api/v4/projects/42/statuses/{}", commit())))
        .and(header("job-token", TOKEN))
        .and(body_partial_json(json!({ "state": "success", "name": "atmos/api/prod", "pipeline_id": 5 })))
        .respond_with(ResponseTemplate::new(400).set_body_json(
            json!({ "message": { "state": ["Cannot transition status via :succeed from :success"] } }),
        ))
        .expect(1)
        .mount(&server)
        .await;
    gitlab(&server, "CI_JOB_TOKEN").set_commit_status(&commit(), &status()).await.unwrap();
}
