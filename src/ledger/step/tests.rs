use std::path::Path;
use std::time::Duration;

use super::*;
use crate::deployment::fixtures::{commit, component_name, record};
use crate::deployment::ref_names::notes_ref;
use crate::deployment::{DeploymentName, NoteNamespace};
use crate::ledger::testing::{Workspace, open};
use crate::ledger::{NoteEdit, Publication};

const LOCK: &str = "refs/atmos/locks/app/dev/api";
const STATE: &str = "refs/atmos/deployments/app/dev/api";
/// Git's message about a lock file that nothing removes, without the file's name.
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
    let error = ledger.execute(&step(&workspace), "test", &[]).unwrap_err();
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
    let error = ledger.execute(&step(&workspace), "test", &[]).unwrap_err();
    let LedgerError::Git(GitError::Locked { lock, .. }) = error else { panic!("{error}") };
    assert!(lock.ends_with(format!("{LOCK}.lock")), "{}", lock.display());
    std::fs::remove_file(checkout.path.join(format!("{LOCK}.lock"))).unwrap();
    checkout.git(&["update-ref", STATE, "main~1"]);
    let outcome = ledger.execute(&step(&workspace), "test", &[]).unwrap();
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

/// A record of `api` on `dev`, with a tag and an object that exist in no repository.
fn success() -> LedgerRecord {
    let mut record = record("dev", "api", "c0ffee1", RecordStatus::Success, "2025-01-22T12:00:00Z");
    record.object = commit("beef").0;
    record
}

/// The refs of each part for a server without atomic pushes, with their new values.
fn parts(step: &Step) -> Vec<Vec<(String, Option<ObjectId>)>> {
    let named = |part: Vec<PushUpdate>| part.into_iter().map(|update| (update.name, update.new)).collect();
    step.in_safe_order().into_iter().map(named).collect()
}

#[test]
fn without_atomic_pushes_a_record_comes_before_what_leads_to_it_and_locks_go_last() {
    let (seen, renewed) = (commit("5ee1").0, commit("ae1").0);
    let mut step = Step::default();
    let record = success();
    step.lead_to(&record, &BTreeMap::new());
    step.tag(&record);
    let held = BTreeMap::from([(LOCK.to_owned(), seen)]);
    step.under(HoldChange { seen: held.clone(), renewed: renewed.clone(), release: true });
    let RecordId { deployment, target, component, .. } = &record.id;
    let leading = vec![(latest_ref(deployment, target, component), Some(record.object.clone()))];
    // A run whose locks were taken over is refused at the newest record, and must not move the
    // state.
    let states = vec![(state_ref(deployment, target, component), Some(record.record.commit.0.clone()))];
    let tags = vec![(record.id.tag_ref(), Some(record.object.clone()))];
    let renewal = vec![(LOCK.to_owned(), Some(renewed.clone()))];
    let released = vec![(LOCK.to_owned(), None)];
    assert_eq!(parts(&step), [&renewal, &tags, &leading, &states, &released].map(Clone::clone));
    // A push in the middle of a run keeps the locks.
    step.under(HoldChange { seen: held, renewed, release: false });
    assert_eq!(parts(&step), [renewal, tags, leading, states]);
    // Acquired or removed locks come last as well.
    let mut step = Step::default();
    step.create(LOCK.to_owned(), commit("1").0);
    step.tag(&success());
    assert_eq!(parts(&step)[1], [(LOCK.to_owned(), Some(commit("1").0))]);
}

#[test]
fn without_atomic_pushes_a_record_waits_for_the_one_that_it_follows() {
    let mut step = Step::default();
    let [first, mut second, mut other] = [success(), success(), success()];
    second.id.sequence += 1;
    other.id.component = component_name("web");
    for record in [&first, &second, &other] {
        step.tag(record);
    }
    step.lead_to(&second, &BTreeMap::new());
    let names: Vec<Vec<_>> =
        parts(&step)[..2].iter().map(|part| part.iter().map(|(name, _)| name.clone()).collect()).collect();
    assert_eq!(names, [vec![first.id.tag_ref(), other.id.tag_ref()], vec![second.id.tag_ref()]]);
}

#[test]
fn of_an_atomic_push_only_the_refs_that_were_rejected_themselves_are_contended() {
    use Rejection::{Bystander, Stale};
    let rejected = |reasons: &[(&str, Rejection)]| {
        let reasons = reasons.iter().map(|(name, reason)| ((*name).to_owned(), reason.clone())).collect();
        match classify("origin", reasons) {
            Ok(StepOutcome::Contended(guilty)) => guilty.into_iter().map(|(name, _)| name).collect(),
            outcome => vec![format!("{outcome:?}")],
        }
    };
    assert_eq!(rejected(&[(LOCK, Bystander), (STATE, Stale)]), [STATE]);
    assert_eq!(rejected(&[(LOCK, Stale), (STATE, Bystander)]), [LOCK]);
    // A server that names no rejected ref.
    assert_eq!(rejected(&[(LOCK, Bystander), (STATE, Bystander)]), [LOCK, STATE]);
    // A lasting refusal is reported, regardless of other contended refs.
    let refused = rejected(&[(LOCK, Stale), (STATE, Rejection::Hook("closed".to_owned()))]);
    assert!(refused[0].contains(STATE) && refused[0].contains("Refused"), "{refused:?}");
}

#[test]
fn without_atomic_pushes_locks_of_which_one_is_refused_are_all_given_back() {
    let workspace = Workspace::new();
    let remote = workspace.remote();
    remote.git(&["config", "receive.advertiseAtomic", "false"]);
    let other = "refs/atmos/locks/app/dev/web";
    remote.git(&["update-ref", other, "main~1"]);
    let checkout = workspace.clone("");
    let repository = checkout.repository();
    let ledger = open(&repository, |_| {});
    let mut step = Step::default();
    for name in [LOCK, other] {
        step.create(name.to_owned(), workspace.commit("main~0").0);
    }
    let outcome = ledger.execute(&step, "test", &[]).unwrap();
    let StepOutcome::Contended(rejected) = outcome else { panic!("{outcome:?}") };
    assert_eq!(rejected.into_iter().map(|(name, _)| name).collect::<Vec<_>>(), [other]);
    assert_eq!(remote.git(&["for-each-ref", "--format=%(refname)", "refs/atmos/locks"]), other);
}

#[test]
fn a_remote_that_takes_no_atomic_pushes_is_found_out_once() {
    let workspace = Workspace::new();
    let checkout = workspace.clone("");
    let repository = checkout.repository();
    let ledger = open(&repository, |_| {});
    let tag = |name: &str| format!("refs/tags/atmos/deployments/app/dev/api/{name}");
    let push = |name: &str| {
        let commit = workspace.commit("main~0").0;
        let mut step = Step::default();
        step.create(tag(name), commit.clone());
        // Another object than the current one.
        step.set(STATE.to_owned(), commit.clone(), Some(&commit).filter(|_| name == "second"));
        ledger.push_step("origin", &step).unwrap()
    };
    let remote = workspace.remote();
    remote.git(&["config", "receive.advertiseAtomic", "false"]);
    assert!(matches!(push("first"), StepOutcome::Accepted));
    remote.git(&["config", "receive.advertiseAtomic", "true"]);
    remote.git(&["update-ref", STATE, "main~1"]);
    assert!(matches!(push("second"), StepOutcome::Contended(_)));
    let there = remote.git(&["for-each-ref", "--format=%(refname)", &tag("second")]);
    assert_eq!(there.trim(), tag("second"), "an atomic push would have changed neither");
}

#[test]
fn a_step_whose_objects_a_clean_up_has_taken_writes_them_again() {
    let workspace = Workspace::new();
    let checkout = workspace.clone("");
    let repository = checkout.repository();
    let ledger = open(&repository, |_| {});
    let commit = workspace.commit("main~3");
    let object = ledger.write_tag(&commit, "atmos/x", "one\n").unwrap();
    checkout.git(&["gc", "--quiet", "--prune=now"]);
    let mut step = Step::default();
    step.create("refs/atmos/latest/a/b/c".to_owned(), object.clone());
    let outcome = ledger.execute(&step, "test", &[]).unwrap();
    assert!(matches!(outcome, StepOutcome::Accepted), "{outcome:?}");
    for repository in [workspace.remote(), checkout] {
        assert_eq!(repository.git(&["rev-parse", "refs/atmos/latest/a/b/c"]), object.as_str());
    }
}

#[test]
fn a_push_of_limited_refs_keeps_what_belongs_to_one_component_together() {
    let object: ObjectId = "1".repeat(40).parse().unwrap();
    let mut step = Step::default();
    for component in ["api", "database", "worker"] {
        for name in [
            format!("refs/tags/atmos/deployments/app/dev/{component}/2025-01-22T12-00-00Z"),
            format!("refs/atmos/deployments/app/dev/{component}"),
            format!("refs/atmos/latest/app/dev/{component}"),
        ] {
            step.create(name, object.clone());
        }
    }
    let parts = |limit: usize| {
        let parts = step.in_parts(NonZeroUsize::new(limit)).into_iter();
        let parts = parts.map(|part| {
            part.into_iter().map(|update| component_of(&update.name).unwrap()[2].clone()).collect::<Vec<_>>()
        });
        parts.collect::<Vec<_>>()
    };
    let [api, database, worker] = ["api", "database", "worker"].map(|name| vec![name.to_owned(); 3]);
    assert_eq!(parts(9).len(), 1);
    assert_eq!(parts(6), [[api.clone(), database.clone()].concat(), worker.clone()]);
    assert_eq!(parts(4), [api, database, worker]);
    assert_eq!(step.in_parts(None).len(), 1);
}

#[test]
fn of_more_records_than_a_push_may_have_the_tags_come_before_what_leads_to_them() {
    let mut step = Step::default();
    let mut record = success();
    for _ in 0..5 {
        step.tag(&record);
        record.id.sequence += 1;
    }
    step.lead_to(&record, &BTreeMap::new());
    step.create("refs/notes/atmos/app/approvals".to_owned(), record.object.clone());
    let parts = step.in_parts(NonZeroUsize::new(4));
    let tags =
        |part: &Vec<PushUpdate>| part.iter().filter(|update| update.name.starts_with("refs/tags/")).count();
    assert_eq!(parts.iter().map(Vec::len).collect::<Vec<_>>(), [3, 4, 1]);
    assert_eq!(parts.iter().map(tags).collect::<Vec<_>>(), [3, 2, 0]);
    assert!(parts[2][0].name.starts_with("refs/notes/"), "what belongs to no component comes last");
}

#[test]
fn a_step_that_is_made_anew_has_no_more_time_than_one() {
    let workspace = Workspace::new();
    let checkout = workspace.clone("");
    leave_lock_file(&workspace.remote().path, LOCK);
    let repository = checkout.repository();
    let ledger = open(&repository, |_| {});
    let began = Instant::now().checked_sub(PERSISTENCE).unwrap();
    let error = ledger.carry_out_since(began, &step(&workspace), "test", &[]).unwrap_err();
    assert_eq!(error.to_string(), format!("origin refused {LOCK}: {LOCKED}"));
}
