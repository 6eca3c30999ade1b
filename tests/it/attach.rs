//! Notes on commits: `attach`, many at once, large ones, and one of many in a CI checkout.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::support::{Checkout, Clone, Remote, TestEnvironment};

const SBOM_REF: &str = "refs/notes/atmos/payment-service/sbom";

/// An SBOM of another tool, with these packages.
fn sbom(packages: &[&str]) -> String {
    let components: Vec<_> = packages
        .iter()
        .map(|name| json!({ "type": "library", "bom-ref": name, "name": name, "version": "1.0.0" }))
        .collect();
    json!({ "bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1, "components": components })
        .to_string()
}

/// The note of a commit, read from the remote with plain git.
fn note(remote: &Remote<'_>, namespace: &str, commit: &str) -> String {
    remote.git(&["notes", &format!("--ref=atmos/payment-service/{namespace}"), "show", commit])
}

fn names(bom: &Value) -> Vec<&str> {
    bom["components"]
        .as_array()
        .unwrap()
        .iter()
        .map(|component| component["name"].as_str().unwrap())
        .collect()
}

#[test]
fn files_of_other_steps_are_noted_on_the_commit() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    let head = checkout.head();
    checkout.write("sbom.json", &sbom(&["serde", "tokio"]));
    checkout.write("junit.xml", "<testsuite name=\"s\"><testcase name=\"a\"/><testcase name=\"b\"><failure message=\"no\"/></testcase></testsuite>");
    checkout.write("grype.json", r#"{"matches":[{"vulnerability":{"severity":"Medium"}}]}"#);
    checkout
        .atmos("deployment attach payment-service sbom --component api --file sbom.json")
        .succeeded()
        .shows("Attached sbom of api to commit")
        .shows("1 component, 2 dependencies");
    // The deployment need not be named if there is only one.
    checkout.atmos("deployment attach test-results --file junit.xml").succeeded().shows("2 tests, 1 failed");
    let scan =
        checkout.json("deployment attach payment-service scan-results --component api --file grype.json");
    assert_eq!(
        (&scan["kind"], &scan["attached"]["scan"]["vulnerabilities"]["medium"]),
        (&"AttachResult".into(), &1.into())
    );

    let bom: Value = serde_json::from_str(&note(&remote, "sbom", &head)).unwrap();
    assert_eq!((names(&bom), &bom["specVersion"]), (vec!["api"], &"1.6".into()));
    let tests: Value = serde_json::from_str(&note(&remote, "test-results", &head)).unwrap();
    assert!(tests["content"].as_str().unwrap().starts_with("<testsuite"));
    // A second file is added, and never replaces the first.
    checkout
        .atmos("deployment attach payment-service test-results --file junit.xml --component api")
        .succeeded();
    assert_eq!(note(&remote, "test-results", &head).lines().count(), 2);
}

#[test]
fn files_that_are_not_what_they_should_be_are_refused() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    let before = remote.snapshot();
    let levels = (1..=9_u8).map(|level| {
        let inner = format!("&l{};", level - 1).repeat(10);
        format!("<!ENTITY l{level} \"{inner}\">")
    });
    let entities = format!("<!DOCTYPE x [<!ENTITY l0 \"lol\">{}]>", levels.collect::<String>());
    let bomb = format!("{entities}<testsuite name=\"&l9;\"><testcase name=\"&l9;\"/></testsuite>");
    for (namespace, content, message) in [
        ("test-results", bomb.as_str(), "unrecognized entity"),
        ("test-results", "<testsuite><testcase", "it is not a JUnit report"),
        ("scan-results", "{\"version\": \"2.1.0\", \"runs\": [{\"results\": 1}]}", "SARIF"),
        (
            "sbom",
            "{\"bomFormat\": \"CycloneDX\", \"components\": 1}",
            "its components are not what the format has there",
        ),
        ("sbom", "<bom/>", "it is not JSON"),
        ("sbom", "{\"spdxVersion\": \"SPDX-1.2\"}", "it is SPDX of a version that is not read"),
        ("test-results", "{}", "it is not a JUnit report"),
        ("scan-results", "<xml/>", "it is not JSON"),
        ("scan-results", "{\"bomFormat\": \"CycloneDX\"}", "none of SARIF"),
    ] {
        checkout.write("file", content);
        checkout
            .atmos(&format!("deployment attach payment-service {namespace} --file file"))
            .refused(2, message);
    }
    checkout.atmos("deployment attach payment-service sbom --file nowhere").refused(2, "cannot read nowhere");
    checkout
        .atmos("deployment attach payment-service approvals --file file")
        .exited(2)
        .says("possible values");
    checkout
        .atmos("deployment attach payment-service sbom --file file --offline")
        .refused(2, "--offline does not let this command reach");
    assert_eq!(remote.snapshot(), before);
}

#[test]
fn a_note_that_is_no_sbom_is_never_overwritten() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    let head = checkout.head();
    remote.git(&["notes", "--ref=atmos/payment-service/sbom", "add", "-m", "by hand", &head]);
    checkout.write("sbom.json", &sbom(&["serde"]));
    checkout
        .atmos("deployment attach payment-service sbom --file sbom.json")
        .refused(1, "cannot be added to: it is not JSON");
    assert_eq!(note(&remote, "sbom", &head), "by hand");
}

#[test]
fn a_note_that_was_never_pushed_goes_along() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    let head = checkout.head();
    checkout.write("first.json", &sbom(&["by-hand"]));
    checkout.git(&["notes", "--ref=atmos/payment-service/sbom", "add", "-F", "first.json", &head]);
    checkout.write("second.json", &sbom(&["serde"]));
    checkout.atmos("deployment attach payment-service sbom --component api --file second.json").succeeded();
    let bom: Value = serde_json::from_str(&note(&remote, "sbom", &head)).unwrap();
    assert_eq!(names(&bom), ["api", "by-hand"]);
}

#[test]
fn without_a_remote_notes_are_kept_here() {
    let environment = TestEnvironment::new();
    let checkout = environment.payment_service("alone");
    checkout.write("sbom.json", &sbom(&["serde"]));
    checkout.atmos("deployment attach payment-service sbom --component api --file sbom.json").succeeded();
    checkout.atmos("deployment attach payment-service sbom --component worker --file sbom.json").succeeded();
    let note = checkout.git(&["notes", "--ref=atmos/payment-service/sbom", "show", "HEAD"]);
    assert_eq!(names(&serde_json::from_str(&note).unwrap()), ["api", "worker"]);
}

#[test]
fn twenty_components_attached_at_once_are_all_there() {
    let environment = TestEnvironment::new();
    let components: Vec<_> = (0..20).map(|number| format!("c{number:02}")).collect();
    let remote = environment.bare("remote.git", &[]);
    let checkout = environment.empty_repository("checkout", &[]);
    let file = crate::support::independent_components("payment-service", &components);
    checkout.write("deployments/payment-service.yaml", &file);
    checkout.write("sbom.json", &sbom(&["serde"]));
    let head = checkout.commit("Twenty components");
    checkout.git(&["remote", "add", "origin", &remote.url()]);
    checkout.git(&["push", "--quiet", "--set-upstream", "origin", "main"]);
    // Ten components have a checkout of their own, the other ten share one.
    let own: Vec<Checkout<'_>> = (0..10)
        .map(|number| environment.clone(&remote.url(), &format!("job{number}"), Clone::SHALLOW))
        .collect();
    let running: Vec<_> = components
        .iter()
        .enumerate()
        .map(|(number, component)| {
            let checkout = own.get(number).unwrap_or(&checkout);
            let line =
                format!("deployment attach payment-service sbom --component {component} --file sbom.json");
            checkout.start(&line, &[])
        })
        .collect();
    for run in running {
        run.wait().succeeded();
    }
    let bom: Value = serde_json::from_str(&note(&remote, "sbom", &head)).unwrap();
    assert_eq!(names(&bom), components);
    let history = remote.git(&["rev-list", "--count", SBOM_REF]);
    assert_eq!(history, "20");
}

#[test]
fn large_notes_are_warned_about_and_larger_ones_refused() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    let of_megabytes = |megabytes: usize| {
        let long = "x".repeat(megabytes * 1_000_000);
        json!({ "bomFormat": "CycloneDX", "specVersion": "1.5", "components": [], "x": long }).to_string()
    };
    checkout.write("large.json", &of_megabytes(12));
    checkout
        .atmos("deployment attach payment-service sbom --file large.json")
        .succeeded()
        .says("Warning: a note of 12 MB is large; consider other storage");
    let before = remote.git(&["rev-parse", SBOM_REF]);
    checkout.write("too-large.json", &of_megabytes(60));
    checkout
        .atmos("deployment attach payment-service sbom --file too-large.json")
        .refused(1, "too-large.json has 60 MB; notes of more than 50 MB belong into other storage");
    assert_eq!(remote.git(&["rev-parse", SBOM_REF]), before);
}

/// The number of bytes of the files below a folder.
fn size(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(
            |entry| if entry.path().is_dir() { size(&entry.path()) } else { entry.metadata().unwrap().len() },
        )
        .sum()
}

/// Gives the remote a thousand notes of 100 KB that hardly compress, one of them on this commit.
fn thousand_sboms(environment: &TestEnvironment, remote: &Remote<'_>, head: &str) {
    let mut command = environment.command("git", &remote.path);
    command.args(["-c", "core.compression=1", "fast-import", "--quiet"]).stdin(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut state = 1_u64;
    for number in 0..1000 {
        let mut noise = String::new();
        while noise.len() < 100_000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            write!(noise, "{state:016x}").unwrap();
        }
        let content =
            json!({ "bomFormat": "CycloneDX", "specVersion": "1.5", "components": [{ "name": format!("c{number}") }], "x": noise })
                .to_string();
        let commit = if number == 500 {
            head.to_owned()
        } else {
            format!("{:040x}", u128::from(state) << 32 | number)
        };
        let (folder, name) = commit.split_at(2);
        write!(
            stdin,
            "commit {SBOM_REF}\ncommitter A <a@b> {number} +0000\ndata 1\nn\nM 100644 inline {folder}/{name}\ndata {}\n{content}\n",
            content.len()
        )
        .unwrap();
    }
    drop(stdin);
    assert!(child.wait().unwrap().success());
}

#[test]
fn one_sbom_of_a_thousand_costs_one() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    let head = checkout.head();
    thousand_sboms(&environment, &remote, &head);
    remote.git(&["config", "uploadpack.allowFilter", "true"]);
    let ci = environment.clone(&remote.url(), "ci", Clone::SHALLOW);
    let before = size(&ci.path.join(".git"));
    let run = ci.atmos("deployment sbom payment-service --git-sha HEAD --format json").succeeded();
    assert_eq!(names(&run.json()), ["c500"]);
    let downloaded = size(&ci.path.join(".git")) - before;
    assert!(downloaded < 1_000_000, "{downloaded} bytes were downloaded");
    // The checkout is unchanged: no partial clone, and no missing objects.
    assert!(!ci.git(&["config", "--list", "--local"]).contains("promisor"));
    ci.git(&["fsck", "--connectivity-only"]);

    // Adding to the note downloads none of the others, and keeps them.
    ci.write("sbom.json", &sbom(&["serde"]));
    ci.atmos("deployment attach payment-service sbom --component api --file sbom.json").succeeded();
    let downloaded = size(&ci.path.join(".git")) - before;
    assert!(downloaded < 1_500_000, "{downloaded} bytes were downloaded or written");
    let listed = remote.git(&["notes", "--ref=atmos/payment-service/sbom", "list"]);
    assert_eq!(listed.lines().count(), 1000);
    let bom: Value = serde_json::from_str(&note(&remote, "sbom", &head)).unwrap();
    assert_eq!(names(&bom), ["api", "c500"]);

    // The downloaded note can be read again without the network.
    let run = ci.atmos("deployment sbom payment-service --git-sha HEAD --format json --offline").succeeded();
    assert_eq!(names(&run.json()), ["api", "c500"]);
}
