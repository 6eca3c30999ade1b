//! The providers against servers that misbehave as the platforms do.

mod approvals;
mod certificates;
mod change_requests;
mod comments;
mod dispatch;
mod gitlab;
mod limits;
mod misbehaviour;
mod protection;
mod records;
mod redirects;
mod secrets;
mod socket_server;

use std::time::Duration;

use serde_json::{Value, json};
use wiremock::matchers::{method, path};
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

use super::*;
use crate::deployment::{DeploymentName, TargetName};

const TOKEN: &str = "ghs_averysecrettoken";

const POLICY: RetryPolicy = RetryPolicy {
    attempts: 3,
    first_pause: Duration::from_millis(1),
    longest_pause: Duration::from_secs(2),
    limit_pause: Duration::from_millis(1),
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
    patient(policy, &github_job(&address, &"a".repeat(40)))
}

/// The same in a job that may ask for its identity.
fn github_with_identity(server: &MockServer) -> Box<dyn Provider> {
    let (address, commit) = (format!("{}/api/v3", server.uri()), "a".repeat(40));
    let identity = format!("{}/identity?api-version=2.0", server.uri());
    let mut variables = github_job(&address, &commit).to_vec();
    variables.push(("ACTIONS_ID_TOKEN_REQUEST_URL", &identity));
    variables.push(("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "request-token"));
    patient(POLICY, &variables)
}

fn github_job<'v>(api_url: &'v str, commit: &'v str) -> [(&'static str, &'v str); 8] {
    [
        ("GITHUB_ACTIONS", "true"),
        ("GITHUB_API_URL", api_url),
        ("GITHUB_REPOSITORY", "acme/shop"),
        ("GITHUB_TOKEN", TOKEN),
        ("GITHUB_RUN_ID", "99"),
        ("GITHUB_RUN_ATTEMPT", "2"),
        ("RUNNER_NAME", "GitHub Actions 1"),
        ("GITHUB_SHA", commit),
    ]
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

/// The author of comments that jobs write with their own token.
const BOT: &str = "github-actions[bot]";

fn comment(id: u64, body: &str, author: &str) -> Value {
    json!({ "id": id, "body": body, "html_url": format!("https://x/{id}"), "user": { "login": author } })
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

/// The requests with a method, but for questions to the GraphQL API.
async fn requests(server: &MockServer, verb: &str) -> Vec<Request> {
    let received = server.received_requests().await.unwrap();
    let is_question = |request: &Request| request.url.path().ends_with("/graphql");
    received.into_iter().filter(|request| request.method.as_str() == verb && !is_question(request)).collect()
}
