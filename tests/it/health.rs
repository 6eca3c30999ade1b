//! Health checks after a rollout and on request, and the notes that keep their results.

use serde_json::Value;

use crate::support::{Checkout, Clone, Remote, TestEnvironment};

const DEPLOYMENT: &str = "\
deployment:
  name: shop
  components:
    command:
      api: { settings: SETTINGS }
      after-api: { metadata: { depends_on: [api] }, settings: { command: { apply: ['true'] } } }
  targets: { dev: {}, prod: { promotion: { from: dev } } }
";

const CHECK: &str = "#!/bin/sh\ncat $TEST_APPLIED\ngrep -q fine $TEST_APPLIED\n";

fn shop<'e>(environment: &'e TestEnvironment, more: &str) -> (Checkout<'e>, Remote<'e>) {
    let remote = environment.bare("remote.git", &[]);
    let checkout = environment.empty_repository("checkout", &[]);
    let health =
        format!("{{ command: ['./check-{{{{ target.name }}}}.sh'], timeout: 300ms, interval: 100ms{more} }}");
    let settings = format!("{{ command: {{ apply: ['true'] }}, health: {health} }}");
    checkout.write("deployments/shop.yaml", &DEPLOYMENT.replace("SETTINGS", &settings));
    checkout.write_script("check-dev.sh", CHECK);
    checkout.commit("Version 1");
    checkout.git(&["remote", "add", "origin", &remote.url()]);
    checkout.git(&["push", "--quiet", "origin", "main"]);
    (checkout, remote)
}

fn is(environment: &TestEnvironment, health: &str) {
    std::fs::write(environment.path("applied"), health).unwrap();
}

fn api(document: &Value) -> Value {
    document["deployments"][0]["targets"][0]["components"][0].clone()
}

#[test]
fn the_last_look_is_noted_and_shown_with_its_age() {
    let mut environment = TestEnvironment::new();
    environment.set_clock("2025-01-22T12:00:00Z");
    let (checkout, remote) = shop(&environment, "");
    is(&environment, "fine (2 queues)");
    let rollout = checkout.json("deployment rollout shop --target dev");
    assert_eq!(rollout["components"][0]["health"]["status"], "healthy");
    let at = |time| [("ATMOS_NOW", time)];
    let status = "deployment status shop --target dev";
    let clone = environment.clone(&remote.url(), "clone", Clone::SHALLOW);
    clone
        .atmos_with(status, &at("2025-01-22T12:30:00Z"))
        .succeeded()
        .shows("Health: healthy (fine (2 queues)), 30m ago");

    is(&environment, "stuck");
    let asked =
        checkout.atmos_with(&format!("{status} --check-health --format json"), &at("2025-01-22T13:00:00Z"));
    let asked = api(&asked.exited(5).json());
    assert_eq!(
        (&asked["health"], &asked["health_checked_at"]),
        (&"unhealthy (stuck)".into(), &"2025-01-22T13:00:00Z".into())
    );
    let note = remote.git(&["notes", "--ref=atmos/shop/health", "show", &checkout.head()]);
    assert_eq!(note.lines().count(), 1, "of each component the newest: {note}");
    clone.atmos_with(status, &at("2025-01-22T15:00:00Z")).succeeded().shows("unhealthy (stuck), 2h ago");

    // The other views show the result too, from any checkout.
    let later = at("2025-01-22T15:00:00Z");
    let components = "deployment list components shop --target dev";
    clone.atmos_with(components, &later).succeeded().shows("unhealthy (stuck), 2h ago");
    let targets = clone.atmos_with("deployment list targets shop --format json", &later).succeeded().json();
    let dev = &targets["targets"][0];
    assert_eq!(
        (&dev["health"], &dev["health_checked_at"]),
        (&"unhealthy (stuck)".into(), &"2025-01-22T13:00:00Z".into())
    );
    assert_eq!(targets["targets"][1].get("health"), None);
    let graph = "deployment promotion-graph shop";
    clone
        .atmos_with(&format!("{graph} --show-status"), &later)
        .succeeded()
        .shows("health: unhealthy (stuck), 2h ago");

    // A result for an earlier version does not count for the version that runs now.
    checkout
        .write("deployments/shop.yaml", &DEPLOYMENT.replace("SETTINGS", "{ command: { apply: ['true'] } }"));
    checkout.commit("Version 2");
    checkout.atmos_with("deployment rollout shop --target dev", &at("2025-01-22T16:00:00Z")).succeeded();
    assert_eq!(api(&checkout.json(status)).get("health"), None);
}

#[test]
fn what_does_not_become_healthy_has_failed_unless_it_need_not() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = shop(&environment, "");
    is(&environment, "stuck");
    let run = checkout.atmos("deployment rollout shop --target dev --format json").exited(1);
    let result = run.json();
    assert_eq!(result["components"][0]["status"], "failed");
    assert_eq!(result["components"][0]["error"], "it is not healthy after 0.3 s: unhealthy (stuck)");
    assert_eq!(result["components"][1]["status"], "skipped");
    assert_eq!(remote.records("shop", "dev", "api").len(), 1);
    assert_eq!(remote.refs("refs/atmos/deployments/"), [""; 0]);

    let environment = TestEnvironment::new();
    let (checkout, _) = shop(&environment, ", required: false");
    is(&environment, "stuck");
    let run = checkout.atmos("deployment rollout shop --target dev").succeeded();
    run.says("unhealthy (stuck)");
}

#[test]
fn an_image_can_be_asked_for_by_a_command_too() {
    let environment = TestEnvironment::new();
    let (checkout, _) = shop(&environment, "");
    is(&environment, "fine");
    let settings = "{ nixpack: { publish: false }, health: { command: ['./check-{{ target.name }}.sh'], timeout: 300ms } }";
    let component = format!("nixpack: {{ image: {{ vars: {{ source: . }}, settings: {settings} }} }}");
    let alone = DEPLOYMENT.split("    command:").next().unwrap();
    checkout.write("deployments/shop.yaml", &format!("{alone}    {component}\n  targets: {{ dev: {{}} }}\n"));
    checkout.commit("An image");
    let rollout = checkout.json("deployment rollout shop --target dev");
    assert_eq!(rollout["components"][0]["health"]["detail"], "fine", "{rollout}");
    is(&environment, "stuck");
    checkout.atmos("deployment status shop --target dev --check-health").exited(5).shows("unhealthy (stuck)");
}
