//! Targets that name a stack: its state, its workspace, its order, and what keeps two targets
//! apart.

use serde_json::json;

use crate::support::{Checkout, TestEnvironment, insist_on};

/// A fake terraform, which logs the workspace and the variables that it is given.
const TERRAFORM: &str = r#"#!/bin/sh
set -eu
case "$1" in
    show) echo '{"resource_changes": []}' ;;
    output) echo '{}' ;;
    workspace) echo "$(basename "$PWD" | cut -d. -f1) $*" >> "$TEST_APPLIED" ;;
    plan) for word; do case "$word" in -var-file=*) tr -d ' \n' < "${word#-var-file=}" >> "$TEST_APPLIED" ;; esac; done
        echo " $(tr -d ' \n' < backend.tf.json)" >> "$TEST_APPLIED" ;;
esac
"#;

const MODULE: &str = "\
variable \"stage\" { type = string }
variable \"size\" { type = number }
variable \"tenant\" { type = string }
resource \"terraform_data\" \"vpc\" { input = var.size }
";

/// Two stacks of one component, named by their variables, with a bucket.
fn stacks(environment: &TestEnvironment) -> Checkout<'_> {
    let checkout = environment.empty_repository("checkout", &[]);
    let program = environment.path("terraform-stub");
    checkout.write_script("../terraform-stub", TERRAFORM);
    checkout.write("components/terraform/vpc/main.tf", MODULE);
    checkout.write(
        "atmos.yaml",
        &format!(
            "base_path: '.'\nstacks: {{ included_paths: ['orgs/**/*'], name_template: '{{{{ .vars.tenant }}}}-{{{{ .vars.stage }}}}' }}\n\
             components: {{ terraform: {{ command: {} }} }}\n",
            program.display()
        ),
    );
    checkout.write(
        "stacks/base.yaml",
        "vars: { tenant: acme, size: 1 }\nterraform:\n  backend_type: s3\n  \
         backend: { s3: { bucket: 'states-{{ .vars.stage }}' } }\ncomponents: { terraform: { vpc: {} } }\n",
    );
    for stage in ["dev", "prod"] {
        let manifest = format!("import: [base]\nvars: {{ stage: {stage} }}\n");
        checkout.write(&format!("stacks/orgs/acme/{stage}.yaml"), &manifest);
    }
    checkout
}

/// Commits a deployment of the component to these targets.
fn deploy(checkout: &Checkout<'_>, targets: &str) {
    checkout.write(
        "deployments/net.yaml",
        &format!(
            "deployment:\n  name: net\n  labels: {{ tenant: acme }}\n  components: {{ terraform: {{ vpc: {{}} }} }}\n  \
             targets:\n{targets}"
        ),
    );
    checkout.commit("Change the deployment");
}

#[test]
fn a_target_has_the_state_of_its_stack_whatever_it_overrides() {
    let environment = TestEnvironment::new();
    let checkout = stacks(&environment);
    // A path and a name mean the same stack; templates fill in either.
    for stack in ["orgs/acme/dev", "acme-dev", "'{{ labels.tenant }}-{{ target.name }}'"] {
        deploy(&checkout, &format!("    dev: {{ stack: {stack}, context: {{ size: 2, stage: other }} }}\n"));
        let component = &checkout.json("deployment describe net --target dev")["components"][0];
        let place = [&component["stack"], &component["workspace"], &component["state"]];
        assert_eq!(place, ["acme-dev", "acme-dev", "s3 states-dev/vpc/acme-dev/terraform.tfstate"]);
        assert_eq!(component["vars"], json!({"tenant": "acme", "stage": "other", "size": 2}));
        let described = checkout.json("describe component vpc -s acme-dev");
        assert_eq!(component["workspace"], described["workspace"]);
    }
    checkout.atmos("deployment validate net").succeeded();
    let place =
        "State of terraform/vpc: workspace acme-dev of the stack acme-dev, s3 states-dev/vpc/acme-dev";
    checkout.atmos("deployment rollout net --target dev --plan").succeeded().says(place);
    assert_eq!(environment.applied()[0], "vpc workspace select -or-create -no-color acme-dev");
    let state = r#"{"terraform":{"backend":{"s3":{"bucket":"states-dev","workspace_key_prefix":"vpc"}}}}"#;
    let planned = &environment.applied()[1];
    for part in [r#""tenant":"acme""#, r#""size":2"#, r#""stage":"other""#, state] {
        assert!(planned.contains(part), "{planned}");
    }
    checkout.atmos("deployment rollout net --target dev").succeeded();
    let record = &checkout.json("deployment history net --target dev")["records"][0];
    assert_eq!([&record["workspace"], &record["stack"]], ["acme-dev", "acme-dev"], "{record:#}");
}

#[test]
fn a_stack_that_is_not_there_is_refused_with_its_place() {
    let environment = TestEnvironment::new();
    let checkout = stacks(&environment);
    deploy(&checkout, "    dev: { stack: acme-dve }\n");
    let message = "deployments/net.yaml:6:19: there is no stack \"acme-dve\"; did you mean \"acme-dev\"?";
    let run = checkout.atmos("deployment validate net").exited(2);
    assert!(run.stdout.contains(message), "{}", run.report());
    checkout.atmos("deployment rollout net --target dev --plan").refused(2, message);
    checkout.atmos("deployment rollout net --target dev").refused(2, message);
    deploy(&checkout, "    dev: { stack: '{{ labels.team }}' }\n");
    let run = checkout.atmos("deployment validate net").exited(2);
    assert!(
        run.stdout.contains("the stack of target `dev`: labels.team is not known here"),
        "{}",
        run.report()
    );
    assert_eq!(environment.applied(), [""; 0]);
}

#[test]
fn two_targets_do_not_share_the_state_of_a_component() {
    let environment = TestEnvironment::new();
    let checkout = stacks(&environment);
    deploy(
        &checkout,
        "    dev: { stack: acme-dev }\n    prod: { stack: orgs/acme/dev, context: { size: 3 } }\n",
    );
    let message = "terraform/vpc has the same state on";
    let run = checkout.atmos("deployment validate net").exited(2);
    assert!(run.stdout.contains("terraform/vpc has the same state on dev and prod: s3"), "{}", run.report());
    for line in ["deployment rollout net --target prod --plan", "deployment rollout net --target prod"] {
        checkout.atmos(line).refused(2, message).says("prod and dev");
    }
    assert_eq!(environment.applied(), [""; 0]);
    deploy(&checkout, "    dev: { stack: acme-dev }\n    prod: { stack: acme-prod }\n");
    checkout.atmos("deployment validate net").succeeded();
    checkout.atmos("deployment rollout net --target prod").succeeded();
    // Without workspaces, imports alone lead to one state as well.
    checkout.write(
        "stacks/base.yaml",
        "terraform: { backend_type: local, backend: { local: { path: /tmp/of-all.tfstate } } }\n\
         vars: { tenant: acme, stage: dev }\ncomponents: { terraform: { vpc: { metadata: { terraform_workspace: default } } } }\n",
    );
    deploy(&checkout, "    dev: {}\n    prod: {}\n");
    let text = std::fs::read_to_string(checkout.path.join("deployments/net.yaml")).unwrap();
    checkout.write("deployments/net.yaml", &text.replace("  labels:", "  stacks: [base]\n  labels:"));
    checkout.commit("Import the stack");
    let run = checkout.atmos("deployment validate net").exited(2);
    assert!(run.stdout.contains("local /tmp/of-all.tfstate, workspace default"), "{}", run.report());
}

#[test]
fn a_stack_that_is_only_imported_is_suggested() {
    let environment = TestEnvironment::new();
    let checkout = stacks(&environment);
    let import = |targets: &str| {
        deploy(&checkout, targets);
        let text = std::fs::read_to_string(checkout.path.join("deployments/net.yaml")).unwrap();
        let text = text.replace("  labels:", "  stacks: [orgs/acme/dev]\n  labels:");
        checkout.write("deployments/net.yaml", &text);
        checkout.commit("Import the stack");
    };
    import("    dev: {}\n");
    let message =
        "the target dev has a state of its own, and not that of the stack acme-dev (workspace acme-dev)";
    let run = checkout.atmos("deployment validate net").succeeded();
    assert!(
        run.stdout.contains(message) && run.stdout.contains("{dev: {stack: acme-dev}}"),
        "{}",
        run.report()
    );
    checkout.atmos("deployment rollout net --target dev --plan").succeeded().says(message);
    for targets in ["    dev: { stack: acme-dev }\n", "    dev: { stack: acme-dev }\n    prod: {}\n"] {
        import(targets);
        let run = checkout.atmos("deployment validate net").succeeded();
        assert!(!run.stdout.contains("a state of its own"), "{}", run.report());
    }
}

#[test]
#[cfg_attr(without_terraform, ignore = "needs terraform")]
fn a_plan_goes_by_the_state_that_terraform_made_in_the_stack_s_workspace() {
    insist_on("terraform", true);
    let mut environment = TestEnvironment::new();
    environment.set("ATMOS_COMPONENTS_TERRAFORM_COMMAND", "terraform");
    let checkout = stacks(&environment);
    let states = environment.path("states");
    let backend = format!("workspace_dir: {}", states.display());
    let base = std::fs::read_to_string(checkout.path.join("stacks/base.yaml")).unwrap();
    let base = base.replace("backend_type: s3", "backend_type: local");
    checkout.write(
        "stacks/base.yaml",
        &base.replace("s3: { bucket: 'states-{{ .vars.stage }}' }", &format!("local: {{ {backend} }}")),
    );
    // The state as plain terraform makes it in the stack's workspace.
    let folder = environment.path("by-hand");
    std::fs::create_dir(&folder).unwrap();
    let local = format!(
        "terraform {{\n  backend \"local\" {{\n    workspace_dir = \"{}\"\n  }}\n}}\n",
        states.display()
    );
    std::fs::write(folder.join("main.tf"), format!("{MODULE}{local}")).unwrap();
    for arguments in [
        &["init", "-input=false"][..],
        &["workspace", "new", "acme-dev"],
        &["apply", "-auto-approve", "-input=false", "-var=stage=dev", "-var=size=1", "-var=tenant=acme"],
    ] {
        let run = environment.command("terraform", &folder).args(arguments).output().unwrap();
        assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    }
    deploy(&checkout, "    dev: { stack: acme-dev }\n");
    checkout.atmos("deployment rollout net --target dev --plan").succeeded().says("no changes");
    deploy(&checkout, "    dev: { stack: acme-dev, context: { size: 2 } }\n");
    checkout
        .atmos("deployment rollout net --target dev --plan")
        .succeeded()
        .says("0 to add, 1 to change, 0 to destroy");
    // Without the stack, the same imports lead to another workspace, which is empty.
    deploy(&checkout, "    dev: {}\n");
    let text = std::fs::read_to_string(checkout.path.join("deployments/net.yaml")).unwrap();
    checkout
        .write("deployments/net.yaml", &text.replace("  labels:", "  stacks: [orgs/acme/dev]\n  labels:"));
    checkout.commit("Import the stack");
    checkout.atmos("deployment rollout net --target dev --plan").succeeded().says("1 to add");
}

/// A deployment whose stacks put `app` after `net`.
fn ordered<'e>(environment: &'e TestEnvironment, demanded: &str, own: &str) -> Checkout<'e> {
    let checkout = environment.empty_repository("checkout", &[]);
    checkout.write(
        "stacks/s.yaml",
        &format!("components:\n  command:\n    net: {{}}\n    app: {{ {demanded} }}\n"),
    );
    let settings = "settings: { command: { apply: [sh, -c, 'echo $ATMOS_COMPONENT >> $TEST_APPLIED'] } }";
    checkout.write(
        "deployments/d.yaml",
        &format!(
            "deployment:\n  name: d\n  stacks: [s]\n  components:\n    command:\n      app: {{ {settings} }}\n      \
             net: {{ {settings}{own} }}\n  targets: {{ dev: {{}} }}\n"
        ),
    );
    checkout.commit("Add the deployment");
    checkout
}

#[test]
fn components_are_rolled_out_in_the_order_that_their_stacks_demand() {
    for demanded in [
        "settings: { depends_on: { 1: { component: net } } }",
        "dependencies: { components: [ { component: net } ] }",
    ] {
        let environment = TestEnvironment::new();
        let checkout = ordered(&environment, demanded, "");
        checkout.atmos("deployment validate d").succeeded();
        let described = checkout.json("deployment describe d --target dev");
        assert_eq!(described["components"][0]["depends_on"], json!(["net"]), "{described:#}");
        let matrix = checkout.atmos("deployment matrix d --target dev --for github").succeeded();
        let app = r#"{"component":"app","type":"command","wave":1,"depends_on":["net"]}"#;
        assert!(matrix.stdout.contains(app), "{}", matrix.report());
        checkout.atmos("deployment rollout d --target dev --parallelism 2").succeeded();
        assert_eq!(environment.applied(), ["net", "app"]);
    }
}

#[test]
fn an_order_that_contradicts_the_deployment_s_own_is_refused() {
    let environment = TestEnvironment::new();
    let demanded = "settings: { depends_on: [ { component: net } ] }";
    let checkout = ordered(&environment, demanded, ", metadata: { depends_on: [app] }");
    let message = "`settings.depends_on` says that app comes after net, and net comes after app otherwise";
    let run = checkout.atmos("deployment validate d").exited(2);
    assert!(run.stdout.contains(message), "{}", run.report());
    for line in ["deployment rollout d --target dev --plan", "deployment rollout d --target dev"] {
        checkout.atmos(line).refused(2, message);
    }
    assert_eq!(environment.applied(), [""; 0]);
    checkout.write("atmos.yaml", "deployments: { ignore: [settings.depends_on] }\n");
    checkout.commit("Ignore the order");
    checkout.atmos("deployment rollout d --target dev").succeeded();
    assert_eq!(environment.applied(), ["app", "net"]);
}

#[test]
fn stacks_in_a_folder_of_a_repository_reach_the_files_beside_it() {
    let environment = TestEnvironment::new();
    let checkout = environment.empty_repository("checkout", &[]);
    checkout.write("infra/atmos.yaml", "base_path: '.'\n");
    checkout.write("shared/x.yaml", "t: hello\n");
    checkout.write("shared/stack.yaml", "vars: { z: 1 }\n");
    checkout.write(
        "infra/stacks/s.yaml",
        "import: [../../shared/stack]\ncomponents:\n  command:\n    app:\n      vars:\n        a: !include ../../shared/x.yaml .t\n        \
         b: !include shared/x.yaml .t\n",
    );
    checkout.write(
        "infra/deployments/d.yaml",
        "deployment:\n  name: d\n  stacks: [s]\n  components: { command: { app: { settings: { command: { apply: ['true'] } } } } }\n  \
         targets: { dev: {} }\n",
    );
    checkout.commit("Add the stacks");
    let infra = Checkout::new(&environment, checkout.path.join("infra"));
    let expected = json!({"z": 1, "a": "hello", "b": "hello"});
    let described = |expected: &serde_json::Value| {
        assert_eq!(&infra.json("describe component app -s s")["vars"], expected);
        let deployment = infra.json("deployment describe d --target dev");
        assert_eq!(&deployment["components"][0]["vars"], expected);
    };
    described(&expected);
    // The nearer file wins, in both.
    checkout.write("infra/shared/x.yaml", "t: near\n");
    described(&json!({"z": 1, "a": "hello", "b": "near"}));
    checkout
        .write("infra/stacks/s.yaml", "import: [../../../outside]\ncomponents: { command: { app: {} } }\n");
    infra.atmos("describe component app -s s").refused(2, "leads out of the repository");
}
