//! Redirects over real sockets: the requests that are sent, with which token.

use super::socket_server::{Answer, SocketServer};
use super::*;

fn github_at(server: &SocketServer) -> Box<dyn Provider> {
    provider(&[
        ("GITHUB_ACTIONS", "true"),
        ("GITHUB_API_URL", &server.address),
        ("GITHUB_REPOSITORY", "acme/shop"),
        ("GITHUB_TOKEN", TOKEN),
    ])
}

fn gitlab_at(server: &SocketServer) -> Box<dyn Provider> {
    provider(&[
        ("GITLAB_CI", "true"),
        ("CI_API_V4_URL", &format!("{}/api/v4", server.address)),
        ("CI_PROJECT_ID", "42"),
        ("GITLAB_TOKEN", TOKEN),
    ])
}

#[tokio::test]
async fn a_renamed_repository_is_written_to_with_the_same_method_and_body() {
    for status_code in [307, 308] {
        let server = SocketServer::start(move |heard| match heard.path.strip_prefix("/repos/acme/shop") {
            Some(rest) => Answer::http(status_code, &[("location", &format!("/repositories/7{rest}"))], "{}"),
            None => Answer::http(201, &[], "{}"),
        })
        .await;
        github_at(&server).set_commit_status(&commit(), &status()).await.unwrap();
        let sent = server.heard("POST");
        assert_eq!(sent.len(), 2);
        assert_eq!(sent[1].path, format!("/repositories/7/statuses/{}", commit()));
        assert!(sent[1].body.contains("atmos/api/prod") && sent[1].body == sent[0].body, "{sent:?}");
        assert!(sent[1].headers.contains(&format!("authorization: bearer {TOKEN}")), "{sent:?}");
    }
}

#[tokio::test]
async fn a_renamed_repository_is_read_page_by_page() {
    let server = SocketServer::start(|heard| match heard.path.split_once("/issues/7/comments?") {
        // The page is lost on the way.
        Some(("/repos/acme/shop", _)) => {
            Answer::http(301, &[("location", "/repositories/7/issues/7/comments")], "{}")
        }
        Some((_, query)) if query.ends_with("&page=1") => {
            let listed: Vec<_> = (0..100).map(|id| comment(id, "LGTM", "alice")).collect();
            Answer::http(200, &[], &Value::from(listed).to_string())
        }
        Some(_) => Answer::http(200, &[], "[]"),
        None => Answer::http(201, &[], &comment(200, sticky("x").body(), BOT).to_string()),
    })
    .await;
    github_at(&server).put_comment(7, &sticky("x")).await.unwrap();
    assert_eq!(server.heard("POST").len(), 1);
}

#[tokio::test]
async fn neither_a_request_nor_a_token_goes_to_another_server() {
    for status_code in [301, 302, 303, 307, 308] {
        let other = SocketServer::start(|_| Answer::http(201, &[], "{}")).await;
        let location = format!("{}/api/v4/x?secret=s", other.address);
        let server =
            SocketServer::start(move |_| Answer::http(status_code, &[("location", &location)], "{}")).await;
        for provider in [github_at(&server), gitlab_at(&server)] {
            let error = provider.set_commit_status(&commit(), &status()).await.unwrap_err();
            let said = error.to_string();
            assert!(
                said.contains(&format!("it points to {}/api/v4/x ({status_code})", other.address)),
                "{said}"
            );
            assert!(said.contains("least of all the token") && !said.contains("secret"), "{said}");
            let error = provider.put_comment(7, &sticky("x")).await.unwrap_err();
            assert!(matches!(error, ProviderError::Moved { .. }), "{error}");
        }
        assert!(other.heard("GET").is_empty() && other.heard("POST").is_empty());
        assert_eq!((server.heard("POST").len(), server.heard("GET").len()), (2, 2));
    }
}

#[tokio::test]
async fn a_circle_of_redirects_comes_to_an_end() {
    let server = SocketServer::start(|_| Answer::http(307, &[("location", "/api/v4/again")], "{}")).await;
    for provider in [github_at(&server), gitlab_at(&server)] {
        let error = provider.set_commit_status(&commit(), &status()).await.unwrap_err();
        let to = format!("it points to {}/api/v4/again (307). It was sent on 5 times", server.address);
        assert!(error.to_string().contains(&to), "{error}");
    }
    assert_eq!(server.heard("POST").len(), 12);
}
