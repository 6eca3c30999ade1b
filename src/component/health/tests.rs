//! Tests of probes against a command, a server on the loopback interface, and fake tools.

use wiremock::matchers::path;
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::*;
use crate::component::Mode;
use crate::component::testing::{Fixture, write_program};
use crate::deployment::ComponentKind;

async fn seen(fixture: &Fixture, probe: Probe) -> String {
    fixture.with_run(Mode::Plan, async |run| check(run, &probe).await).await.unwrap().to_string()
}

fn script(text: &str) -> Probe {
    Probe::Command(["sh", "-c", text].map(str::to_owned).into())
}

#[tokio::test]
async fn a_command_says_by_its_status_and_its_last_line() {
    let fixture = Fixture::new(ComponentKind::Command, "worker");
    assert_eq!(
        seen(&fixture, script("echo starting; echo $ATMOS_COMPONENT is fine; echo")).await,
        "healthy (worker is fine)"
    );
    assert_eq!(seen(&fixture, script("echo queue is stuck >&2; exit 3")).await, "unhealthy (queue is stuck)");
    assert_eq!(seen(&fixture, script("exit 3")).await, "unhealthy (sh failed with exit status 3)");
}

#[tokio::test]
async fn a_url_is_healthy_by_its_status() {
    let server = MockServer::start().await;
    for (name, status) in [("/ok", 204), ("/down", 503)] {
        Mock::given(path(name)).respond_with(ResponseTemplate::new(status)).mount(&server).await;
    }
    let fixture = Fixture::new(ComponentKind::Command, "worker");
    let at = |name: &str, status| Probe::Http { url: format!("{}{name}", server.uri()), status };
    assert_eq!(seen(&fixture, at("/ok", None)).await, "healthy (HTTP 204)");
    assert_eq!(seen(&fixture, at("/ok", Some(200))).await, "unhealthy (HTTP 204)");
    assert_eq!(seen(&fixture, at("/down", None)).await, "unhealthy (HTTP 503)");
    assert_eq!(seen(&fixture, at("/down", Some(503))).await, "healthy (HTTP 503)");
    let nobody = Probe::Http { url: "http://127.0.0.1:1/?token=secret".to_owned(), status: None };
    assert_eq!(seen(&fixture, nobody).await, "unhealthy (no connection)");
}

#[tokio::test]
async fn the_tools_are_asked_for_json() {
    let mut fixture = Fixture::new(ComponentKind::Terraform, "ecs/service");
    let tool = |name: &str, script: &str| {
        let program = fixture.checkout().join(name);
        write_program(&program, &format!("#!/bin/sh\n{script}\n"));
    };
    let deployment = r#"{"kind": "Deployment", "spec": {"replicas": 1}, "status": {"updatedReplicas": 1, "availableReplicas": 1}}"#;
    tool(
        "kubectl",
        &format!(
            "[ \"$*\" = 'get deployment/api --output=json --namespace web' ] || exit 1\necho '{deployment}'"
        ),
    );
    tool("aws", "echo \"$*\" >&2; exit 254");
    fixture.path_first = Some(fixture.checkout());
    let namespace = Some("web".to_owned());
    let resource = "deployment/api".to_owned();
    let kubernetes = Probe::Kubernetes { resource, namespace, context: None };
    assert_eq!(seen(&fixture, kubernetes).await, "healthy (1/1 pods)");
    let (cluster, service) = ("app".to_owned(), "api".to_owned());
    let ecs = Probe::Ecs { cluster, service, region: Some("eu-1".to_owned()) };
    assert_eq!(
        seen(&fixture, ecs).await,
        "unknown (ecs describe-services --output json --cluster app --services api --region eu-1)"
    );
}

#[tokio::test]
async fn a_rollout_waits_until_it_is_healthy_or_the_time_is_up() {
    let fixture = Fixture::new(ComponentKind::Command, "worker");
    let (timeout, interval) = (Duration::from_secs(20), Duration::from_millis(20));
    let probe = script("echo x >> looks; [ $(wc -l < looks) -ge 3 ]");
    let patient = HealthCheck { probe, timeout, interval, required: true };
    let health = fixture.with_run(Mode::Apply, async |run| wait(run, &patient).await).await.unwrap();
    assert_eq!(health.status, HealthStatus::Healthy);
    assert_eq!(std::fs::read_to_string(fixture.checkout().join("looks")).unwrap().lines().count(), 3);

    let impatient = HealthCheck { probe: script("exit 1"), timeout: interval, interval, required: true };
    let health = fixture.with_run(Mode::Apply, async |run| wait(run, &impatient).await).await.unwrap();
    assert_eq!(health.status, HealthStatus::Unhealthy);
}
