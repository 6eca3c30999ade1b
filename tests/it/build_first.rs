//! Rollouts of images: a rollout builds the missing ones, or is refused before anything is applied.

use crate::build::{checkout, images, without_engine};
use crate::support::{Checkout, Clone, TestEnvironment};

const ROLLOUT: &str = "deployment rollout payment-service --target dev";

/// The number of images that the engine was asked for so far.
fn builds(environment: &TestEnvironment) -> usize {
    let log = std::fs::read_to_string(environment.path("engine.log")).unwrap_or_default();
    log.lines().filter(|line| line.starts_with("build ")).count()
}

/// Changes the deployment's file and commits the change.
fn edit(checkout: &Checkout<'_>, from: &str, to: &str) -> String {
    let file = std::fs::read_to_string(checkout.path.join("deployments/payment-service.yaml")).unwrap();
    assert!(file.contains(from), "{from:?} is not in\n{file}");
    checkout.write("deployments/payment-service.yaml", &file.replace(from, to));
    checkout.commit("Edit it")
}

#[test]
fn what_lacks_is_built_first_and_deployed_by_digest() {
    let mut environment = TestEnvironment::new();
    images(&mut environment);
    let (checkout, remote) = checkout(&environment);
    checkout.atmos(&format!("{ROLLOUT} --plan")).succeeded().says("first builds api, database, worker");
    assert_eq!(builds(&environment), 0, "a dry run builds nothing");
    let run = checkout.atmos(&format!("{ROLLOUT} --format json")).succeeded();
    let result = run.json();
    assert_eq!(result["kind"], "RolloutResult", "the build prints no document of its own");
    assert_eq!(result["result"], "success");
    assert_eq!(builds(&environment), 3);
    assert_eq!(remote.refs("refs/atmos/builds/").len(), 3);
    let history = checkout.json("deployment history payment-service --target dev --component api");
    let image = history["records"][0]["artifacts"]["api"].as_str().unwrap();
    assert!(image.starts_with("127.0.0.1:9/payment-service/api@sha256:"), "{image}");

    // Built images are not built again, and a promotion takes the images that ran.
    checkout.atmos(ROLLOUT).succeeded();
    checkout.atmos("deployment rollout payment-service --target prod --promote-from dev").succeeded();
    assert_eq!(builds(&environment), 3);
    // Only the images of selected components are built.
    checkout.commit("More");
    checkout.atmos(&format!("{ROLLOUT} --component api")).succeeded();
    assert_eq!(builds(&environment), 4);
}

#[test]
fn without_an_engine_it_is_refused_with_the_command() {
    let mut environment = TestEnvironment::new();
    images(&mut environment);
    let (checkout, remote) = checkout(&environment);
    let path = without_engine(&environment, &checkout);
    let before = remote.snapshot();
    let here = [("PATH", path.as_str()), ("ATMOS_CONTAINER_ENGINE", "")];
    let run = checkout.atmos_with(&format!("{ROLLOUT} --format json"), &here).exited(2);
    let error = run.json();
    assert_eq!(error["code"], "image_not_built", "{}", run.report());
    run.says("there is no container engine on PATH");
    assert_eq!(remote.snapshot(), before, "nothing is locked or recorded");
    checkout
        .atmos_with(&format!("{ROLLOUT} --plan"), &here)
        .succeeded()
        .says("a rollout would be refused now: api, database, worker not built yet");
    // On a machine with an engine, the hint's command builds the images.
    let run = checkout.atmos_with(&format!("{ROLLOUT} --format json"), &here);
    checkout.shell(&run.hints()[0].1[0], &[]).succeeded();
    checkout.atmos_with(ROLLOUT, &here).succeeded();
}

#[test]
fn what_was_built_elsewhere_meanwhile_is_looked_for_before_anything_is_built() {
    let mut environment = TestEnvironment::new();
    images(&mut environment);
    let (checkout, remote) = checkout(&environment);
    let clone = environment.clone(&remote.url(), "clone", Clone::default());
    clone.atmos("deployment status payment-service").succeeded();
    checkout.atmos("deployment build payment-service --target dev").succeeded();
    assert_eq!(builds(&environment), 3);
    let path = without_engine(&environment, &clone);
    clone.atmos_with(ROLLOUT, &[("PATH", path.as_str()), ("ATMOS_CONTAINER_ENGINE", "")]).succeeded();
    assert_eq!(builds(&environment), 3);
}

#[test]
fn what_is_not_published_is_neither_built_nor_missed() {
    let mut environment = TestEnvironment::new();
    images(&mut environment);
    let (checkout, _remote) = checkout(&environment);
    edit(&checkout, "dockerfile_escape: true", "publish: false, dockerfile_escape: true");
    checkout.atmos(ROLLOUT).succeeded();
    assert_eq!(builds(&environment), 0);
}

#[test]
fn a_rollback_builds_nothing_and_takes_what_ran() {
    let mut environment = TestEnvironment::new();
    images(&mut environment);
    let (checkout, remote) = checkout(&environment);
    let old = checkout.head();
    checkout.atmos(&format!("{ROLLOUT} --component api --component worker")).succeeded();
    checkout.commit("New");
    checkout.git(&["push", "--quiet"]);
    checkout.atmos(ROLLOUT).succeeded();
    assert_eq!(builds(&environment), 5);
    // Deletes the records of the builds; those of the rollouts say which images ran.
    for name in remote.refs("refs/atmos/builds/").iter().filter(|name| name.contains(&old)) {
        let name = name.split_whitespace().find(|word| word.starts_with("refs/")).unwrap();
        remote.git(&["update-ref", "-d", name]);
        checkout.git(&["update-ref", "-d", name]);
    }
    let back = format!("{ROLLOUT} --git-sha {old}");
    let run = checkout.atmos(&format!("{back} --format json")).exited(2);
    assert_eq!(run.json()["code"], "image_not_built", "{}", run.report());
    let hints = run.hints();
    let run = run.says("a rollback builds nothing").says("database at commit");
    assert!(!run.stderr.contains("api at commit"), "{}", run.report());
    assert_eq!(builds(&environment), 5);
    checkout.atmos(&format!("{back} --component api")).succeeded();
    assert_eq!(builds(&environment), 5);
    checkout.shell(&hints[0].1[0], &[]).succeeded();
    checkout.atmos(&back).succeeded();
}

#[test]
fn what_requires_an_approval_is_built_before() {
    let mut environment = TestEnvironment::new();
    images(&mut environment);
    let (checkout, _remote) = checkout(&environment);
    edit(
        &checkout,
        "promotion: { from: dev }",
        "promotion: { requires_approval: true, approval_method: manual }",
    );
    checkout.git(&["push", "--quiet"]);
    let line = "deployment rollout payment-service --target prod --approve why";
    let run = checkout.atmos(&format!("{line} --format json")).exited(2);
    assert_eq!(run.json()["code"], "image_not_built", "{}", run.report());
    let hints = run.hints();
    run.says("prod requires approvals");
    assert_eq!(builds(&environment), 0);
    checkout.shell(&hints[0].1[0], &[]).succeeded();
    checkout.atmos(line).succeeded();
}

#[test]
fn a_default_registry_is_enough() {
    let mut environment = TestEnvironment::new();
    images(&mut environment);
    let (checkout, _remote) = checkout(&environment);
    edit(&checkout, "registry: \"127.0.0.1:9\", ", "");
    checkout.atmos(ROLLOUT).refused(2, "the configuration has 3 problems").says("it names no registry");
    assert_eq!(builds(&environment), 0);
    checkout.atmos_with(ROLLOUT, &[("ATMOS_REGISTRY", "127.0.0.1:9/of-environment")]).succeeded();
    let image = || {
        let history = checkout.json("deployment history payment-service --target dev --component api");
        history["records"][0]["artifacts"]["api"].as_str().unwrap().to_owned()
    };
    assert!(image().starts_with("127.0.0.1:9/of-environment/payment-service/api@sha256:"), "{}", image());
    checkout.write("atmos.yaml", "components: { nixpack: { registry: '127.0.0.1:9/of-file' } }\n");
    checkout.commit("A registry for all");
    checkout.atmos("deployment validate payment-service").succeeded();
    checkout.atmos(ROLLOUT).succeeded();
    assert!(image().starts_with("127.0.0.1:9/of-file/payment-service/api@sha256:"), "{}", image());
}

#[test]
fn a_build_that_fails_leaves_everything_as_it_is() {
    let mut environment = TestEnvironment::new();
    images(&mut environment);
    let docker = environment.path("bin/docker");
    std::fs::write(&docker, "#!/bin/sh\necho \"unknown flag: --load\" >&2\nexit 125\n").unwrap();
    std::fs::set_permissions(&docker, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let (checkout, remote) = checkout(&environment);
    let fails = "case \"$*\" in build*/api:*) echo 'no such base image' >&2; exit 3;; esac";
    let run = checkout.atmos_with(&format!("{ROLLOUT} --format json"), &[("ENGINE_DO", fails)]).exited(1);
    assert_eq!(run.json()["code"], "build_failed", "{}", run.report());
    run.says("api could not be built, so that nothing was rolled out to dev");
    assert_eq!(remote.refs("refs/atmos/deployments/"), [""; 0]);
    assert_eq!(remote.locks(), [""; 0]);
    checkout
        .atmos_with(ROLLOUT, &[("ATMOS_CONTAINER_ENGINE", "docker")])
        .exited(1)
        .says("docker has no buildx")
        .says("set ATMOS_CONTAINER_ENGINE to buildah or podman");
}

#[test]
fn a_consumer_is_not_left_with_the_default_of_its_module() {
    let mut environment = TestEnvironment::new();
    images(&mut environment);
    let terraform = environment.path("bin/terraform");
    std::fs::write(&terraform, "#!/bin/sh\necho \"$@\" >> \"$TEST_APPLIED\"\nexit 1\n").unwrap();
    std::fs::set_permissions(&terraform, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let (checkout, _remote) = checkout(&environment);
    checkout
        .write("components/terraform/ecs/main.tf", "variable \"image\" {\n  default = \"placeholder\"\n}\n");
    checkout.write("components/terraform/net/main.tf", "variable \"cidr\" {\n  default = \"\"\n}\n");
    let label = "metadata: { labels: { service: api } }";
    edit(&checkout, "      api:\n", &format!("      api:\n        {label}\n"));
    let consumers =
        format!("  components:\n    terraform:\n      ecs: {{ {label} }}\n      net: {{ {label} }}\n");
    edit(&checkout, "  components:\n", &consumers);
    // A `PATH` without podman, whether or not this machine has it.
    let path = format!("{}:{}", environment.path("bin").display(), without_engine(&environment, &checkout));
    let nothing = [("ATMOS_CONTAINER_ENGINE", "podman"), ("PATH", &path), ("ENGINE_LOG", "/dev/null")];
    let rollout =
        |component: &str| checkout.atmos_with(&format!("{ROLLOUT} --component {component}"), &nothing);
    rollout("ecs").refused(2, "needs images that are not built").says("api at commit");
    assert!(
        environment.applied().iter().all(|line| line.starts_with("version")),
        "{:?}",
        environment.applied()
    );
    // A module without an image variable needs no image.
    let run = rollout("net").exited(1);
    assert!(!run.stderr.contains("not built"), "{}", run.report());
}
