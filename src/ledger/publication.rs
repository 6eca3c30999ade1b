//! Publication of a commit's notes (SBOMs, test results), which can be large, and build records.
//!
//! A publication is one transaction: one atomic push. A note that exists is merged with, never
//! overwritten: after a conflict (lost race) the new note is read and merged, and the push is
//! retried. Only the notes of the commits in question are fetched (`git::partial`), so that reading
//! one SBOM of a thousand costs one.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use crate::deployment::ref_names::{build_ref, notes_ref};
use crate::deployment::{BuildRecord, CommitId, DeploymentName, NoteNamespace, ObjectId};
use crate::git::partial::Partial;
use crate::git::refs::{Expected, RefUpdate};
use crate::git::transport::PushUpdate;

use super::backoff::backoff;
use super::heard::Part;
use super::step::{Step, StepOutcome, given_up};
use super::{Freshness, Ledger, LedgerError, codec, notes};

/// Merges two notes, of which the second is newer. The error says why the first is not a note.
pub type Merge = fn(&[u8], &[u8]) -> Result<Vec<u8>, String>;

/// Derives one note from another one.
pub type Derive = fn(&[u8]) -> Result<Vec<u8>, String>;

/// A note to be added to a commit.
#[derive(Debug, Clone)]
pub struct NoteEdit {
    pub namespace: NoteNamespace,
    pub commit: CommitId,
    pub content: Vec<u8>,
    pub merge: Merge,
    /// A note to rewrite from the merged one.
    pub derived: Option<(NoteNamespace, Derive)>,
}

/// The changes of one transaction.
#[derive(Debug, Clone, Default)]
pub struct Publication {
    pub notes: Vec<NoteEdit>,
    pub builds: Vec<BuildRecord>,
}

impl NoteEdit {
    /// A publication that adds JSON objects, one a line, to a note.
    #[must_use]
    pub fn lines(namespace: NoteNamespace, commit: CommitId, lines: &[String]) -> Self {
        let merge: Merge = |one, other| {
            let text = String::from_utf8_lossy;
            Ok(notes::merged(&text(one), &text(other)).into_bytes())
        };
        let content = notes::merged("", &lines.join("\n")).into_bytes();
        Self { namespace, commit, content, merge, derived: None }
    }

    fn namespaces(&self) -> impl Iterator<Item = NoteNamespace> {
        std::iter::once(self.namespace).chain(self.derived.map(|(namespace, _)| namespace))
    }
}

impl Publication {
    /// The names of the refs that it changes.
    fn refs(&self, deployment: &DeploymentName) -> Vec<String> {
        let namespaces: BTreeSet<_> = self.notes.iter().flat_map(NoteEdit::namespaces).collect();
        let notes = namespaces.into_iter().map(|namespace| notes_ref(deployment, namespace.as_str()));
        notes.chain(self.builds.iter().map(|build| build_ref(&build.id()))).collect()
    }
}

impl Ledger<'_> {
    /// Publishes notes and build records: to the remote, or locally without one.
    ///
    /// # Errors
    ///
    /// [`LedgerError::NoteTooLarge`] and [`LedgerError::NoteUnreadable`] for a note that cannot be
    /// stored. [`LedgerError::Contended`] where the push keeps losing races; otherwise where the
    /// remote refuses or does not answer.
    pub fn publish(&self, deployment: &DeploymentName, publication: &Publication) -> Result<(), LedgerError> {
        for edit in &publication.notes {
            self.check_size(edit.content.len())?;
        }
        let names = publication.refs(deployment);
        if names.is_empty() {
            return Ok(());
        }
        let builds = self.write_builds(publication)?;
        let Some(remote) = self.remote() else {
            return self.publish_here(deployment, publication, &names, &builds);
        };
        let partial = self.repository.partial(remote)?;
        let began = Instant::now();
        for attempt in 0.. {
            let tips = partial.fetch(&names, self.options.write_limit)?;
            let notes = Notes { ledger: self, partial: Some(&partial), tips: &tips };
            let step = notes.step(deployment, publication, &builds)?;
            match self.push_step_with(partial.transport(), remote, &step)? {
                StepOutcome::Accepted => {
                    return self.after_publication(&partial, &names, tips, &step, &builds);
                }
                StepOutcome::Contended(_) if began.elapsed() < self.persistence => {
                    std::thread::sleep(backoff(attempt.min(4)));
                }
                StepOutcome::Contended(rejected) => {
                    return Err(given_up(remote, rejected, format!("the notes of {deployment}")));
                }
            }
        }
        Err(LedgerError::Contended(format!("the notes of {deployment}")))
    }

    /// Publishes to this repository, where there is no remote.
    fn publish_here(
        &self,
        deployment: &DeploymentName,
        publication: &Publication,
        names: &[String],
        builds: &BTreeMap<String, ObjectId>,
    ) -> Result<(), LedgerError> {
        let began = Instant::now();
        for attempt in 0.. {
            let tips = self.local_refs(names)?;
            let notes = Notes { ledger: self, partial: None, tips: &tips };
            let step = notes.step(deployment, publication, builds)?;
            match self.execute_here(&step, "atmos: publish")? {
                StepOutcome::Accepted => return Ok(()),
                StepOutcome::Contended(_) if began.elapsed() < self.persistence => {
                    std::thread::sleep(backoff(attempt.min(4)));
                }
                StepOutcome::Contended(_) => break,
            }
        }
        Err(LedgerError::Contended(format!("the notes of {deployment}")))
    }

    /// The objects of the build records, by their refs.
    fn write_builds(&self, publication: &Publication) -> Result<BTreeMap<String, ObjectId>, LedgerError> {
        let builds = publication.builds.iter().map(|build| {
            let name = format!("atmos/builds/{}", build.id());
            let message = codec::encode_build(build);
            let object = self.write_tag(&build.commit, &name, &message)?;
            Ok((build_ref(&build.id()), object))
        });
        builds.collect()
    }

    /// Mirrors an accepted publication. Objects of notes stay in the partial clone.
    fn after_publication(
        &self,
        partial: &Partial,
        names: &[String],
        mut tips: BTreeMap<String, ObjectId>,
        step: &Step,
        builds: &BTreeMap<String, ObjectId>,
    ) -> Result<(), LedgerError> {
        let changed = step.updates().into_iter();
        tips.extend(changed.filter_map(|update| Some((update.name, update.new?))));
        partial.remember(names, &tips)?;
        let updates: Vec<_> = builds
            .iter()
            .map(|(name, object)| RefUpdate {
                name: name.clone(),
                new: Some(object.clone()),
                expected: Expected::Anything,
            })
            .collect();
        Ok(self.repository.git().update_refs(&updates, "atmos: build")?)
    }

    /// Reads the notes of these commits; commits without one are missing. An unreachable remote is
    /// not an error: the returned [`Freshness`] says how stale the notes are.
    ///
    /// # Errors
    ///
    /// Fails where the partial clone cannot be opened, or where a note is not here and cannot be
    /// fetched.
    pub fn notes_of(
        &self,
        deployment: &DeploymentName,
        namespace: NoteNamespace,
        commits: &BTreeSet<CommitId>,
    ) -> Result<(BTreeMap<CommitId, Vec<u8>>, Freshness), LedgerError> {
        let names = [notes_ref(deployment, namespace.as_str())];
        let part = Part::notes(deployment, namespace.as_str());
        let mut freshness = self.refresh_nothing(&part);
        let partial = self.remote().map(|remote| self.repository.partial(remote)).transpose()?;
        let tips = match (&partial, self.reachable_remote()) {
            (Some(partial), Some(_)) => match partial.fetch(&names, self.options.write_limit) {
                Ok(tips) => {
                    self.note_heard(&part);
                    freshness = Freshness::Current;
                    tips
                }
                Err(error) => {
                    freshness = self.stale(&error, &part);
                    partial.last_seen(&names)?
                }
            },
            (Some(partial), None) => partial.last_seen(&names)?,
            (None, _) => self.local_refs(&names)?,
        };
        let notes = Notes { ledger: self, partial: partial.as_ref(), tips: &tips };
        let mut found = BTreeMap::new();
        for commit in commits {
            let note = notes.published(&names[0], commit)?;
            // A local note that plain git attached and that has not been pushed yet.
            let note = match note {
                None if partial.is_some() => notes.unpublished(&names[0], commit)?,
                note => note,
            };
            found.extend(note.map(|note| (commit.clone(), note)));
        }
        Ok((found, freshness))
    }

    /// The local refs of exactly these names.
    pub(super) fn local_refs(&self, names: &[String]) -> Result<BTreeMap<String, ObjectId>, LedgerError> {
        let refs = self.repository.refs(names)?.into_iter();
        Ok(refs.filter(|found| names.contains(&found.name)).map(|found| (found.name, found.object)).collect())
    }
}

/// The tips of notes refs, and the store of their objects.
struct Notes<'n, 'l> {
    ledger: &'n Ledger<'l>,
    /// Absent without a remote: then everything is in the repository itself.
    partial: Option<&'n Partial>,
    tips: &'n BTreeMap<String, ObjectId>,
}

impl Notes<'_, '_> {
    /// The step that merges a publication into the current tips.
    fn step(
        &self,
        deployment: &DeploymentName,
        publication: &Publication,
        builds: &BTreeMap<String, ObjectId>,
    ) -> Result<Step, LedgerError> {
        let mut written: BTreeMap<String, BTreeMap<CommitId, Vec<u8>>> = BTreeMap::new();
        for edit in &publication.notes {
            let name = notes_ref(deployment, edit.namespace.as_str());
            let already = written.get_mut(&name).and_then(|notes| notes.remove(&edit.commit));
            let merged = self.merged(&name, edit, already)?;
            if let Some((namespace, derive)) = edit.derived {
                let derived = derive(&merged).map_err(|reason| unreadable(edit, reason))?;
                let name = notes_ref(deployment, namespace.as_str());
                written.entry(name).or_default().insert(edit.commit.clone(), derived);
            }
            written.entry(name).or_default().insert(edit.commit.clone(), merged);
        }
        let objects = self.partial.map_or(&self.ledger.objects, Partial::objects);
        let mut step = Step::default();
        for (name, notes) in &written {
            for note in notes.values() {
                self.ledger.check_size(note.len())?;
            }
            let tip = self.tips.get(name);
            let changes = notes.iter().map(|(commit, note)| (commit, note.as_slice()));
            let (signature, message) = (self.ledger.signature(), "Notes added by 'atmos'\n");
            let object = objects.write_notes(tip, None, changes, &signature, message)?;
            step.push(PushUpdate { name: name.clone(), new: Some(object), expected: tip.cloned() });
        }
        for (name, object) in builds {
            step.set(name.clone(), object.clone(), self.tips.get(name));
        }
        Ok(step)
    }

    /// The merged note of a commit, in this order: the published one, the unpushed local one, the
    /// note that this publication has already written, and the addition.
    fn merged(&self, name: &str, edit: &NoteEdit, already: Option<Vec<u8>>) -> Result<Vec<u8>, LedgerError> {
        let mut older = Vec::new();
        if let Some(already) = already {
            older.push(already);
        } else {
            older.extend(self.published(name, &edit.commit)?);
            if self.partial.is_some() {
                older.extend(self.unpublished(name, &edit.commit)?);
            }
        }
        let mut merged: Option<Vec<u8>> = None;
        for note in older.iter().chain([&edit.content]) {
            merged = Some(match merged {
                Some(merged) => (edit.merge)(&merged, note).map_err(|reason| unreadable(edit, reason))?,
                None => note.clone(),
            });
        }
        Ok(merged.unwrap_or_default())
    }

    /// The note of a commit on the remote; without a remote, the local one.
    fn published(&self, name: &str, commit: &CommitId) -> Result<Option<Vec<u8>>, LedgerError> {
        let Some(tip) = self.tips.get(name) else { return Ok(None) };
        let Some(partial) = self.partial else { return Ok(self.ledger.objects.note(tip, commit)?) };
        let Some(blob) = partial.objects().note_blob(tip, commit)? else { return Ok(None) };
        Ok(Some(partial.read_blob(&blob, self.ledger.options.write_limit)?))
    }

    /// The local note that plain git attached, where it has not been pushed.
    fn unpublished(&self, name: &str, commit: &CommitId) -> Result<Option<Vec<u8>>, LedgerError> {
        let here = self.ledger.local_refs(&[name.to_owned()])?;
        let Some(tip) = here.get(name) else { return Ok(None) };
        Ok(self.ledger.objects.note(tip, commit)?)
    }
}

fn unreadable(edit: &NoteEdit, reason: String) -> LedgerError {
    LedgerError::NoteUnreadable { namespace: edit.namespace, commit: edit.commit.clone(), reason }
}
