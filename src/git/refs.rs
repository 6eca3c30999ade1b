//! Refs: read from loose and packed files where the format allows, else through git, which knows
//! every storage format. Changes are transactions of `git update-ref`.

use std::sync::Arc;

use crate::deployment::ObjectId;

use super::error::GitError;
use super::journal::Journal;
use super::process::{Git, Invocation, Running};
use super::ref_files;
use super::repository::{Repository, parse_id};
use super::shared_locks::SharedLocks;

/// A ref and the object that it points at, unpeeled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ref {
    pub name: String,
    pub object: ObjectId,
}

/// One change of one ref.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefUpdate {
    pub name: String,
    /// The new value; `None` deletes the ref.
    pub new: Option<ObjectId>,
    pub expected: Expected,
}

/// The expected old value of a ref (compare-and-swap).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expected {
    /// Any value: no comparison.
    Anything,
    /// The ref must not exist.
    Absent,
    /// The ref must point at this object.
    Object(ObjectId),
}

/// Whether a text is a valid branch name. Others could mean more in a refspec (`*`, `:`, `^`).
#[must_use]
pub fn is_branch_name(name: &str) -> bool {
    git2::Branch::name_is_valid(name).unwrap_or(false)
}

impl Repository {
    /// Lists the refs under these prefixes (which end in `/`) or of exactly these names, by name.
    ///
    /// # Errors
    ///
    /// Fails where git fails to list the refs.
    pub fn refs<S: AsRef<str>>(&self, prefixes: &[S]) -> Result<Vec<Ref>, GitError> {
        if self.keeps_refs_in_files()
            && let Ok(refs) = ref_files::read(self.common_dir(), prefixes)
        {
            return Ok(refs.into_iter().map(|(name, object)| Ref { name, object }).collect());
        }
        self.git().refs(prefixes)
    }

    /// Prepares a transaction to be committed after a push was accepted: git verifies the old
    /// values and holds the refs' locks until then.
    ///
    /// `None` without changes, and for reftables, where git would lock all refs.
    ///
    /// Invariant: no deletions. For these git locks `packed-refs`, and
    /// other processes would time out.
    ///
    /// # Errors
    ///
    /// Fails where git cannot be started. A lease that does not hold is an error of
    /// [`PreparedRefs::commit`].
    pub fn prepare_refs(
        &self,
        updates: &[RefUpdate],
        reason: &str,
    ) -> Result<Option<PreparedRefs>, GitError> {
        if updates.is_empty() || !self.keeps_refs_in_files() {
            return Ok(None);
        }
        let input = [b"start\0", &commands(updates)[..], b"prepare\0"].concat();
        self.git().journal().note(updates.iter().map(|update| update.name.as_str()));
        let begun = self.git().journal().begins();
        let mut running = self.git().update_ref(reason).input(input).start()?;
        // A broken pipe is ignored: `finish` returns git's own error.
        let _ = running.feed();
        Ok(Some(PreparedRefs { running: Some(running), journal: Arc::clone(self.git().journal()), begun }))
    }
}

impl Git {
    /// Lists the refs under these prefixes or of exactly these names with git, by name.
    pub(super) fn refs<S: AsRef<str>>(&self, prefixes: &[S]) -> Result<Vec<Ref>, GitError> {
        let output = self
            .verb("for-each-ref")
            .arg("--format=%(objectname) %(refname)")
            .args(prefixes.iter().map(AsRef::as_ref))
            .run()?;
        let text = String::from_utf8_lossy(&output);
        text.lines()
            .map(|line| {
                let (object, name) = line.split_once(' ').ok_or_else(|| GitError::Unexpected {
                    verb: "for-each-ref".to_owned(),
                    detail: line.chars().take(80).collect(),
                })?;
                Ok(Ref { name: name.to_owned(), object: parse_id("for-each-ref", object)? })
            })
            .collect()
    }

    /// The objects of the refs under these prefixes, with annotated tags peeled.
    ///
    /// # Errors
    ///
    /// Fails where git fails to list the refs.
    pub fn peeled_refs<S: AsRef<str>>(&self, prefixes: &[S]) -> Result<Vec<ObjectId>, GitError> {
        let output = self
            .verb("for-each-ref")
            .arg("--format=%(if)%(*objectname)%(then)%(*objectname)%(else)%(objectname)%(end)")
            .args(prefixes.iter().map(AsRef::as_ref))
            .run()?;
        String::from_utf8_lossy(&output).lines().map(|line| parse_id("for-each-ref", line)).collect()
    }

    /// Changes all of these refs or none of them, in one transaction.
    ///
    /// # Errors
    ///
    /// Fails where an expected old value does not hold, or where git cannot lock or write a ref.
    /// Then no ref has changed.
    pub fn update_refs(&self, updates: &[RefUpdate], reason: &str) -> Result<(), GitError> {
        if updates.is_empty() {
            return Ok(());
        }
        let names: Vec<_> = updates.iter().map(|update| update.name.as_str()).collect();
        self.locking(&names, || self.update_ref(reason).input(commands(updates)).run().map(drop))
    }

    fn update_ref(&self, reason: &str) -> Invocation {
        // `--no-deref`: a symbolic ref among ours must not redirect the change to a branch.
        self.verb("update-ref").args(["--no-deref", "-m", reason, "-z", "--stdin"])
    }
}

/// A prepared transaction. Dropping it aborts it and releases the refs' locks.
#[derive(Debug)]
#[must_use]
pub struct PreparedRefs {
    running: Option<Running>,
    journal: Arc<Journal>,
    begun: SharedLocks,
}

impl PreparedRefs {
    /// Commits the transaction, and then another one with these changes.
    ///
    /// # Errors
    ///
    /// Fails where git could not prepare or commit the changes: a lease that does not hold, a lock,
    /// a killed process.
    pub fn commit(mut self, others: &[RefUpdate]) -> Result<(), GitError> {
        let Some(running) = self.running.take() else { return Ok(()) };
        let mut rest = b"commit\0".to_vec();
        if !others.is_empty() {
            rest.extend([b"start\0", &commands(others)[..], b"commit\0"].concat());
        }
        self.journal.ended(&self.begun, running.finish_with(rest)).map(drop)
    }
}

impl Drop for PreparedRefs {
    /// At the end of its input, git aborts a prepared transaction.
    fn drop(&mut self) {
        let Some(running) = self.running.take() else { return };
        if let Err(error) = self.journal.ended(&self.begun, running.finish_with(Vec::new())) {
            tracing::debug!(%error, "refs that were not to change may still be locked");
        }
    }
}

/// The changes in the format of `git update-ref -z --stdin`.
fn commands(updates: &[RefUpdate]) -> Vec<u8> {
    let mut input = Vec::new();
    for RefUpdate { name, new, expected } in updates {
        let zero = |id: &ObjectId| "0".repeat(id.as_str().len());
        // An empty old value means any value, zeros mean that the ref must not exist.
        let old = match (expected, new) {
            (Expected::Anything, _) | (Expected::Absent, None) => String::new(),
            (Expected::Absent, Some(new)) => zero(new),
            (Expected::Object(id), _) => id.to_string(),
        };
        let command = match new {
            Some(new) => format!("update {name}\0{new}\0{old}\0"),
            None => format!("delete {name}\0{old}\0"),
        };
        input.extend_from_slice(command.as_bytes());
    }
    input
}

#[cfg(test)]
mod tests {
    use super::super::testing::Fixture;
    use super::*;

    fn changed(name: &str, new: Option<&str>) -> RefUpdate {
        let new = new.map(|id| id.parse().unwrap());
        RefUpdate { name: name.to_owned(), new, expected: Expected::Anything }
    }

    #[test]
    fn what_is_prepared_happens_when_it_is_committed_and_not_otherwise() {
        let fixture = Fixture::new(&["--ref-format=files"]);
        let [first, second] = &fixture.commits;
        fixture.git(&["update-ref", "refs/x/old", "HEAD"], "");
        let repository = fixture.repository();
        let there = || fixture.git(&["for-each-ref", "--format=%(refname) %(objectname)", "refs/x/"], "");
        let before = there();
        let new = [changed("refs/x/new", Some(first)), changed("refs/x/other", Some(second))];
        drop(repository.prepare_refs(&new, "test").unwrap().unwrap());
        assert_eq!(there(), before);
        let prepared = repository.prepare_refs(&new, "test").unwrap().unwrap();
        // Prepared refs do not lock others: these can be changed and packed meanwhile.
        fixture.git(&["update-ref", "refs/x/third", "HEAD"], "");
        fixture.git(&["pack-refs", "--all"], "");
        fixture.git(&["update-ref", "-d", "refs/x/third"], "");
        assert_eq!(there(), before);
        prepared.commit(&[changed("refs/x/old", None)]).unwrap();
        assert_eq!(there(), format!("refs/x/new {first}\nrefs/x/other {second}\n"));
    }

    #[test]
    fn what_a_killed_git_had_prepared_is_removed_by_the_next_process() {
        for commits in [true, false] {
            let fixture = Fixture::new(&["--ref-format=files"]);
            let new = [changed("refs/atmos/latest/a/b/c", Some(&fixture.commits[0]))];
            let lock = fixture.git_dir().join("refs/atmos/latest/a/b/c.lock");
            let first = fixture.repository();
            let prepared = first.prepare_refs(&new, "test").unwrap().unwrap();
            while !lock.exists() {
                std::thread::sleep(std::time::Duration::from_millis(5));
            }
            prepared.running.as_ref().unwrap().kill();
            // With and without a commit of the transaction.
            if commits {
                assert!(prepared.commit(&[]).unwrap_err().was_killed());
            } else {
                drop(prepared);
            }
            drop(first);
            assert!(lock.exists(), "nothing was left: this test tests nothing");
            fixture.repository().git().update_refs(&new, "test").unwrap();
            assert!(!lock.exists());
        }
    }

    #[test]
    fn nothing_is_prepared_where_it_would_lock_everything() {
        let fixture = Fixture::new(&["--ref-format=reftable"]);
        let new = [changed("refs/x/new", Some(&fixture.commits[0]))];
        assert!(fixture.repository().prepare_refs(&new, "test").unwrap().is_none());
    }

    #[test]
    fn what_cannot_be_prepared_is_an_error_when_it_is_committed() {
        let fixture = Fixture::new(&["--ref-format=files"]);
        let folder = fixture.git_dir().join("refs/x");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("a.lock"), "").unwrap();
        let repository = fixture.repository();
        let new =
            [changed("refs/x/a", Some(&fixture.commits[0])), changed("refs/x/b", Some(&fixture.commits[0]))];
        let error = repository.prepare_refs(&new, "test").unwrap().unwrap().commit(&[]).unwrap_err();
        assert!(error.to_string().contains("a.lock"), "{error}");
        assert_eq!(repository.refs(&["refs/x/"]).unwrap(), []);
    }

    #[test]
    fn a_branch_that_a_symbolic_ref_leads_to_stays() {
        for new in [true, false] {
            let fixture = Fixture::new(&[]);
            let name = "refs/atmos/pending/x/%run";
            fixture.git(&["branch", "other"], "");
            fixture.git(&["symbolic-ref", name, "refs/heads/other"], "");
            let before = fixture.git(&["rev-parse", "other"], "");
            let update = changed(name, new.then_some(fixture.commits[0].as_str()));
            fixture.repository().git().update_refs(&[update], "test").unwrap();
            assert_eq!(fixture.git(&["rev-parse", "other"], ""), before);
        }
    }

    #[test]
    fn a_transaction_says_what_it_expects() {
        let id: ObjectId = "1".repeat(40).parse().unwrap();
        let update = |new: Option<&ObjectId>, expected| RefUpdate {
            name: "refs/x".to_owned(),
            new: new.cloned(),
            expected,
        };
        let text = |updates: &[RefUpdate]| String::from_utf8(commands(updates)).unwrap();
        assert_eq!(
            text(&[update(Some(&id), Expected::Absent)]),
            format!("update refs/x\0{id}\0{}\0", "0".repeat(40))
        );
        assert_eq!(text(&[update(Some(&id), Expected::Anything)]), format!("update refs/x\0{id}\0\0"));
        assert_eq!(text(&[update(None, Expected::Object(id.clone()))]), format!("delete refs/x\0{id}\0"));
    }
}
