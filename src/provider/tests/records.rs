//! The platform's records of deployments.

use serde_json::json;
use wiremock::matchers::{method, path, query_param};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::*;

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
