//! The protocol of locks, pushes and kept records as a small model, explored exhaustively: three
//! runs on two components, in every order of crash, lost answer, late delivery and takeover.
//!
//! The ledger's own code makes the decisions: the order of a push on a server without atomic
//! pushes, and the placement of a pending record ([`rules`]). The rest is git's behaviour with refs
//! ([`remote`]).

mod remote;
mod rules;

use std::collections::{BTreeSet, HashSet};
use std::hash::{BuildHasher, RandomState};

use super::pending::Placement;
use remote::{Flight, Id, Kind, LOCKS, Name, Rec, Remote, Update, lock_of, record, write};
use rules::{parts, placement, strays};

/// The components that each run rolls out, in this order.
const WANTED: [&[usize]; 3] = [&[0, 1], &[0, 1], &[0]];

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Phase {
    Waiting,
    Working,
    /// The run has ended by itself.
    Ended,
    Killed,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct Run {
    phase: Phase,
    applied: usize,
    /// The number of lock objects that the run has written.
    locks: Id,
    /// The pending records in its checkout.
    kept: Vec<Id>,
    /// The ends of its chains, and the last seen refs of the remote.
    ends: [Id; 2],
    latest: [Id; 2],
    states: [Id; 2],
    /// The last seen lock objects.
    lock: [Id; 2],
    flight: Option<Flight>,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct World {
    atomic: bool,
    remote: Remote,
    runs: [Run; 3],
    /// Pushes in flight whose sender is dead.
    orphans: Vec<Flight>,
    applied: BTreeSet<Id>,
    acknowledged: BTreeSet<Id>,
    crashes: u8,
    losses: u8,
    robberies: u8,
}

impl World {
    fn new(atomic: bool, [crashes, losses, robberies]: [u8; 3]) -> Self {
        let run = Run {
            phase: Phase::Waiting,
            applied: 0,
            locks: 0,
            kept: Vec::new(),
            ends: [0; 2],
            latest: [0; 2],
            states: [0; 2],
            lock: [0; 2],
            flight: None,
        };
        Self {
            atomic,
            remote: Remote::default(),
            runs: [run.clone(), run.clone(), run],
            orphans: Vec::new(),
            applied: BTreeSet::new(),
            acknowledged: BTreeSet::new(),
            crashes,
            losses,
            robberies,
        }
    }

    fn add_lock(&mut self, run: usize) -> Id {
        self.runs[run].locks += 1;
        lock_of(run, self.runs[run].locks)
    }

    fn holder(&self, component: usize) -> Option<usize> {
        let lock = self.remote.locks[component];
        (lock != 0).then(|| usize::from(lock / LOCKS) - 1)
    }

    fn chain(&self, component: usize) -> Vec<Id> {
        let mut chain = Vec::new();
        let mut next = self.remote.latest[component];
        while next != 0 {
            assert!(!chain.contains(&next), "a circle");
            chain.push(next);
            next = record(next).previous;
        }
        chain
    }

    /// Returns all possible next states.
    fn successors(&self) -> Vec<Self> {
        let mut next = Vec::new();
        for run in 0..self.runs.len() {
            match self.runs[run].phase {
                Phase::Waiting => next.extend(self.locked(run)),
                Phase::Working => self.working(run, &mut next),
                Phase::Ended | Phase::Killed => next.extend(self.published(run)),
            }
        }
        for orphan in 0..self.orphans.len() {
            let mut world = self.clone();
            let mut flight = world.orphans.remove(orphan);
            flight.deliver(&mut world.remote);
            if flight.answer.is_none() {
                world.orphans.insert(orphan, flight);
            }
            next.push(world);
        }
        next
    }

    fn working(&self, run: usize, next: &mut Vec<Self>) {
        let now = &self.runs[run];
        if let Some(&component) = WANTED[run].get(now.applied) {
            let mut world = self.clone();
            let previous = now.ends[component];
            let id = write(Rec { run, component, kind: Kind::Success, previous });
            world.applied.insert(id);
            let its = &mut world.runs[run];
            its.applied += 1;
            its.kept.push(id);
            its.ends[component] = id;
            next.push(world);
        }
        match &now.flight {
            None if !now.kept.is_empty() || now.applied == WANTED[run].len() => next.push(self.sent(run)),
            None => {}
            Some(flight) if flight.answer.is_none() => {
                let mut world = self.clone();
                if let Some(flight) = &mut world.runs[run].flight {
                    flight.deliver(&mut world.remote);
                }
                next.push(world);
            }
            Some(_) => next.push(self.answered(run)),
        }
        if self.losses > 0 && now.flight.is_some() {
            for world in self.without_flight(run) {
                let mut world = Self { losses: self.losses - 1, ..world };
                let its = &mut world.runs[run];
                if now.flight.as_ref().is_some_and(|flight| flight.last) {
                    its.phase = Phase::Ended;
                }
                next.push(world);
            }
        }
        if self.crashes > 0 {
            for world in self.without_flight(run) {
                let mut world = Self { crashes: self.crashes - 1, ..world };
                world.runs[run].phase = Phase::Killed;
                next.push(world);
            }
        }
    }

    /// Either cuts off a run's push in flight, or lets it arrive without its sender.
    fn without_flight(&self, run: usize) -> Vec<Self> {
        let mut cut = self.clone();
        let flight = cut.runs[run].flight.take();
        let mut worlds = vec![cut.clone()];
        if let Some(flight) = flight.and_then(Flight::outlives) {
            cut.orphans.push(flight);
            worlds.push(cut);
        }
        worlds
    }

    /// A run acquires all of its locks: free ones, those of dead or ended runs, or by force.
    fn locked(&self, run: usize) -> Option<Self> {
        let mut world = self.clone();
        let mut taken = Vec::new();
        for &component in WANTED[run] {
            let Some(holder) = self.holder(component) else { continue };
            if self.runs[holder].phase == Phase::Working {
                world.robberies = self.robberies.checked_sub(1)?;
            }
            taken.push((component, holder));
        }
        let lock = world.add_lock(run);
        for &component in WANTED[run] {
            world.remote.locks[component] = lock;
        }
        for (component, holder) in taken {
            world.record_interrupted(component, holder);
        }
        if !self.atomic {
            WANTED[run].iter().for_each(|component| world.publish_strays(*component));
        }
        let Remote { latest, states, .. } = world.remote.clone();
        let its = &mut world.runs[run];
        its.phase = Phase::Working;
        (its.ends, its.latest, its.states) = (latest, latest, states);
        WANTED[run].iter().for_each(|component| its.lock[*component] = lock);
        Some(world)
    }

    /// Records an interrupted component of a run, unless the remote has a record of that run.
    fn record_interrupted(&mut self, component: usize, holder: usize) {
        let end = self.remote.latest[component];
        let is_of_holder = |id: &Id| {
            let found = record(*id);
            found.component == component && found.run == holder && found.kind == Kind::Success
        };
        if end != 0 && is_of_holder(&end) {
            // Without atomic pushes, the state comes last.
            self.remote.states[component] = end;
            return;
        }
        let torn = self.remote.tags.iter().copied().filter(is_of_holder);
        let torn = torn.filter(|id| record(*id).previous == end).max();
        let (id, runs) = if let Some(id) = torn {
            (id, true)
        } else {
            let rec = Rec { run: holder, component, kind: Kind::Interrupted, previous: end };
            (write(rec), false)
        };
        self.remote.tags.insert(id);
        self.remote.latest[component] = id;
        if runs {
            self.remote.states[component] = id;
        }
    }

    /// Publishes the strays of a chain before a run extends it.
    fn publish_strays(&mut self, component: usize) {
        if self.remote.latest[component] == 0 {
            return;
        }
        for id in strays(self.remote.latest[component], &self.tags_of(component)) {
            let previous = self.remote.latest[component];
            let kind = match record(id).kind {
                Kind::Late(of) => Kind::Late(of),
                _ => Kind::Late(id),
            };
            let late = write(Rec { kind, previous, ..record(id) });
            self.remote.tags.insert(late);
            self.remote.latest[component] = late;
        }
    }

    fn tags_of(&self, component: usize) -> Vec<(Id, Rec)> {
        let tags = self.remote.tags.iter().map(|id| (*id, record(*id)));
        tags.filter(|(_, found)| found.component == component).collect()
    }

    /// A run pushes its pending records; the last push releases its locks.
    fn sent(&self, run: usize) -> Self {
        let mut world = self.clone();
        let lock = world.add_lock(run);
        let now = &self.runs[run];
        let mut updates = Vec::new();
        for &id in &now.kept {
            let component = record(id).component;
            updates.extend([
                Update { name: Name::Tag(id), new: id, expected: 0 },
                Update { name: Name::Latest(component), new: id, expected: now.latest[component] },
                Update { name: Name::State(component), new: id, expected: now.states[component] },
            ]);
        }
        let last = now.applied == WANTED[run].len();
        let seen: Vec<_> = WANTED[run].iter().map(|component| (*component, now.lock[*component])).collect();
        let parts = parts(self.atomic, &updates, &seen, lock, last);
        let (atomic, records) = (self.atomic, now.kept.clone());
        let flight = Flight { parts, atomic, refused: false, records, lock, last, answer: None };
        world.runs[run].flight = Some(flight);
        world
    }

    /// A run receives the answer to its push.
    fn answered(&self, run: usize) -> Self {
        let mut world = self.clone();
        let Some(flight) = world.runs[run].flight.take() else { return world };
        if flight.answer == Some(true) {
            world.runs[run].kept.retain(|id| !flight.records.contains(id));
            for id in flight.records {
                let component = record(id).component;
                let its = &mut world.runs[run];
                (its.latest[component], its.states[component]) = (id, id);
                world.acknowledged.insert(id);
            }
            let its = &mut world.runs[run];
            WANTED[run].iter().for_each(|component| its.lock[*component] = flight.lock);
            if flight.last {
                its.phase = Phase::Ended;
            }
            return world;
        }
        if WANTED[run].iter().all(|component| self.holder(*component) == Some(run)) {
            world.runs[run].lock = self.remote.locks;
        } else {
            world.runs[run].phase = Phase::Ended;
        }
        world
    }

    /// Another command publishes the pending records of a run that is over, and frees its locks.
    fn published(&self, run: usize) -> Option<Self> {
        let now = &self.runs[run];
        let own: Vec<_> = WANTED[run].iter().copied().filter(|c| self.holder(*c) == Some(run)).collect();
        let is_free = |id: &Id| {
            let component = record(*id).component;
            self.remote.locks[component] == 0 || own.contains(&component)
        };
        let has_left = !now.kept.is_empty() || !own.is_empty();
        if !has_left || !now.kept.iter().all(is_free) {
            return None;
        }
        let mut world = self.clone();
        for id in std::mem::take(&mut world.runs[run].kept) {
            world.publish(id);
        }
        for component in own {
            if now.phase == Phase::Killed {
                world.record_interrupted(component, run);
            }
            world.remote.locks[component] = 0;
        }
        Some(world)
    }

    fn publish(&mut self, id: Id) {
        let kept = record(id);
        let component = kept.component;
        let end = self.remote.latest[component];
        let there = self.tags_of(component);
        let written = match placement((id, kept), end, &there) {
            Placement::Arrived => return,
            Placement::Newest | Placement::AsWritten | Placement::Untagged => id,
            Placement::Late => write(Rec { kind: Kind::Late(id), previous: end, ..kept }),
        };
        self.remote.tags.insert(written);
        let is_end = record(written).previous == end || written == end;
        if is_end {
            self.remote.latest[component] = written;
            if written == id {
                self.remote.states[component] = written;
            }
        }
    }

    /// Asserts the invariants of every state.
    fn is_sound(&self) {
        for component in 0..2 {
            let chain = self.chain(component);
            assert!(chain.iter().all(|id| self.remote.tags.contains(id)), "a record without a tag");
            if self.atomic || self.is_settled() {
                let late = |id: &Id| chain.iter().any(|found| record(*found).kind == Kind::Late(*id));
                let mut tags = self.remote.tags.iter().filter(|id| record(**id).component == component);
                assert!(tags.all(|id| chain.contains(id) || late(id)), "a fork: {chain:?}");
                let runs = chain.iter().find(|id| record(**id).kind == Kind::Success);
                assert_eq!(self.remote.states[component], runs.copied().unwrap_or(0), "the state");
            }
        }
    }

    /// Whether no push is in flight, and all records and locks of dead runs are published and
    /// freed.
    fn is_settled(&self) -> bool {
        let has_lock = |run: usize| (0..2).any(|component| self.holder(component) == Some(run));
        let is_over = |(at, run): (usize, &Run)| {
            let is_dead = run.phase == Phase::Killed;
            run.flight.is_none() && run.kept.is_empty() && !(is_dead && has_lock(at))
        };
        self.orphans.is_empty() && self.runs.iter().enumerate().all(is_over)
    }

    /// Asserts the invariants of a final state.
    fn is_whole(&self) {
        assert_eq!(self.remote.locks, [0; 2], "a lock that nothing frees");
        for run in &self.runs {
            assert!(run.kept.is_empty(), "a record that stays behind");
        }
        for &id in &self.applied {
            let chain = self.chain(record(id).component);
            let told = chain.iter().filter(|found| **found == id || record(**found).kind == Kind::Late(id));
            assert_eq!(told.count(), 1, "{:?} of {chain:?}", record(id));
        }
        for id in &self.acknowledged {
            assert!(self.chain(record(*id).component).contains(id), "an acknowledged record is gone");
        }
    }
}

/// Visits every reachable state, and returns their number. States are distinguished by their
/// hashes.
fn explore(start: World) -> usize {
    let hasher = RandomState::new();
    let mut seen = HashSet::from([hasher.hash_one(&start)]);
    let mut open = vec![start];
    while let Some(world) = open.pop() {
        world.is_sound();
        let next = world.successors();
        if next.is_empty() {
            world.is_whole();
        }
        open.extend(next.into_iter().filter(|world| seen.insert(hasher.hash_one(world))));
    }
    seen.len()
}

#[test]
fn no_order_of_a_crash_a_lost_answer_and_a_takeover_breaks_the_ledger() {
    for faults in [[1, 1, 0], [1, 0, 1], [0, 1, 1]] {
        let states = explore(World::new(true, faults));
        assert!(states > 10_000, "{faults:?}: {states}");
    }
}

#[test]
fn no_order_of_two_crashes_breaks_the_ledger() {
    let states = explore(World::new(true, [2, 0, 0]));
    assert!(states > 10_000, "{states}");
}

#[test]
fn no_order_breaks_it_on_a_server_without_atomic_pushes() {
    for faults in [[1, 0, 0], [0, 1, 0], [0, 0, 1]] {
        let states = explore(World::new(false, faults));
        assert!(states > 10_000, "{faults:?}: {states}");
    }
}
