//! The token appears nowhere.

use serde_json::json;
use wiremock::matchers::method;
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::*;

#[tokio::test]
async fn a_refusal_says_which_permission_is_missing_and_never_the_token() {
    let server = MockServer::start().await;
    let message = json!({ "message": format!("Resource not accessible by {TOKEN}\n::error::") });
    Mock::given(wiremock::matchers::any())
        .respond_with(ResponseTemplate::new(403).set_body_json(message))
        .mount(&server)
        .await;
    let github = github(&server);
    let error = github.put_comment(7, &sticky("x")).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "GitHub refused to write the comment (403: Resource not accessible by *** ::error::). The job needs \
         `pull-requests: write` under `permissions:`; a pull request from a fork cannot have it"
    );
    let error = github.protect().await.unwrap_err();
    assert!(error.to_string().contains("`administration: write`"), "{error}");
    assert!(!format!("{github:?} {error:?}").contains(TOKEN));

    let error = gitlab(&server, "CI_JOB_TOKEN").put_comment(7, &sticky("x")).await.unwrap_err();
    assert!(error.to_string().contains("A GitLab job token cannot write MR notes"), "{error}");
    assert!(!format!("{error:?}").contains(TOKEN));
    let error = gitlab(&server, "GITLAB_TOKEN").protect().await.unwrap_err();
    assert!(error.to_string().contains("role Maintainer"), "{error}");
}

/// Collects the log.
#[derive(Clone, Default)]
struct Log(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn no_log_level_shows_the_token() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let server = MockServer::start().await;
    let message = json!({ "message": format!("{TOKEN} is no good") });
    Mock::given(method("POST"))
        .respond_with(ResponseTemplate::new(500).set_body_json(message))
        .mount(&server)
        .await;
    // Places that log and that another thread comes by for the first time just now may not know of
    // this log yet: once all of them have been seen, they are told.
    for _ in 0..2 {
        for provider in [github(&server), gitlab(&server, "GITLAB_TOKEN")] {
            provider.set_commit_status(&commit(), &status()).await.unwrap_err();
        }
        tracing::callsite::rebuild_interest_cache();
    }
    let logged = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(logged.contains("*** is no good"), "{logged}");
    // The server of this test runs here as well, and may log the requests.
    let ours = logged.lines().filter(|line| !line.contains("wiremock")).collect::<String>();
    assert!(!ours.contains(TOKEN), "{ours}");
}
