//! Ancestry of commits in a history that may be incomplete (shallow or partial clones).
//!
//! The walk reads commit objects only, so that neither a commit-graph file nor the
//! list of shallow commits hides parents. Invariant: a missing parent leaves the
//! question open, it never answers it.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, BinaryHeap, HashMap, HashSet};
use std::rc::Rc;

use crate::deployment::rollout_plan::Ancestry;
use crate::deployment::{CommitId, ObjectId};

use super::objects::{ObjectError, ObjectStore, from_oid};

/// The flag of ancestors of the first commit.
const FIRST: u8 = 1;
/// The flag of ancestors of the second commit.
const SECOND: u8 = 2;
/// Both flags. No path between the two commits leads through a commit that has both.
const BOTH: u8 = FIRST | SECOND;

/// The relation of two commits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Related {
    Known(Ancestry),
    /// Unknown: a commit, or history that would decide, is not here.
    Open {
        /// The shallow commits to deepen from; empty where that would not help.
        ends: BTreeSet<ObjectId>,
    },
}

/// Whether one commit is an ancestor of some others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reach {
    Yes,
    No,
    /// Unknown: no path was found, and history is missing.
    Open {
        /// The tips that are not here.
        missing: BTreeSet<ObjectId>,
        /// The shallow commits to deepen from.
        ends: BTreeSet<ObjectId>,
    },
}

/// A cache of a repository's commits for walks of their history.
#[derive(Debug)]
pub struct Histories<'o> {
    objects: &'o ObjectStore,
    shallow: BTreeSet<ObjectId>,
    /// The commits read so far; `None` for a missing object or one that is no commit.
    commits: HashMap<git2::Oid, Option<Rc<Commit>>>,
}

/// The fields of a commit that a walk needs.
#[derive(Debug)]
struct Commit {
    /// Seconds since 1970. A skewed one makes a walk longer, but changes no answer.
    time: i64,
    parents: Vec<git2::Oid>,
}

/// A walk from two commits, newest first.
#[derive(Debug)]
struct Walk {
    marks: HashMap<git2::Oid, Mark>,
    queue: BinaryHeap<(i64, git2::Oid)>,
    /// The number of queued commits with one flag only; the walk ends at zero.
    undecided: usize,
    /// The missing parents, with the commits that name them.
    missing: HashMap<git2::Oid, Vec<git2::Oid>>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Mark {
    flags: u8,
    queued: bool,
}

impl<'o> Histories<'o> {
    /// An empty cache. `shallow` is the repository's list of shallow commits.
    #[must_use]
    pub fn new(objects: &'o ObjectStore, shallow: BTreeSet<ObjectId>) -> Self {
        Self { objects, shallow, commits: HashMap::new() }
    }

    /// The relation of the first commit to the second.
    ///
    /// # Errors
    ///
    /// Fails where an id has another format than those of the repository, or an object is damaged.
    /// One that is missing is no error.
    pub fn relate(&mut self, first: &CommitId, second: &CommitId) -> Result<Related, ObjectError> {
        if first == second {
            return Ok(Related::Known(Ancestry::Same));
        }
        let (first, second) = (self.objects.oid(&first.0)?, self.objects.oid(&second.0)?);
        let mut walk = Walk::new();
        for (id, flag) in [(first, FIRST), (second, SECOND)] {
            let Some(commit) = self.commit(id)? else {
                return Ok(Related::Open { ends: BTreeSet::new() });
            };
            walk.reach(id, flag, &commit);
        }
        while let Some((id, flags)) = walk.next() {
            let Some(commit) = self.commit(id)? else { continue };
            for parent in &commit.parents {
                match self.commit(*parent)? {
                    Some(found) => walk.reach(*parent, flags, &found),
                    None => walk.miss(*parent, flags, id),
                }
            }
            if walk.flags(first) == BOTH {
                return Ok(Related::Known(Ancestry::Ancestor));
            }
            if walk.flags(second) == BOTH {
                return Ok(Related::Known(Ancestry::Descendant));
            }
        }
        self.conclude(&walk)
    }

    /// Whether one of these tips leads to a commit, itself included.
    ///
    /// # Errors
    ///
    /// As [`Self::relate`].
    pub fn reach(&mut self, tips: &BTreeSet<ObjectId>, commit: &CommitId) -> Result<Reach, ObjectError> {
        let wanted = self.objects.oid(&commit.0)?;
        let mut missing = BTreeSet::new();
        let mut ends = BTreeSet::new();
        let mut seen = HashSet::new();
        let mut queue = BinaryHeap::new();
        for tip in tips {
            let id = self.objects.oid(tip)?;
            match self.commit(id)? {
                Some(found) => {
                    if seen.insert(id) {
                        queue.push((found.time, id));
                    }
                }
                // A tag may point at something else than a commit.
                None if self.objects.contains(tip) => {}
                None => drop(missing.insert(tip.clone())),
            }
        }
        while let Some((_, id)) = queue.pop() {
            if id == wanted {
                return Ok(Reach::Yes);
            }
            let Some(commit) = self.commit(id)? else { continue };
            for parent in &commit.parents {
                if *parent == wanted {
                    return Ok(Reach::Yes);
                }
                match self.commit(*parent)? {
                    Some(found) if seen.insert(*parent) => queue.push((found.time, *parent)),
                    Some(_) => {}
                    None => drop(ends.insert(from_oid(id)?)),
                }
            }
        }
        if missing.is_empty() && ends.is_empty() {
            return Ok(Reach::No);
        }
        let mut ends: BTreeSet<_> = ends.intersection(&self.shallow).cloned().collect();
        if ends.is_empty() {
            // Leftover objects of other fetches have led the walk past the shallow commits.
            let seen: Result<BTreeSet<_>, _> = seen.into_iter().map(from_oid).collect();
            ends = seen?.intersection(&self.shallow).cloned().collect();
        }
        Ok(Reach::Open { missing, ends })
    }

    /// The answer of a complete walk that has not led from either commit to the other.
    fn conclude(&self, walk: &Walk) -> Result<Related, ObjectError> {
        let open = walk.open_ends();
        if open.is_empty() {
            return Ok(Related::Known(Ancestry::Unrelated));
        }
        let shallow = |ids: Vec<git2::Oid>| {
            let ids: Result<BTreeSet<_>, _> = ids.into_iter().map(from_oid).collect();
            ids.map(|ids| ids.intersection(&self.shallow).cloned().collect::<BTreeSet<_>>())
        };
        let ends = shallow(open)?;
        if !ends.is_empty() {
            return Ok(Related::Open { ends });
        }
        // Leftover objects of other fetches have led the walk past the shallow commits, from which
        // a remote can deepen.
        Ok(Related::Open { ends: shallow(walk.one_sided())? })
    }

    fn commit(&mut self, id: git2::Oid) -> Result<Option<Rc<Commit>>, ObjectError> {
        match self.commits.entry(id) {
            Entry::Occupied(entry) => Ok(entry.get().clone()),
            Entry::Vacant(entry) => Ok(entry.insert(read(self.objects, id)?).clone()),
        }
    }
}

impl Walk {
    fn new() -> Self {
        Self { marks: HashMap::new(), queue: BinaryHeap::new(), undecided: 0, missing: HashMap::new() }
    }

    fn flags(&self, id: git2::Oid) -> u8 {
        self.marks.get(&id).map_or(0, |mark| mark.flags)
    }

    /// Marks a commit that is here.
    fn reach(&mut self, id: git2::Oid, flags: u8, commit: &Commit) {
        let mark = self.marks.entry(id).or_default();
        let (before, after) = (mark.flags, mark.flags | flags);
        if after == before {
            return;
        }
        mark.flags = after;
        if !mark.queued {
            mark.queued = true;
            self.queue.push((commit.time, id));
            self.undecided += usize::from(after != BOTH);
        } else if after == BOTH {
            self.undecided -= 1;
        }
    }

    /// Marks a parent that is missing.
    fn miss(&mut self, parent: git2::Oid, flags: u8, child: git2::Oid) {
        self.marks.entry(parent).or_default().flags |= flags;
        self.missing.entry(parent).or_default().push(child);
    }

    /// The next commit and its flags; `None` once no queued commit can change the answer.
    fn next(&mut self) -> Option<(git2::Oid, u8)> {
        // With a missing parent, only the end of the walk tells whether both commits lead there.
        if self.undecided == 0 && self.missing.is_empty() {
            return None;
        }
        let (_, id) = self.queue.pop()?;
        let mark = self.marks.entry(id).or_default();
        mark.queued = false;
        self.undecided -= usize::from(mark.flags != BOTH);
        Some((id, mark.flags))
    }

    /// The commits that name a missing parent behind which one of the two commits may be.
    fn open_ends(&self) -> Vec<git2::Oid> {
        let open = self.missing.iter().filter(|(parent, _)| self.flags(**parent) != BOTH);
        open.flat_map(|(_, children)| children).copied().collect()
    }

    /// All commits that only one of the two leads to.
    fn one_sided(&self) -> Vec<git2::Oid> {
        self.marks.iter().filter(|(_, mark)| mark.flags != BOTH).map(|(id, _)| *id).collect()
    }
}

/// Reads a commit; `None` where it is not here, or is something else.
fn read(objects: &ObjectStore, id: git2::Oid) -> Result<Option<Rc<Commit>>, ObjectError> {
    let repository = objects.repository();
    let object = match repository.odb()?.read(id) {
        Ok(object) if object.kind() == git2::ObjectType::Commit => object.data().to_vec(),
        Ok(_) => return Ok(None),
        Err(error) if error.code() == git2::ErrorCode::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    // Names can be in any encoding.
    let text = String::from_utf8_lossy(&object);
    let mut commit = Commit { time: 0, parents: Vec::new() };
    for line in text.lines().take_while(|line| !line.is_empty()) {
        if let Some(parent) = line.strip_prefix("parent ") {
            commit.parents.push(git2::Oid::from_str_ext(parent, repository.object_format())?);
        } else if let Some(committer) = line.strip_prefix("committer ") {
            let time = committer.rsplit(' ').nth(1);
            commit.time = time.and_then(|time| time.parse().ok()).unwrap_or_default();
            break;
        }
    }
    Ok(Some(Rc::new(commit)))
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use super::super::testing::Fixture;
    use super::*;

    /// Commits by name: each with its parents and its time, in any order that parents come before.
    struct History {
        fixture: Fixture,
        commits: HashMap<&'static str, CommitId>,
    }

    impl History {
        fn new(commits: &[(&'static str, &[&'static str], i64)]) -> Self {
            let fixture = Fixture::new(&[]);
            let tree = fixture.git(&["write-tree"], "");
            let mut history = Self { fixture, commits: HashMap::new() };
            for (name, parents, time) in commits {
                let mut text = format!("tree {tree}");
                for parent in *parents {
                    // A parent that is not made is missing.
                    let id = history.commits.get(parent).map_or("e".repeat(40), ToString::to_string);
                    writeln!(text, "parent {id}").unwrap();
                }
                let who = format!("A <a@example.com> {time} +0000");
                writeln!(text, "author {who}\ncommitter {who}\n\n{name}").unwrap();
                let arguments = ["hash-object", "-t", "commit", "-w", "--stdin"];
                let id = history.fixture.git(&arguments, &text);
                history.commits.insert(name, id.trim().parse().unwrap());
            }
            history
        }

        fn relate(&self, first: &str, second: &str, shallow: &[&str]) -> Related {
            let objects = self.fixture.repository().objects().unwrap();
            let shallow = shallow.iter().map(|name| self.commits[name].0.clone()).collect();
            Histories::new(&objects, shallow).relate(&self.commits[first], &self.commits[second]).unwrap()
        }

        /// The id of a commit, made or missing.
        fn id(&self, name: &str) -> CommitId {
            self.commits.get(name).cloned().unwrap_or_else(|| "e".repeat(40).parse().unwrap())
        }

        fn open(&self, ends: &[&str]) -> Related {
            Related::Open { ends: ends.iter().map(|name| self.commits[name].0.clone()).collect() }
        }
    }

    #[test]
    fn every_relation_is_found_whatever_the_clocks_say() {
        // root - a - b - c - merge, with d beside b and c; orphan alone. The clock of b was wrong.
        let history = History::new(&[
            ("root", &[], 1),
            ("a", &["root"], 2),
            ("b", &["a"], 900),
            ("c", &["b"], 4),
            ("d", &["a"], 5),
            ("merge", &["c", "d"], 6),
            ("orphan", &[], 7),
        ]);
        let cases = [
            ("a", "a", Ancestry::Same),
            ("root", "merge", Ancestry::Ancestor),
            ("d", "merge", Ancestry::Ancestor),
            ("b", "c", Ancestry::Ancestor),
            ("merge", "b", Ancestry::Descendant),
            ("c", "root", Ancestry::Descendant),
            ("c", "d", Ancestry::Unrelated),
            ("orphan", "merge", Ancestry::Unrelated),
            ("root", "orphan", Ancestry::Unrelated),
        ];
        for (first, second, ancestry) in cases {
            assert_eq!(history.relate(first, second, &[]), Related::Known(ancestry), "{first} {second}");
        }
    }

    #[test]
    fn a_missing_parent_leaves_open_only_what_it_may_answer() {
        let history = History::new(&[
            ("end", &["nothing"], 1),
            ("a", &["end"], 2),
            ("b", &["a"], 3),
            ("c", &["a"], 4),
            ("other", &["nothing"], 5),
            ("orphan", &[], 6),
        ]);
        let known = |ancestry| Related::Known(ancestry);
        assert_eq!(history.relate("end", "b", &["end"]), known(Ancestry::Ancestor));
        assert_eq!(history.relate("b", "end", &["end"]), known(Ancestry::Descendant));
        // Both lead to the end: nothing behind it can lead back.
        assert_eq!(history.relate("b", "c", &["end"]), known(Ancestry::Unrelated));
        assert_eq!(history.relate("b", "other", &["end"]), known(Ancestry::Unrelated));
        assert_eq!(history.relate("b", "orphan", &["end"]), history.open(&["end"]));
        assert_eq!(history.relate("orphan", "b", &["end"]), history.open(&["end"]));
        // A repository that has lost objects is not deepened.
        assert_eq!(history.relate("orphan", "b", &[]), history.open(&[]));
        // The shallow commit has its parent here by chance.
        assert_eq!(history.relate("orphan", "b", &["a"]), history.open(&["a"]));
    }

    #[test]
    fn a_commit_that_is_not_here_leaves_all_open() {
        let mut history = History::new(&[("a", &[], 1)]);
        history.commits.insert("absent", "f".repeat(40).parse().unwrap());
        assert_eq!(history.relate("a", "absent", &[]), history.open(&[]));
        assert_eq!(history.relate("absent", "a", &[]), history.open(&[]));
    }

    #[test]
    fn what_tips_lead_to_is_found_and_what_is_missing_is_named() {
        let history = History::new(&[
            ("a", &[], 1),
            ("b", &["a"], 9),
            ("c", &["b"], 3),
            ("side", &["a"], 4),
            ("merge", &["c", "side"], 2),
            ("other", &["a"], 5),
            ("end", &["absent"], 6),
        ]);
        let reach = |tips: &[&str], commit: &str, shallow: &[&str]| {
            let ids = |names: &[&str]| names.iter().map(|name| history.id(name).0).collect();
            let objects = history.fixture.repository().objects().unwrap();
            Histories::new(&objects, ids(shallow)).reach(&ids(tips), &history.id(commit)).unwrap()
        };
        for (tips, commit, expected) in [
            (&["merge"][..], "a", Reach::Yes),
            (&["merge"], "merge", Reach::Yes),
            (&["c", "side"], "side", Reach::Yes),
            (&["c", "other"], "side", Reach::No),
            (&["c"], "merge", Reach::No),
            (&[], "a", Reach::No),
            (&["end"], "absent", Reach::Yes),
        ] {
            assert_eq!(reach(tips, commit, &[]), expected, "{tips:?} {commit}");
        }
        let open = |missing: &[&str], ends: &[&str]| {
            let ids = |names: &[&str]| names.iter().map(|name| history.id(name).0).collect();
            Reach::Open { missing: ids(missing), ends: ids(ends) }
        };
        assert_eq!(reach(&["c", "absent"], "side", &[]), open(&["absent"], &[]));
        assert_eq!(reach(&["end"], "side", &["end"]), open(&[], &["end"]));
        assert_eq!(reach(&["end"], "side", &[]), open(&[], &[]));
        // The shallow commit has its parent here by chance.
        assert_eq!(reach(&["c", "end"], "side", &["c"]), open(&[], &["c"]));
    }
}
