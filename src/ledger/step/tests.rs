use std::path::Path;
use std::time::Duration;

use super::*;
use crate::deployment::ref_names::notes_ref;
use crate::deployment::{DeploymentName, NoteNamespace};
use crate::ledger::testing::{Workspace, open};
use crate::ledger::{NoteEdit, Publication};

const LOCK: &str = "refs/atmos/locks/app/dev/api";
const STATE: &str = "refs/atmos/deployments/app/dev/api";
/// What git says of a lock file that nothing removes, without the file's name.
const LOCKED: &str = "cannot lock ref: Unable to create: File exists.";

/// Leaves the lock file of a ref behind, as a server does that dies while it changes the ref.
fn leave_lock_file(git_dir: &Path, name: &str) {
    let file = git_dir.join(format!("{name}.lock"));
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(file, "").unwrap();
}

/// The step of a rollout that takes its lock and changes a state.
fn step(workspace: &Workspace) -> Step {
    let mut step = Step::default();
    for name in [LOCK, STATE] {
        step.create(name.to_owned(), workspace.commit("main~0").0);
    }
    step
}

#[test]
fn a_ref_that_the_server_cannot_lock_is_told_in_the_server_s_words() {
    let workspace = Workspace::new();
    let checkout = workspace.clone("");
    leave_lock_file(&workspace.remote().path, LOCK);
    let repository = checkout.repository();
    let mut ledger = open(&repository, |_| {});
    ledger.persistence = Duration::ZERO;
    let error = ledger.carry_out(&step(&workspace), "test", &[]).unwrap_err();
    assert_eq!(error.to_string(), format!("origin refused {LOCK}: {LOCKED}"));
}

#[test]
fn a_ref_that_cannot_be_locked_here_is_not_called_changed() {
    let workspace = Workspace::new();
    let checkout = workspace.empty("alone.git");
    workspace.remote().git(&["push", "--quiet", &checkout.url(), "main"]);
    let repository = checkout.repository();
    let mut ledger = open(&repository, |options| options.remote = None);
    ledger.persistence = Duration::ZERO;
    leave_lock_file(&checkout.path, LOCK);
    let error = ledger.carry_out(&step(&workspace), "test", &[]).unwrap_err();
    assert_eq!(error.to_string(), format!("this repository refused {LOCK}: {LOCKED}"));
    std::fs::remove_file(checkout.path.join(format!("{LOCK}.lock"))).unwrap();
    checkout.git(&["update-ref", STATE, "main~1"]);
    let outcome = ledger.carry_out(&step(&workspace), "test", &[]).unwrap();
    let StepOutcome::Contended(rejected) = outcome else { panic!("{outcome:?}") };
    assert_eq!(rejected, [(STATE.to_owned(), Rejection::Stale)]);
}

#[test]
fn notes_that_the_server_cannot_lock_are_told_in_the_server_s_words() {
    let workspace = Workspace::new();
    let checkout = workspace.clone("");
    let deployment: DeploymentName = "app".parse().unwrap();
    let name = notes_ref(&deployment, NoteNamespace::TestResults.as_str());
    leave_lock_file(&workspace.remote().path, &name);
    let repository = checkout.repository();
    let mut ledger = open(&repository, |_| {});
    ledger.persistence = Duration::ZERO;
    let note = NoteEdit::lines(NoteNamespace::TestResults, workspace.commit("main~0"), &["{}".to_owned()]);
    let publication = Publication { notes: vec![note], builds: Vec::new() };
    let error = ledger.publish(&deployment, &publication).unwrap_err();
    assert_eq!(error.to_string(), format!("origin refused {name}: {LOCKED}"));
}
