//! The differences of GitLab.

use serde_json::json;
use wiremock::matchers::{body_partial_json, header, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::*;

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
