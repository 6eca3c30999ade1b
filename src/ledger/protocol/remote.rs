//! A remote of the model: objects, refs, and pushes that arrive in parts, as with git.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};

/// An object; 0 is none.
pub(super) type Id = u16;

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Kind {
    Success,
    Interrupted,
    /// A late record of this one.
    Late(Id),
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Rec {
    pub(super) run: usize,
    pub(super) component: usize,
    pub(super) kind: Kind,
    pub(super) previous: Id,
}

/// The maximum number of lock objects of a run.
pub(super) const LOCKS: Id = 64;

/// The id of a run's lock object, by its number.
pub(super) fn lock_of(run: usize, number: Id) -> Id {
    (Id::try_from(run).unwrap() + 1) * LOCKS + number
}

thread_local! {
    /// The records of all states: equal ones are one object, as in git.
    static RECORDS: RefCell<(Vec<Rec>, HashMap<Rec, Id>)> = RefCell::default();
}

pub(super) fn write(record: Rec) -> Id {
    RECORDS.with_borrow_mut(|(records, ids)| {
        *ids.entry(record).or_insert_with(|| {
            records.push(record);
            Id::try_from(records.len()).unwrap()
        })
    })
}

pub(super) fn record(id: Id) -> Rec {
    RECORDS.with_borrow(|(records, _)| records[usize::from(id) - 1])
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Name {
    Lock(usize),
    Tag(Id),
    Latest(usize),
    State(usize),
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Update {
    pub(super) name: Name,
    pub(super) new: Id,
    pub(super) expected: Id,
}

#[derive(Clone, Default, PartialEq, Eq, Hash, Debug)]
pub(super) struct Remote {
    pub(super) locks: [Id; 2],
    pub(super) latest: [Id; 2],
    /// The record whose commit runs.
    pub(super) states: [Id; 2],
    pub(super) tags: BTreeSet<Id>,
}

impl Remote {
    pub(super) fn at(&self, name: Name) -> Id {
        match name {
            Name::Lock(component) => self.locks[component],
            Name::Latest(component) => self.latest[component],
            Name::State(component) => self.states[component],
            Name::Tag(id) => {
                if self.tags.contains(&id) {
                    id
                } else {
                    0
                }
            }
        }
    }

    /// Git sends nothing for a ref that already has its new value, and does not check its lease.
    pub(super) fn accepts(&self, update: &Update) -> bool {
        let now = self.at(update.name);
        now == update.expected || (now == update.new && now != 0)
    }

    pub(super) fn set(&mut self, update: &Update) {
        match update.name {
            Name::Lock(component) => self.locks[component] = update.new,
            Name::Latest(component) => self.latest[component] = update.new,
            Name::State(component) => self.states[component] = update.new,
            Name::Tag(id) => drop(self.tags.insert(id)),
        }
    }
}

/// A push in flight: the updates of each part that have yet to arrive. Each part is pushed by a git
/// process, which outlives its dead parent.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Flight {
    pub(super) parts: Vec<Vec<Update>>,
    /// Whether a part arrives atomically. Otherwise each of its refs arrives on its own.
    pub(super) atomic: bool,
    /// Whether a ref of the first part was refused.
    pub(super) refused: bool,
    pub(super) records: Vec<Id>,
    pub(super) lock: Id,
    pub(super) last: bool,
    /// The server's answer, once it is decided.
    pub(super) answer: Option<bool>,
}

impl Flight {
    /// Lets the next part arrive, or the next ref of it.
    pub(super) fn deliver(&mut self, remote: &mut Remote) {
        if self.atomic {
            self.deliver_at_once(remote);
        } else {
            self.deliver_one(remote);
        }
        if self.parts.is_empty() && self.answer.is_none() {
            self.answer = Some(true);
        }
    }

    fn deliver_at_once(&mut self, remote: &mut Remote) {
        if self.parts.is_empty() {
            return;
        }
        let part = self.parts.remove(0);
        if part.iter().all(|update| remote.accepts(update)) {
            for update in &part {
                remote.set(update);
            }
        } else {
            self.parts.clear();
            self.answer = Some(false);
        }
    }

    /// A refused ref stops the following parts, but not the rest of its own.
    fn deliver_one(&mut self, remote: &mut Remote) {
        let Some(part) = self.parts.first_mut() else { return };
        let update = part.remove(0);
        if remote.accepts(&update) {
            remote.set(&update);
        } else {
            self.refused = true;
        }
        if part.is_empty() {
            self.parts.remove(0);
            if self.refused {
                self.parts.clear();
                self.answer = Some(false);
            }
        }
    }

    /// The rest that arrives without its sender: the part in flight.
    pub(super) fn outlives(mut self) -> Option<Self> {
        self.parts.truncate(1);
        (self.answer.is_none() && !self.parts.is_empty()).then_some(self)
    }
}
