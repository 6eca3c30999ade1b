//! The inputs that a workflow gets when it is started.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use wiremock::matchers::{method, path, query_param};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::super::*;
use super::{github, gitlab};

#[tokio::test]
async fn the_inputs_of_a_workflow_are_those_that_it_declares_on_the_branch() {
    let server = MockServer::start().await;
    let workflow = "on: { workflow_dispatch: { inputs: { commit: {}, target: {} } } }";
    let content = STANDARD.encode(workflow).chars().flat_map(|c| [c, '\n']).collect::<String>();
    Mock::given(method("GET"))
        .and(path("/api/v3/repos/acme/shop/contents/.github%2Fworkflows%2Fpromote.yml"))
        .and(query_param("ref", "release/1"))
        .respond_with(
            ResponseTemplate::new(200).set_body_json(json!({ "encoding": "base64", "content": content })),
        )
        .mount(&server)
        .await;
    let github = github(&server);
    let declared = github.workflow_inputs("promote.yml", "release/1").await.unwrap();
    let names = ["commit", "target"].map(str::to_owned).into();
    assert_eq!(declared, WorkflowInputs::Declared(names));
    let error = github.workflow_inputs("promote.yml", "main").await.unwrap_err();
    assert!(error.is_not_found(), "{error}");
    let gitlab = gitlab(&server, "GITLAB_TOKEN");
    assert_eq!(gitlab.workflow_inputs("promote", "main").await, Ok(WorkflowInputs::Any));
}

#[tokio::test]
async fn a_workflow_that_cannot_be_read_is_none() {
    let server = MockServer::start().await;
    // A file beyond a megabyte comes without its content.
    let answer = json!({ "encoding": "none", "content": "" });
    let at = "/api/v3/repos/acme/shop/contents/.github%2Fworkflows%2Fpromote.yml";
    super::mount(&server, "GET", at, 200, answer).await;
    let read = github(&server).workflow_inputs("promote.yml", "main").await;
    assert_eq!(read, Ok(WorkflowInputs::Unreadable));
}
