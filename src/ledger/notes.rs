//! Notes on commits, with concurrent writers: entries are merged, never overwritten.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use crate::deployment::ref_names::notes_ref;
use crate::deployment::{CommitId, DeploymentName, ObjectId};
use crate::git::transport::PushUpdate;

use super::backoff::backoff;
use super::namespaces::APPROVALS;
use super::refs::{KnownRefs, mirror_of};
use super::step::{Step, StepOutcome};
use super::{Ledger, LedgerError};

/// The size of a note that causes a warning (`git-tracking.md`, "Size Limits").
const LARGE: usize = 10 * 1024 * 1024;
/// The size of a note that is refused.
const TOO_LARGE: usize = 50 * 1024 * 1024;

impl Ledger<'_> {
    /// The change of a notes ref that adds entries, one JSON value a line, on top of the mirror. It
    /// is part of a larger transaction, and has to be rebuilt after a conflict.
    pub(super) fn note_update(
        &self,
        deployment: &DeploymentName,
        namespace: &str,
        entries: &BTreeMap<CommitId, Vec<String>>,
        merge: fn(&str, &str) -> String,
    ) -> Result<PushUpdate, LedgerError> {
        self.fetch_notes(deployment, namespace)?;
        let name = notes_ref(deployment, namespace);
        let known = self.read_note_refs(&[&name])?;
        let here = known.local.get(&name);
        let base = if self.remote().is_some() { known.remote.get(&name) } else { here };
        let mut notes: BTreeMap<CommitId, String> = BTreeMap::new();
        let mut add = |commit: CommitId, text: String| -> Result<(), LedgerError> {
            let existing = match notes.remove(&commit) {
                Some(existing) => existing,
                None => self.note_text(base, &commit)?,
            };
            notes.insert(commit, merge(&existing, &text));
            Ok(())
        };
        // Unpushed local notes are merged in. Approvals are not: one that no remote had does not
        // count, and pushing it to a new remote must not make it count.
        let stays = namespace == APPROVALS && self.remote().is_some();
        let only_here = here.filter(|here| !stays && Some(*here) != base);
        if let Some(here) = only_here {
            for (commit, content) in self.objects.notes(here)? {
                add(commit, String::from_utf8_lossy(&content).into_owned())?;
            }
        }
        for (commit, lines) in entries {
            add(commit.clone(), lines.join("\n"))?;
        }
        for text in notes.values() {
            self.check_size(text.len())?;
        }
        let object = self.objects.write_notes(
            base,
            only_here.filter(|_| base.is_some()),
            notes.iter().map(|(commit, text)| (commit, text.as_bytes())),
            &self.signature(),
            "Notes added by 'atmos'\n",
        )?;
        Ok(PushUpdate { name, new: Some(object), expected: base.cloned() })
    }

    /// Adds entries to notes in a transaction of their own, with retries after conflicts.
    pub(super) fn add_notes(
        &self,
        deployment: &DeploymentName,
        namespace: &str,
        entries: &BTreeMap<CommitId, Vec<String>>,
        merge: fn(&str, &str) -> String,
    ) -> Result<(), LedgerError> {
        let began = Instant::now();
        for attempt in 0.. {
            let mut step = Step::default();
            step.push(self.note_update(deployment, namespace, entries, merge)?);
            match self.execute(&step, "atmos: note", &[])? {
                StepOutcome::Accepted => return Ok(()),
                StepOutcome::Contended(_) if began.elapsed() < self.persistence => {
                    std::thread::sleep(backoff(attempt));
                }
                StepOutcome::Contended(_) => break,
            }
        }
        Err(LedgerError::Contended(notes_ref(deployment, namespace)))
    }

    /// The notes of these commits, from the mirror.
    pub(super) fn note_texts<'c>(
        &self,
        known: &KnownRefs,
        name: &str,
        commits: impl IntoIterator<Item = &'c CommitId>,
    ) -> Result<Vec<String>, LedgerError> {
        let notes = self.notes_that_count(known, name);
        commits.into_iter().map(|commit| self.note_text(notes, commit)).collect()
    }

    /// The tip of the mirrored notes; without a reachable remote, also that of the local ones.
    pub(super) fn notes_that_count<'k>(&self, known: &'k KnownRefs, name: &str) -> Option<&'k ObjectId> {
        let here = || known.local.get(name).filter(|_| self.reachable_remote().is_none());
        known.remote.get(name).or_else(here)
    }

    fn note_text(&self, notes: Option<&ObjectId>, commit: &CommitId) -> Result<String, LedgerError> {
        let Some(notes) = notes else { return Ok(String::new()) };
        let note = self.objects.note(notes, commit)?;
        Ok(note.map(|content| String::from_utf8_lossy(&content).into_owned()).unwrap_or_default())
    }

    /// Refs of notes, local and mirrored.
    pub(super) fn read_note_refs(&self, names: &[&str]) -> Result<KnownRefs, LedgerError> {
        let mirrors =
            self.remote().into_iter().flat_map(|remote| names.iter().map(|name| mirror_of(remote, name)));
        let names: Vec<_> = names.iter().map(ToString::to_string).chain(mirrors).collect();
        Ok(KnownRefs::sort(self.repository.refs(&names)?, self.remote()))
    }

    pub(super) fn check_size(&self, size: usize) -> Result<(), LedgerError> {
        if size > TOO_LARGE {
            return Err(LedgerError::NoteTooLarge(size));
        }
        if size > LARGE {
            self.warn(format!("a note of {} MB is large; consider other storage", size / 1_000_000));
        }
        Ok(())
    }
}

/// Merges two notes: every distinct JSON value once, a line each, sorted. Text that is no JSON, as
/// plain `git notes` may attach, is kept unchanged in front.
pub(super) fn merged(left: &str, right: &str) -> String {
    let mut prose = Vec::new();
    let mut entries = BTreeSet::new();
    for text in [left, right] {
        match json_values(text) {
            Some(values) => entries.extend(values),
            None if !prose.contains(&text.trim_end()) => prose.push(text.trim_end()),
            None => {}
        }
    }
    let mut out = String::new();
    for line in prose.into_iter().map(str::to_owned).chain(entries) {
        out.push_str(&line);
        out.push('\n');
    }
    out
}

/// The JSON values of a text, each on one line; `None` where it holds anything else.
fn json_values(text: &str) -> Option<Vec<String>> {
    serde_json::Deserializer::from_str(text)
        .into_iter::<serde_json::Value>()
        .map(|value| value.ok().filter(serde_json::Value::is_object).map(|value| value.to_string()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deployment::NoteNamespace;
    use crate::ledger::testing::{Workspace, open};
    use crate::ledger::{NoteEdit, Publication};

    #[test]
    fn what_was_noted_here_alone_goes_along_with_the_next_note_and_approvals_do_not() {
        let workspace = Workspace::new();
        let (remote, checkout) = (workspace.remote(), workspace.clone(""));
        let deployment: DeploymentName = "app".parse().unwrap();
        let [older, unpushed] = ["main~1", "main~2"].map(|name| workspace.commit(name));
        let there = |namespace: &str, commit: &CommitId| {
            let notes = notes_ref(&deployment, namespace);
            let list = remote.git(&["notes", "--ref", &notes, "list"]);
            let is_noted = list.lines().any(|line| line.ends_with(commit.as_str()));
            is_noted.then(|| remote.git(&["notes", "--ref", &notes, "show", commit.as_str()]))
        };
        // With no notes on the remote yet, and on top of existing ones.
        for (namespace, is_begun, goes_along) in
            [("health", false, true), ("drift", true, true), (APPROVALS, false, false)]
        {
            let notes = notes_ref(&deployment, namespace);
            if is_begun {
                remote.git(&["notes", "--ref", &notes, "add", "-m", "{\"by\":\"other\"}", older.as_str()]);
            }
            checkout.git(&["notes", "--ref", &notes, "add", "-m", "{\"by\":\"here\"}", unpushed.as_str()]);
            let repository = checkout.repository();
            let entries = BTreeMap::from([(older.clone(), vec!["{\"by\":\"us\"}".to_owned()])]);
            open(&repository, |_| {}).add_notes(&deployment, namespace, &entries, merged).unwrap();
            let expected = if is_begun { "{\"by\":\"other\"}\n{\"by\":\"us\"}" } else { "{\"by\":\"us\"}" };
            assert_eq!(there(namespace, &older).as_deref(), Some(expected), "{namespace}");
            let along = there(namespace, &unpushed);
            assert_eq!(along.as_deref(), goes_along.then_some("{\"by\":\"here\"}"), "{namespace}");
        }
    }

    #[test]
    fn notes_that_are_too_large_together_are_refused_and_the_first_stays() {
        let workspace = Workspace::new();
        let (remote, checkout) = (workspace.remote(), workspace.clone(""));
        let (deployment, commit): (DeploymentName, _) = ("app".parse().unwrap(), workspace.commit("main~1"));
        let line = |letter: &str| format!("{{\"x\":\"{}\"}}", letter.repeat(30_000_000));
        let repository = checkout.repository();
        let ledger = open(&repository, |_| {});
        let tip = |namespace: &str| remote.git(&["rev-parse", &notes_ref(&deployment, namespace)]);
        let add = |letter: &str| {
            let entries = BTreeMap::from([(commit.clone(), vec![line(letter)])]);
            ledger.add_notes(&deployment, "health", &entries, merged)
        };
        let publish = |letter: &str| {
            let edit = NoteEdit::lines(NoteNamespace::TestResults, commit.clone(), &[line(letter)]);
            ledger.publish(&deployment, &Publication { notes: vec![edit], builds: Vec::new() })
        };
        add("a").unwrap();
        publish("a").unwrap();
        let before = ["health", "test-results"].map(tip);
        // Each of them alone would suffice.
        for refused in [add("b"), publish("b")] {
            assert!(matches!(refused, Err(LedgerError::NoteTooLarge(60_000_000..))), "{refused:?}");
        }
        assert_eq!(["health", "test-results"].map(tip), before);
    }

    #[test]
    fn no_entry_is_lost_and_none_is_doubled() {
        let by_hand = "{\n  \"approved_by\": \"alice\"\n}\n";
        let ours = "{\"approved_by\":\"bob\"}";
        let both = merged(by_hand, ours);
        assert_eq!(both, "{\"approved_by\":\"alice\"}\n{\"approved_by\":\"bob\"}\n");
        assert_eq!(merged(&both, ours), both);
        assert_eq!(merged(ours, by_hand), both);
    }

    #[test]
    fn prose_that_somebody_attached_stays() {
        let first = merged("looks good to me\n", "{\"a\":1}");
        assert_eq!(first, "looks good to me\n{\"a\":1}\n");
        assert!(merged(&first, "{\"b\":2}").contains("looks good to me"));
    }
}
