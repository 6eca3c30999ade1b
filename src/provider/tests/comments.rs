//! The sticky comment: one, and our own.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use wiremock::matchers::{method, path};
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

use super::*;

#[tokio::test]
async fn a_comment_is_written_once_and_then_edited() {
    let server = MockServer::start().await;
    acts_as_app(&server).await;
    mount(&server, "POST", COMMENTS, 201, comment(1, "", BOT)).await;
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
        json!([comment(5, sticky("forged").body(), "alice"), comment(1, sticky("one").body(), BOT),]);
    mount(&server, "GET", COMMENTS, 200, listed).await;
    mount(&server, "PATCH", "/api/v3/repos/acme/shop/issues/comments/1", 200, comment(1, "", BOT)).await;
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
                _ => json!([comment(3, sticky("one").body(), BOT)]),
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
    mount(&server, "POST", COMMENTS, 201, comment(2, "", BOT)).await;
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
            BOT
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
    let (theirs, ours) = (comment(1, sticky("one").body(), BOT), comment(2, sticky("two").body(), BOT));
    mount(&server, "POST", COMMENTS, 201, ours.clone()).await;
    mount(&server, "PATCH", "/api/v3/repos/acme/shop/issues/comments/1", 200, comment(1, "", BOT)).await;
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

/// Pages of comments that never end; the sticky one is on page `at`.
async fn pages(server: &MockServer, at: u32) {
    Mock::given(method("GET"))
        .and(path(COMMENTS))
        .respond_with(move |request: &Request| {
            let page: u32 =
                request.url.query_pairs().find(|(key, _)| key == "page").unwrap().1.parse().unwrap();
            let mut comments: Vec<_> =
                (0..100).map(|n| comment(u64::from(page) * 100 + n, "LGTM", "alice")).collect();
            if page == at {
                comments[99] = comment(1, sticky("old").body(), BOT);
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
    mount(&server, "PATCH", "/api/v3/repos/acme/shop/issues/comments/1", 200, comment(1, "", BOT)).await;
    assert_eq!(github(&server).put_comment(7, &sticky("new")).await.unwrap().posted, Posted::Edited);

    let server = MockServer::start().await;
    pages(&server, 301).await;
    let error = github(&server).put_comment(7, &sticky("new")).await.unwrap_err();
    assert_eq!(error, ProviderError::TooManyComments { searched: 30_000 });
    assert!(requests(&server, "POST").await.is_empty());
}

/// Mocks the GraphQL API's answer about the token's account.
async fn acts_as(server: &MockServer, login: &str) {
    acts_as_app(server).await;
    let answer = json!({ "data": { "viewer": { "login": login } } });
    mount(server, "POST", "/api/graphql", 200, answer).await;
}

#[tokio::test]
async fn the_comment_of_another_app_is_left_alone() {
    for (ours, theirs) in [(BOT, "renovate[bot]"), ("deployer[bot]", BOT), ("deployer[bot]", "renovate[bot]")]
    {
        let server = MockServer::start().await;
        acts_as(&server, ours).await;
        mount(&server, "GET", COMMENTS, 200, json!([comment(1, sticky("old").body(), theirs)])).await;
        mount(&server, "POST", COMMENTS, 201, comment(2, sticky("new").body(), ours)).await;
        let posted = github(&server).put_comment(7, &sticky("new")).await.unwrap();
        assert_eq!((posted.id, posted.posted), (2, Posted::Created), "{ours} {theirs}");
        assert!(requests(&server, "PATCH").await.is_empty() && requests(&server, "DELETE").await.is_empty());
    }
}

#[tokio::test]
async fn an_app_that_cannot_ask_who_it_is_learns_it_from_what_it_writes() {
    let server = MockServer::start().await;
    acts_as_app(&server).await;
    let listed = json!([
        comment(1, sticky("theirs").body(), BOT.replace("github", "gitea").as_str()),
        comment(2, sticky("old").body(), "deployer[bot]"),
        comment(3, sticky("new").body(), "deployer[bot]"),
    ]);
    mount(&server, "GET", COMMENTS, 200, listed).await;
    mount(&server, "POST", COMMENTS, 201, comment(3, sticky("new").body(), "deployer[bot]")).await;
    let path = |id: u64| format!("/api/v3/repos/acme/shop/issues/comments/{id}");
    mount(&server, "DELETE", &path(3), 204, Value::Null).await;
    mount(&server, "PATCH", &path(2), 200, comment(2, sticky("new").body(), "deployer[bot]")).await;
    let posted = github(&server).put_comment(7, &sticky("new")).await.unwrap();
    assert_eq!((posted.id, posted.posted), (2, Posted::Edited));
}

#[tokio::test]
async fn a_second_comment_that_a_lost_answer_has_left_is_taken_back() {
    let server = MockServer::start().await;
    acts_as(&server, BOT).await;
    let listed = json!([
        comment(1, sticky("one").body(), BOT),
        comment(2, sticky("copied").body(), "alice"),
        comment(3, sticky("one").body(), BOT),
    ]);
    mount(&server, "GET", COMMENTS, 200, listed).await;
    Mock::given(method("DELETE"))
        .and(path("/api/v3/repos/acme/shop/issues/comments/3"))
        .respond_with(ResponseTemplate::new(204))
        .expect(1)
        .mount(&server)
        .await;
    let posted = github(&server).put_comment(7, &sticky("one")).await.unwrap();
    assert_eq!((posted.id, posted.posted), (1, Posted::Unchanged));
    assert_eq!(requests(&server, "DELETE").await.len(), 1);
}

#[tokio::test]
async fn of_three_thousand_comments_the_last_one_is_found_or_one_is_written() {
    for is_there in [true, false] {
        let server = MockServer::start().await;
        acts_as(&server, BOT).await;
        Mock::given(method("GET"))
            .and(path(COMMENTS))
            .respond_with(move |request: &Request| {
                let page: u64 =
                    request.url.query_pairs().find(|(key, _)| key == "page").unwrap().1.parse().unwrap();
                let number = if page <= 30 { 100 } else { 0 };
                let mut listed: Vec<_> =
                    (0..number).map(|n| comment(page * 100 + n, "LGTM", "alice")).collect();
                if let (30, true, Some(last)) = (page, is_there, listed.last_mut()) {
                    *last = comment(1, sticky("old").body(), BOT);
                }
                ResponseTemplate::new(200).set_body_json(listed)
            })
            .mount(&server)
            .await;
        let one = "/api/v3/repos/acme/shop/issues/comments/1";
        mount(&server, "PATCH", one, 200, comment(1, sticky("new").body(), BOT)).await;
        mount(&server, "POST", COMMENTS, 201, comment(2, sticky("new").body(), BOT)).await;
        let posted = github(&server).put_comment(7, &sticky("new")).await.unwrap();
        let expected = if is_there { (1, Posted::Edited) } else { (2, Posted::Created) };
        assert_eq!((posted.id, posted.posted), expected);
        assert_eq!(requests(&server, "POST").await.len(), usize::from(!is_there));
    }
}
