use wiremock::matchers::{header, method, path, query_param};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::*;

fn digest(of: char) -> String {
    format!("sha256:{}", String::from(of).repeat(64))
}

#[test]
fn images_are_found_where_engines_find_them() {
    let url = |text: &str| ImageReference::parse(text).unwrap().manifest_url();
    assert_eq!(
        url("registry.example.com:5000/team/api@sha256:aa"),
        "https://registry.example.com:5000/v2/team/api/manifests/sha256:aa"
    );
    assert_eq!(url("localhost:5000/api:v1"), "http://localhost:5000/v2/api/manifests/v1");
    assert_eq!(url("nginx:1.25"), "https://registry-1.docker.io/v2/library/nginx/manifests/1.25");
    assert_eq!(url("team/api:v1"), "https://registry-1.docker.io/v2/team/api/manifests/v1");
    assert_eq!(ImageReference::parse("localhost:5000/api"), None);
    let text = "r.example.com/a@sha256:aa";
    assert_eq!(ImageReference::parse(text).unwrap().to_string(), text);
}

#[tokio::test]
async fn a_registry_is_asked_with_the_engines_credentials() {
    let server = MockServer::start().await;
    let host = server.address().to_string();
    let realm = format!("Bearer realm=\"http://{host}/token\",service=\"registry\"");
    Mock::given(method("HEAD"))
        .and(path(format!("/v2/api/manifests/{}", digest('a'))))
        .and(header("authorization", "Bearer bought"))
        .respond_with(ResponseTemplate::new(200).insert_header("docker-content-digest", digest('a')))
        .with_priority(1)
        .mount(&server)
        .await;
    Mock::given(method("HEAD"))
        .and(path(format!("/v2/api/manifests/{}", digest('b'))))
        .and(header("authorization", "Bearer bought"))
        .respond_with(ResponseTemplate::new(404))
        .with_priority(1)
        .mount(&server)
        .await;
    Mock::given(method("GET"))
        .and(path("/token"))
        .and(query_param("scope", "repository:api:pull"))
        .and(header("authorization", "Basic bWU6c2VjcmV0"))
        .respond_with(ResponseTemplate::new(200).set_body_string(r#"{"token": "bought"}"#))
        .mount(&server)
        .await;
    Mock::given(method("HEAD"))
        .respond_with(ResponseTemplate::new(401).insert_header("www-authenticate", realm.as_str()))
        .with_priority(9)
        .mount(&server)
        .await;
    let folder = tempfile::tempdir().unwrap();
    let mut environment = Environment::default();
    environment.set("DOCKER_CONFIG", folder.path());
    let presence = async |environment: &Environment, of: char| {
        let image = ImageReference::by_digest(&format!("{host}/api"), &digest(of));
        Registry::new(environment).unwrap().presence(&image).await
    };
    assert!(matches!(presence(&environment, 'a').await, Presence::Unknown(reason) if reason.contains("401")));
    let file = format!(r#"{{"auths": {{"http://{host}/v2/": {{"auth": "bWU6c2VjcmV0"}}}}}}"#);
    std::fs::write(folder.path().join("config.json"), file).unwrap();
    assert_eq!(presence(&environment, 'a').await, Presence::Present);
    assert_eq!(presence(&environment, 'b').await, Presence::Missing);
    let debug = format!("{:?}", Registry::new(&environment).unwrap());
    assert!(!debug.contains("bWU6"), "{debug}");
}

#[tokio::test]
async fn a_registry_that_is_not_there_says_nothing() {
    let image = ImageReference::parse("127.0.0.1:9/api@sha256:aa").unwrap();
    let presence = Registry::new(&Environment::default()).unwrap().presence(&image).await;
    assert!(matches!(presence, Presence::Unknown(_)), "{presence:?}");
}

/// Writes a helper in a separate process: a file that this process has open for writing cannot be
/// run.
fn helper(folder: &std::path::Path, name: &str, script: &str) {
    let file = folder.join(format!("docker-credential-{name}"));
    let write = "printf '#!/bin/sh\\n%s\\n' \"$2\" > \"$1\" && chmod 755 \"$1\"";
    let written =
        std::process::Command::new("/bin/sh").args(["-c", write, "sh"]).arg(file).arg(script).status();
    assert!(written.unwrap().success());
}

#[tokio::test]
async fn what_helpers_keep_is_used_and_never_shown() {
    let server = MockServer::start().await;
    let host = server.address().to_string();
    Mock::given(method("HEAD"))
        .and(header("authorization", "Basic bWU6c2VjcmV0"))
        .respond_with(ResponseTemplate::new(200))
        .with_priority(1)
        .mount(&server)
        .await;
    Mock::given(method("HEAD"))
        .respond_with(
            ResponseTemplate::new(401).insert_header("www-authenticate", "Basic realm=\"registry\""),
        )
        .with_priority(9)
        .mount(&server)
        .await;
    let folder = tempfile::tempdir().unwrap();
    let own = format!(
        "[ \"$1\" = get ] && read url && [ \"$url\" = '{host}' ] && \
         echo '{{\"ServerURL\": \"x\", \"Username\": \"me\", \"Secret\": \"secret\"}}'"
    );
    helper(folder.path(), "own", &own);
    helper(folder.path(), "none", "echo credentials not found in native keychain; exit 1");
    helper(folder.path(), "broken", "echo secret; echo secret >&2; exit 3");
    helper(folder.path(), "chatty", "echo 'Username: me, Secret: secret'");
    helper(folder.path(), "token", "echo '{\"Username\": \"<token>\", \"Secret\": \"secret\"}'");
    helper(folder.path(), "slow", "exec sleep 60");
    let mut environment = Environment::default();
    environment.set("DOCKER_CONFIG", folder.path());
    environment.set("PATH", format!("{}:/usr/bin:/bin", folder.path().display()));
    let presence = async |file: String| {
        std::fs::write(folder.path().join("config.json"), file).unwrap();
        let image = ImageReference::by_digest(&format!("{host}/api"), &digest('a'));
        let registry = Registry::new(&environment).unwrap();
        let presence = registry.presence(&image).await;
        let shown = format!("{presence:?} {registry:?}");
        assert!(!shown.contains("secret") && !shown.contains("c2VjcmV0"), "{shown}");
        match presence {
            Presence::Unknown(reason) => reason,
            other => format!("{other:?}"),
        }
    };
    let of_registry =
        |name: &str| format!(r#"{{"credHelpers": {{"{host}": "{name}"}}, "credsStore": "broken"}}"#);
    assert_eq!(presence(of_registry("own")).await, "Present");
    assert_eq!(presence(r#"{"credsStore": "own"}"#.to_owned()).await, "Present");
    // Credentials in the file take precedence over the helper for all registries.
    let in_file = format!(r#"{{"auths": {{"{host}": {{"auth": "bWU6c2VjcmV0"}}}}, "credsStore": "broken"}}"#);
    assert_eq!(presence(in_file).await, "Present");
    for (name, expected) in [
        ("none", "it answers 401 Unauthorized"),
        ("broken", "it wants credentials, and docker-credential-broken failed with exit status 3"),
        ("chatty", "docker-credential-chatty answered with something other than credentials"),
        ("token", "docker-credential-token keeps an identity token, which only the engine can use"),
        ("absent", "the credential helper docker-credential-absent is not on PATH"),
        ("../own", "the credential helper docker-credential-../own is not on PATH"),
    ] {
        let reason = presence(of_registry(name)).await;
        assert!(reason.ends_with(expected), "{name}: {reason}");
    }
    let moment = Duration::from_millis(200);
    let error = helper::ask("slow", &host, &environment, moment).await.unwrap_err().to_string();
    assert!(error.starts_with("docker-credential-slow did not end within"), "{error}");
}
