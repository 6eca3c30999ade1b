//! Tests of commands in a checkout.

use std::os::unix::fs::symlink;

use serde_json::json;

use super::*;
use crate::component::testing::{Fixture, command};
use crate::component::{FolderError, OutputsError};
use crate::deployment::ComponentKind;

fn fixture(argv: &[&str]) -> Fixture {
    let mut fixture = Fixture::new(ComponentKind::Command, "worker");
    fixture.component.settings.command = Some(command(argv));
    fixture
}

#[tokio::test]
async fn a_command_is_told_about_the_rollout_and_returns_outputs() {
    let script = r#"
        for name in DEPLOYMENT TARGET COMPONENT GIT_SHA RUN_ID ARTIFACT_MY_API; do
            eval "echo $name=\$ATMOS_$name" >> "$ATMOS_OUTPUT"
        done
        echo "PREVIOUS=${ATMOS_PREVIOUS_GIT_SHA-none}" >> "$ATMOS_OUTPUT"
        { echo 'VARS<<END'; cat "$ATMOS_VARS_FILE"; echo; echo END; } >> "$ATMOS_OUTPUT"
    "#;
    let mut fixture = fixture(&["sh", "-c", script]);
    fixture.artifacts.insert("my-api".to_owned(), "registry.example.com/api@sha256:aa".to_owned());
    fixture.vars = json!({"queue": "jobs", "size": 3}).as_object().unwrap().clone();
    let outputs = fixture.run(Mode::Apply).await.unwrap().outputs;
    let vars: serde_json::Value = serde_json::from_str(outputs["VARS"].as_str().unwrap()).unwrap();
    assert_eq!(vars, json!({"queue": "jobs", "size": 3}));
    assert_eq!(outputs["DEPLOYMENT"], "shop");
    assert_eq!(outputs["TARGET"], "dev");
    assert_eq!(outputs["COMPONENT"], "worker");
    assert_eq!(outputs["GIT_SHA"], fixture.commit.as_str());
    assert_eq!(outputs["RUN_ID"], "local:1");
    assert_eq!(outputs["ARTIFACT_MY_API"], "registry.example.com/api@sha256:aa");
    assert_eq!(outputs["PREVIOUS"], "none");
    assert_eq!(std::fs::read_dir(fixture.scratch()).unwrap().count(), 0, "temporary files are removed");
}

#[tokio::test]
async fn a_relative_program_is_one_of_the_working_directory() {
    let mut fixture = fixture(&["./run", "-c", "echo at=$(pwd) > $ATMOS_OUTPUT"]);
    let directory = fixture.checkout().join("services/worker");
    std::fs::create_dir_all(&directory).unwrap();
    symlink("/bin/sh", directory.join("run")).unwrap();
    fixture.command_mut().working_directory = Some("services/worker".to_owned());
    let outputs = fixture.run(Mode::Apply).await.unwrap().outputs;
    assert_eq!(outputs["at"], directory.canonicalize().unwrap().to_str().unwrap());
}

#[tokio::test]
async fn a_working_directory_outside_the_commit_is_refused() {
    let mut fixture = fixture(&["sh", "-c", "touch was-here"]);
    symlink("..", fixture.checkout().join("up")).unwrap();
    for outside in ["..", "up", "/tmp"] {
        fixture.command_mut().working_directory = Some(outside.to_owned());
        let error = fixture.run(Mode::Apply).await.unwrap_err();
        assert!(matches!(error, ComponentError::Folder(FolderError::Outside { .. })), "{outside}: {error}");
    }
}

#[tokio::test]
async fn a_dry_run_runs_the_plan_and_never_the_apply() {
    let mut fixture = fixture(&["sh", "-c", "echo applied=yes > $ATMOS_OUTPUT"]);
    let result = fixture.run(Mode::Plan).await.unwrap();
    assert_eq!(result.notices, [Notice::NoPlanCommand]);
    assert!(result.outputs.is_empty());

    fixture.command_mut().plan =
        Some(["sh", "-c", "echo planned=yes > $ATMOS_OUTPUT"].map(str::to_owned).to_vec());
    let outputs = fixture.run(Mode::Plan).await.unwrap().outputs;
    assert_eq!(serde_json::Value::from(outputs), json!({"planned": "yes"}));
}

#[tokio::test]
async fn failures_say_what_failed() {
    let error = fixture(&["sh", "-c", "echo why >&2; exit 7"]).run(Mode::Apply).await.unwrap_err();
    assert_eq!((error.exit_code(), error.tail()), (Some(7), &["why".to_owned()][..]));
    let error = fixture(&["./nope"]).run(Mode::Apply).await.unwrap_err();
    assert_eq!(error.to_string(), "the program \"./nope\" was not found");
    let error = fixture(&["sh", "-c", "echo nonsense > $ATMOS_OUTPUT"]).run(Mode::Apply).await.unwrap_err();
    assert!(matches!(error, ComponentError::Outputs(OutputsError::NoKey { line: 1 })));
}

#[tokio::test]
async fn two_images_for_one_variable_are_refused() {
    let mut fixture = fixture(&["sh", "-c", ":"]);
    for name in ["my-api", "my_api"] {
        fixture.artifacts.insert(name.to_owned(), "registry.example.com/api@sha256:aa".to_owned());
    }
    let error = fixture.run(Mode::Apply).await.unwrap_err();
    assert!(matches!(error, ComponentError::AmbiguousVariable { .. }));
}
