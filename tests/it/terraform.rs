//! A deployment of terraform components through the whole program, with a real terraform and
//! without a network: modules from the same commit and from a git repository, stacks, state,
//! outputs.

use serde_json::{Value, json};

use crate::ci_reports::pull_request;
use crate::support::{Checkout, CiJob, Platform, Remote, TestEnvironment, insist_on};

const SECRET: &str = "hunter2-in-no-log";

const DEPLOYMENT: &str = "\
deployment:
  name: shop
  stacks: [platform]
  components:
    terraform:
      network: {}
      app:
        metadata: { depends_on: [network] }
        vars: { commit: '{{ git.sha }}' }
      fragile: {}
      after-fragile:
        component: fragile
        metadata: { depends_on: [fragile] }
  targets:
    dev: { context: { stage: dev, size: 1 } }
    staging: { promotion: { from: dev }, context: { stage: staging, size: 2 } }
    prod: { promotion: { from: staging }, context: { stage: prod, size: 3 } }
";

const STACK: &str = "\
vars:
  name: '{{ .vars.stage }}-shop'
components:
  terraform:
    network/defaults:
      metadata: { type: abstract }
      vars: { cidr: 10.0.0.0/16 }
    network:
      metadata: { component: network-module, inherits: [network/defaults] }
    app:
      metadata: { component: app-module }
      env: { TF_VAR_from_env: 'of the {{ .vars.stage }} stack' }
      vars:
        network: !terraform.output network id
        password: !env SHOP_PASSWORD
";

const NAMING: &str = "
variable \"name\" { type = string }
output \"name\" { value = \"${var.name}-VERSION\" }
";

const NETWORK: &str = "
variable \"name\" { type = string }
variable \"cidr\" { type = string }
module \"naming\" {
  source = \"../modules/naming\"
  name   = var.name
}
resource \"terraform_data\" \"network\" { input = \"${module.naming.name} ${var.cidr}\" }
output \"id\" { value = terraform_data.network.output }
";

const APP: &str = "
variable \"name\" { type = string }
variable \"size\" { type = number }
variable \"network\" { type = string }
variable \"commit\" { type = string }
variable \"from_env\" { type = string }
variable \"password\" {
  type      = string
  sensitive = true
}
module \"naming\" {
  source = \"git::file://MODULES//naming?ref=v1\"
  name   = var.name
}
resource \"terraform_data\" \"identity\" { input = 1 }
resource \"terraform_data\" \"app\" {
  input = { size = var.size, code = \"VERSION\", network = var.network, commit = var.commit }
  provisioner \"local-exec\" { command = \"echo the password is ${nonsensitive(var.password)}\" }
}
output \"identity\" { value = terraform_data.identity.id }
output \"app\" { value = terraform_data.app.output }
output \"from_env\" { value = var.from_env }
output \"module\" { value = module.naming.name }
output \"password\" {
  value     = var.password
  sensitive = true
}
";

const FRAGILE: &str = "
variable \"broken\" {
  type    = bool
  default = false
}
resource \"terraform_data\" \"made_before\" { input = \"VERSION\" }
resource \"terraform_data\" \"fragile\" {
  input = terraform_data.made_before.output
  lifecycle {
    postcondition {
      condition     = !var.broken
      error_message = \"it broke in the middle\"
    }
  }
}
";

/// The shop in a checkout with a remote.
fn shop(environment: &mut TestEnvironment) -> (Checkout<'_>, Remote<'_>) {
    let path = std::env::var_os("PATH").unwrap();
    let is_there = std::env::split_paths(&path).any(|folder| folder.join("terraform").is_file());
    insist_on("terraform", is_there);
    environment.set("SHOP_PASSWORD", SECRET);
    let modules = environment.empty_repository("modules", &[]);
    modules.write("naming/main.tf", &NAMING.replace("VERSION", "from git"));
    modules.commit("Add naming");
    modules.git(&["tag", "v1"]);

    let remote = environment.bare("remote.git", &[]);
    let checkout = environment.empty_repository("checkout", &[]);
    checkout.write("deployments/shop.yaml", DEPLOYMENT);
    checkout.write("stacks/platform.yaml", STACK);
    write_code(&checkout, "1");
    checkout.commit("Version 1");
    checkout.git(&["remote", "add", "origin", &remote.url()]);
    checkout.git(&["push", "--quiet", "--set-upstream", "origin", "main"]);
    (checkout, remote)
}

fn write_code(checkout: &Checkout<'_>, version: &str) {
    let modules = checkout.environment.path("modules");
    let code = |text: &str| text.replace("VERSION", version).replace("MODULES", modules.to_str().unwrap());
    checkout.write("components/terraform/modules/naming/main.tf", &code(NAMING));
    checkout.write("components/terraform/network-module/main.tf", NETWORK);
    checkout.write("components/terraform/app-module/main.tf", &code(APP));
    checkout.write("components/terraform/fragile/main.tf", &code(FRAGILE));
}

/// An output in a component's state.
fn output(checkout: &Checkout<'_>, target: &str, component: &str, name: &str) -> Value {
    let path = checkout.path.join(format!(".atmos/state/shop/{target}/{component}/terraform.tfstate"));
    let state: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    state["outputs"][name]["value"].clone()
}

fn workdirs(checkout: &Checkout<'_>) -> Vec<std::path::PathBuf> {
    let folder = checkout.path.join(".atmos/workdir");
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    entries.map(|entry| entry.unwrap().path()).collect()
}

#[test]
#[cfg_attr(without_terraform, ignore = "needs terraform")]
fn each_target_has_the_code_and_the_values_of_the_commit_that_it_got() {
    let mut environment = TestEnvironment::new();
    let (checkout, remote) = shop(&mut environment);
    let first = checkout.head();
    let app = |size: u32, code: &str, stage: &str, cidr: &str, commit: &str| json!({"size": size, "code": code, "network": format!("{stage}-shop-{code} {cidr}"), "commit": commit});
    checkout.atmos("deployment rollout shop --target dev").succeeded();
    checkout.atmos("deployment rollout shop --target staging --promote-from dev").succeeded();
    checkout.atmos("deployment rollout shop --target prod --promote-from staging").succeeded();
    for (target, size) in [("dev", 1), ("staging", 2), ("prod", 3)] {
        assert_eq!(output(&checkout, target, "app", "app"), app(size, "1", target, "10.0.0.0/16", &first));
        assert_eq!(output(&checkout, target, "app", "from_env"), json!(format!("of the {target} stack")));
        assert_eq!(output(&checkout, target, "app", "module"), json!(format!("{target}-shop-from git")));
    }
    let identity = output(&checkout, "staging", "app", "identity");

    // A new version of the code, of the stack and of the deployment's own values.
    write_code(&checkout, "2");
    checkout.write("stacks/platform.yaml", &STACK.replace("10.0.0.0", "10.2.0.0"));
    checkout.write("deployments/shop.yaml", &DEPLOYMENT.replace("size: 2", "size: 20"));
    let second = checkout.commit("Version 2");
    checkout.atmos("deployment rollout shop --target dev").succeeded();
    // The running version on dev is promoted, whatever is checked out.
    checkout.write("stacks/platform.yaml", "unreadable: [");
    checkout.write("components/terraform/app-module/main.tf", "unreadable");
    checkout.commit("Version 3, which is broken");
    checkout.atmos("deployment rollout shop --target staging --promote-from dev").succeeded();
    assert_eq!(output(&checkout, "staging", "app", "app"), app(20, "2", "staging", "10.2.0.0/16", &second));
    assert_eq!(output(&checkout, "prod", "app", "app"), app(3, "1", "prod", "10.0.0.0/16", &first));
    assert_eq!(output(&checkout, "staging", "app", "identity"), identity, "the state is kept");

    let back = checkout.atmos(&format!("deployment rollout shop --target staging --git-sha {first}"));
    back.succeeded();
    assert_eq!(output(&checkout, "staging", "app", "app"), app(2, "1", "staging", "10.0.0.0/16", &first));
    assert_eq!(output(&checkout, "staging", "app", "identity"), identity);
    assert_eq!(remote.state("shop", "staging", "app"), first);
    assert_eq!(workdirs(&checkout), [""; 0].map(std::path::PathBuf::from));
}

#[test]
#[cfg_attr(without_terraform, ignore = "needs terraform")]
fn a_failure_in_the_middle_stops_what_depends_on_it_and_nothing_else() {
    let mut environment = TestEnvironment::new();
    let (checkout, remote) = shop(&mut environment);
    let first = checkout.head();
    checkout.atmos("deployment rollout shop --target dev").succeeded();
    write_code(&checkout, "2");
    let second = checkout.commit("Version 2");
    let line = "deployment rollout shop --target dev --context broken=true --format json";
    let run = checkout.atmos(line).exited(1);
    let result = run.json();
    let status = |name: &str| {
        let components = result["components"].as_array().unwrap();
        components.iter().find(|component| component["component"] == name).unwrap()["status"].clone()
    };
    assert_eq!(
        ["fragile", "after-fragile", "network", "app"].map(status).map(|status| status.to_string()),
        ["\"failed\"", "\"skipped\"", "\"success\"", "\"success\""]
    );
    assert!(run.stderr.contains("it broke in the middle"), "{}", run.report());
    for (component, commit) in [("fragile", &first), ("after-fragile", &first), ("app", &second)] {
        assert_eq!(remote.state("shop", "dev", component), *commit, "{component}");
    }
    let records = [("fragile", 2), ("after-fragile", 1), ("app", 2)];
    for (component, number) in records {
        assert_eq!(remote.verify_chain("shop", "dev", component), number, "{component}");
    }
    let history = checkout.json("deployment history shop --target dev --component fragile");
    assert_eq!(history["records"][0]["status"], "failed");
    assert_eq!(remote.locks(), [""; 0]);
    let [kept] = workdirs(&checkout).try_into().unwrap();
    assert!(kept.join("components/terraform/fragile/main.tf").is_file());
    assert!(run.stderr.contains(kept.to_str().unwrap()), "{}", run.report());

    checkout.atmos("deployment rollout shop --target dev").succeeded();
    assert_eq!(remote.state("shop", "dev", "after-fragile"), second);
}

#[test]
#[cfg_attr(without_terraform, ignore = "needs terraform")]
fn outputs_are_read_from_the_state_of_what_is_not_rolled_out() {
    let mut environment = TestEnvironment::new();
    let (checkout, _) = shop(&mut environment);
    let everything = checkout.json("deployment rollout shop --target dev --plan");
    let app =
        &everything["components"].as_array().unwrap().iter().find(|one| one["component"] == "app").unwrap();
    assert_eq!((&app["status"], app.get("changes")), (&json!("planned"), None));
    assert!(app["notice"].as_str().unwrap().contains("before network is deployed"), "{app}");
    let alone = "deployment rollout shop --target dev --component app";
    let run = checkout.atmos(alone).exited(1);
    assert!(
        run.stderr.contains("stacks/platform.yaml:14:18: ")
            && run.stderr.contains("network has no output id on dev"),
        "{}",
        run.report()
    );
    checkout.atmos("deployment rollout shop --target dev --component network").succeeded();
    let planned = checkout.json(&format!("{alone} --plan"));
    assert_eq!(planned["components"][0]["changes"]["add"], 2);
    checkout.atmos(alone).succeeded();
    assert_eq!(output(&checkout, "dev", "app", "app")["network"], "dev-shop-1 10.0.0.0/16");

    // Without the dependency, the order of the two is unknown, and the rollout of both is refused.
    checkout.write(
        "deployments/shop.yaml",
        &DEPLOYMENT.replace("metadata: { depends_on: [network] }", "metadata: {}"),
    );
    checkout.commit("Forget the order");
    let both = "deployment rollout shop --target dev --component app --component network --parallelism 1";
    let run = checkout.atmos(both).refused(2, "it needs outputs of network, which may run after it");
    run.says("add network to its metadata.depends_on");
}

#[test]
#[cfg_attr(without_terraform, ignore = "needs terraform")]
fn a_sensitive_output_is_shown_nowhere() {
    let mut environment = TestEnvironment::new();
    let (checkout, remote) = shop(&mut environment);
    let runs = [
        checkout.atmos("deployment rollout shop --target dev --verbose --plan"),
        checkout.atmos("deployment rollout shop --target dev --verbose"),
        checkout.atmos("deployment rollout shop --target staging --promote-from dev --verbose --format json"),
        checkout.atmos("deployment status shop --format json"),
        checkout.atmos("deployment history shop --target dev --format json"),
    ];
    for run in runs {
        let run = run.succeeded();
        assert!(!run.stdout.contains(SECRET) && !run.stderr.contains(SECRET), "{}", run.report());
    }
    holds_no_secret(&checkout, &remote);
}

/// Asserts that terraform knows the secret, and that no repository has it in an object.
fn holds_no_secret(checkout: &Checkout<'_>, remote: &Remote<'_>) {
    assert_eq!(output(checkout, "dev", "app", "password"), SECRET, "terraform knows it");
    for repository in [&checkout.path, &remote.path] {
        let objects = checkout.environment.git(repository, &["cat-file", "--batch-all-objects", "--batch"]);
        assert!(!objects.contains(SECRET));
    }
}

/// A job reports more than a rollout does.
#[test]
#[cfg_attr(any(without_terraform, without_python3), ignore = "needs terraform and python3")]
fn a_sensitive_output_is_in_nothing_that_a_job_tells_the_platform() {
    let platform = Platform::start();
    let mut environment = TestEnvironment::new();
    let (checkout, remote) = shop(&mut environment);
    let job = CiJob::github(&checkout, "pull_request").with("GITHUB_API_URL", platform.github());
    let job = job.event(&pull_request("acme/shop", &checkout.head()));
    let job = job.input("command", "rollout").input("deployment", "shop").input("target", "dev");
    let run = job.run().succeeded();
    let comments = platform.told("comments");
    assert_eq!(comments.len(), 1, "{}", run.report());
    for text in [comments[0].to_string(), job.summary(), job.output("json"), run.stderr] {
        assert!(!text.is_empty() && !text.contains(SECRET), "{text}");
    }
    holds_no_secret(&checkout, &remote);
}

#[test]
#[cfg_attr(without_terraform, ignore = "needs terraform")]
fn drift_is_found_noted_and_shown_to_whoever_asks_later() {
    let mut environment = TestEnvironment::new();
    environment.set_clock("2025-01-22T12:00:00Z");
    let (checkout, remote) = shop(&mut environment);
    let first = checkout.head();
    checkout.atmos("deployment rollout shop --target dev").succeeded();
    // The checked-out commit does not matter.
    write_code(&checkout, "2");
    checkout.commit("Version 2, which runs nowhere");
    let check = "deployment status shop --target dev --check-drift";
    checkout.atmos(check).succeeded().shows("Drift: no drift detected");

    let state = checkout.path.join(".atmos/state/shop/dev/network/terraform.tfstate");
    let text = std::fs::read_to_string(&state).unwrap();
    std::fs::write(&state, text.replace("10.0.0.0", "10.66.0.0")).unwrap();
    let later = [("ATMOS_NOW", "2025-01-22T13:00:00Z")];
    let found = checkout.atmos_with(&format!("{check} --format json"), &later).exited(5).json();
    let components = found["deployments"][0]["targets"][0]["components"].as_array().unwrap();
    let network = components.iter().find(|component| component["component"] == "network").unwrap();
    assert_eq!(network["drift"], "found");
    assert_eq!(network["drift_changes"], json!({"add": 0, "change": 1, "destroy": 0}));
    assert_eq!(network["commit"], first);
    let notes = remote.git(&["notes", "--ref=atmos/shop/drift", "show", &first]);
    assert_eq!(notes.lines().filter(|line| line.contains("\"network\"")).count(), 1, "the newest: {notes}");

    let clone = checkout.environment.clone(&remote.url(), "clone", crate::support::Clone::SHALLOW);
    let shown = clone
        .atmos_with("deployment status shop --target dev", &[("ATMOS_NOW", "2025-01-22T15:00:00Z")])
        .succeeded();
    shown.shows("drift detected (0 to add, 1 to change, 0 to destroy), 2h ago");
    checkout.atmos("deployment rollout shop --target staging --promote-from dev").succeeded();
    let diff = "deployment diff shop --from-target dev --to-target staging";
    assert_eq!(checkout.json(diff)["drift"], "not_checked");
    assert_eq!(checkout.json(&format!("{diff} --check-drift"))["drift"], "found");
    // After a rollout of the same commit, there is no drift.
    checkout.atmos(&format!("deployment rollout shop --target dev --git-sha {first}")).succeeded();
    checkout.atmos(check).succeeded().shows("no drift detected");
    assert_eq!(workdirs(&checkout), [""; 0].map(std::path::PathBuf::from));
}

#[test]
#[cfg_attr(without_terraform, ignore = "needs terraform")]
fn rollouts_of_two_targets_at_once_in_one_checkout_do_not_disturb_each_other() {
    let mut environment = TestEnvironment::new();
    let (checkout, remote) = shop(&mut environment);
    let lines =
        ["--target dev", "--target staging --skip-promotion-check", "--target prod --skip-promotion-check"];
    let running = lines.map(|line| checkout.start(&format!("deployment rollout shop {line}"), &[]));
    for run in running {
        run.wait().succeeded();
    }
    for (target, size) in [("dev", 1), ("staging", 2), ("prod", 3)] {
        let app = output(&checkout, target, "app", "app");
        assert_eq!(
            (&app["size"], &app["network"]),
            (&json!(size), &json!(format!("{target}-shop-1 10.0.0.0/16")))
        );
        assert_eq!(remote.state("shop", target, "app"), checkout.head());
    }
    assert_eq!(remote.locks(), [""; 0]);
    assert_eq!(workdirs(&checkout), [""; 0].map(std::path::PathBuf::from));
}

/// A component that uses the outputs of another one by a template in the deployment's own file.
const GATEWAY: &str = "\
deployment:
  name: edge
  components:
    terraform:
      network: { component: network-module, vars: { name: edge, cidr: 10.1.0.0/16 } }
      gateway:
        component: naming
        metadata: { depends_on: [network] }
        vars: { name: 'gateway of {{ outputs.network.id }}' }
        settings: { health: { command: [./check.sh, '{{ outputs.gateway.name }}'] } }
    command:
      token: { settings: { command: { apply: [./token.sh] } } }
      dashboard:
        metadata: { depends_on: [token] }
        vars: { token: '{{ outputs.token.id }}' }
        settings: { command: { apply: ['true'] }, health: { command: ['true'] } }
  targets: { dev: {}, prod: {} }
";

#[test]
#[cfg_attr(without_terraform, ignore = "needs terraform")]
fn what_uses_the_outputs_of_others_can_be_looked_at_and_rolled_out_alone() {
    let mut environment = TestEnvironment::new();
    let (checkout, _) = shop(&mut environment);
    checkout.write("deployments/edge.yaml", GATEWAY);
    checkout.write("components/terraform/naming/main.tf", &NAMING.replace("VERSION", "1"));
    checkout.write_script("check.sh", "#!/bin/sh\necho \"asked for $1\"\n");
    checkout.write_script("token.sh", "#!/bin/sh\necho id=t1 > \"$ATMOS_OUTPUT\"\n");
    checkout.commit("Add the edge");

    // A dry run only knows outputs of earlier rollouts.
    let planned = checkout.json("deployment rollout edge --target dev --plan");
    let notice = |name: &str| {
        let components = planned["components"].as_array().unwrap();
        let component = components.iter().find(|component| component["component"] == name).unwrap();
        component["notice"].as_str().unwrap_or_default().to_owned()
    };
    assert!(notice("gateway").contains("before network is deployed"), "{planned}");
    assert!(notice("dashboard").contains("before token is deployed"), "{planned}");
    let alone = "deployment rollout edge --target dev --component gateway";
    let refused = checkout.atmos(alone).exited(1);
    refused.says("outputs.network.id is not known here").says("network has put out no such value on dev");

    checkout.atmos("deployment rollout edge --target dev").succeeded();
    let name = "gateway of edge-1 10.1.0.0/16-1";
    let state = checkout.path.join(".atmos/state/edge/dev/gateway/terraform.tfstate");
    let state: Value = serde_json::from_str(&std::fs::read_to_string(state).unwrap()).unwrap();
    assert_eq!(state["outputs"]["name"]["value"], name);
    checkout.atmos(alone).succeeded();

    let looked =
        checkout.atmos("deployment status edge --target dev --check-health --check-drift --format json");
    let looked = looked.succeeded().json();
    let components = looked["deployments"][0]["targets"][0]["components"].as_array().unwrap();
    let of = |name: &str| components.iter().find(|component| component["component"] == name).unwrap();
    assert_eq!(of("gateway")["drift"], "none", "{looked}");
    assert_eq!(of("gateway")["health"], format!("healthy (asked for {name})"));
    assert_eq!(of("dashboard")["health"], "healthy", "its variables have nothing to do with it: {looked}");
    let alone = checkout.atmos("deployment rollout edge --target dev --component dashboard");
    alone.refused(2, "known only while it is rolled out").says("--component dashboard --component token");
}
