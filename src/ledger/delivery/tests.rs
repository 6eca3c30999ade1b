use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::ledger::testing::{Checkout, Workspace, begin, lock, open, success};

const LOCKS: [&str; 2] =
    ["refs/atmos/locks/payment-service/dev/api", "refs/atmos/locks/payment-service/dev/web"];

/// A checkout of a remote that does not take pushes at once.
fn without_atomic_pushes(workspace: &Workspace) -> Checkout {
    workspace.remote().git(&["config", "receive.advertiseAtomic", "false"]);
    workspace.clone("")
}

/// Takes the locks.
fn take(ledger: &Ledger<'_>) -> Arc<Hold> {
    let (request, _, acquired) = lock(ledger, &["api", "web"]);
    Arc::new(Hold::new(request, &acquired))
}

fn locks(workspace: &Workspace) -> String {
    workspace.remote().git(&["for-each-ref", "--format=%(refname)", "refs/atmos/locks"])
}

#[test]
fn a_push_that_meets_a_renewal_of_its_own_run_keeps_all_locks() {
    let workspace = Workspace::new();
    let checkout = without_atomic_pushes(&workspace);
    let repository = checkout.repository();
    let ledger = open(&repository, |_| {});
    let hold = take(&ledger);
    let renewed = hold.change(&ledger, false).unwrap().renewed;
    checkout.git(&["push", "--quiet", "--force", "origin", &format!("{renewed}:{}", LOCKS[1])]);
    let mut known = KnownRefs::default();
    Exchange::new(&ledger, &hold, &mut known).push(&mut Kept::default(), false).unwrap();
    assert_eq!(locks(&workspace), LOCKS.join("\n"));
}

#[test]
fn a_release_that_meets_a_renewal_of_its_own_run_is_finished() {
    let workspace = Workspace::new();
    let checkout = without_atomic_pushes(&workspace);
    let repository = checkout.repository();
    let ledger = open(&repository, |_| {});
    let hold = take(&ledger);
    assert_eq!(locks(&workspace).lines().count(), 2);
    // The server receives a renewal of the second lock after the first is deleted, before its own
    // deletion.
    let renewed = hold.change(&ledger, false).unwrap().renewed;
    checkout.git(&["push", "--quiet", "origin", &format!("{renewed}:refs/test/renewed")]);
    let hook = workspace.remote().path.join("hooks/update");
    let script = format!(
        "#!/bin/sh\n[ $1 = {lock} ] && [ -z \"$(echo $3 | tr -d 0)\" ] && [ ! -e met ] && touch met && \
         git update-ref {lock} {renewed}\nexit 0\n",
        lock = LOCKS[1],
    );
    std::fs::write(&hook, script).unwrap();
    std::fs::set_permissions(&hook, std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut known = KnownRefs::default();
    Exchange::new(&ledger, &hold, &mut known).push(&mut Kept::default(), true).unwrap();
    assert!(workspace.remote().path.join("met").exists(), "they did not meet: this test tests nothing");
    assert_eq!(locks(&workspace), "");
}

#[test]
fn a_lock_that_is_gone_was_taken_away_unless_it_is_being_let_go_of() {
    let workspace = Workspace::new();
    let checkout = without_atomic_pushes(&workspace);
    let repository = checkout.repository();
    let ledger = open(&repository, |_| {});
    let hold = take(&ledger);
    let mut renewal = Renewal::new(&ledger, Arc::clone(&hold));
    renewal.renew().unwrap();
    workspace.remote().git(&["update-ref", "-d", LOCKS[0]]);
    hold.set_releasing(&ledger, true);
    renewal.renew().unwrap();
    assert_eq!(locks(&workspace), LOCKS[1], "a release is not met by a renewal");
    hold.set_releasing(&ledger, false);
    assert!(matches!(renewal.renew(), Err(LedgerError::LockLost(_))));
}

#[test]
fn a_lock_that_was_taken_away_before_a_release_is_lost() {
    let workspace = Workspace::new();
    let checkout = without_atomic_pushes(&workspace);
    let repository = checkout.repository();
    let ledger = open(&repository, |_| {});
    let mut session = begin(&ledger);
    let record = success(&mut session, workspace.commit("main~3"));
    let mut kept = session.keep(vec![record]).unwrap();
    workspace.remote().git(&["update-ref", "-d", LOCKS[0]]);
    let (result, _) = session.delivery().push(&mut kept, true);
    assert!(matches!(result, Err(LedgerError::LockLost(_))), "{result:?}");
    let there = workspace.remote().git(&["for-each-ref", "refs/atmos/deployments", "refs/tags/atmos"]);
    assert_eq!(there, "", "a run without its lock moves nothing");
}

#[test]
fn records_that_are_renamed_are_kept_under_their_new_names_alone() {
    let workspace = Workspace::new();
    let checkout = workspace.clone("");
    let repository = checkout.repository();
    let ledger = open(&repository, |_| {});
    let mut session = begin(&ledger);
    let record = success(&mut session, workspace.commit("main~3"));
    let taken = record.id.tag_ref();
    let mut kept = session.keep(vec![record]).unwrap();
    let mut known = KnownRefs::default();
    let exchange = Exchange::new(&ledger, session.hold(), &mut known);
    assert!(exchange.rename(&mut kept, |name| *name == taken).unwrap());
    assert_ne!(kept.records[0].id.tag_ref(), taken);
    let [batch] = kept.batches.as_slice() else { panic!("{:?}", kept.batches) };
    let run = session.hold().lock();
    let mut expected = [run_ref(&run), batch_ref(&run, batch)];
    expected.sort();
    let pending = checkout.git(&["for-each-ref", "--format=%(refname)", "refs/atmos/pending"]);
    assert_eq!(pending, expected.join("\n"));
    // Records without a taken name stay unchanged.
    assert!(
        !Exchange::new(&ledger, session.hold(), &mut known).rename(&mut kept, |name| *name == taken).unwrap()
    );
}
