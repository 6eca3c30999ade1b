//! Images, from the record of their build to the components that use them.

use crate::support::{Checkout, TestEnvironment};

const DEPLOYMENT: &str = "\
deployment:
  name: shop
  context: { promote_by: METHOD }
  components:
    nixpack:
      api:
        metadata: { labels: { service: api } }
        vars:
          source: services/api
          image: { name: shop/api, tag: '{{ git.sha }}' }
      worker: {}
    command:
      ecs/taskdef: { metadata: { labels: { service: api }, depends_on: [api] }, settings: SHOW }
      jobs/worker: { settings: SHOW }
      explicit: { vars: { picture: '{{ nixpack.worker.image }}' }, settings: SHOW }
      own: { metadata: { labels: { service: api } }, vars: { image: mine }, settings: SHOW }
  targets:
    dev: {}
    prod:
      promotion: { from: dev }
      components: { api: { vars: { image: { registry: prod.example.com } } } }
";

const SHOW: &str = "#!/bin/sh\n\
    echo \"$ATMOS_TARGET $ATMOS_COMPONENT $ATMOS_ARTIFACT_API $(tr -d ' \\n' < $ATMOS_VARS_FILE)\" >> $TEST_APPLIED\n";

const API: &str = "dev.example.com/shop/api@sha256:aaaa";
const WORKER: &str = "dev.example.com/worker@sha256:bbbb";

fn shop<'e>(environment: &'e TestEnvironment, method: &str) -> Checkout<'e> {
    let checkout = environment.empty_repository("checkout", &[]);
    let show = "{ command: { apply: [./show.sh] } }";
    checkout.write("deployments/shop.yaml", &DEPLOYMENT.replace("SHOW", show).replace("METHOD", method));
    checkout.write_script("show.sh", SHOW);
    checkout.commit("Version 1");
    record_builds(&checkout);
    checkout
}

/// Records builds as `build` does: a tag object for each image, found by deployment, commit and
/// component.
fn record_builds(checkout: &Checkout<'_>) {
    let commit = checkout.head();
    for (component, image) in [("api", API), ("worker", WORKER)] {
        let id = format!("shop.{commit}.{component}");
        let message = format!("atmos.tools/v1alpha1\nkind: Build\n---\nbuild_id: {id}\nimage: {image}\n");
        checkout.git(&["tag", "--annotate", "--message", &message, "build", &commit]);
        checkout.git(&["update-ref", &format!("refs/atmos/builds/{id}"), "refs/tags/build"]);
        checkout.git(&["tag", "--delete", "build"]);
    }
}

/// The components that were applied, sorted. Clears the log.
fn applied(environment: &TestEnvironment) -> Vec<String> {
    let mut lines = environment.applied();
    lines.sort();
    environment.forget_applied();
    lines
}

#[test]
fn an_image_reaches_its_users_by_digest_and_is_promoted_as_it_is() {
    let environment = TestEnvironment::new();
    let checkout = shop(&environment, "digest");
    checkout.atmos("deployment rollout shop --target dev").succeeded();
    let expected = |target: &str| {
        vec![
            format!("{target} ecs/taskdef {API} {{\"image\":\"{API}\"}}"),
            format!("{target} explicit {API} {{\"picture\":\"{WORKER}\"}}"),
            format!("{target} jobs/worker {API} {{\"image\":\"{WORKER}\"}}"),
            format!("{target} own {API} {{\"image\":\"mine\"}}"),
        ]
    };
    assert_eq!(applied(&environment), expected("dev"));
    let record = checkout.json("deployment history shop --target dev --component api");
    assert_eq!(record["records"][0]["artifacts"]["api"], API);

    // Promotions use the images that ran, whatever has become of the build records since.
    checkout.git(&["update-ref", "-d", &format!("refs/atmos/builds/shop.{}.api", checkout.head())]);
    checkout.atmos("deployment rollout shop --target prod --promote-from dev").succeeded();
    assert_eq!(applied(&environment), expected("prod"));

    // On its own, a component uses the images that run beside it; in a promotion, those at the
    // source.
    checkout.commit("Version 2");
    checkout.atmos("deployment rollout shop --target dev --component ecs/taskdef").succeeded();
    assert_eq!(applied(&environment), [expected("dev")[0].clone()]);
    checkout.atmos("deployment rollout shop --target prod --promote-from dev --component own").succeeded();
    assert_eq!(applied(&environment), [expected("prod")[3].clone()]);
}

#[test]
fn an_image_that_requires_an_sbom_is_not_deployed_without() {
    let environment = TestEnvironment::new();
    let checkout = shop(&environment, "digest");
    let file = std::fs::read_to_string(checkout.path.join("deployments/shop.yaml")).unwrap();
    let health = "{ http: { url: 'http://127.0.0.1:9' }, timeout: 1s, required: false }";
    let settings = format!(
        "      worker: {{ settings: {{ nixpack: {{ sbom: {{ require: true }} }}, health: {health} }} }}"
    );
    checkout.write("deployments/shop.yaml", &file.replace("      worker: {}", &settings));
    checkout.commit("Require an SBOM");
    record_builds(&checkout);
    let run = checkout.atmos("deployment rollout shop --target dev").refused(3, "needs an SBOM");
    assert!(run.stderr.contains("worker at commit "), "{}", run.report());
    // The SBOM of another component is not enough.
    let attach = |component: &str| {
        checkout.write("sbom.json", r#"{"bomFormat": "CycloneDX", "specVersion": "1.5", "components": []}"#);
        let line = format!("deployment attach shop sbom --component {component} --file sbom.json");
        checkout.atmos(&line).succeeded();
        std::fs::remove_file(checkout.path.join("sbom.json")).unwrap();
    };
    attach("api");
    checkout.atmos("deployment rollout shop --target dev").refused(3, "needs an SBOM");
    assert_eq!(applied(&environment), [""; 0]);
    attach("worker");
    checkout.atmos("deployment rollout shop --target dev").succeeded();
    assert_eq!(applied(&environment).len(), 4);
    // Commands that only read need no SBOM.
    checkout.git(&["update-ref", "-d", "refs/notes/atmos/shop/sbom"]);
    checkout.atmos("deployment rollout shop --target dev").refused(3, "needs an SBOM");
    checkout.atmos("deployment status shop --target dev --check-health").exited(5);
}

#[test]
fn promoted_by_tag_an_image_is_that_of_the_targets_registry() {
    let environment = TestEnvironment::new();
    let checkout = shop(&environment, "tag");
    checkout.atmos("deployment rollout shop --target dev").succeeded();
    assert!(applied(&environment)[0].contains(API), "deployed is what was built");
    let run = checkout.atmos("deployment rollout shop --target prod --promote-from dev").succeeded();
    let tagged = format!("prod.example.com/shop/api:{}", checkout.head());
    let lines = applied(&environment);
    assert_eq!(lines[0], format!("prod ecs/taskdef {tagged} {{\"image\":\"{tagged}\"}}"));
    assert!(lines[2].contains(WORKER), "{lines:?}");
    run.says("worker has no vars.image.tag to be promoted by; its digest is used");
}
