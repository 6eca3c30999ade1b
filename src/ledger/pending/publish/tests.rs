use super::*;
use crate::deployment::fixtures::time;
use crate::ledger::testing::{Checkout, Workspace, begin, open, scope, success};

const AT: &str = "2025-01-22T12:00:00Z";
const STATE: &str = "refs/atmos/deployments/payment-service/dev/api";

/// A run that keeps successes of `api` at these commits, all of one second, and ends without a
/// push.
fn keep(ledger: &Ledger<'_>, workspace: &Workspace, commits: &[&str]) -> Vec<LedgerRecord> {
    let mut session = begin(ledger);
    let written: Vec<_> = commits.iter().map(|name| success(&mut session, workspace.commit(name))).collect();
    session.keep(written.clone()).unwrap();
    written
}

/// The names of the tags in the component's chain on the remote, newest first.
fn chain(remote: &Checkout) -> Vec<String> {
    let tags = remote.git(&["for-each-ref", "--format=%(objectname) %(refname)", "refs/tags/atmos"]);
    let name_of = |object: &str| {
        let name = tags.lines().find_map(|line| line.strip_prefix(object));
        name.unwrap_or_else(|| panic!("{object} has no tag: {tags}")).trim().to_owned()
    };
    let mut next = Some(remote.git(&["rev-parse", "refs/atmos/latest/payment-service/dev/api"]));
    let mut chain = Vec::new();
    while let Some(object) = next {
        chain.push(name_of(&object));
        let text = remote.git(&["cat-file", "tag", &object]);
        next = text.lines().find_map(|line| line.strip_prefix("previous: ")).map(str::to_owned);
    }
    chain
}

#[test]
fn what_follows_a_record_whose_name_is_taken_follows_it_under_its_new_name() {
    let workspace = Workspace::new();
    let (remote, checkout) = (workspace.remote(), workspace.clone(""));
    let repository = checkout.repository();
    let ledger = open(&repository, |options| options.now = || time(AT));
    let kept = keep(&ledger, &workspace, &["main~2", "main~1", "main~0"]);
    remote.git(&["update-ref", &kept[0].id.tag_ref(), "main~9"]);
    let pending = ledger.read(&scope()).unwrap().pending;
    let published = ledger.publish_pending(&pending).unwrap();
    assert_eq!(published, Published { records: 3, runs: 1, ..Published::default() });
    let chain = chain(&remote);
    assert_eq!(chain.len(), 3, "{chain:?}");
    assert_eq!(chain.iter().collect::<BTreeSet<_>>().len(), 3, "{chain:?}");
    let state = remote.git(&["rev-parse", STATE]);
    assert_eq!(state, workspace.commit("main~0").as_str());
    assert_eq!(checkout.git(&["for-each-ref", "refs/atmos/pending"]), "");
    assert_eq!(remote.git(&["for-each-ref", "refs/atmos/locks"]), "");
}

#[test]
fn late_records_of_one_second_keep_names_of_their_own() {
    let workspace = Workspace::new();
    let remote = workspace.remote();
    let [first, other] = [workspace.clone(""), workspace.clone("")];
    let repositories = [first.repository(), other.repository()];
    let [late, newer] = [&repositories[0], &repositories[1]]
        .map(|repository| open(repository, |options| options.now = || time(AT)));
    keep(&late, &workspace, &["main~2", "main~1"]);
    // The record takes the name of the first one, and comes before both.
    keep(&newer, &workspace, &["main~0"]);
    for (ledger, expected) in [
        (&newer, Published { records: 1, runs: 1, ..Published::default() }),
        (&late, Published { records: 2, late: 2, runs: 1, ..Published::default() }),
    ] {
        ledger.refresh_states_or_fail(&scope()).unwrap();
        let pending = ledger.read(&scope()).unwrap().pending;
        assert_eq!(ledger.publish_pending(&pending).unwrap(), expected);
    }
    let chain = chain(&remote);
    assert_eq!(chain.iter().collect::<BTreeSet<_>>().len(), 3, "{chain:?}");
    let state = remote.git(&["rev-parse", STATE]);
    assert_eq!(state, workspace.commit("main~0").as_str(), "late records move nothing");
}

#[test]
fn runs_of_one_checkout_that_kept_their_records_follow_each_other() {
    let workspace = Workspace::new();
    let (remote, checkout) = (workspace.remote(), workspace.clone(""));
    let repository = checkout.repository();
    let earlier = open(&repository, |options| options.now = || time(AT));
    keep(&earlier, &workspace, &["main~3", "main~2"]);
    let later = open(&repository, |options| options.now = || time("2025-01-22T12:00:30Z"));
    keep(&later, &workspace, &["main~1", "main~0"]);
    // The remote has no record of the first run yet, so both runs have the same predecessor.
    let mut runs = later.read(&scope()).unwrap().pending;
    assert_eq!(runs.iter().filter(|run| run.records[0].record.previous.is_none()).count(), 2);
    runs.sort_by_key(|run| std::cmp::Reverse(run.records[0].record.timestamp));
    let published = later.publish_pending(&runs).unwrap();
    assert_eq!(published, Published { records: 4, runs: 2, ..Published::default() });
    assert_eq!(chain(&remote).len(), 4);
    let state = remote.git(&["rev-parse", STATE]);
    assert_eq!(state, workspace.commit("main~0").as_str(), "what ran last runs");
    let numbers = remote.git(&["for-each-ref", "--format=%(contents)", "refs/tags/atmos"]);
    let numbers: Vec<_> = numbers.lines().filter(|line| line.starts_with("number: ")).collect();
    assert_eq!(numbers, ["number: 1", "number: 2", "number: 3", "number: 4"]);
    assert_eq!(checkout.git(&["for-each-ref", "refs/atmos/pending"]), "");
}

#[test]
fn what_is_missing_of_a_record_that_has_arrived_is_completed() {
    let workspace = Workspace::new();
    let (remote, checkout) = (workspace.remote(), workspace.clone(""));
    let repository = checkout.repository();
    let ledger = open(&repository, |options| options.now = || time(AT));
    let kept = keep(&ledger, &workspace, &["main~1", "main~0"]);
    let runs = ledger.read(&scope()).unwrap().pending;
    ledger.publish_pending(&runs).unwrap();
    let whole = remote.git(&["for-each-ref"]);
    let [older, newer] = [&kept[0], &kept[1]].map(|record| record.id.tag_ref());
    for missing in [&older[..], &newer, STATE] {
        for repository in [&remote, &checkout] {
            repository.git(&["update-ref", "-d", missing]);
        }
        // As if the run's process had been killed before it removed the pending refs.
        for (name, object) in &runs[0].refs {
            checkout.git(&["update-ref", name, object.as_str()]);
        }
        ledger.refresh_states_or_fail(&scope()).unwrap();
        let published = ledger.publish_pending(&runs).unwrap();
        assert_eq!((published.late, published.runs), (0, 1), "{missing}");
        assert_eq!(remote.git(&["for-each-ref"]), whole, "{missing}");
    }
}

#[test]
fn a_run_elsewhere_is_not_known_to_be_dead_because_its_lease_has_ended() {
    let workspace = Workspace::new();
    let (remote, checkout) = (workspace.remote(), workspace.clone(""));
    let repository = checkout.repository();
    let ledger = open(&repository, |options| options.now = || time(AT));
    let mut session = begin(&ledger);
    let record = success(&mut session, workspace.commit("main~0"));
    session.keep(vec![record]).unwrap();
    // The run goes on, on another machine.
    std::mem::forget(session);
    let before = remote.git(&["for-each-ref"]);
    let later = open(&repository, |options| options.now = || time("2025-01-22T12:06:00Z"));
    let runs = later.read(&scope()).unwrap().pending;
    let published = later.publish_pending(&runs).unwrap();
    let waiting_for = vec!["ada@example.com".to_owned()];
    assert_eq!(published, Published { waiting_for, ..Published::default() });
    assert_eq!(remote.git(&["for-each-ref"]), before);
}
