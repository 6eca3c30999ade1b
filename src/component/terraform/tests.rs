//! Tests with a real `terraform`, offline: `terraform_data` needs no provider.

use serde_json::json;

use super::*;
use crate::component::testing::{Fixture, write_program};
use crate::component::{FolderError, check_drift};
use crate::deployment::ComponentKind;
use crate::deployment::variables::ValueSource;

const MODULE: &str = r#"
    variable "size" { type = number }
    variable "secret" {
      type      = string
      sensitive = true
      default   = "hunter2"
    }
    resource "terraform_data" "one" { input = var.size }
    resource "terraform_data" "two" { triggers_replace = var.size }
    output "size" { value = terraform_data.one.output }
    output "secret" {
      value     = var.secret
      sensitive = true
    }
"#;

/// A component with this module.
fn fixture(module: &str) -> Fixture {
    let mut fixture = Fixture::new(ComponentKind::Terraform, "ecs/service");
    let environment = std::env::vars_os().collect();
    let program = fixture.terraform.find_program(&environment);
    assert!(program.is_some(), "terraform is not on PATH. `touch build.rs` has it looked for again");
    fixture.component.folder = Some("service".to_owned());
    fixture.vars = json!({"size": 1, "undeclared": "x"}).as_object().unwrap().clone();
    let folder = fixture.checkout().join("components/terraform/service");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("main.tf"), module).unwrap();
    fixture
}

#[tokio::test]
#[cfg_attr(without_terraform, ignore = "needs terraform")]
async fn a_plan_changes_nothing_and_an_apply_does_what_was_planned() {
    let mut fixture = fixture(MODULE);
    let planned = fixture.run(Mode::Plan).await.unwrap();
    assert_eq!(planned.changes, Some(Changes { add: 2, change: 0, destroy: 0 }));
    let state = fixture.state().join("shop/dev/ecs/service/terraform.tfstate");
    assert!(!state.exists());

    let applied = fixture.run(Mode::Apply).await.unwrap();
    assert_eq!(applied.changes, planned.changes);
    assert_eq!(serde_json::Value::from(applied.outputs), json!({"size": 1}), "the sensitive one is left out");
    assert!(state.exists());

    // A new checkout finds the state of the old one.
    let folder = fixture.checkout().join("components/terraform/service");
    std::fs::remove_dir_all(&folder).unwrap();
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("main.tf"), MODULE).unwrap();
    fixture.vars["size"] = json!(2);
    let changed = fixture.run(Mode::Apply).await.unwrap();
    assert_eq!(changed.changes, Some(Changes { add: 1, change: 1, destroy: 1 }));
    assert_eq!(fixture.run(Mode::Plan).await.unwrap().changes, Some(Changes::default()));

    let lines = fixture.lines.lock().unwrap();
    assert!(lines.iter().any(|line| line.contains("Apply complete!")), "{lines:?}");
    assert!(!lines.iter().any(|line| line.contains("hunter2")), "{lines:?}");
    assert_eq!(std::fs::read_dir(fixture.scratch()).unwrap().count(), 0, "temporary files are removed");
}

#[tokio::test]
#[cfg_attr(without_terraform, ignore = "needs terraform")]
async fn a_failure_carries_what_terraform_said() {
    let fixture = fixture("resource \"terraform_data\" \"x\" { input = var.nope }\n");
    let error = fixture.run(Mode::Apply).await.unwrap_err();
    assert_eq!(error.to_string(), "terraform plan failed with exit status 1");
    assert!(error.tail().iter().any(|line| line.contains("undeclared input variable")), "{:?}", error.tail());
}

#[tokio::test]
#[cfg_attr(without_terraform, ignore = "needs terraform")]
async fn a_cancelled_apply_keeps_what_it_made_and_gives_up_its_lock() {
    let module = r#"
        resource "terraform_data" "made" { input = 1 }
        resource "terraform_data" "slow" {
          input = terraform_data.made.output
          provisioner "local-exec" { command = "echo sleeping && sleep 600" }
        }
    "#;
    let mut fixture = fixture(module);
    fixture.cancel_at = Some("(local-exec): sleeping");
    let error = fixture.run(Mode::Apply).await.unwrap_err();
    assert!(error.is_cancelled(), "{error}");

    // The created one stays; the other one is tainted or was never recorded.
    fixture.cancel_at = None;
    fixture.terraform.lock_timeout = Duration::ZERO;
    let changes = fixture.run(Mode::Plan).await.unwrap().changes.unwrap();
    assert_eq!(changes.add, 1);
}

#[tokio::test]
#[cfg_attr(without_terraform, ignore = "needs terraform")]
async fn local_state_is_told_of_in_ci_and_a_backend_keeps_its_own() {
    let mut fixture = fixture("");
    fixture.in_ci = true;
    assert_eq!(fixture.run(Mode::Plan).await.unwrap().notices, [Notice::LocalStateInCi]);

    // The in-memory backend represents any remote one.
    let backend = json!({"terraform": {"backend": {"inmem": {}}}});
    fixture.stack.generated_files.insert("backend.tf.json".to_owned(), backend);
    std::fs::remove_file(
        fixture.checkout().join("components/terraform/service/atmos_backend_override.tf.json"),
    )
    .unwrap();
    assert_eq!(fixture.run(Mode::Plan).await.unwrap().notices, []);
}

#[tokio::test]
#[cfg_attr(without_terraform, ignore = "needs terraform")]
async fn a_folder_outside_the_commit_is_refused() {
    let mut fixture = fixture(MODULE);
    fixture.component.folder = Some("../../..".to_owned());
    let error = fixture.run(Mode::Plan).await.unwrap_err();
    assert!(matches!(error, ComponentError::Folder(FolderError::Outside { .. })), "{error}");
}

#[test]
fn a_missing_program_comes_with_how_to_get_it() {
    let settings = TerraformSettings { program: "tofu".to_owned(), ..Default::default() };
    assert!(settings.find_program(&Environment::default()).is_none());
    assert!(settings.hint().contains("opentofu.org"));
}

/// A wrapper of terraform that runs a script before some of its commands.
fn shim(fixture: &mut Fixture, name: &str, script: &str) {
    let program = fixture.checkout().join(name);
    let environment = std::env::vars_os().collect();
    let terraform = TerraformSettings::default().find_program(&environment).unwrap();
    let text = format!("#!/bin/sh\nterraform={}\n{script}\nexec $terraform \"$@\"\n", terraform.display());
    write_program(&program, &text);
    fixture.terraform.program = program.to_str().unwrap().to_owned();
}

#[tokio::test]
#[cfg_attr(without_terraform, ignore = "needs terraform")]
async fn a_plan_that_somebody_overtook_is_not_applied() {
    let mut fixture = fixture(MODULE);
    fixture.run(Mode::Apply).await.unwrap();
    let overtake =
        "[ \"$1\" = apply ] && $terraform apply -auto-approve -replace=terraform_data.one -var size=9";
    shim(&mut fixture, "overtaken", overtake);
    fixture.vars["size"] = json!(2);
    let error = fixture.run(Mode::Apply).await.unwrap_err();
    assert!(matches!(error, ComponentError::StalePlan { .. }), "{error}");
    assert!(error.tail().iter().any(|line| line.contains("Saved plan is stale")));

    // Another attempt creates another plan.
    let once = "[ \"$1\" = apply ] && [ ! -e ../../../once ] && touch ../../../once && \
                $terraform apply -auto-approve -replace=terraform_data.one -var size=8";
    shim(&mut fixture, "overtaken-once", once);
    fixture.component.settings.limits.retries = 1;
    let result = fixture.run(Mode::Apply).await.unwrap();
    assert_eq!(result.notices, [Notice::Retried { attempts: 2 }]);
    assert_eq!(result.outputs["size"], 2);
}

#[tokio::test]
#[cfg_attr(without_terraform, ignore = "needs terraform")]
async fn opentofu_is_the_same_under_another_name() {
    let mut fixture = fixture(MODULE);
    shim(&mut fixture, "tofu", "[ \"$1\" = apply ] && echo \"this is tofu\"");
    let environment = std::env::vars_os().collect();
    assert_eq!(fixture.terraform.check_version(&environment).await, Ok(()));
    fixture.run(Mode::Apply).await.unwrap();
    assert!(fixture.lines.lock().unwrap().contains(&"this is tofu".to_owned()));
    assert!(fixture.terraform.hint().contains("opentofu.org"));
}

#[tokio::test]
#[cfg_attr(without_terraform, ignore = "needs terraform")]
async fn an_init_that_fails_is_told_with_its_reason() {
    let module = "module \"gone\" { source = \"./gone\" }\n";
    let fixture = fixture(module);
    let error = fixture.run(Mode::Apply).await.unwrap_err();
    assert_eq!(error.to_string(), "terraform init failed with exit status 1");
    assert!(error.tail().iter().any(|line| line.contains("gone")), "{:?}", error.tail());
}

#[tokio::test]
#[cfg_attr(without_terraform, ignore = "needs terraform")]
async fn a_variable_that_the_module_does_not_declare_is_told_of_where_it_was_meant_for_it() {
    let mut fixture = fixture(MODULE);
    fixture.sources = [
        ("sise", ValueSource::CommandLine),
        ("unrelated", ValueSource::CommandLine),
        ("undeclared", ValueSource::Component),
        ("stage", ValueSource::TargetContext),
    ]
    .map(|(name, source)| (name.to_owned(), source))
    .into();
    let notices = fixture.run(Mode::Plan).await.unwrap().notices;
    let [notice] = notices.as_slice() else { panic!("{notices:?}") };
    assert_eq!(
        notice.to_string(),
        "the module declares no such variable, so it is not passed: sise (did you mean size?), undeclared"
    );
}

#[tokio::test]
#[cfg_attr(without_terraform, ignore = "needs terraform")]
async fn the_cache_of_providers_is_the_users_or_else_the_checkouts() {
    let mut fixture = fixture(MODULE);
    shim(&mut fixture, "cached", "[ \"$1\" = init ] && echo \"cache=$TF_PLUGIN_CACHE_DIR\"");
    fixture.run(Mode::Plan).await.unwrap();
    let own = fixture.plugin_cache();
    assert!(own.is_dir());
    let home = fixture.home();
    std::fs::write(home.join(".terraformrc"), format!("plugin_cache_dir = \"{}\"\n", home.display()))
        .unwrap();
    fixture.run(Mode::Plan).await.unwrap();
    let lines = fixture.lines.lock().unwrap();
    let caches: Vec<_> = lines.iter().filter_map(|line| line.strip_prefix("cache=")).collect();
    assert_eq!(caches, [own.canonicalize().unwrap().to_str().unwrap(), ""]);
}

#[tokio::test]
#[cfg_attr(without_terraform, ignore = "needs terraform")]
async fn drift_is_what_a_plan_of_the_same_would_change() {
    let fixture = fixture(MODULE);
    fixture.run(Mode::Apply).await.unwrap();
    let none = DriftFinding { drift: Drift::None, changes: Some(Changes::default()) };
    assert_eq!(fixture.with_run(Mode::Plan, check_drift).await.unwrap(), none);

    // Drift: the state changes outside of a rollout.
    let state = fixture.state().join("shop/dev/ecs/service/terraform.tfstate");
    let text = std::fs::read_to_string(&state).unwrap();
    std::fs::write(&state, text.replace("\"value\": 1", "\"value\": 7")).unwrap();
    let found = fixture.with_run(Mode::Plan, check_drift).await.unwrap();
    assert_eq!(found.drift, Drift::Found);
    assert_eq!(found.changes, Some(Changes { add: 1, change: 1, destroy: 1 }));
}
