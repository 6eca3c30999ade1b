//! Every misbehaviour for every kind of call: the requests that are sent, and the errors. A write
//! is reported as done only if it was.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::socket_server::{Answer, Heard, SocketServer};
use super::*;

/// A server's behaviour for a write.
struct Misbehaviour {
    name: &'static str,
    answer: Answer,
    /// Whether the write is executed all the same.
    carried_out: bool,
    /// The number of requests of each call: the status, which may be retried; the workflow, which
    /// may not; the comment, which is searched for.
    sent: [usize; 3],
    /// The error text of the status.
    says: &'static str,
}

const fn case(
    name: &'static str,
    answer: Answer,
    carried_out: bool,
    sent: [usize; 3],
    says: &'static str,
) -> Misbehaviour {
    Misbehaviour { name, answer, carried_out, sent, says }
}

fn misbehaviours() -> Vec<Misbehaviour> {
    let bytes = |text: &str| Answer::Bytes(text.to_owned());
    let json = r#"{"id": 5, "user": {"login": "github-actions[bot]"}}"#;
    let page = "<!DOCTYPE html><title>Sign in</title>";
    let http = Answer::http;
    let limit = r#"{"message": "You have exceeded a secondary rate limit"}"#;
    vec![
        // The write is executed, and its response is lost.
        case("closed", Answer::Close, true, [3, 1, 1], "could not set the commit status: "),
        case("reset", Answer::Reset, true, [3, 1, 1], "could not set the commit status: "),
        case("stalled", Answer::Stall, true, [3, 1, 1], "no answer within 0 s"),
        case("half a head", bytes("HTTP/1.1 201 Crea"), true, [3, 1, 1], "could not set the commit status: "),
        case(
            "half a body",
            bytes("HTTP/1.1 201 Created\r\ncontent-length: 1000\r\n\r\n{\"id\": 5"),
            true,
            [3, 1, 1],
            "could not set the commit status: ",
        ),
        case(
            "a chunk that does not end",
            bytes("HTTP/1.1 201 Created\r\ntransfer-encoding: chunked\r\n\r\n400\r\n{\"id\": 5"),
            true,
            [3, 1, 1],
            "could not set the commit status: ",
        ),
        case(
            "no HTTP",
            bytes("SSH-2.0-OpenSSH_9.6\r\n"),
            true,
            [3, 1, 1],
            "could not set the commit status: ",
        ),
        case(
            "too short a length",
            bytes(&format!("HTTP/1.1 201 Created\r\ncontent-length: 9\r\nconnection: close\r\n\r\n{json}")),
            true,
            [1, 1, 1],
            "something unexpected",
        ),
        case("an error after it", http(502, &[], "Bad Gateway"), true, [3, 1, 1], "502 Bad Gateway"),
        case("too slow for a proxy", http(504, &[], page), true, [3, 1, 1], "504 "),
        // The write is not executed, and the response looks successful.
        case(
            "a portal",
            http(200, &[("content-type", "text/html")], page),
            false,
            [1, 1, 3],
            "no JSON: <!DOCTYPE",
        ),
        case("an empty page", http(200, &[], ""), false, [1, 1, 3], "an empty answer"),
        // The write is refused.
        case("moved", http(301, &[("location", "/new")], ""), false, [1, 1, 1], "points to http://"),
        case("found", http(302, &[("location", "/new")], ""), false, [1, 1, 1], "points to http://"),
        case("see other", http(303, &[("location", "/new")], ""), false, [1, 1, 1], "points to http://"),
        case("no place", http(302, &[], ""), false, [1, 1, 1], "refused to set the commit status (302"),
        case("too often", http(429, &[], "{}"), false, [3, 3, 3], "too many requests"),
        case(
            "too often for an hour",
            http(429, &[("retry-after", "3600")], "{}"),
            false,
            [1, 1, 1],
            "3600 s",
        ),
        case("secondary limit", http(403, &[], limit), false, [3, 3, 3], "too many requests"),
        case("conflict", http(409, &[], r#"{"message": "Conflict"}"#), false, [3, 1, 1], "(409: Conflict)"),
        case("expired", http(401, &[], r#"{"message": "Bad credentials"}"#), false, [1, 1, 1], "not valid"),
        case("an outage", http(503, &[], ""), false, [3, 1, 3], "503 no explanation"),
        case("an hour's outage", http(503, &[("retry-after", "3600")], ""), false, [1, 1, 3], "503 no expl"),
    ]
}

/// A server of GitHub's API: reads are answered well, writes by a misbehaviour.
async fn server(misbehaviour: &Misbehaviour) -> (SocketServer, Arc<Mutex<Vec<Value>>>) {
    let comments = Arc::<Mutex<Vec<Value>>>::default();
    let (kept, answer, carried_out) =
        (Arc::clone(&comments), misbehaviour.answer.clone(), misbehaviour.carried_out);
    let server = SocketServer::start(move |heard: &Heard| {
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        match (heard.method.as_str(), heard.path.as_str()) {
            ("GET", "/user") => Answer::http(403, &[], r#"{"message": "Resource not accessible"}"#),
            (_, "/graphql") => Answer::http(404, &[], r#"{"message": "Not Found"}"#),
            ("GET", _) => Answer::http(200, &[], &Value::from(kept.clone()).to_string()),
            (_, path) => {
                if carried_out && path.ends_with("/comments") {
                    let body: Value = serde_json::from_str(&heard.body).unwrap();
                    kept.push(comment(5, body["body"].as_str().unwrap(), BOT));
                }
                answer.clone()
            }
        }
    });
    (server.await, comments)
}

fn impatient(misbehaviour: &Misbehaviour, server: &SocketServer) -> Box<dyn Provider> {
    let timeout = match misbehaviour.answer {
        Answer::Stall => Duration::from_millis(300),
        _ => POLICY.timeout,
    };
    let variables = [
        ("GITHUB_ACTIONS", "true"),
        ("GITHUB_API_URL", server.address.as_str()),
        ("GITHUB_REPOSITORY", "acme/shop"),
        ("GITHUB_TOKEN", TOKEN),
    ];
    patient(RetryPolicy { timeout, ..POLICY }, &variables)
}

#[tokio::test]
async fn nothing_is_said_to_be_done_unless_it_was_and_nothing_is_done_twice() {
    let dispatch =
        Dispatch { workflow: "deploy.yml".to_owned(), reference: "main".to_owned(), inputs: BTreeMap::new() };
    for misbehaviour in misbehaviours() {
        let name = misbehaviour.name;
        let writes = |server: &SocketServer| {
            server.heard("POST").iter().filter(|heard| heard.path != "/graphql").count()
        };
        let mut sent = [0; 3];

        let (of_status, _) = server(&misbehaviour).await;
        let told = impatient(&misbehaviour, &of_status).set_commit_status(&commit(), &status()).await;
        let error = told.expect_err(name).to_string();
        assert!(error.contains(misbehaviour.says), "{name}: {error}");
        assert!(!error.contains(TOKEN), "{name}: {error}");
        sent[0] = writes(&of_status);

        let (of_dispatch, _) = server(&misbehaviour).await;
        let told = impatient(&misbehaviour, &of_dispatch).dispatch(&dispatch).await;
        told.expect_err(name);
        sent[1] = writes(&of_dispatch);

        let (of_comment, comments) = server(&misbehaviour).await;
        let told = impatient(&misbehaviour, &of_comment).put_comment(7, &sticky("x")).await;
        let is_there = comments.lock().unwrap_or_else(PoisonError::into_inner).len();
        assert_eq!(told.is_ok(), is_there == 1, "{name}: {told:?}, and {is_there} are there");
        sent[2] = writes(&of_comment);
        assert_eq!(sent, misbehaviour.sent, "{name}: status, workflow, comment");
    }
}

#[tokio::test]
async fn a_list_that_arrives_in_part_is_not_taken_for_the_whole() {
    let head = "HTTP/1.1 200 OK\r\n";
    let listed = "[{\"id\": 1, \"body\": \"LGTM\"}, ";
    for (name, answer, asked) in [
        ("cut", format!("{head}content-length: 1000\r\n\r\n{listed}"), 3),
        ("short", format!("{head}content-length: {}\r\nconnection: close\r\n\r\n{listed}", listed.len()), 1),
        ("another page", format!("{head}content-length: 6\r\nconnection: close\r\n\r\n<html>"), 1),
        ("no list", format!("{head}content-length: 2\r\nconnection: close\r\n\r\n{{}}"), 1),
    ] {
        let server = SocketServer::start(move |_| Answer::Bytes(answer.clone())).await;
        let variables = [
            ("GITHUB_ACTIONS", "true"),
            ("GITHUB_API_URL", server.address.as_str()),
            ("GITHUB_REPOSITORY", "acme/shop"),
            ("GITHUB_TOKEN", TOKEN),
        ];
        provider(&variables).put_comment(7, &sticky("x")).await.expect_err(name);
        assert_eq!((server.heard("GET").len(), server.heard("POST").len()), (asked, 0), "{name}");
    }
}
