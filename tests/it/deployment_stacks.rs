//! Deployments that import stacks: the origins of values, and refusals before anything runs.

use serde_json::json;

use crate::support::{Checkout, CiJob, TestEnvironment};

const DEPLOYMENT: &str = "\
deployment:
  name: worker
  stacks:
    - platform/base
    - team
  components:
    command:
      queue:
        vars: { level: info }
        settings: { command: { apply: [sh, -c, 'cat $ATMOS_VARS_FILE >> $TEST_APPLIED'] } }
  targets:
    dev: { context: { stage: dev } }
    prod: { context: { stage: prod, level: warn } }
";

fn deployment(environment: &TestEnvironment) -> Checkout<'_> {
    let checkout = environment.empty_repository("checkout", &[]);
    checkout.write("deployments/worker.yaml", DEPLOYMENT);
    checkout.write("stacks/platform/base.yaml", "vars: {region: eu, level: debug}\n");
    checkout.write(
        "stacks/team.yaml",
        "components: {command: {queue: {vars: {name: 'q-{{ .vars.stage }}', tags: {team: core}}}}}\n",
    );
    // Only imported files are read, so this one does no harm.
    checkout.write("stacks/other.yaml", "unreadable: [\n");
    checkout.commit("Add the worker");
    checkout
}

/// Changes the team's stack and commits the change.
fn team(checkout: &Checkout<'_>, queue: &str) {
    checkout.write("stacks/team.yaml", &format!("components:\n  command:\n    queue: {queue}\n"));
    checkout.commit("Change the team's stack");
}

#[test]
fn the_stacks_of_the_commit_are_the_lowest_layer() {
    let environment = TestEnvironment::new();
    let checkout = deployment(&environment);
    checkout.write("stacks/team.yaml", "not: committed\n");
    checkout.atmos("deployment rollout worker --target prod --context tags.by=hand").succeeded();
    let vars: serde_json::Value = serde_json::from_str(&environment.applied().join("\n")).unwrap();
    let expected = json!({
        "region": "eu", "level": "warn", "name": "q-prod", "stage": "prod", "tags": {"team": "core", "by": "hand"}
    });
    assert_eq!(vars, expected);
}

#[test]
fn a_sparse_checkout_has_the_stacks_of_its_commit() {
    let environment = TestEnvironment::new();
    let checkout = deployment(&environment);
    let line = "deployment describe worker --target dev --sources";
    let whole = checkout.json(line);
    checkout.git(&["sparse-checkout", "set", "--cone", "deployments"]);
    assert!(!checkout.path.join("stacks").exists(), "it is not sparse: this test tests nothing");
    assert_eq!(checkout.json(line), whole);
    checkout.atmos("deployment validate worker").succeeded();
}

#[test]
fn every_value_is_shown_with_the_stack_that_decides_it() {
    let environment = TestEnvironment::new();
    let checkout = deployment(&environment);
    let described = checkout.json("deployment describe worker --target dev --sources");
    let queue = &described["components"][0];
    assert_eq!(queue["vars"]["name"], "q-dev");
    assert_eq!(
        queue["sources"],
        json!({
            "region": "stacks: platform/base", "level": "component vars", "name": "stacks: team",
            "tags": "stacks: team", "stage": "target context"
        })
    );
}

#[test]
fn what_the_environment_holds_is_used_and_not_shown() {
    let mut environment = TestEnvironment::new();
    environment.set("QUEUE_PASSWORD", "hunter2");
    let checkout = deployment(&environment);
    let before = checkout.head();
    team(&checkout, "{vars: {password: !env QUEUE_PASSWORD}}");
    for line in [
        "deployment describe worker --target dev --sources".to_owned(),
        format!("deployment diff worker --from-sha {before} --to-sha HEAD"),
    ] {
        let run = checkout.atmos(&line).succeeded().shows("!env QUEUE_PASSWORD");
        assert!(!run.stdout.contains("hunter2"), "{}", run.report());
    }
    checkout.atmos("deployment rollout worker --target dev").succeeded();
    assert!(environment.applied().join("").contains("hunter2"));
}

#[test]
fn a_diff_compares_what_stacks_say() {
    let environment = TestEnvironment::new();
    let checkout = deployment(&environment);
    let before = checkout.head();
    team(&checkout, "{vars: {name: 'queue-{{ .vars.stage }}', tags: {team: core}}}");
    let diff = checkout.json(&format!("deployment diff worker --from-sha {before} --to-sha HEAD"));
    let configuration: Vec<_> = diff["configuration"].as_array().unwrap().iter().collect();
    let name = |target: &str| {
        json!({
            "path": format!("targets.{target}.queue.vars.name"), "from": format!("q-{target}"),
            "to": format!("queue-{target}"), "change": "changed"
        })
    };
    assert_eq!(configuration, [&name("dev"), &name("prod")]);

    team(&checkout, "{vars: {name: !exec date}}");
    let run =
        checkout.atmos(&format!("deployment diff worker --from-sha {before} --to-sha HEAD")).succeeded();
    run.says("stacks/team.yaml:3:26: the YAML function `!exec` is not supported").shows("queue.vars.region");
}

#[test]
fn stacks_that_cannot_be_used_are_refused_with_their_place_before_anything_runs() {
    let environment = TestEnvironment::new();
    let checkout = deployment(&environment);
    let line = "deployment rollout worker --target dev";
    let refused = |code: i32, message: &str| {
        let run = checkout.atmos(line).exited(code);
        assert!(run.error_line().contains(message), "{}", run.report());
        assert_eq!(environment.applied(), [""; 0]);
        assert!(!run.stderr.contains("Components ("), "{}", run.report());
        run
    };
    for (queue, code, message) in [
        ("{vars: {x: !exec date}}", 2, "stacks/team.yaml:3:23: the YAML function `!exec` is not supported"),
        (
            "{vars: {x: '{{ .vars.nope }}'}}",
            2,
            "stacks/team.yaml:3:23: the template `{{ .vars.nope }}` has no value here",
        ),
        (
            "{metadata: {inherits: [nope]}}",
            2,
            "the component queue inherits from nope, which the stack does not define",
        ),
        ("{metadata: {type: abstract}}", 2, "queue is abstract in its stacks"),
        ("{metadata: {locked: true}}", 3, "queue is locked by its stacks"),
        ("{vars: [}", 2, "stacks/team.yaml:3:"),
    ] {
        team(&checkout, queue);
        refused(code, message);
    }
    team(&checkout, "{vars: {x: !terraform.output vpc elsewhere id}}");
    refused(2, "stacks/team.yaml:3:23: the output \"id\" of vpc in elsewhere cannot be read");
    team(&checkout, "{vars: {x: !terraform.output vpc id}}");
    refused(2, "cannot be read: worker has no terraform component of that name");
    // Components that are not selected do not matter.
    team(&checkout, "{}\n    other: {vars: {x: !exec date}}");
    checkout.atmos(&format!("{line} --plan")).succeeded();

    checkout.write("deployments/worker.yaml", &DEPLOYMENT.replace("- team", "- taem"));
    checkout.commit("Mistype a stack");
    refused(2, "deployments/worker.yaml:5:7: the import \"taem\" is not there").says("looked for in stacks");
    checkout.write("deployments/worker.yaml", DEPLOYMENT);
    checkout.write("stacks/team.yaml", "import: [platform/base]\n");
    checkout.write("stacks/platform/base.yaml", "import: [team]\n");
    checkout.commit("Import in a circle");
    refused(2, "stacks/platform/base.yaml → stacks/team.yaml → stacks/platform/base.yaml");
}

#[test]
fn outputs_of_other_stacks_are_read_where_their_state_can_be() {
    let environment = TestEnvironment::new();
    let checkout = deployment(&environment);
    let states = environment.path("states");
    let net = |backend: &str| {
        let vpc = "{remote_state_backend_type: static, remote_state_backend: {static: {id: vpc-1}}}";
        let text = format!("components:\n  terraform:\n    vpc: {vpc}\n    db: {{{backend}}}\n");
        checkout.write("stacks/net.yaml", &text);
        checkout.write("stacks/other.yaml", "vars: {}\n");
        team(&checkout, "{vars: {id: !terraform.output vpc net id, host: !terraform.state db net .host}}");
    };
    let local = format!("backend_type: local, backend: {{local: {{workspace_dir: {}}}}}", states.display());
    let rollout = "deployment rollout worker --target dev";
    net(&local);
    // Validation succeeds, since the state may exist on another machine.
    checkout.atmos("deployment validate worker").succeeded();
    checkout.atmos(rollout).refused(2, "the output \".host\" of db in net cannot be read: there is no state");
    assert_eq!(environment.applied(), [""; 0]);

    std::fs::create_dir_all(states.join("net-db")).unwrap();
    let state = r#"{"version": 4, "outputs": {"host": {"value": "db.internal", "type": "string"}}}"#;
    std::fs::write(states.join("net-db/terraform.tfstate"), state).unwrap();
    std::fs::create_dir_all(states.join("net")).unwrap();
    std::fs::write(states.join("net/terraform.tfstate"), state).unwrap();
    checkout.atmos(rollout).succeeded();
    let vars: serde_json::Value = serde_json::from_str(&environment.applied().join("\n")).unwrap();
    assert_eq!((&vars["id"], &vars["host"]), (&json!("vpc-1"), &json!("db.internal")));

    net("backend_type: s3, backend: {s3: {bucket: b}}");
    let never = "cannot be read: its state is in a backend that only terraform reads";
    checkout.atmos("deployment validate worker").exited(2).shows(never);
    checkout.atmos(rollout).refused(2, never).says("remote_state_backend_type: static");
}

#[test]
fn what_a_rollout_does_not_act_on_is_refused_alike_before_anything_runs() {
    let environment = TestEnvironment::new();
    let checkout = deployment(&environment);
    for (queue, key) in [
        ("{hooks: {a: {events: [after-apply], command: store}}}", "hooks"),
        ("{auth: {identities: {admin: {kind: aws/user}}}}", "auth"),
        ("{settings: {validation: {a: {schema_type: opa}}}}", "settings.validation"),
    ] {
        team(&checkout, queue);
        let message = format!("a rollout does not act on `{key}` of queue");
        let validated = checkout.atmos("deployment validate worker").exited(2);
        assert!(validated.stdout.contains(&message), "{}", validated.report());
        for line in
            ["deployment rollout worker --target dev --plan", "deployment rollout worker --target dev"]
        {
            let run = checkout.atmos(line).exited(2);
            let place = run.error_line().starts_with("stacks/team.yaml:3:");
            assert!(place && run.error_line().contains(&message), "{}", run.report());
            assert!(run.stderr.contains("deployments: {"), "{}", run.report());
        }
        assert_eq!(environment.applied(), [""; 0]);
    }
    // The component is still described, and the project may ignore the setting.
    checkout.atmos("deployment describe worker --target dev").succeeded();
    checkout.write("atmos.yaml", "deployments: {ignore: [settings.validation]}\n");
    checkout.commit("Ignore the validation");
    checkout.atmos("deployment validate worker").succeeded();
    checkout.atmos("deployment rollout worker --target dev").succeeded();
}

#[test]
fn what_a_stack_disables_is_left_out() {
    let environment = TestEnvironment::new();
    let checkout = deployment(&environment);
    team(&checkout, "{metadata: {enabled: false}}");
    let run = checkout.atmos("deployment rollout worker --target dev").succeeded();
    run.shows("command/queue (skipped): disabled by its stacks");
    assert_eq!(environment.applied(), [""; 0]);
    assert_eq!(checkout.state("worker", "dev", "queue"), "");
}

/// A deployment with a component that a stack disables, and with one that depends on it.
fn with_disabled(environment: &TestEnvironment) -> Checkout<'_> {
    let checkout = environment.empty_repository("checkout", &[]);
    checkout.write("atmos.yaml", "stacks: { base_path: stacks }\n");
    checkout.write(
        "stacks/team.yaml",
        "components: { command: { queue: { metadata: { enabled: false } }, api: {} } }\n",
    );
    let apply = "{ command: { apply: [\"true\"] } }";
    checkout.write(
        "deployments/shop.yaml",
        &format!(
            "deployment:\n  name: shop\n  stacks: [team]\n  components:\n    command:\n      queue: {{ settings: {apply} }}\n      \
             api: {{ metadata: {{ depends_on: [queue] }}, settings: {apply} }}\n  \
             targets: {{ dev: {{}}, prod: {{ promotion: {{ from: dev }} }} }}\n"
        ),
    );
    checkout.commit("Add the shop");
    checkout.atmos("deployment rollout shop --target dev").succeeded();
    checkout
}

#[test]
fn what_a_stack_disables_is_not_waited_for_by_a_promotion() {
    let environment = TestEnvironment::new();
    let checkout = with_disabled(&environment);
    let status = checkout.json("deployment promotion-status shop");
    assert_eq!(status["edges"][0]["state"], "ready", "{status:#}");
    checkout.atmos("deployment rollout shop --target prod --promote-from dev").succeeded();
    assert_eq!(checkout.state("shop", "prod", "api"), checkout.head());
}

#[test]
fn a_job_goes_by_the_stacks_of_its_commit() {
    let environment = TestEnvironment::new();
    let checkout = with_disabled(&environment);
    checkout.write("stacks/team.yaml", "components: { command: { queue: {}, api: {} } }\n");
    let job = CiJob::github(&checkout, "push").with("GITHUB_REF", "refs/heads/main").unreported();
    let job = job.input("command", "rollout").input("deployment", "shop").input("target", "prod");
    let run = job.input("promote-from", "dev").input("plan", "true").run().succeeded();
    assert!(!run.stderr.contains("would be refused"), "{}", run.report());
}

/// A fake terraform, which logs its folder, its arguments, and the files and variables that it
/// finds.
const TERRAFORM: &str = r#"#!/bin/sh
set -eu
case "$1" in
    show) echo '{"resource_changes": []}' ;;
    output) echo '{}' ;;
    workspace) echo "$(basename "$PWD" | cut -d. -f1,2) $* ($STAGE, ${DROPPED-none})" >> "$TEST_APPLIED" ;;
    plan) echo "$(basename "$PWD" | cut -d. -f1,2) $(tr -d ' \n' < backend.tf.json) $(tr -d ' \n' < providers_override.tf.json)" >> "$TEST_APPLIED" ;;
esac
"#;

#[test]
fn terraform_gets_backend_providers_workspace_environment_and_a_folder_of_its_own() {
    let mut environment = TestEnvironment::new();
    environment.set("DROPPED", "not for terraform");
    let program = environment.path("terraform-stub");
    let checkout = environment.empty_repository("checkout", &[]);
    checkout.write_script("../terraform-stub", TERRAFORM);
    checkout.write("components/terraform/service/main.tf", "variable \"stage\" {}\n");
    checkout.write(
        "stacks/all.yaml",
        &format!(
            "vars: {{ stage: dev }}\nterraform:\n  command: {}\n  backend_type: s3\n  \
             backend: {{ s3: {{ bucket: 'state-{{{{ .vars.stage }}}}' }} }}\n  \
             providers: {{ aws: {{ region: eu }} }}\n  env: {{ STAGE: '{{{{ .vars.stage }}}}', DROPPED: null }}\n\
             components:\n  terraform:\n    a: {{ metadata: {{ component: service }} }}\n    \
             team/b: {{ metadata: {{ component: service, terraform_workspace: mine }} }}\n",
            program.display()
        ),
    );
    checkout.write(
        "deployments/shop.yaml",
        "deployment:\n  name: shop\n  stacks: [all]\n  components: { terraform: { a: {}, team/b: {} } }\n  \
         targets: { dev: {}, prod: { context: { stage: prod } } }\n",
    );
    checkout.commit("Add the shop");
    checkout.atmos("deployment rollout shop --target prod --parallelism 2").succeeded();
    let mut applied = environment.applied();
    applied.sort();
    let files = r#"{"terraform":{"backend":{"s3":{"bucket":"state-prod","workspace_key_prefix":"service"}}}} {"provider":{"aws":{"region":"eu"}}}"#;
    let expected = [
        "service.a workspace select -or-create -no-color shop-prod-a (prod, none)".to_owned(),
        format!("service.a {files}"),
        "service.team-b workspace select -or-create -no-color mine (prod, none)".to_owned(),
        format!("service.team-b {files}"),
    ];
    assert_eq!(applied, expected);
}

#[test]
fn validation_looks_at_the_stacks_of_the_deployments_own_components() {
    let environment = TestEnvironment::new();
    let checkout = environment.empty_repository("checkout", &[]);
    let deployment = "deployment:\n  name: shop\n  stacks: [platform]\n  components: { terraform: { NAME: {} } }\n  \
                      targets: { dev: {}, prod: {} }\n";
    checkout.write("deployments/shop.yaml", &deployment.replace("NAME", "vpc"));
    let stack = "components:\n  terraform:\n    vpc: {vars: {region: eu-1}}\n    other:\n      vars:\n        key: !store ssm /key\n";
    checkout.write("stacks/platform.yaml", stack);
    checkout.write("components/terraform/vpc/main.tf", "");
    checkout.atmos("deployment validate shop").succeeded();
    checkout.write("deployments/shop.yaml", &deployment.replace("NAME", "other"));
    let run = checkout.atmos("deployment validate shop --format json").exited(2);
    let problems = run.json()["deployments"][0]["problems"].clone();
    assert_eq!(problems.as_array().unwrap().len(), 1, "once for all targets: {problems}");
    let message = problems[0]["message"].as_str().unwrap();
    assert!(message.contains("stacks/platform.yaml:6:14") && message.contains("!store"), "{message}");
}
