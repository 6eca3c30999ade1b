//! SBOMs without a build: read from commits, attached, and of scans of a part.

use std::collections::BTreeSet;

use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use crate::support::{Checkout, CiJob, TestEnvironment};

/// A deployment with these components, and with the target `dev`.
fn deployment<'e>(environment: &'e TestEnvironment, components: &str) -> Checkout<'e> {
    let remote = environment.bare("remote.git", &[]);
    let checkout = environment.empty_repository("checkout", &[]);
    let file = format!("deployment:\n  name: shop\n  components:\n{components}  targets: {{ dev: {{}} }}\n");
    checkout.write("deployments/shop.yaml", &file);
    checkout.git(&["remote", "add", "origin", &remote.url()]);
    checkout
}

const COMMANDS: &str = "    command:\n      api: { settings: { command: { apply: [./services/api/deploy.sh] } } }\n      \
                        worker: { settings: { command: { apply: [./services/worker/deploy.sh] } } }\n";

const NPM: &str = r#"{"lockfileVersion": 3, "packages": {"node_modules/left-pad": {"version": "1.3.0"}}}"#;

/// Two commands. The lock file of one of them begins with a byte order mark.
fn commands(environment: &TestEnvironment) -> Checkout<'_> {
    let checkout = deployment(environment, COMMANDS);
    for component in ["api", "worker"] {
        checkout.write_script(&format!("services/{component}/deploy.sh"), "#!/bin/sh\n");
    }
    checkout.write("services/api/package-lock.json", &format!("\u{feff}{NPM}"));
    checkout.commit("Add it");
    checkout.git(&["push", "--quiet", "origin", "main"]);
    checkout
}

/// The names and versions of a summary's dependencies.
fn dependencies(summary: &Value) -> Vec<(&str, &str)> {
    let all = summary["dependencies"].as_array().unwrap().iter();
    all.map(|one| (one["name"].as_str().unwrap(), one["version"].as_str().unwrap_or_default())).collect()
}

const SUMMARY: &str = "deployment sbom shop --git-sha HEAD --summary";

#[test]
fn a_deployment_without_images_has_an_sbom_of_its_modules_providers_and_charts() {
    let environment = TestEnvironment::new();
    let components = "    terraform: { net: {} }\n    helmfile: { cache: {} }\n";
    let checkout = deployment(&environment, components);
    checkout.write(
        "components/terraform/net/main.tf",
        "module \"vpc\" {\n  source = \"terraform-aws-modules/vpc/aws\"\n  version = \"5.2.0\"\n}\n",
    );
    checkout.write(
        "components/terraform/net/.terraform.lock.hcl",
        "provider \"registry.terraform.io/hashicorp/aws\" {\n  version = \"5.1.0\"\n}\n",
    );
    checkout
        .write("components/helmfile/cache/helmfile.yaml", "releases: [{ name: cache, chart: ./chart }]\n");
    checkout.write(
        "components/helmfile/cache/chart/Chart.yaml",
        "name: cache\nversion: 0.1.0\ndependencies:\n- { name: redis, version: 18.1.0, repository: 'https://charts.example.com' }\n",
    );
    checkout.commit("Add it");
    let summary = checkout.json(SUMMARY);
    assert_eq!(
        dependencies(&summary),
        [
            ("redis", "18.1.0"),
            ("registry.terraform.io/hashicorp/aws", "5.1.0"),
            ("terraform-aws-modules/vpc/aws", "5.2.0"),
        ]
    );
    assert_eq!(summary["without_sbom"], Value::Null);
    let read: Vec<_> = summary["components"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["read_from"].as_str().unwrap())
        .collect();
    assert_eq!(
        BTreeSet::from_iter(read),
        BTreeSet::from(["its modules and its lock file", "its releases and charts"])
    );
    // Uncommitted files are not part of the commit, and the checkout for reading is removed.
    checkout.write("components/terraform/net/other.tf", "module \"x\" {\n  source = \"a/b/c\"\n}\n");
    assert_eq!(dependencies(&checkout.json(SUMMARY)).len(), 3);
    assert!(!checkout.path.join(".atmos").exists());
    checkout.atmos("deployment sbom shop --git-sha HEAD").succeeded().shows("terraform-aws-modules/vpc/aws");
}

#[test]
fn a_command_is_made_of_what_its_lock_files_pin_and_who_has_none_is_named() {
    let environment = TestEnvironment::new();
    let checkout = commands(&environment);
    checkout.atmos("deployment rollout shop --target dev").succeeded();
    let summary = checkout.json("deployment sbom shop --target dev --summary");
    assert_eq!(dependencies(&summary), [("left-pad", "1.3.0")]);
    assert_eq!(summary["without_sbom"], json!(["worker"]));
    checkout
        .atmos("deployment sbom shop --target dev --summary")
        .succeeded()
        .shows("api  (command, read from its lock files)")
        .shows("Without an SBOM: worker");
    checkout
        .atmos("deployment sbom shop --target dev --format cyclonedx-json")
        .succeeded()
        .says("no SBOM says what these are made of: worker");
    checkout
        .atmos("deployment sbom shop --target dev --component worker --format json")
        .exited(1)
        .says("there is no SBOM of shop");
}

#[test]
fn a_command_in_the_root_is_not_made_of_everything_below() {
    let environment = TestEnvironment::new();
    let command = "    command: { release: { settings: { command: { apply: [\"true\"] } } } }\n";
    let checkout = deployment(&environment, command);
    checkout.write("services/api/package-lock.json", NPM);
    checkout.commit("Add a service");
    checkout.atmos(SUMMARY).exited(1).says("there is no SBOM of shop");
    checkout.write("package-lock.json", &NPM.replace("left-pad", "right-pad"));
    checkout.commit("Add what the root needs");
    assert_eq!(dependencies(&checkout.json(SUMMARY)), [("right-pad", "1.3.0")]);
    checkout.atmos(SUMMARY).succeeded().shows("release  (command, read from the lock files in the root)");
}

#[test]
fn a_build_without_images_notes_what_components_are_made_of() {
    let environment = TestEnvironment::new();
    let checkout = commands(&environment);
    let notes = || checkout.git(&["ls-remote", "origin", "refs/notes/atmos/shop/sbom"]);
    for line in ["--plan", "--skip-push"] {
        let result = checkout.json(&format!("deployment build shop --target dev {line}"));
        assert_eq!((&result["sbom"], notes().as_str()), (&Value::Null, ""), "{line}");
    }
    let run = checkout.atmos("deployment build shop --target dev --format json").succeeded();
    let result = run.json();
    run.says("shop has no nixpack components: there is nothing to build")
        .says("Nothing says what these are made of: worker");
    assert_eq!((&result["succeeded"], &result["components"]), (&json!(true), &json!([])));
    assert_eq!(result["sbom"], json!({ "components": 1, "dependencies": 1 }));
    let first = notes();
    assert!(!first.is_empty());
    let summary = checkout.json(SUMMARY);
    assert_eq!(dependencies(&summary), [("left-pad", "1.3.0")]);
    assert_eq!(summary["without_sbom"], json!(["worker"]));
    // A second build with the same result adds no note.
    checkout
        .atmos("deployment build shop --target dev")
        .succeeded()
        .shows("Generated SBOM: 1 component, 1 dependency");
    assert_eq!(notes(), first);
    checkout
        .atmos("deployment build shop --target dev --component api")
        .refused(2, "api is a command component: there is no image to build");
}

#[test]
fn a_build_of_which_nothing_is_known_notes_nothing() {
    let environment = TestEnvironment::new();
    let command = "    command: { release: { settings: { command: { apply: [\"true\"] } } } }\n";
    let checkout = deployment(&environment, command);
    checkout.commit("Add it");
    checkout.git(&["push", "--quiet", "origin", "main"]);
    let result = checkout.json("deployment build shop --target dev");
    assert_eq!((&result["succeeded"], &result["sbom"]), (&json!(true), &Value::Null));
    assert_eq!(checkout.git(&["ls-remote", "origin", "refs/notes/*"]), "");
}

#[test]
fn a_job_tells_which_dependencies_change_without_a_build() {
    let environment = TestEnvironment::new();
    let checkout = commands(&environment);
    checkout.atmos("deployment rollout shop --target dev").succeeded();
    checkout.write("services/api/package-lock.json", &NPM.replace("1.3.0", "1.4.0"));
    checkout.commit("Update it");
    checkout.git(&["push", "--quiet", "origin", "main"]);
    let job = CiJob::github(&checkout, "push").rollout("dev").input("deployment", "shop");
    job.run().succeeded();
    let summary = job.summary();
    assert!(summary.contains("| `left-pad` | `api` | `1.3.0` | `1.4.0` | changed |"), "{summary}");
}

#[test]
fn an_installed_scanner_reads_what_a_command_deploys() {
    let mut environment = TestEnvironment::new();
    let syft = environment.path("bin/syft");
    std::fs::create_dir(environment.path("bin")).unwrap();
    let script = "#!/bin/sh\n[ \"$2\" = \"${2%/services/api}\" ] || \
                  echo '{\"bomFormat\":\"CycloneDX\",\"components\":[{\"type\":\"library\",\"name\":\"found\"}]}'\n";
    std::fs::write(&syft, script).unwrap();
    std::fs::set_permissions(&syft, std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", environment.path("bin").display(), environment.variable("PATH"));
    environment.set("PATH", &path);
    let checkout = commands(&environment);
    let run = checkout.atmos(&format!("{SUMMARY} --format json")).succeeded();
    let summary = run.json();
    assert_eq!(dependencies(&summary), [("found", "")]);
    assert_eq!(summary["components"][0]["read_from"], "syft");
    // For `worker`, which syft could not scan, there are no lock files either.
    assert_eq!(summary["without_sbom"], json!(["worker"]));
    run.says("worker: lock files are read instead of what syft finds");
}

#[test]
fn flat_documents_of_other_tools_are_counted_whatever_they_are() {
    let environment = TestEnvironment::new();
    let checkout = commands(&environment);
    let cyclonedx = json!({ "bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1, "components": [
        { "type": "library", "name": "golang.org/x/net", "version": "v0.17.0" },
        { "type": "library", "name": "golang.org/x/net", "version": "v0.18.0" },
    ] });
    let spdx = json!({ "spdxVersion": "SPDX-2.3", "packages": [
        { "SPDXID": "SPDXRef-a", "name": "golang.org/x/net", "versionInfo": "v0.17.0" },
        { "SPDXID": "SPDXRef-b", "name": "golang.org/x/net", "versionInfo": "v0.18.0" },
    ] });
    for document in [&cyclonedx, &spdx] {
        checkout.write("../document.json", &format!("\u{feff}{document}"));
        let notes = "refs/notes/atmos/shop/sbom";
        checkout.git(&["notes", "--ref", notes, "add", "-f", "-F", "../document.json"]);
        checkout.git(&["push", "--quiet", "-f", "origin", notes]);
        let summary = checkout.json(SUMMARY);
        assert_eq!(
            dependencies(&summary),
            [("golang.org/x/net", "v0.17.0"), ("golang.org/x/net", "v0.18.0")],
            "{document}"
        );
        // The document is about the deployment as a whole.
        assert_eq!(summary["without_sbom"], Value::Null);
        checkout.atmos(SUMMARY).succeeded().shows("Dependencies: 2 total");
        checkout
            .atmos("deployment attach shop sbom --component api --file ../document.json")
            .succeeded()
            .shows("1 component, 2 dependencies");
    }
}

#[test]
fn a_scan_of_a_part_says_of_which() {
    let environment = TestEnvironment::new();
    let checkout = commands(&environment);
    checkout.write("../grype.json", "\u{feff}{\"matches\":[{\"vulnerability\":{\"severity\":\"Medium\"}}]}");
    let attach = "deployment attach shop scan-results --file ../grype.json";
    checkout.atmos(&format!("{attach} --component api")).succeeded();
    checkout.atmos(SUMMARY).succeeded().shows("0 critical, 1 medium, 0 low (1 of 2 components scanned)");
    let coverage = checkout.json(SUMMARY)["scan_coverage"].clone();
    assert_eq!(coverage, json!({ "images": false, "scanned": ["api"], "unscanned": ["worker"] }));
    checkout.atmos(&format!("{attach} --component worker")).succeeded();
    let summary = checkout.json(SUMMARY);
    assert_eq!((&summary["scan_coverage"], &summary["vulnerabilities"]["medium"]), (&Value::Null, &2.into()));
}

#[test]
fn of_images_it_is_images_that_are_counted() {
    let environment = TestEnvironment::new();
    let components =
        "    nixpack:\n      api: {}\n      web: {}\n      worker: {}\n    terraform: { net: {} }\n";
    let checkout = deployment(&environment, components);
    checkout.write("components/terraform/net/main.tf", "");
    checkout.commit("Add it");
    checkout.write("../grype.json", "{\"matches\":[]}");
    checkout.atmos("deployment attach shop scan-results --file ../grype.json --component web").succeeded();
    let run = checkout.atmos(SUMMARY).succeeded();
    run.shows("(1 of 3 images scanned)").shows("Without an SBOM: api, web, worker");
    checkout.atmos("deployment attach shop scan-results --file ../grype.json").succeeded();
    assert_eq!(checkout.json(SUMMARY)["scan_coverage"], Value::Null);
}
