//! `atmos deployment protect`: the requests to the platform, the output, and rules that are left
//! alone.

use serde_json::{Value, json};
use wiremock::matchers::{method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::support::{Checkout, Run, TestEnvironment};

const RULESETS: &str = "/repos/acme/shop/rulesets";
const PROTECTED_TAGS: &str = "/api/v4/projects/7/protected_tags";
const TOKEN: &str = "ghs_secret";

async fn answer(server: &MockServer, verb: &str, at: &str, status: u16, body: Value) {
    let response = ResponseTemplate::new(status).set_body_json(body);
    Mock::given(method(verb)).and(path(at)).respond_with(response).mount(server).await;
}

/// The requests that the platform has received, except for reads.
async fn changes(server: &MockServer) -> Vec<(String, Value)> {
    let requests = server.received_requests().await.unwrap_or_default();
    let changes = requests.iter().filter(|request| request.method.as_str() != "GET");
    changes.map(|request| (request.method.to_string(), request.body_json().unwrap_or_default())).collect()
}

#[track_caller]
fn protect(checkout: &Checkout<'_>, server: &MockServer, arguments: &str) -> Run {
    let line = format!("deployment protect {arguments}");
    let uri = server.uri();
    let job = [
        ("GITHUB_ACTIONS", "true"),
        ("GITHUB_REPOSITORY", "acme/shop"),
        ("GITHUB_API_URL", uri.as_str()),
        ("GITHUB_TOKEN", TOKEN),
    ];
    let run = checkout.atmos_with(&line, &job);
    assert!(!format!("{}{}", run.stdout, run.stderr).contains(TOKEN), "{}", run.report());
    run
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_changes_nothing_and_the_real_one_makes_the_ruleset() {
    let environment = TestEnvironment::new();
    let checkout = environment.payment_service("checkout");
    let server = MockServer::start().await;
    answer(&server, "GET", RULESETS, 200, json!([])).await;
    answer(&server, "POST", RULESETS, 201, json!({ "id": 3 })).await;

    let run = protect(&checkout, &server, "--dry-run").succeeded();
    run.shows("+ Would create: ruleset \"atmos deployments\"")
        .shows("GitHub cannot protect:")
        .shows("refs/atmos/*");
    assert_eq!(changes(&server).await, []);

    protect(&checkout, &server, "").succeeded().shows("✓ Created: ruleset");
    let changed = changes(&server).await;
    assert_eq!(changed.len(), 1);
    assert_eq!(changed[0].1["conditions"]["ref_name"]["include"], json!(["refs/tags/atmos/**/*"]));

    let document = protect(&checkout, &server, "--dry-run --format json").succeeded().json();
    assert_eq!(document["kind"], "ProtectionResult");
    assert_eq!(document["rules"][0]["found"], "missing");
    assert_eq!(document["dry_run"], true);
    assert!(document["unprotected"].as_array().unwrap().len() >= 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_may_not_is_told_what_it_lacks() {
    let environment = TestEnvironment::new();
    let checkout = environment.payment_service("checkout");
    let server = MockServer::start().await;
    answer(&server, "GET", RULESETS, 200, json!([])).await;
    let refusal = json!({ "message": format!("{TOKEN} is not accessible by integration") });
    answer(&server, "POST", RULESETS, 403, refusal).await;
    let run = protect(&checkout, &server, "").refused(1, "GitHub refused to protect the ledger (403");
    assert!(run.error_line().contains("`administration: write`"), "{}", run.report());
}

#[tokio::test(flavor = "multi_thread")]
async fn gitlab_protects_the_tags() {
    let environment = TestEnvironment::new();
    let checkout = environment.payment_service("checkout");
    let server = MockServer::start().await;
    let others = json!([{ "name": "v*", "create_access_levels": [{ "access_level": 40 }] }]);
    answer(&server, "GET", PROTECTED_TAGS, 200, others).await;
    answer(&server, "POST", PROTECTED_TAGS, 201, json!({ "name": "atmos/*" })).await;
    let uri = format!("{}/api/v4", server.uri());
    let job = [
        ("GITLAB_CI", "true"),
        ("CI_PROJECT_ID", "7"),
        ("CI_API_V4_URL", uri.as_str()),
        ("GITLAB_TOKEN", TOKEN),
    ];
    let run = checkout.atmos_with("deployment protect", &job).succeeded();
    let run = run.shows("✓ Created: protected tags atmos/*").shows("GitLab cannot protect:");
    assert!(!run.stdout.contains(TOKEN));
    let change = json!({ "name": "atmos/*", "create_access_level": 30 });
    assert_eq!(changes(&server).await, [("POST".to_owned(), change)]);

    let level = |level: u32, name: &str| json!({ "access_level": level, "access_level_description": name });
    let own = format!("{PROTECTED_TAGS}/atmos%2F%2A");
    let made = json!({ "name": "atmos/*", "create_access_levels": [level(30, "Developers + Maintainers")] });
    Mock::given(method("GET"))
        .and(path(own.as_str()))
        .respond_with(ResponseTemplate::new(200).set_body_json(made))
        .up_to_n_times(1)
        .mount(&server)
        .await;
    checkout.atmos_with("deployment protect", &job).succeeded().shows("✓ In place");

    // A rule that keeps all jobs from writing records is reported, and left to its owner.
    let closed = json!({ "name": "atmos/*", "create_access_levels": [level(0, "No one")] });
    answer(&server, "GET", &own, 200, closed).await;
    for (arguments, code) in [("--dry-run", 0), ("", 1)] {
        let run = checkout.atmos_with(&format!("deployment protect {arguments}"), &job);
        assert_eq!(run.code, Some(code), "{}", run.report());
        run.shows("✗ Differs: protected tags atmos/*: allowed to create: No one; jobs need Developers + Maintainers")
            .shows("Settings → Repository → Protected tags → atmos/*");
    }
    // If several rules match a tag, any of them may allow it.
    let open = json!([{ "name": "*", "create_access_levels": [level(30, "Developers + Maintainers")] }]);
    Mock::given(method("GET"))
        .and(path(PROTECTED_TAGS))
        .respond_with(ResponseTemplate::new(200).set_body_json(open))
        .with_priority(1)
        .mount(&server)
        .await;
    checkout.atmos_with("deployment protect", &job).succeeded().shows("✓ In place: protected tags *: tags");
    assert_eq!(changes(&server).await.len(), 1);

    let refused = MockServer::start().await;
    answer(&refused, "POST", PROTECTED_TAGS, 401, json!({ "message": "401 Unauthorized" })).await;
    let uri = format!("{}/api/v4", refused.uri());
    let job_token = [job[0], job[1], ("CI_API_V4_URL", uri.as_str()), ("CI_JOB_TOKEN", "job")];
    checkout.atmos_with("deployment protect", &job_token).refused(1, "A GitLab job token may not do this");
}

#[test]
fn without_a_platform_there_is_nothing_to_ask() {
    let environment = TestEnvironment::new();
    let (checkout, _remote) = environment.with_remote();
    checkout
        .atmos("deployment protect")
        .refused(2, "A remote on neither GitHub nor GitLab cannot protect the ledger")
        .says("GitHub or GitLab");
    checkout.atmos("deployment protect --offline").refused(2, "--offline");
    // Outside of a job, the platform follows from the remote; then only the token is missing.
    checkout.git(&["remote", "set-url", "origin", "git@github.com:acme/shop.git"]);
    checkout.atmos("deployment protect").refused(2, "there is no token");
    // The address as written counts, even if git is redirected to another; an alias is resolved.
    checkout.git(&["config", "url.ssh://git@mirror.example.com/.insteadOf", "https://github.com/"]);
    checkout.git(&["config", "url.https://gitlab.com/.insteadOf", "github:"]);
    for (address, platform) in
        [("https://github.com/acme/shop.git", "GitHub"), ("github:acme/shop", "GitLab")]
    {
        checkout.git(&["remote", "set-url", "origin", address]);
        let run = checkout.atmos("deployment protect").refused(2, "there is no token");
        assert!(run.error_line().contains(platform), "{}", run.report());
    }
}
