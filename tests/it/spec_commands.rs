//! Every command line of the specification for the implemented verbs, as written.
//!
//! Only commit ids are replaced: those of the specification exist in no repository.

use std::collections::BTreeSet;

use crate::build;
use crate::support::{Checkout, Remote, TestEnvironment, insist_on, specification};

/// The place in the specification, the line, its exit code, and a text of its output. A text of a
/// ref and its value has to be true of the remote, too.
type Line = (&'static str, &'static str, i32, &'static str);

/// The lines run in this order, in one repository.
const LINES: [Line; 50] = [
    (
        "cli-integration.md, validate",
        "atmos deployment validate payment-service",
        0,
        "Promotion path: dev → staging → prod",
    ),
    ("cli-integration.md, validate", "atmos deployment validate --all", 0, "Validating inventory-service..."),
    (
        "cli-integration.md, validate",
        "atmos deployment validate payment-service --check-promotions",
        0,
        "✓ Promotion paths valid (no cycles)",
    ),
    ("cli-integration.md, status", "atmos deployment status", 0, "payment-service\tprod\tapi\tOLDER\t"),
    (
        "cli-integration.md, list",
        "atmos deployment list",
        0,
        "inventory-service\tdev, staging, prod\t3 (api, worker, …)\t-",
    ),
    (
        "cli-integration.md, list",
        "atmos deployment list deployments",
        0,
        "payment-service\tdev, staging, prod\t3 (api, worker, …)\t",
    ),
    ("cli-integration.md, list", "atmos deployment list targets payment-service", 0, "prod\tstaging\tyes\t"),
    (
        "cli-integration.md, list",
        "atmos deployment list components payment-service --target prod",
        0,
        "api\tcommand\tOLDER\t",
    ),
    (
        "cli-integration.md, list",
        "atmos deployment list --label environment=prod",
        0,
        "payment-service\tdev, staging, prod\t",
    ),
    (
        "cli-integration.md, promotion-graph",
        "atmos deployment promotion-graph payment-service",
        0,
        "from: staging, requires approval",
    ),
    (
        "git-tracking.md, Deploy to Dev",
        "atmos deployment rollout payment-service --target dev",
        0,
        "refs/atmos/deployments/payment-service/dev/api → NEWER",
    ),
    (
        "cli-integration.md, rollout",
        "atmos deployment rollout payment-service --target dev --git-sha abc123def",
        0,
        "refs/atmos/deployments/payment-service/dev/api → NEWER",
    ),
    (
        "cli-integration.md, Typical Workflow",
        "atmos deployment status payment-service --target dev",
        0,
        "payment-service\tdev\tapi\tNEWER\t",
    ),
    (
        "target-promotion.md, CLI Validation",
        "atmos deployment rollout payment-service --target prod --promote-from dev",
        3,
        "Cannot promote directly from dev to prod",
    ),
    (
        "target-promotion.md, Promotion Status",
        "atmos deployment promotion-status payment-service",
        0,
        "dev → staging (ready)",
    ),
    (
        "target-promotion.md, CLI Validation",
        "atmos deployment rollout payment-service --target staging --promote-from dev",
        0,
        "refs/atmos/deployments/payment-service/staging/api → NEWER",
    ),
    (
        "cli-integration.md, Typical Workflow",
        "atmos deployment status payment-service --target staging",
        0,
        "payment-service\tstaging\tapi\tNEWER\t",
    ),
    // An approval is refused, since there is no terminal.
    (
        "target-promotion.md, CLI Validation",
        "atmos deployment rollout payment-service --target prod --promote-from staging",
        3,
        "The rollout to prod requires an approval, and there is no terminal to ask at",
    ),
    (
        "target-promotion.md, Selective Component Promotion",
        "atmos deployment rollout payment-service --target prod --promote-from staging --component api",
        3,
        "--target prod --promote-from staging --component api --digest ",
    ),
    (
        "target-promotion.md, Cross-Deployment Promotion",
        "atmos deployment rollout inventory-service --target prod --promote-from payment-service/prod",
        3,
        "Cannot promote across deployments. Use same-deployment promotion only.",
    ),
    // Skipping the check of the promotion path does not skip the approval.
    (
        "cli-integration.md, Error Messages",
        "atmos deployment rollout payment-service --target prod --skip-promotion-check",
        3,
        "The rollout to prod requires an approval, and there is no terminal to ask at",
    ),
    (
        "cli-integration.md, rollout",
        "atmos deployment rollout payment-service --target prod",
        3,
        "Cannot roll out directly to prod: this commit has not run there before",
    ),
    (
        "an approval on the way",
        "atmos deployment rollout payment-service --target prod --promote-from staging --approve yes",
        0,
        "refs/atmos/deployments/payment-service/prod/api → NEWER",
    ),
    (
        "git-tracking.md, Query Deployment State",
        "atmos deployment status payment-service --target prod",
        0,
        "payment-service\tprod\tapi\tNEWER\t",
    ),
    (
        "cli-integration.md, status",
        "atmos deployment status payment-service",
        0,
        "payment-service\tstaging\tworker\tNEWER\t",
    ),
    (
        "git-tracking.md, Query Deployment State",
        "atmos deployment history payment-service --target prod --component api",
        0,
        "\tpayment-service\tprod\tNEWER\tapi\t",
    ),
    (
        "cli-integration.md, history",
        "atmos deployment history payment-service --target prod",
        0,
        "\tpayment-service\tprod\tOLDER\t",
    ),
    (
        "cli-integration.md, history",
        "atmos deployment history payment-service --target prod --limit 10",
        0,
        "\tpayment-service\tprod\tNEWER\t",
    ),
    (
        "cli-integration.md, history",
        "atmos deployment history payment-service --target prod --since 2025-01-01 --until 2025-01-31",
        0,
        "Date\tDeployment\tTarget\tCommit\tComponents\t",
    ),
    (
        "cli-integration.md, diff",
        "atmos deployment diff payment-service --from-target prod --to-target staging",
        0,
        "context.cpu:    2048 → 512",
    ),
    (
        "cli-integration.md, diff",
        "atmos deployment diff payment-service --from-sha abc123 --to-sha def456",
        0,
        "api:      NEWER → OLDER  (changed)",
    ),
    (
        "cli-integration.md, diff",
        "atmos deployment diff payment-service --from-target prod --to-target staging --component api",
        0,
        "api.context.cpu:    2048 → 512",
    ),
    (
        "cli-integration.md, diff",
        "atmos deployment diff payment-service --from-target prod --to-target staging --show-files",
        0,
        "Files (0 files changed, +0/-0 lines):",
    ),
    (
        "cli-integration.md, promotion-graph",
        "atmos deployment promotion-graph payment-service --show-status",
        0,
        "up to date ✓",
    ),
    // The commit runs there already, so this is no rollback and needs an approval.
    (
        "definitions.md, Rollout",
        "atmos deployment rollout payment-service --target prod --git-sha abc123def",
        3,
        "The rollout to prod requires an approval, and there is no terminal to ask at",
    ),
    (
        "git-tracking.md, Rollback",
        "atmos deployment rollout payment-service --target prod --git-sha def456",
        0,
        "refs/atmos/deployments/payment-service/prod/api → OLDER",
    ),
    (
        "forwards again, which wants an approval",
        "atmos deployment rollout payment-service --target prod --promote-from staging --approve yes",
        0,
        "refs/atmos/deployments/payment-service/prod/api → NEWER",
    ),
    (
        "cli-integration.md, rollout",
        "atmos deployment rollout payment-service --target prod --git-sha def456abc",
        0,
        "refs/atmos/deployments/payment-service/prod/api → OLDER",
    ),
    (
        "cli-integration.md, Typical Workflow",
        "atmos deployment rollout payment-service --target prod --git-sha <previous-sha>",
        0,
        "refs/atmos/deployments/payment-service/prod/api → OLDER",
    ),
    (
        "README.md, 3",
        "atmos deployment rollout api --target dev",
        0,
        "refs/atmos/deployments/api/dev/api → NEWER",
    ),
    (
        "README.md, 4",
        "atmos deployment rollout api --target staging --promote-from dev",
        0,
        "refs/atmos/deployments/api/staging/api → NEWER",
    ),
    (
        "definitions.md, Promotion Path",
        "atmos deployment rollout api --target prod --promote-from dev",
        3,
        "Cannot promote directly from dev to prod",
    ),
    (
        "README.md, 4",
        "atmos deployment rollout api --target prod --promote-from staging",
        0,
        "refs/atmos/deployments/api/prod/api → NEWER",
    ),
    ("README.md, 5", "atmos deployment status api", 0, "api\tstaging\tworker\tNEWER\t"),
    ("README.md, Troubleshooting", "atmos deployment status api --target prod", 0, "api\tprod\tapi\tNEWER\t"),
    (
        "README.md, 6",
        "atmos deployment diff api --from-target prod --to-target staging",
        0,
        "context.memory: 4096 → 1024",
    ),
    (
        "README.md, 6",
        "atmos deployment diff api --from-target prod --to-target staging --show-code",
        0,
        "Files (0 files changed, +0/-0 lines):",
    ),
    ("README.md, 7", "atmos deployment history api --target prod", 0, "\tapi\tprod\tNEWER\t"),
    (
        "README.md, 8",
        "atmos deployment rollout api --target prod --git-sha def456a",
        0,
        "refs/atmos/deployments/api/prod/api → OLDER",
    ),
    (
        "README.md, Troubleshooting",
        "atmos deployment rollout api --target prod --git-sha <previous-commit>",
        0,
        "refs/atmos/deployments/api/prod/api → OLDER",
    ),
];

/// The command lines about images. They run in one repository of their own.
const IMAGE_LINES: [Line; 13] = [
    (
        "cli-integration.md, build",
        "atmos deployment build payment-service --target dev",
        0,
        "Attached SBOM to commit NEWER",
    ),
    (
        "cli-integration.md, build",
        "atmos deployment build payment-service --target dev --component api",
        0,
        "Already built sha256:",
    ),
    (
        "cli-integration.md, build",
        "atmos deployment build payment-service --target dev --context cpu=512",
        0,
        "Generated SBOM: 3 components, 1 dependency",
    ),
    ("git-tracking.md, Test", "atmos deployment test payment-service --target dev", 0, "3 of 3 tests passed"),
    (
        "cli-integration.md, sbom",
        "atmos deployment sbom payment-service --git-sha abc123def",
        0,
        "api\tdocker image\tidna\t3.6\tpkg:pypi/idna@3.6",
    ),
    (
        "what prod runs",
        "atmos deployment rollout payment-service --target prod",
        0,
        "refs/atmos/deployments/payment-service/prod/api → NEWER",
    ),
    (
        "cli-integration.md, sbom",
        "atmos deployment sbom payment-service --target prod",
        0,
        "database\tdocker image\tidna\t3.6\tpkg:pypi/idna@3.6",
    ),
    (
        "cli-integration.md, sbom",
        "atmos deployment sbom payment-service --target prod --output sbom.json",
        0,
        "Wrote sbom.json",
    ),
    (
        "cli-integration.md, sbom",
        "atmos deployment sbom payment-service --target prod --summary",
        0,
        "Dependencies: 1 total",
    ),
    ("README.md, 3", "atmos deployment build api --target dev", 0, "Building api for target dev..."),
    (
        "README.md, 3",
        "atmos deployment rollout api --target dev",
        0,
        "refs/atmos/deployments/api/dev/api → NEWER",
    ),
    (
        "what prod runs",
        "atmos deployment rollout api --target prod --promote-from dev",
        0,
        "refs/atmos/deployments/api/prod/api → NEWER",
    ),
    (
        "README.md, Troubleshooting",
        "atmos deployment sbom api --target prod",
        0,
        "worker\tdocker image\tidna\t3.6\tpkg:pypi/idna@3.6",
    ),
];

/// The implemented verbs.
const VERBS: [&str; 20] = [
    "attach",
    "build",
    "ci",
    "describe",
    "diff",
    "history",
    "list",
    "lock",
    "locks",
    "matrix",
    "promotion-graph",
    "promotion-status",
    "protect",
    "rollout",
    "sbom",
    "scan",
    "status",
    "test",
    "unlock",
    "validate",
];

/// Adds the specification's other deployments to `payment-service`: `inventory-service`, and `api`,
/// which requires no approval.
fn deployments(checkout: &Checkout<'_>) {
    let path = |name: &str| format!("deployments/{name}.yaml");
    let file = std::fs::read_to_string(checkout.path.join(path("payment-service"))).unwrap();
    let named = |name: &str| file.replace("name: payment-service", &format!("name: {name}"));
    checkout.write(&path("inventory-service"), &named("inventory-service"));
    let without = ", requires_approval: true, approval_method: manual";
    checkout.write(&path("api"), &named("api").replace(without, ""));
}

#[test]
fn every_command_line_of_the_specification_runs_as_written() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    deployments(&checkout);
    let older = checkout.commit("All deployments");
    checkout.git(&["push", "--quiet", "origin", "HEAD:main"]);
    // A commit to which prod can be rolled back has to have run there.
    for line in ["dev", "staging --promote-from dev", "prod --promote-from staging --approve first"] {
        for deployment in ["payment-service", "api"] {
            checkout.atmos(&format!("deployment rollout {deployment} --target {line}")).succeeded();
        }
    }
    let newer = checkout.commit_version("2");
    run_as_written(&checkout, &remote, &LINES, &newer, &older);
}

#[test]
fn every_command_line_about_images_runs_as_written() {
    let mut environment = TestEnvironment::new();
    build::images(&mut environment);
    let (checkout, remote) = build::checkout(&environment);
    let file = std::fs::read_to_string(checkout.path.join("deployments/payment-service.yaml")).unwrap();
    let file = file.replace("prod: { promotion: { from: dev } }", "prod: {}");
    checkout.write("deployments/payment-service.yaml", &file);
    checkout.write("deployments/api.yaml", &file.replace("name: payment-service\n", "name: api\n"));
    let commit = checkout.commit("Two deployments");
    checkout.git(&["push", "--quiet", "origin", "HEAD:main"]);
    run_as_written(&checkout, &remote, &IMAGE_LINES, &commit, &commit);
    let written = std::fs::read_to_string(checkout.path.join("sbom.json")).unwrap();
    let written: serde_json::Value = serde_json::from_str(&written).unwrap();
    assert_eq!(written["bomFormat"], "CycloneDX");
}

fn run_as_written(checkout: &Checkout<'_>, remote: &Remote<'_>, lines: &[Line], newer: &str, older: &str) {
    for (place, line, code, says) in lines {
        let words: Vec<_> = line
            .split(' ')
            .map(|word| match word {
                "abc123" | "abc123def" => &newer[..10],
                "def456" | "def456a" | "def456abc" | "<previous-sha>" | "<previous-commit>" => &older[..10],
                other => other,
            })
            .collect();
        let before = remote.git(&["for-each-ref"]);
        let run = checkout.atmos(&words[1..].join(" "));
        assert_eq!(run.code, Some(*code), "{place}\n{}", run.report());
        let says = says.replace("NEWER", &newer[..7]).replace("OLDER", &older[..7]);
        let said = run.stdout.contains(&says) || run.stderr.contains(&says);
        assert!(said, "{place}: expected {says:?}\n{}", run.report());
        if let Some((name, commit)) = says.split_once(" → ").filter(|(name, _)| name.starts_with("refs/")) {
            assert!(remote.git(&["rev-parse", name]).starts_with(commit), "{place}\n{}", run.report());
            assert_ne!(remote.git(&["for-each-ref"]), before, "{place}\n{}", run.report());
        } else if !["build", "test"].contains(&words[2]) {
            assert_eq!(remote.git(&["for-each-ref"]), before, "{place}\n{}", run.report());
        }
    }
}

#[test]
#[cfg_attr(without_specification, ignore = "needs the specification")]
fn no_command_line_of_the_specification_is_forgotten() {
    let documents = specification().read_dir();
    insist_on("specification", documents.is_ok());
    let known: BTreeSet<_> = LINES.iter().chain(&IMAGE_LINES).map(|(_, line, ..)| *line).collect();
    let mut forgotten = BTreeSet::new();
    for document in documents.unwrap() {
        let text = std::fs::read_to_string(document.unwrap().path()).unwrap();
        for line in text.lines() {
            let line = line.trim().trim_start_matches("run: ").trim_start_matches("$ ");
            let line = line.split(" #").next().unwrap_or_default().trim();
            if !line.starts_with("atmos deployment ") {
                continue;
            }
            let is_pattern =
                ["<deployment>", "[deployment]", "[flags]"].iter().any(|word| line.contains(word));
            if !is_pattern && !known.contains(line) {
                forgotten.insert(line.to_owned());
            }
        }
    }
    assert!(forgotten.is_empty(), "{forgotten:#?}");
}

#[test]
fn help_shows_examples_and_the_tools_around_are_generated() {
    let environment = TestEnvironment::new();
    let nowhere = Checkout::new(&environment, environment.path("home"));
    for verb in VERBS {
        let help = nowhere.atmos(&format!("deployment {verb} --help")).succeeded();
        assert!(help.stdout.contains(&format!("atmos deployment {verb}")), "{}", help.report());
        assert!(help.stdout.contains("Examples:"), "{}", help.report());
    }
    for shell in ["bash", "zsh", "fish"] {
        nowhere.atmos(&format!("completion {shell}")).succeeded().shows("atmos");
    }
    nowhere.atmos("man").succeeded().shows(".TH");
    nowhere.atmos("--version").succeeded().shows(env!("CARGO_PKG_VERSION"));
}
