//! Images: built by a fake engine, recorded, tested, and reported as missing where they are.

use std::os::unix::fs::PermissionsExt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::support::{Checkout, Remote, TestEnvironment, insist_on};

/// The address of a registry that refuses connections, so that its content stays unknown.
const REGISTRY: &str = "127.0.0.1:9";

/// A fake engine that logs its arguments, and answers with digests that follow from the image's
/// name.
const ENGINE: &str = r#"#!/bin/sh
set -eu
echo "$@" >> "$ENGINE_LOG"
if [ -n "${ENGINE_DO:-}" ]; then eval "$ENGINE_DO"; fi
digest() { printf 'sha256:%s' "$(printf '%s' "$1" | sha256sum | cut -c1-64)"; }
case "$1" in
  --version) echo 'buildah version 1.28.2' ;;
  build)
    previous=
    for argument in "$@"; do
      case "$previous" in
        --iidfile) file=$argument ;;
        --tag) tag=$argument ;;
      esac
      previous=$argument
    done
    digest "id of $tag" > "$file" ;;
  push)
    previous=
    for argument in "$@"; do
      [ "$previous" != --digestfile ] || file=$argument
      previous=$argument
    done
    digest "${previous#docker://}" > "$file" ;;
  from) echo working-container ;;
  run) shift; while [ "$1" != -- ]; do shift; done; shift 2; "$@" ;;
  rm) ;;
esac
"#;

/// The payment service as the specification has it: images, with a Dockerfile each.
pub(crate) fn images(environment: &mut TestEnvironment) {
    let bin = environment.path("bin");
    std::fs::create_dir(&bin).unwrap();
    let engine = bin.join("buildah");
    std::fs::write(&engine, ENGINE).unwrap();
    std::fs::set_permissions(&engine, std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    environment.set("PATH", &path);
    environment.set("ATMOS_CONTAINER_ENGINE", "buildah");
    environment.set("ENGINE_LOG", environment.path("engine.log").to_str().unwrap());
}

pub(crate) fn checkout(environment: &TestEnvironment) -> (Checkout<'_>, Remote<'_>) {
    let (checkout, remote) = environment.with_remote();
    let mut file =
        "deployment:\n  name: payment-service\n  targets:\n    dev: { context: { cpu: 256 } }\n    \
                    prod: { promotion: { from: dev } }\n  components:\n    nixpack:\n"
            .to_owned();
    for component in ["api", "worker", "database"] {
        let component_file = format!(
            "      {component}:\n        vars: {{ source: services/{component}, image: {{ registry: \"{REGISTRY}\", name: payment-service/{component} }} }}\n        \
             settings: {{ nixpack: {{ dockerfile_escape: true, test: [sh, -c, 'exit 0'] }} }}\n"
        );
        file.push_str(&component_file);
        checkout.write(&format!("services/{component}/Dockerfile"), "FROM scratch\n");
        checkout.write(&format!("services/{component}/requirements.txt"), "idna==3.6\n");
    }
    checkout.write("deployments/payment-service.yaml", &file);
    checkout.commit("Images");
    checkout.git(&["push", "--quiet"]);
    (checkout, remote)
}

fn built(document: &Value, component: &str) -> Value {
    let components = document["components"].as_array().unwrap();
    components.iter().find(|one| one["component"] == component).unwrap().clone()
}

#[test]
fn the_commands_of_the_specification_build_and_show() {
    let mut environment = TestEnvironment::new();
    images(&mut environment);
    let (checkout, remote) = checkout(&environment);
    let head = checkout.head();
    checkout
        .atmos("deployment build payment-service --target dev")
        .succeeded()
        .says("Building payment-service for target dev...")
        .says("✓ api       Built sha256:")
        .shows("Generated SBOM: 3 components, 1 dependency")
        .shows(&format!("Attached SBOM to commit {}", &head[..7]))
        .shows(&format!("Images pushed to {REGISTRY}/payment-service"));
    assert_eq!(remote.refs("refs/atmos/builds/").len(), 3);
    checkout
        .atmos("deployment build payment-service --target dev --component api")
        .succeeded()
        .says("✓ api  Already built sha256:");
    // Another context makes another image.
    let other =
        checkout.json("deployment build payment-service --target dev --component api --context cpu=512");
    assert_eq!(built(&other, "api")["status"], "built");
    let log = std::fs::read_to_string(environment.path("engine.log")).unwrap();
    assert!(
        log.lines().any(|line| line.starts_with("build ") && line.contains("--build-arg cpu=512")),
        "{log}"
    );

    checkout.atmos("deployment test payment-service --target dev").succeeded().shows("3 of 3 tests passed");
    checkout.atmos("deployment rollout payment-service --target dev").succeeded();
    checkout.atmos("deployment rollout payment-service --target prod --promote-from dev").succeeded();
    checkout.atmos("deployment sbom payment-service --target prod").succeeded().shows("idna");
    checkout.atmos(&format!("deployment sbom payment-service --git-sha {}", &head[..10])).succeeded();
    checkout.atmos("deployment sbom payment-service --target prod --output sbom.json").succeeded();
    let written = std::fs::read_to_string(checkout.path.join("sbom.json")).unwrap();
    assert!(written.contains("CycloneDX"));
    checkout
        .atmos("deployment sbom payment-service --target prod --summary")
        .succeeded()
        .shows("payment-service → prod SBOM")
        .shows("  api       (docker image)")
        .shows("Vulnerabilities: unknown");
    checkout.atmos("deployment sbom diff payment-service dev prod").succeeded();
    let spdx = checkout
        .atmos("deployment sbom payment-service --target prod --component api -f spdx-json")
        .succeeded();
    assert_eq!(spdx.json()["spdxVersion"], "SPDX-2.3");
    assert!(!spdx.stderr.contains("Offline"), "the remote has answered: {}", spdx.stderr);
}

#[test]
fn what_is_built_is_the_commit() {
    let mut environment = TestEnvironment::new();
    images(&mut environment);
    let (checkout, _remote) = checkout(&environment);
    checkout.write("services/api/Dockerfile", "FROM somewhere-else\n");
    let plan = checkout.json("deployment build payment-service --target dev --plan");
    assert_eq!(built(&plan, "api")["recipe"], "FROM scratch\n");
    assert_eq!(built(&plan, "api")["status"], "planned");
    assert!(!environment.path("engine.log").exists(), "a dry run asks no engine");
    checkout
        .atmos_with("deployment build payment-service --target dev", &[("CI", "true")])
        .refused(2, "has changes that are not part of commit");
}

#[test]
fn what_is_not_pushed_is_not_recorded() {
    let mut environment = TestEnvironment::new();
    images(&mut environment);
    let (checkout, remote) = checkout(&environment);
    let before = remote.snapshot();
    checkout
        .atmos("deployment build payment-service --target dev --skip-push --tag v1")
        .succeeded()
        .says("not pushed)");
    assert_eq!(remote.snapshot(), before);
    let log = std::fs::read_to_string(environment.path("engine.log")).unwrap();
    assert!(!log.lines().any(|line| line.starts_with("push")) && log.contains(":v1"), "{log}");
}

#[test]
fn one_image_that_fails_leaves_the_others() {
    let mut environment = TestEnvironment::new();
    images(&mut environment);
    environment.set("ENGINE_DO", "case \"$*\" in build*/api:*) echo 'no such base image' >&2; exit 3;; esac");
    let (checkout, remote) = checkout(&environment);
    checkout
        .atmos("deployment build payment-service --target dev")
        .exited(1)
        .says("the image could not be built: buildah failed with exit status 3")
        .says("no such base image");
    assert_eq!(remote.refs("refs/atmos/builds/").len(), 2);
}

#[test]
fn a_refused_push_leaves_nothing() {
    let mut environment = TestEnvironment::new();
    images(&mut environment);
    environment.set("ENGINE_DO", "case \"$1\" in push) echo 'unauthorized' >&2; exit 125;; esac");
    let (checkout, remote) = checkout(&environment);
    let before = remote.snapshot();
    checkout.atmos("deployment build payment-service --target dev").exited(1).says("unauthorized");
    assert_eq!(remote.snapshot(), before);
}

/// The `PATH` of a machine with git but without an engine.
pub fn without_engine(environment: &TestEnvironment, checkout: &Checkout<'_>) -> String {
    let programs = environment.path("programs");
    std::fs::create_dir(&programs).unwrap();
    for program in ["git", "sh"] {
        let found =
            environment.command("sh", &checkout.path).args(["-c", "command -v \"$0\"", program]).output();
        let found = String::from_utf8(found.unwrap().stdout).unwrap();
        std::os::unix::fs::symlink(found.trim(), programs.join(program)).unwrap();
    }
    programs.to_str().unwrap().to_owned()
}

#[test]
fn what_is_missing_is_said_before_anything_is_built() {
    let mut environment = TestEnvironment::new();
    images(&mut environment);
    let (checkout, _remote) = checkout(&environment);
    let path = without_engine(&environment, &checkout);
    let path = path.as_str();
    let build = |variables: &[(&str, &str)]| {
        checkout.atmos_with("deployment build payment-service --target dev", variables)
    };
    build(&[("ATMOS_CONTAINER_ENGINE", "podman-that-is-not-there")])
        .refused(2, "it can be docker, buildah or podman");
    build(&[("ATMOS_CONTAINER_ENGINE", "podman"), ("PATH", path)])
        .refused(2, "ATMOS_CONTAINER_ENGINE asks for podman, which is not on PATH");
    build(&[("ATMOS_CONTAINER_ENGINE", ""), ("PATH", path)])
        .refused(2, "there is no container engine on PATH: docker with buildx, buildah or podman");
    assert!(!environment.path("engine.log").exists());
    checkout.git(&["rm", "--quiet", "services/api/Dockerfile"]);
    checkout.commit("Without a Dockerfile");
    // The result is the same whether or not this machine has nixpacks.
    let only_an_engine = format!("{}:{path}", environment.path("bin").display());
    build(&[("PATH", &only_an_engine)]).refused(2, "api needs the program \"nixpacks\"");
    assert!(!environment.path("engine.log").exists());
    checkout
        .atmos("deployment sbom payment-service --git-sha HEAD")
        .refused(1, "there is no SBOM of payment-service at commit");
    checkout
        .atmos("deployment test payment-service --target dev")
        .refused(1, "no image of api was built of commit");
}

#[test]
#[cfg_attr(without_openssl, ignore = "needs openssl")]
fn provenance_is_signed_where_there_is_a_key() {
    let mut environment = TestEnvironment::new();
    images(&mut environment);
    let (checkout, remote) = checkout(&environment);
    let head = checkout.head();
    let openssl = |line: &str| {
        let mut command = environment.command("openssl", &environment.path(""));
        command.args(line.split(' ')).output().is_ok_and(|output| output.status.success())
    };
    insist_on("openssl", openssl("version"));
    let keys = [
        (
            "ecparam -name prime256v1 -genkey -noout",
            "dgst -sha256 -verify public.pem -signature signature signed",
        ),
        (
            "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256",
            "dgst -sha256 -verify public.pem -signature signature signed",
        ),
        (
            "genpkey -algorithm ED25519",
            "pkeyutl -verify -pubin -inkey public.pem -rawin -sigfile signature -in signed",
        ),
    ];
    for (number, (make, verify)) in keys.into_iter().enumerate() {
        assert!(openssl(&format!("{make} -out private.pem")));
        assert!(openssl("pkey -in private.pem -pubout -out public.pem"));
        // The key as the path of a file, and as its content.
        let file = environment.path("private.pem");
        let pem = std::fs::read_to_string(&file).unwrap();
        let key = if number == 0 { file.to_str().unwrap() } else { &pem };
        let line =
            format!("deployment build payment-service --target dev --component api --context n={number}");
        checkout
            .atmos_with(&line, &[("ATMOS_PROVENANCE_KEY", key), ("ENGINE_DO", "env > \"$ENGINE_LOG.env\"")])
            .succeeded();
        let seen = std::fs::read_to_string(environment.path("engine.log.env")).unwrap();
        assert!(!seen.contains("PROVENANCE_KEY"), "{seen}");
        let note = remote.git(&["notes", "--ref=atmos/payment-service/provenance", "show", &head]);
        let envelopes: Vec<Value> = note.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(envelopes.len(), number + 1);
        // The envelope that verifies with this key: the others do not.
        let verified = envelopes.iter().filter(|envelope| {
            let decoded = |value: &Value| STANDARD.decode(value.as_str().unwrap()).unwrap();
            let statement = decoded(&envelope["payload"]);
            let mut signed =
                format!("DSSEv1 28 application/vnd.in-toto+json {} ", statement.len()).into_bytes();
            signed.extend(&statement);
            std::fs::write(environment.path("signed"), signed).unwrap();
            std::fs::write(environment.path("signature"), decoded(&envelope["signatures"][0]["sig"]))
                .unwrap();
            let statement: Value = serde_json::from_slice(&statement).unwrap();
            assert_eq!(statement["_type"], "https://in-toto.io/Statement/v1");
            openssl(verify)
        });
        assert_eq!(verified.count(), 1, "{make}");
    }
    let before = remote.snapshot();
    for unusable in
        ["private.pem.that.is.not.there", "-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----"]
    {
        let run = checkout.atmos_with(
            "deployment build payment-service --target dev --context n=9",
            &[("ATMOS_PROVENANCE_KEY", unusable)],
        );
        let run = run.refused(2, "ATMOS_PROVENANCE_KEY cannot be used");
        assert!(!run.stderr.contains("hunter2"), "{}", run.report());
    }
    assert_eq!(remote.snapshot(), before);
}

#[test]
fn tests_that_fail_are_noted_and_told() {
    let mut environment = TestEnvironment::new();
    images(&mut environment);
    let (checkout, remote) = checkout(&environment);
    let head = checkout.head();
    checkout.atmos("deployment build payment-service --target dev").succeeded();
    checkout
        .atmos("deployment test payment-service --target dev --component api --command false --junit-xml junit.xml")
        .exited(1)
        .says("✗ api  1 test, 1 failed");
    assert!(std::fs::read_to_string(checkout.path.join("junit.xml")).unwrap().contains("failures=\"1\""));
    let note = remote.git(&["notes", "--ref=atmos/payment-service/test-results", "show", &head]);
    assert!(note.contains("\"failed\":1"), "{note}");
}

#[test]
fn findings_of_a_scan_can_fail_the_job() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    checkout
        .write("trivy.json", r#"{"SchemaVersion":2,"Results":[{"Vulnerabilities":[{"Severity":"HIGH"}]}]}"#);
    checkout.atmos("deployment scan payment-service --file trivy.json --fail-on critical").succeeded();
    checkout
        .atmos("deployment scan payment-service --component api --file trivy.json --fail-on medium")
        .exited(5)
        .shows("0 critical, 1 high, 0 medium, 0 low");
    assert_eq!(remote.refs("refs/notes/atmos/").len(), 1);
}
