//! The number of attempts and the length of the pauses.

use std::time::Duration;

use serde_json::json;
use wiremock::matchers::method;
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::*;

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
    assert_eq!(requests(&server, "POST").await.len(), 3);
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
        error.to_string().contains("requests to set the commit status and wants a pause of 3600 s, until 20"),
        "{error}"
    );
    assert_eq!(requests(&server, "POST").await.len(), 1);
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

/// Answers like this `times` times, and then successfully.
async fn at_first(server: &MockServer, times: u64, answer: ResponseTemplate) {
    Mock::given(method("POST")).respond_with(answer).up_to_n_times(times).mount(server).await;
    Mock::given(method("POST"))
        .respond_with(ResponseTemplate::new(201).set_body_json(json!({ "id": 1 })))
        .mount(server)
        .await;
}

fn secondary_limit() -> ResponseTemplate {
    let message = "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.";
    ResponseTemplate::new(403).set_body_json(json!({ "message": message }))
}

#[tokio::test]
async fn a_limit_without_a_pause_is_waited_for_longer_each_time_and_not_for_ever() {
    let server = MockServer::start().await;
    at_first(&server, 2, secondary_limit()).await;
    github(&server).set_commit_status(&commit(), &status()).await.unwrap();
    assert_eq!(requests(&server, "POST").await.len(), 3);

    // The first pause is bearable, the second is twice as long.
    let server = MockServer::start().await;
    at_first(&server, 9, secondary_limit()).await;
    let pause = Duration::from_millis(50);
    let policy = RetryPolicy { attempts: 9, limit_pause: pause, longest_pause: pause, ..POLICY };
    let error = patient_github(policy, &server).set_commit_status(&commit(), &status()).await.unwrap_err();
    assert!(matches!(error, ProviderError::RateLimited { until: Some(_), .. }), "{error}");
    assert_eq!(requests(&server, "POST").await.len(), 2);

    // With the pauses of a job's reports, a minute is too long.
    let server = MockServer::start().await;
    at_first(&server, 9, secondary_limit()).await;
    let policy = RetryPolicy { limit_pause: Duration::from_mins(1), ..POLICY };
    let error = patient_github(policy, &server).set_commit_status(&commit(), &status()).await.unwrap_err();
    assert!(error.to_string().contains("wants a pause of 60 s, until "), "{error}");
    assert_eq!(requests(&server, "POST").await.len(), 1);
}

#[tokio::test]
async fn an_outage_that_asks_for_an_hour_is_not_waited_for() {
    let server = MockServer::start().await;
    at_first(&server, 9, ResponseTemplate::new(503).insert_header("retry-after", "3600")).await;
    let error = github(&server).set_commit_status(&commit(), &status()).await.unwrap_err();
    assert_eq!(error.to_string(), "GitHub could not set the commit status: 503 no explanation");
    assert_eq!(requests(&server, "POST").await.len(), 1);
}

#[tokio::test]
async fn a_conflict_is_tried_again_where_that_does_no_harm() {
    let conflict = || ResponseTemplate::new(409).set_body_json(json!({ "message": "Conflict" }));
    let server = MockServer::start().await;
    at_first(&server, 2, conflict()).await;
    gitlab(&server, "GITLAB_TOKEN").set_commit_status(&commit(), &status()).await.unwrap();
    assert_eq!(requests(&server, "POST").await.len(), 3);

    let server = MockServer::start().await;
    at_first(&server, 2, conflict()).await;
    let dispatch = Dispatch {
        workflow: "deploy.yml".to_owned(),
        reference: "main".to_owned(),
        inputs: std::collections::BTreeMap::new(),
    };
    let error = github(&server).dispatch(&dispatch).await.unwrap_err();
    assert!(matches!(error, ProviderError::Refused { status: 409, .. }), "{error}");
    assert_eq!(requests(&server, "POST").await.len(), 1);
}
