use std::fmt::Write;

use super::*;
use crate::ledger::testing::{Workspace, open};

/// The branches `a000` and so on of the remote, which lead to the history before `main~1`.
fn add_branches(workspace: &Workspace, count: usize) {
    let mut packed = "# pack-refs with: peeled fully-peeled sorted \n".to_owned();
    for number in 0..count {
        let commit = workspace.commit(&format!("main~{}", number + 2));
        writeln!(packed, "{commit} refs/heads/a{number:03}").unwrap();
    }
    std::fs::write(workspace.remote().path.join("packed-refs"), packed).unwrap();
}

#[test]
fn the_known_commits_and_the_default_branch_are_searched_before_all_others() {
    let workspace = Workspace::new();
    add_branches(&workspace, 300);
    let searched = |default_branch: Option<&str>, known: &[CommitId]| {
        let checkout = workspace.clone("--depth=1 --single-branch --branch=orphan");
        let repository = checkout.repository();
        let ledger = open(&repository, |options| options.default_branch = default_branch.map(str::to_owned));
        ledger.ownership(&workspace.commit("main~1"), known).unwrap()
    };
    assert_eq!(searched(Some("main"), &[]), Ownership::Own);
    assert_eq!(searched(None, &[workspace.commit("main~0")]), Ownership::Own);
    // A history that is not searched may contain the commit, whichever branches these are.
    let checkout = workspace.clone("--depth=1 --single-branch --branch=orphan");
    let repository = checkout.repository();
    let foreign = checkout.commit_to("fork");
    let unknown = open(&repository, |_| {}).ownership(&foreign, &[]).unwrap();
    let reason = "origin has 47 more branches and tags than are searched";
    assert_eq!(unknown, Ownership::Unknown(reason.to_owned()));
}

#[test]
fn a_commit_on_none_of_the_branches_is_foreign_where_all_are_searched() {
    let workspace = Workspace::new();
    add_branches(&workspace, 253);
    let checkout = workspace.clone("--depth=1 --single-branch --branch=orphan");
    let repository = checkout.repository();
    let foreign = checkout.commit_to("fork");
    assert_eq!(open(&repository, |_| {}).ownership(&foreign, &[]).unwrap(), Ownership::Foreign);
}
