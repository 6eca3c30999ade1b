//! The tags of records: those that are here, and those that the remote has told of.

use std::collections::{BTreeMap, BTreeSet};

use crate::deployment::count::count_are;
use crate::deployment::ref_names::{MIRROR_PREFIX, TAGS_PREFIX};
use crate::deployment::{ObjectId, RecordId};
use crate::git::refs::Ref;

use super::sync::ToldTags;
use super::warnings::Cause;
use super::{Ledger, LedgerError, and_more};

/// The tag of a record.
#[derive(Debug)]
pub(super) struct RecordTag {
    /// Without `refs/tags/`.
    pub(super) name: String,
    /// As the name tells it.
    pub(super) id: RecordId,
    pub(super) object: ObjectId,
}

impl TryFrom<Ref> for RecordTag {
    /// The reason why it is skipped.
    type Error = String;

    fn try_from(Ref { name: full, object }: Ref) -> Result<Self, String> {
        let name = full.strip_prefix(TAGS_PREFIX).unwrap_or(&full);
        match RecordId::parse(name) {
            Ok(id) => Ok(Self { id, object, name: name.to_owned() }),
            Err(error) => Err(format!("{full} is skipped: {error}")),
        }
    }
}

impl Ledger<'_> {
    /// The record tags among refs. Foreign tags under that prefix are skipped with a warning.
    pub(super) fn record_tags(&self, refs: Vec<Ref>) -> Vec<RecordTag> {
        let mut tags = Vec::with_capacity(refs.len());
        for found in refs {
            match RecordTag::try_from(found) {
                Ok(tag) => tags.push(tag),
                Err(skipped) => self.warn_of(Cause::Ref, skipped),
            }
        }
        tags
    }

    /// The tags that the remote does not have, after a fetch; warns of them and of tags that
    /// differ. Tags that are known to be of another remote are removed from `tags`.
    pub(super) fn own_tags(
        &self,
        tags: &mut Vec<RecordTag>,
        told: Option<&ToldTags>,
    ) -> Result<BTreeSet<ObjectId>, LedgerError> {
        let (Some(told), Some(remote)) = (told, self.remote()) else { return Ok(BTreeSet::new()) };
        if let Some(error) = other_history(remote, told) {
            self.warn(error.to_string());
        }
        let is_own = |tag: &&RecordTag| !told.has(&tag.name);
        let own = tags.iter().filter(is_own).map(|tag| tag.object.clone()).collect();
        let of_others = self.of_other_remotes(remote, &own)?;
        tags.retain(|tag| !of_others.contains(&tag.object));
        let own: Vec<_> = tags.iter().filter(is_own).collect();
        if let Some(RecordTag { name: first, .. }) = own.first() {
            let (records, more) = (count_are(own.len(), "record"), and_more(own.len() - 1));
            self.warn(format!(
                "{records} only in this checkout, not on {remote}, and nothing is decided on that: {first}{more}"
            ));
        }
        Ok(own.into_iter().map(|tag| tag.object.clone()).collect())
    }

    /// The records among these that are in a chain of another remote's mirror.
    fn of_other_remotes(
        &self,
        remote: &str,
        records: &BTreeSet<ObjectId>,
    ) -> Result<BTreeSet<ObjectId>, LedgerError> {
        let mut found = BTreeSet::new();
        if records.is_empty() {
            return Ok(found);
        }
        let own = format!("{MIRROR_PREFIX}{remote}/");
        for mirror in self.repository.refs(&[MIRROR_PREFIX.to_owned()])? {
            let is_end_of_another = !mirror.name.starts_with(&own) && mirror.name.contains("/latest/");
            let mut next = Some(mirror.object).filter(|_| is_end_of_another);
            while let Some(object) = next.take()
                && records.contains(&object)
                && found.insert(object.clone())
            {
                next = self.read_own_record(&object).and_then(|found| found.record.previous);
            }
        }
        Ok(found)
    }

    /// Fetches tags and reports which of them the remote has; `None` where no fetch is needed.
    ///
    /// # Errors
    ///
    /// Where a decision depends on them: fails if the remote does not answer, or if its tags
    /// differ from those that are here.
    pub(super) fn told_tags(&self, prefixes: &[String]) -> Result<Option<ToldTags>, LedgerError> {
        let is_binding = self.binding.get();
        match self.fetch_tags(prefixes) {
            Ok(told) => {
                let other =
                    told.as_ref().zip(self.remote()).and_then(|(told, remote)| other_history(remote, told));
                match other {
                    Some(error) if is_binding => Err(error),
                    Some(error) => {
                        self.warn(error.to_string());
                        Ok(told)
                    }
                    None => Ok(told),
                }
            }
            Err(error) if is_binding => Err(error.into()),
            Err(error) => {
                self.warn(format!("the history could not be refreshed: {error}"));
                Ok(None)
            }
        }
    }

    /// The refs below these prefixes; where the remote's values differ, those of the remote.
    pub(super) fn refs_as_told(
        &self,
        prefixes: &[String],
        told: Option<&ToldTags>,
    ) -> Result<Vec<Ref>, LedgerError> {
        let here = self.repository.refs(prefixes)?;
        let Some(told) = told.filter(|told| !told.not_here.is_empty()) else { return Ok(here) };
        let mut refs: BTreeMap<_, _> = here.into_iter().map(|found| (found.name, found.object)).collect();
        refs.extend(told.not_here.clone());
        Ok(refs.into_iter().map(|(name, object)| Ref { name, object }).collect())
    }
}

impl ToldTags {
    /// Whether the remote has a tag.
    pub(super) fn has(&self, tag: &str) -> bool {
        self.report.agreed.contains(tag) || self.not_here.contains_key(&format!("{TAGS_PREFIX}{tag}"))
    }
}

/// The error for tags that are other objects here than on the remote.
fn other_history(remote: &str, told: &ToldTags) -> Option<LedgerError> {
    let differing = &told.report.differing;
    let (remote, tag) = (remote.to_owned(), differing.first()?.clone());
    Some(LedgerError::OtherHistory { remote, tag, more: differing.len() - 1 })
}
