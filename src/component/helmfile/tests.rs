//! Tests with a fake helmfile, which records its calls: there is no cluster here.

use serde_json::json;

use super::*;
use crate::component::testing::{Fixture, write_program};
use crate::component::{FolderError, run as run_component};
use crate::deployment::ComponentKind;
use crate::deployment::definition::HelmfileOptions;

/// A component whose helmfile exits with this status.
fn fixture(status: i32) -> Fixture {
    let mut fixture = Fixture::new(ComponentKind::Helmfile, "ingress/nginx");
    let program = fixture.checkout().join("helmfile");
    let script = format!(
        "#!/bin/sh\necho \"$*\"\necho \"$STACK $STAGE ${{TENANT-unset}}\"\ncat \"$2\"\nexit {status}\n"
    );
    write_program(&program, &script);
    fixture.helmfile.program = program.to_str().unwrap().to_owned();
    fixture.component.folder = Some("nginx".to_owned());
    fixture.vars = json!({"stage": "dev", "replicas": 2}).as_object().unwrap().clone();
    std::fs::create_dir_all(fixture.checkout().join("components/helmfile/nginx")).unwrap();
    fixture
}

#[tokio::test]
async fn helmfile_gets_the_variables_as_state_values() {
    let mut fixture = fixture(0);
    fixture.run(Mode::Apply).await.unwrap();
    let values = "shop-dev-ingress-nginx.helmfile.vars.yaml";
    let expected =
        [&format!("--state-values-file {values} apply"), "shop-dev dev unset", "{", "  \"stage\": \"dev\","];
    assert_eq!(fixture.lines.lock().unwrap()[..4], expected.map(str::to_owned));

    fixture.lines.lock().unwrap().clear();
    let selectors = ["app=web", "tier!=back"].map(str::to_owned).into();
    fixture.component.settings.helmfile = HelmfileOptions { environment: Some("eu".to_owned()), selectors };
    fixture.run(Mode::Plan).await.unwrap();
    let expected = format!(
        "--state-values-file {values} --environment eu --selector app=web --selector tier!=back diff"
    );
    assert_eq!(fixture.lines.lock().unwrap()[0], expected);
}

#[tokio::test]
async fn a_detailed_exit_status_of_2_is_drift_and_any_other_a_failure() {
    let drifted = async |status| fixture(status).with_run(Mode::Plan, drifted).await;
    assert!(!drifted(0).await.unwrap());
    assert!(drifted(2).await.unwrap());
    assert_eq!(drifted(1).await.unwrap_err().exit_code(), Some(1));
}

#[tokio::test]
async fn a_folder_outside_the_commit_is_refused() {
    let mut fixture = fixture(0);
    fixture.component.folder = Some("../../..".to_owned());
    let error = fixture.with_run(Mode::Apply, run_component).await.unwrap_err();
    assert!(matches!(error, ComponentError::Folder(FolderError::Outside { .. })), "{error}");
}
