//! Which pull or merge request a run is about, as the platforms answer it.

use serde_json::json;
use wiremock::matchers::{method, path, query_param};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::super::*;
use super::{commit, github, gitlab, mount};
use crate::deployment::change_request::{RequestOfCommit, RequestState};

fn merged_into(branch: &str) -> RequestLookup {
    RequestLookup::Commit(RequestOfCommit {
        commit: commit(),
        branch: Some(branch.to_owned()),
        owner: None,
        merged: true,
    })
}

async fn number(provider: &dyn Provider, lookup: RequestLookup) -> Option<u64> {
    provider.find_change_request(&lookup).await.unwrap().map(|request| request.number)
}

#[tokio::test]
async fn what_was_merged_is_the_newest_request_into_the_branch_that_made_the_commit() {
    let (server, commit) = (MockServer::start().await, commit());
    let pull = |number: u64, base: &str, merged_at: Option<&str>, made: &str| json!({ "number": number, "base": { "ref": base }, "merged_at": merged_at, "merge_commit_sha": made });
    let time = |day: u32| Some(format!("2025-01-{day}T15:30:00Z"));
    let other = "b".repeat(40);
    let listed = json!([
        pull(1, "main", None, commit.as_str()),
        pull(2, "develop", time(28).as_deref(), commit.as_str()),
        pull(3, "main", time(24).as_deref(), commit.as_str()),
        pull(4, "main", time(25).as_deref(), &other),
    ]);
    let at = format!("/api/v3/repos/acme/shop/commits/{commit}/pulls");
    mount(&server, "GET", &at, 200, listed).await;
    let (github, gitlab) = (github(&server), gitlab(&server, "GITLAB_TOKEN"));
    assert_eq!(number(&*github, merged_into("main")).await, Some(3));
    assert_eq!(number(&*github, merged_into("release")).await, None);

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
    assert_eq!(number(&*gitlab, merged_into("main")).await, Some(1));
    assert_eq!(number(&*gitlab, merged_into("release")).await, Some(5));
    assert_eq!(number(&*gitlab, merged_into("develop")).await, None);
}

#[tokio::test]
async fn a_request_by_its_number_has_its_head_its_base_and_its_state() {
    let (server, head) = (MockServer::start().await, commit());
    let pull = |repository: Option<u64>, state: &str| {
        let repository = repository.map(|id| json!({ "id": id }));
        json!({ "number": 7, "state": state, "merged_at": null, "merge_commit_sha": null,
                "head": { "ref": "feature", "sha": head.as_str(), "repo": repository },
                "base": { "ref": "main", "repo": { "id": 1 } } })
    };
    let at = "/api/v3/repos/acme/shop/pulls/7";
    for (answer, state) in [
        (pull(Some(1), "open"), RequestState::Open),
        (pull(Some(2), "open"), RequestState::Open),
        // The fork was deleted.
        (pull(None, "closed"), RequestState::Closed),
    ] {
        server.reset().await;
        mount(&server, "GET", at, 200, answer).await;
        let found = github(&server).find_change_request(&RequestLookup::Number(7)).await.unwrap().unwrap();
        assert_eq!(found.state, state);
        assert_eq!((found.head, found.base.as_deref()), (Some(head.clone()), Some("main")));
    }
    let merge_request = json!({ "iid": 7, "state": "opened", "target_branch": "main", "source_branch": "feature",
        "source_project_id": 42, "target_project_id": 42, "sha": head.as_str() });
    mount(&server, "GET", "/gitlab/api/v4/projects/42/merge_requests/7", 200, merge_request).await;
    let gitlab = gitlab(&server, "GITLAB_TOKEN");
    let found = gitlab.find_change_request(&RequestLookup::Number(7)).await.unwrap().unwrap();
    assert_eq!((found.head, found.state), (Some(head), RequestState::Open));
}

#[tokio::test]
async fn the_request_of_a_fork_s_branch_is_found_by_the_branch() {
    let (server, commit) = (MockServer::start().await, commit());
    let of_commit = format!("/api/v3/repos/acme/shop/commits/{commit}/pulls");
    mount(&server, "GET", &of_commit, 200, json!([])).await;
    let listed = json!([{ "number": 7, "state": "open", "base": { "ref": "main", "repo": { "id": 1 } },
        "head": { "ref": "fix", "sha": commit.as_str(), "repo": { "id": 2 } } }]);
    Mock::given(method("GET"))
        .and(path("/api/v3/repos/acme/shop/pulls"))
        .and(query_param("head", "mallory:fix"))
        .and(query_param("state", "open"))
        .respond_with(ResponseTemplate::new(200).set_body_json(listed))
        .mount(&server)
        .await;
    let asked = |owner: Option<&str>| {
        RequestLookup::Commit(RequestOfCommit {
            commit: commit.clone(),
            branch: Some("fix".to_owned()),
            owner: owner.map(str::to_owned),
            merged: true,
        })
    };
    let github = github(&server);
    assert_eq!(number(&*github, asked(Some("mallory"))).await, Some(7));
    assert_eq!(number(&*github, asked(None)).await, None);
}
