//! The platform's records of deployments.

use serde_json::{Value, json};
use wiremock::matchers::{method, path, query_param};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::*;

fn rollout(key: &str) -> NewDeployment {
    NewDeployment {
        deployment: deployment(),
        target: "prod".parse().unwrap(),
        commit: commit(),
        reference: None,
        environment: "prod/eu".to_owned(),
        environment_url: None,
        run_id: "github:99/1".to_owned(),
        key: key.to_owned(),
        description: String::new(),
    }
}

#[tokio::test]
async fn each_rollout_of_a_run_has_its_own_deployment_record_on_github() {
    let server = MockServer::start().await;
    let deployments = "/api/v3/repos/acme/shop/deployments";
    mount(&server, "POST", deployments, 201, json!({ "id": 11 })).await;
    // One of another creator, one of another job of the same run, and this rollout's own.
    let listed = json!([
        { "id": 8, "payload": "text" },
        { "id": 9, "payload": { "run_id": "github:99/1", "key": "first" } },
        { "id": 10, "payload": { "run_id": "github:99/1" } },
    ]);
    Mock::given(method("GET"))
        .and(path(deployments))
        .and(query_param("environment", "prod/eu"))
        .respond_with(ResponseTemplate::new(200).set_body_json(listed))
        .mount(&server)
        .await;
    let github = github(&server);
    assert_eq!(github.start_deployment(&rollout("second")).await.unwrap().id, 11);
    let made: Vec<Value> =
        requests(&server, "POST").await.iter().map(|made| made.body_json().unwrap()).collect();
    assert_eq!(made.len(), 1);
    assert_eq!(
        made[0]["payload"],
        json!({ "deployment": "api", "target": "prod", "run_id": "github:99/1", "key": "second" })
    );
    // An existing record with this key is not created a second time.
    assert_eq!(github.start_deployment(&rollout("first")).await.unwrap().id, 9);
    assert_eq!(requests(&server, "POST").await.len(), 1);
}

/// Records as GitLab lists them: id, the job that they are of, status.
fn gitlab_records(records: &[(u64, Option<u64>, &str)]) -> Value {
    let record = |(id, job, status): &(u64, Option<u64>, &str)| {
        let deployable = job.map(|job| json!({ "id": job }));
        json!({ "id": id, "sha": commit().as_str(), "status": status, "deployable": deployable })
    };
    records.iter().map(record).collect()
}

/// The result of a rollout on GitLab where other records exist before its own is created, and the
/// response is lost; `after` is listed then.
async fn recorded_without_an_answer(after: &[(u64, Option<u64>, &str)]) -> Option<u64> {
    let server = MockServer::start().await;
    let deployments = "/gitlab/api/v4/projects/42/deployments";
    let before = gitlab_records(&[(4, None, "running"), (3, Some(6), "running")]);
    Mock::given(method("GET"))
        .and(path(deployments))
        .respond_with(ResponseTemplate::new(200).set_body_json(before))
        .up_to_n_times(1)
        .mount(&server)
        .await;
    mount(&server, "GET", deployments, 200, gitlab_records(after)).await;
    mount(&server, "POST", deployments, 502, json!({})).await;
    let started = gitlab(&server, "GITLAB_TOKEN").start_deployment(&rollout("first")).await;
    assert_eq!(requests(&server, "POST").await.len(), 1);
    started.ok().map(|started| started.id)
}

#[tokio::test]
async fn a_running_record_of_another_rollout_is_not_taken_on_gitlab() {
    let server = MockServer::start().await;
    let deployments = "/gitlab/api/v4/projects/42/deployments";
    mount(&server, "GET", deployments, 200, gitlab_records(&[(4, None, "running")])).await;
    mount(&server, "POST", deployments, 201, json!({ "id": 5 })).await;
    let started = gitlab(&server, "GITLAB_TOKEN").start_deployment(&rollout("first")).await;
    assert_eq!(started.unwrap().id, 5);
    // Nor where the response is lost: then it has to be the only new one.
    let old = [(4, None, "running"), (3, Some(6), "running")];
    let after = |new: &[(u64, Option<u64>, &'static str)]| [new, &old[..]].concat();
    assert_eq!(recorded_without_an_answer(&after(&[(5, None, "running")])).await, Some(5));
    assert_eq!(recorded_without_an_answer(&after(&[])).await, None);
    let of_a_job = after(&[(6, Some(7), "running"), (5, None, "success")]);
    assert_eq!(recorded_without_an_answer(&of_a_job).await, None);
    let two = after(&[(6, None, "running"), (5, None, "running")]);
    assert_eq!(recorded_without_an_answer(&two).await, None);
}
