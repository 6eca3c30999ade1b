//! `atmos deployment matrix`: the components that get a job, in their order and in the CI's format.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::support::{Checkout, Clone, Remote, TestEnvironment};

const DEPLOYMENT: &str = "\
deployment:
  name: shop
  stacks: [shop]
  components:
    nixpack:
      web: { vars: { source: ./services/web } }
    terraform:
      network: {}
      service: { metadata: { depends_on: [worker, nixpack/web] } }
    command:
      worker:
        metadata: { depends_on: [network] }
        settings: { command: { apply: [../../tools/deploy], working_directory: services/worker } }
      anywhere: { settings: { command: { apply: [./tools/deploy] } } }
  targets: { dev: { context: { cpu: 256 } }, qa: {} }
";

/// A repository with components of every kind, all of them deployed to dev.
fn shop(environment: &TestEnvironment) -> (Checkout<'_>, Remote<'_>) {
    let remote = environment.bare("remote.git", &[]);
    let checkout = environment.empty_repository("checkout", &[]);
    checkout.git(&["remote", "add", "origin", &remote.url()]);
    checkout.write("deployments/shop.yaml", DEPLOYMENT);
    checkout.write("stacks/shop.yaml", "vars: { stage: a }\n");
    checkout.write("services/web/index.js", "1\n");
    checkout.write("services/worker/main.py", "1\n");
    checkout.write_script("tools/deploy", "#!/bin/sh\n");
    checkout.write("components/terraform/network/main.tf", "variable \"cpu\" {}\n");
    let service = "module \"inner\" {\n  source = \"../../../modules/service\"\n}\n";
    checkout.write("components/terraform/service/main.tf", service);
    checkout.write("modules/service/main.tf", "module \"deep\" {\n  source = \"./deep\"\n}\n");
    checkout.write("modules/service/deep/main.tf", "variable \"x\" {}\n");
    checkout.commit("Add the shop");
    checkout.git(&["push", "--quiet", "--set-upstream", "origin", "main"]);
    deployed(&checkout, &["web", "network", "service", "worker", "anywhere"]);
    (checkout, remote)
}

/// Sets the checked-out commit as the running one on dev, with plain git.
fn deployed(checkout: &Checkout<'_>, components: &[&str]) {
    for component in components {
        let name = format!("HEAD:refs/atmos/deployments/shop/dev/{component}");
        checkout.git(&["push", "--quiet", "--force", "origin", &name]);
    }
}

#[track_caller]
fn matrix(checkout: &Checkout<'_>, arguments: &str) -> Value {
    checkout.atmos(&format!("deployment matrix shop {arguments}")).succeeded().json()
}

/// The components that get a job.
#[track_caller]
fn components(checkout: &Checkout<'_>, arguments: &str) -> Vec<String> {
    let matrix = matrix(checkout, arguments);
    let jobs = matrix["include"].as_array().unwrap();
    jobs.iter().map(|job| job["component"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn every_component_has_a_job_in_its_wave() {
    let environment = TestEnvironment::new();
    let (checkout, _remote) = shop(&environment);
    assert_eq!(
        matrix(&checkout, "--target dev"),
        json!({"include": [
            {"component": "web", "type": "nixpack", "wave": 0, "depends_on": []},
            {"component": "network", "type": "terraform", "wave": 0, "depends_on": []},
            {"component": "anywhere", "type": "command", "wave": 0, "depends_on": []},
            {"component": "worker", "type": "command", "wave": 1, "depends_on": ["network"]},
            {"component": "service", "type": "terraform", "wave": 2, "depends_on": ["web", "worker"]},
        ]})
    );
    assert_eq!(components(&checkout, "--target dev --wave 1"), ["worker"]);
    // `worker` has no job, and yet `service` comes after `network`.
    let some = matrix(&checkout, "--target dev --component terraform/service --component network");
    assert_eq!(
        some["include"][1],
        json!({"component": "service", "type": "terraform", "wave": 1, "depends_on": ["network"]})
    );
    // The output is one line, which a step can pass on.
    let run = checkout.atmos("deployment matrix shop --target dev").succeeded();
    assert_eq!(run.stdout.lines().count(), 1, "{}", run.report());
    checkout.atmos("deployment matrix shop --target prd").refused(2, "shop has no target called prd");
    checkout
        .atmos("deployment matrix shop --target dev --component wrker")
        .refused(2, "no component called wrker");
    checkout.atmos("deployment matrix shop").refused(2, "which target?");
}

#[test]
fn each_component_is_compared_with_its_own_commit() {
    let environment = TestEnvironment::new();
    let (checkout, _remote) = shop(&environment);
    let changed = |path: &str, content: &str| {
        checkout.write(path, content);
        checkout.commit(path);
        let jobs = components(&checkout, "--target dev --changed");
        deployed(&checkout, &["web", "network", "service", "worker", "anywhere"]);
        jobs
    };
    assert!(components(&checkout, "--target dev --changed").is_empty());
    // `anywhere` has no folder of its own: any file may be part of it.
    assert_eq!(changed("README.md", "x\n"), ["anywhere"]);
    assert_eq!(changed("services/worker/main.py", "2\n"), ["worker", "anywhere"]);
    assert_eq!(changed("tools/deploy", "#!/bin/sh\n:\n"), ["worker", "anywhere"]);
    assert_eq!(changed("modules/service/deep/main.tf", "variable \"y\" {}\n"), ["service", "anywhere"]);
    // The service depends on the image.
    assert_eq!(changed("services/web/index.js", "2\n"), ["web", "anywhere", "service"]);
    // A variable of all components, then a variable of one.
    assert_eq!(
        changed("stacks/shop.yaml", "vars: { stage: b }\n"),
        ["web", "network", "anywhere", "worker", "service"]
    );
    let with_vars = DEPLOYMENT.replace("network: {}", "network: { vars: { size: 1 } }");
    assert_eq!(changed("deployments/shop.yaml", &with_vars), ["network", "anywhere"]);

    // The worker lags behind the others.
    checkout.write("services/worker/main.py", "3\n");
    checkout.commit("Worker");
    deployed(&checkout, &["web", "network", "service", "anywhere"]);
    checkout.write("components/terraform/network/main.tf", "variable \"z\" {}\n");
    checkout.commit("Network");
    assert_eq!(components(&checkout, "--target dev --changed"), ["network", "anywhere", "worker"]);
    assert_eq!(components(&checkout, "--target dev --changed --git-sha HEAD~1"), ["worker"]);
    // Nothing runs on qa, so everything has changed.
    assert_eq!(components(&checkout, "--target qa --changed").len(), 5);
    let run = checkout.atmos("deployment matrix shop --target dev --changed").succeeded();
    let run = run.says("web: unchanged\n").says("service: unchanged\n").says("services/worker/main.py");
    run.says("components/terraform/network/main.tf changed since");
}

#[test]
fn every_part_of_a_configuration_counts_alone() {
    let environment = TestEnvironment::new();
    let (checkout, _remote) = shop(&environment);
    let all = ["web", "network", "service", "worker", "anywhere"];
    let file = "deployments/shop.yaml";
    // Without stacks, the deployment's file is the only source.
    let alone = DEPLOYMENT.replace("  stacks: [shop]\n", "");
    checkout.write(file, &alone);
    checkout.commit("No stacks");
    deployed(&checkout, &all);
    for (from, to) in [
        ("network: {}", "network: { vars: { size: 1 } }"),
        ("network: {}", "network: { metadata: { labels: { tier: base } } }"),
        ("network: {}", "network: { settings: { terraform: { lock_timeout: 1m } } }"),
    ] {
        checkout.write(file, &alone.replace(from, to));
        checkout.commit(to);
        assert_eq!(components(&checkout, "--target dev --changed"), ["network", "anywhere"], "{to}");
    }
    checkout.write(file, &alone.replace("cpu: 256", "cpu: 512"));
    checkout.commit("Context");
    assert_eq!(components(&checkout, "--target dev --changed").len(), 5);

    // A setting in a stack alone that is no variable.
    checkout.write(file, DEPLOYMENT);
    checkout.commit("Stacks");
    deployed(&checkout, &all);
    checkout.write("stacks/shop.yaml", "vars: { stage: a }\nterraform: { env: { TF_LOG: info } }\n");
    checkout.commit("Environment");
    assert_eq!(components(&checkout, "--target dev --changed"), ["network", "anywhere", "service"]);
}

#[test]
fn a_shallow_checkout_gets_what_it_compares() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = shop(&environment);
    checkout.write("services/worker/main.py", "2\n");
    checkout.commit("Worker");
    checkout.git(&["push", "--quiet"]);
    let shallow = environment.clone(&format!("file://{}", remote.path.display()), "shallow", Clone::SHALLOW);
    assert_eq!(components(&shallow, "--target dev --changed"), ["worker", "anywhere"]);
}

#[test]
fn what_runs_and_is_gone_counts_as_changed() {
    let environment = TestEnvironment::new();
    let (checkout, _remote) = shop(&environment);
    checkout.write("services/worker/main.py", "2\n");
    checkout.commit("Worker");
    let commit = checkout.git(&["commit-tree", "-m", "nobody has this", "HEAD^{tree}"]);
    checkout.git(&["update-ref", "refs/atmos/deployments/shop/dev/web", &commit]);
    checkout.git(&["push", "--quiet", "--force", "origin", "refs/atmos/deployments/shop/dev/web"]);
    // Unrelated history is compared as well, and an unreadable configuration counts as changed.
    assert_eq!(components(&checkout, "--target dev --changed"), ["worker", "anywhere"]);
    checkout.write("deployments/shop.yaml", "deployment: { name: shop, components: {}, nonsense: 1 }\n");
    checkout.commit("Break it");
    deployed(&checkout, &["network"]);
    checkout.write("deployments/shop.yaml", DEPLOYMENT);
    checkout.commit("Mend it");
    let run = checkout.atmos("deployment matrix shop --target dev --changed").succeeded();
    run.says("network: taken as changed: its configuration in commit");
}

#[test]
fn too_many_jobs_are_refused_with_a_way_out() {
    let environment = TestEnvironment::new();
    let checkout = environment.empty_repository("checkout", &[]);
    let mut file =
        "deployment:\n  name: shop\n  targets: { dev: {} }\n  components:\n    terraform:\n".to_owned();
    for at in 0..257 {
        let needs = if at == 0 { "" } else { " metadata: { depends_on: [c0] } " };
        let _ = writeln!(file, "      c{at}: {{{needs}}}");
    }
    checkout.write("deployments/shop.yaml", &file);
    checkout.commit("Add many");
    let run = checkout.atmos("deployment matrix shop --target dev").refused(2, "there are 257 jobs");
    run.says("atmos deployment matrix shop --target dev --wave 0").says("--component");
    assert_eq!(components(&checkout, "--target dev --wave 1").len(), 256);
}

#[test]
fn gitlab_gets_a_child_pipeline() {
    let environment = TestEnvironment::new();
    let (checkout, _remote) = shop(&environment);
    let arguments =
        "deployment matrix shop --target dev --component web --component service --template ci/atmos.yml";
    let run = checkout.atmos(&format!("{arguments} --for gitlab")).succeeded();
    let pipeline: Value = serde_yaml::from_str(&run.stdout).unwrap();
    assert_eq!(
        pipeline,
        json!({
            "include": [{"local": "/ci/atmos.yml"}],
            "stages": ["rollout"],
            "rollout web": {
                "extends": ".atmos-rollout", "stage": "rollout", "needs": [],
                "variables": {
                    "ATMOS_INPUT_DEPLOYMENT": "shop", "ATMOS_INPUT_TARGET": "dev", "ATMOS_INPUT_COMPONENT": "web"
                }
            },
            "rollout service": {
                "extends": ".atmos-rollout", "stage": "rollout", "needs": ["rollout web"],
                "variables": {
                    "ATMOS_INPUT_DEPLOYMENT": "shop", "ATMOS_INPUT_TARGET": "dev", "ATMOS_INPUT_COMPONENT": "service"
                }
            },
        })
    );
    // In a job of GitLab, this format is the default.
    let in_job = checkout.atmos_with(arguments, &[("GITLAB_CI", "true")]).succeeded();
    assert_eq!(in_job.stdout, run.stdout);
    let nothing = checkout.atmos("deployment matrix shop --target dev --changed --for gitlab").succeeded();
    let nothing = nothing.shows("nothing to roll out:");
    assert!(!nothing.stdout.contains("extends"), "{}", nothing.report());
}
