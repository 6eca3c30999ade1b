//! Protecting the tags of the ledger.

use serde_json::{Value, json};
use wiremock::matchers::{method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::*;

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
