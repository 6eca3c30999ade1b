use super::*;
use crate::ledger::testing::{Workspace, begin, open, success};

#[test]
fn no_batch_is_kept_without_the_entry_of_its_run() {
    let workspace = Workspace::new();
    let checkout = workspace.clone("");
    let repository = checkout.repository();
    let ledger = open(&repository, |_| {});
    let mut session = begin(&ledger);
    let record = success(&mut session, workspace.commit("main~0"));
    // Nothing can be written where the run's entry belongs.
    let entry = run_ref(&session.hold.lock());
    checkout.git(&["update-ref", &format!("{entry}/in-the-way"), "main"]);
    session.keep(vec![record.clone()]).unwrap_err();
    let kept = || checkout.git(&["for-each-ref", "--format=%(refname)", "refs/atmos/pending"]);
    assert_eq!(kept(), format!("{entry}/in-the-way"), "a batch alone would be published by any command");
    checkout.git(&["update-ref", "-d", &format!("{entry}/in-the-way")]);
    session.keep(vec![record]).unwrap();
    assert!(kept().lines().any(|name| name == entry), "what failed once is written with the next batch");
    assert_eq!(kept().lines().count(), 2);
}
