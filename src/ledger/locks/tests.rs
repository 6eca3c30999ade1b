use super::*;
use crate::deployment::DeploymentName;
use crate::ledger::session::Session;
use crate::ledger::testing::{Workspace, begin, lock, open, scope};

fn held(snapshot: &Snapshot) -> Vec<HeldLock> {
    let deployment: DeploymentName = "payment-service".parse().unwrap();
    let state = snapshot.deployment(&deployment);
    state.targets.values().flat_map(|target| target.locks.clone()).collect()
}

#[test]
fn a_lock_that_was_renewed_since_it_was_seen_is_taken_away_all_the_same() {
    let workspace = Workspace::new();
    let (checkout, other) = (workspace.clone(""), workspace.clone(""));
    let (repository, other) = (checkout.repository(), other.repository());
    let (running, ledger) = (open(&repository, |_| {}), open(&other, |_| {}));
    let (request, snapshot, acquired) = lock(&running, &["api"]);
    let mut session = Session::new(&running, request.clone(), acquired);
    session.begin_from(&snapshot);
    ledger.refresh_states_or_fail(&scope()).unwrap();
    let seen = ledger.read(&scope()).unwrap();
    session.renewal().renew().unwrap();
    let taken = ledger.unlock(&request.deployment, &request.target, &held(&seen), &seen).unwrap();
    assert!(taken);
    assert_eq!(workspace.remote().git(&["for-each-ref", "refs/atmos/locks"]), "");
}

#[test]
fn a_lock_that_another_run_has_taken_since_stays() {
    let workspace = Workspace::new();
    let (checkout, other) = (workspace.clone(""), workspace.clone(""));
    let (repository, other) = (checkout.repository(), other.repository());
    let (running, ledger) = (open(&repository, |_| {}), open(&other, |_| {}));
    let first = begin(&running);
    ledger.refresh_states_or_fail(&scope()).unwrap();
    let seen = ledger.read(&scope()).unwrap();
    drop(first);
    let _second = begin(&running);
    let (deployment, target) = ("payment-service".parse().unwrap(), "dev".parse().unwrap());
    assert!(!ledger.unlock(&deployment, &target, &held(&seen), &seen).unwrap());
    assert_ne!(workspace.remote().git(&["for-each-ref", "refs/atmos/locks"]), "");
}
