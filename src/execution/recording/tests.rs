use std::collections::HashSet;

use super::*;

const LEASE: Lease = Lease(Duration::from_mins(5));

fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// The actions after each of these inputs, at these seconds.
fn acts(steps: &[(u64, Happened)]) -> Vec<Vec<Act>> {
    let mut recording = Recording::new(LEASE, Duration::ZERO);
    steps.iter().map(|(second, happened)| recording.after(s(*second), *happened)).collect()
}

const PUSH: Act = Act::Push { last: false };
const LAST: Act = Act::Push { last: true };

#[test]
fn records_wait_for_company_and_one_push_takes_all_that_has_come() {
    use Happened::{Closed, Kept, Nothing, Pushed};
    let steps = [(0, Kept), (0, Kept), (1, Nothing), (2, Kept), (3, Nothing), (4, Pushed(End::Arrived))];
    assert_eq!(acts(&steps), [vec![], vec![], vec![PUSH], vec![], vec![], vec![PUSH]]);
    let steps = [(0, Kept), (0, Closed), (3, Pushed(End::Arrived))];
    assert_eq!(acts(&steps), [vec![], vec![LAST], vec![Act::Finish]]);
    assert_eq!(acts(&[(0, Closed)]), [vec![LAST]]);
}

#[test]
fn a_lease_is_renewed_beside_a_push_that_hangs() {
    use Happened::{Kept, Nothing, Pushed, Renewed};
    let steps = [
        (99, Nothing),
        (100, Nothing),
        (101, Renewed(End::Arrived)),
        (150, Kept),
        (199, Nothing),
        // The renewal was due at 200: the push renews the locks too, unless it hangs.
        (200, Nothing),
        (250, Nothing),
        (251, Renewed(End::Arrived)),
        (400, Nothing),
        (401, Pushed(End::Arrived)),
    ];
    let expected = [
        vec![],
        vec![Act::Renew],
        vec![],
        vec![],
        vec![PUSH],
        vec![],
        vec![Act::Renew],
        vec![],
        vec![Act::Renew],
        vec![],
    ];
    assert_eq!(acts(&steps), expected);
}

#[test]
fn a_push_that_arrived_is_a_renewal_as_of_its_beginning() {
    use Happened::{Kept, Nothing, Pushed};
    let steps = [(60, Kept), (61, Nothing), (80, Pushed(End::Arrived)), (160, Nothing), (161, Nothing)];
    assert_eq!(acts(&steps), [vec![], vec![PUSH], vec![], vec![], vec![Act::Renew]]);
}

#[test]
fn without_an_acknowledged_renewal_nothing_more_starts_and_in_the_end_what_runs_is_ended() {
    use Happened::{Closed, Nothing, Pushed, Renewed};
    let steps = [
        (100, Nothing),
        (200, Renewed(End::NotReached)),
        (225, Nothing),
        (269, Nothing),
        (270, Nothing),
        (280, Renewed(End::Arrived)),
        (494, Nothing),
        (495, Nothing),
        (524, Nothing),
        (525, Nothing),
        (530, Closed),
        (531, Pushed(End::NotReached)),
        (540, Renewed(End::NotReached)),
    ];
    let expected = [
        vec![Act::Renew],
        vec![],
        vec![Act::Renew],
        vec![],
        vec![Act::Pause],
        vec![Act::Resume],
        vec![Act::Renew],
        vec![Act::Pause],
        vec![],
        vec![Act::Stop(Stop::LeaseEnded), Act::EndComponents],
        vec![LAST],
        vec![],
        vec![Act::Finish],
    ];
    assert_eq!(acts(&steps), expected);
}

#[test]
fn a_run_whose_locks_are_gone_pushes_nothing_more_and_ends_what_runs() {
    use Happened::{Closed, Kept, Nothing, Pushed, Renewed};
    let ended = || vec![Act::Stop(Stop::LockLost), Act::EndComponents];
    let steps = [(0, Kept), (1, Nothing), (2, Pushed(End::LockLost)), (3, Kept), (9, Nothing), (10, Closed)];
    assert_eq!(acts(&steps), [vec![], vec![PUSH], ended(), vec![], vec![], vec![Act::Finish]]);
    let steps = [(100, Nothing), (101, Renewed(End::LockLost)), (102, Kept), (110, Closed)];
    assert_eq!(acts(&steps), [vec![Act::Renew], ended(), vec![], vec![Act::Finish]]);
}

#[test]
fn what_is_refused_stops_further_starts_and_keeps_the_locks_until_the_end() {
    use Happened::{Closed, Kept, NotKept, Nothing, Pushed, Renewed};
    let stopped = || vec![Act::Stop(Stop::NotRecorded)];
    let steps = [
        (0, Kept),
        (1, Nothing),
        (2, Pushed(End::Refused)),
        (3, Kept),
        (100, Nothing),
        (101, Renewed(End::Arrived)),
        (102, Closed),
    ];
    let expected = [vec![], vec![PUSH], stopped(), vec![], vec![Act::Renew], vec![], vec![Act::Finish]];
    assert_eq!(acts(&steps), expected);
    assert_eq!(acts(&[(0, NotKept), (1, Closed)]), [stopped(), vec![LAST]]);
}

#[test]
fn a_push_that_did_not_arrive_is_made_again_and_once_at_the_end() {
    use Happened::{Closed, Kept, Nothing, Pushed};
    let steps = [
        (0, Kept),
        (1, Nothing),
        (2, Pushed(End::NotReached)),
        (11, Nothing),
        (12, Nothing),
        (13, Pushed(End::NotReached)),
        (14, Closed),
        (15, Pushed(End::NotReached)),
    ];
    let expected = [vec![], vec![PUSH], vec![], vec![], vec![PUSH], vec![], vec![LAST], vec![Act::Finish]];
    assert_eq!(acts(&steps), expected);
}

/// The exchanges in flight and the state of the run, as the publisher sees them.
#[derive(Clone, Default, PartialEq, Eq, Hash, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a question of its own")]
struct World {
    pushing: Option<bool>,
    renewing: bool,
    closed: bool,
    paused: bool,
    stopped: bool,
    ended: bool,
    finished: bool,
    no_more_pushes: bool,
}

impl World {
    /// Executes an action, and checks that it is allowed.
    fn act(&mut self, act: Act) {
        assert!(!self.finished, "{act:?} after the end");
        match act {
            Act::Push { last } => {
                assert_eq!(self.pushing, None, "two pushes");
                assert!(!self.no_more_pushes, "a push after the last one, or without locks");
                assert_eq!(last, self.closed);
                self.pushing = Some(last);
            }
            Act::Renew => assert!(!std::mem::replace(&mut self.renewing, true), "two renewals"),
            Act::Pause => assert!(!std::mem::replace(&mut self.paused, true)),
            Act::Resume => assert!(std::mem::replace(&mut self.paused, false)),
            Act::Stop(_) => self.stopped = true,
            Act::EndComponents => assert!(!std::mem::replace(&mut self.ended, true), "ended twice"),
            Act::Finish => {
                assert!(self.closed && self.pushing.is_none() && !self.renewing);
                self.finished = true;
            }
        }
    }
}

/// Every order of inputs within a few leases, with every end of every exchange.
#[test]
fn in_every_order_of_events_one_push_is_in_flight_and_nothing_starts_without_a_lease() {
    let lease = Lease(s(12));
    let mut open = vec![(Recording::new(lease, Duration::ZERO), World::default(), 0_u64, 0_u32)];
    let mut seen = HashSet::new();
    let mut finished = 0;
    while let Some((recording, world, second, depth)) = open.pop() {
        if world.finished {
            finished += 1;
            continue;
        }
        if depth == 9 || !seen.insert(format!("{recording:?}{world:?}{second}")) {
            continue;
        }
        let mut next = vec![(second + 3, Happened::Nothing)];
        if !world.closed {
            next.extend([(second, Happened::Kept), (second, Happened::Closed)]);
        }
        for end in [End::Arrived, End::NotReached, End::Refused, End::LockLost] {
            if world.pushing.is_some() {
                next.push((second, Happened::Pushed(end)));
            }
            if world.renewing && end != End::Refused {
                next.push((second, Happened::Renewed(end)));
            }
        }
        for (second, happened) in next {
            let (mut recording, mut world) = (recording.clone(), world.clone());
            match happened {
                Happened::Closed => world.closed = true,
                Happened::Pushed(end) => {
                    let was_last = world.pushing.take() == Some(true);
                    world.no_more_pushes |= was_last || matches!(end, End::Refused | End::LockLost);
                }
                Happened::Renewed(end) => {
                    world.renewing = false;
                    world.no_more_pushes |= end == End::LockLost;
                }
                Happened::Nothing | Happened::Kept | Happened::NotKept => {}
            }
            for act in recording.after(s(second), happened) {
                world.act(act);
            }
            let age = s(second).saturating_sub(recording.renewed);
            if age >= lease.starts_within() && !world.closed {
                assert!(world.paused || world.stopped, "something may start at {second} s");
            }
            if age >= lease.0 && !world.closed {
                assert!(world.ended, "components run on after the lease");
            }
            open.push((recording, world, second, depth + 1));
        }
    }
    assert!(finished > 1000, "{finished}");
}
