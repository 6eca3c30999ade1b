//! Finding the change request whose merge brought a commit.

use serde_json::json;
use wiremock::MockServer;

use super::*;

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
