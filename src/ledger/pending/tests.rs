use super::*;
use crate::deployment::fixtures::time;

const EXPIRY: &str = "2025-01-22T12:05:00Z";

/// A run with a lock by this holder, whose lease ends at [`EXPIRY`].
fn run(holder: Option<Holder>, holds_locks: bool) -> PendingRun {
    let lock = holder.map(|Holder { host, process, started, user }| Lock {
        host,
        process: Some(process),
        process_started: started,
        user: Some(user),
        expires_at: Some(time(EXPIRY)),
        session: Some("5e55".to_owned()),
        ..Lock::unreadable()
    });
    PendingRun {
        run_id: "github:1/1".to_owned(),
        session: Some("5e55".to_owned()),
        lock,
        holds_locks,
        records: Vec::new(),
        refs: Vec::new(),
        unreadable: Vec::new(),
    }
}

#[test]
fn a_run_elsewhere_may_be_alive_while_its_locks_are_there_and_its_lease_lasts() {
    let elsewhere =
        || Some(Holder { user: 0, host: Some("elsewhere".to_owned()), process: 1, started: Some(1) });
    let [before, at] = ["2025-01-22T12:04:59Z", EXPIRY].map(time);
    assert!(run(elsewhere(), true).may_be_alive(before));
    assert!(!run(elsewhere(), true).may_be_alive(at), "its lease has ended");
    assert!(!run(elsewhere(), false).may_be_alive(before), "its locks were let go, or taken over");
    assert!(!run(elsewhere(), true).has_ended(), "and still that is not known");
    assert!(!run(None, true).may_be_alive(before), "it has ended by itself");
    assert!(run(None, true).has_ended());
}

#[cfg(target_os = "linux")]
#[test]
fn a_run_here_is_alive_for_as_long_as_its_process_whatever_its_locks_say() {
    let current = Holder::current();
    let reused = Holder { started: current.started.map(|ticks| ticks + 1), ..current.clone() };
    let later = time("2025-01-22T13:00:00Z");
    for holds_locks in [true, false] {
        assert!(run(Some(current.clone()), holds_locks).may_be_alive(later));
        assert!(!run(Some(current.clone()), holds_locks).has_ended());
        assert!(!run(Some(reused.clone()), holds_locks).may_be_alive(time("2025-01-22T12:00:00Z")));
        assert!(run(Some(reused.clone()), holds_locks).has_ended());
    }
}
