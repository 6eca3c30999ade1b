//! Reading the history: the tags of a target or a component, newest first.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::deployment::count::count_are;
use crate::deployment::record::LedgerRecord;
use crate::deployment::record_order::merged_newest_first;
use crate::deployment::ref_names::{
    ComponentAddress, RECORD_TAG_PREFIX, TAGS_PREFIX, component_segment, record_tag_prefix,
};
use crate::deployment::{ComponentName, DeploymentName, ObjectId, RecordId, TargetName};
use crate::git::refs::Ref;
use crate::git::transport::FetchReport;

use super::pending::{PENDING_PREFIX, PendingRun};
use super::refs::KnownRefs;
use super::sync::Freshness;
use super::{Ledger, LedgerError, and_more};

/// Which records to read.
#[derive(Debug, Clone)]
pub struct HistoryQuery {
    pub deployment: DeploymentName,
    pub target: TargetName,
    /// All components where empty.
    pub components: Vec<ComponentName>,
    pub since: Option<Timestamp>,
    /// Exclusive.
    pub until: Option<Timestamp>,
    /// At most so many.
    pub limit: Option<usize>,
}

/// The records that were asked for.
#[derive(Debug)]
pub struct History {
    /// Newest first by time, those of one component in its own order.
    pub records: Vec<LedgerRecord>,
    /// How many there are within the dates, shown or not.
    pub total: usize,
    /// Runs of this checkout whose records have not reached the remote.
    pub pending: Vec<PendingRun>,
}

impl HistoryQuery {
    /// Whether a record's name lies within the dates.
    fn dates(&self, id: &RecordId) -> bool {
        self.since.is_none_or(|since| id.timestamp >= since)
            && self.until.is_none_or(|until| id.timestamp < until)
    }

    /// The paths below the tags' namespace, each ending in `/`.
    fn prefixes(&self) -> Vec<String> {
        let target = format!("{}/{}/", self.deployment, self.target);
        if self.components.is_empty() {
            return vec![target];
        }
        self.components.iter().map(|component| format!("{target}{}/", component_segment(component))).collect()
    }
}

impl Ledger<'_> {
    /// Asks the remote for the tags of a query. A remote that does not answer is not an error.
    pub fn refresh_history(&self, query: &HistoryQuery) -> Freshness {
        if self.reachable_remote().is_none() {
            return self.refresh_nothing();
        }
        match self.fetch_tags(&query.prefixes()) {
            Ok(told) => {
                self.tags_told.replace(told);
                Freshness::Current
            }
            Err(error) => self.stale(&error),
        }
    }

    /// Reads the records of a query from what is here. Only those that are shown are read in full.
    pub fn history(&self, query: &HistoryQuery) -> Result<History, LedgerError> {
        let prefixes: Vec<_> = query
            .prefixes()
            .into_iter()
            .map(|prefix| format!("{TAGS_PREFIX}{RECORD_TAG_PREFIX}{prefix}"))
            .chain([PENDING_PREFIX.to_owned()])
            .collect();
        let (pending, tags) = self
            .repository
            .refs(&prefixes)?
            .into_iter()
            .partition(|found: &Ref| found.name.starts_with(PENDING_PREFIX));
        let pending = self.pending_runs(&KnownRefs::sort(pending, self.remote()));
        let tags = self.record_tags(tags);
        self.warn_of_own_tags(&tags);
        let total = tags.iter().filter(|(id, _)| query.dates(id)).count();
        let limit = query.limit.unwrap_or(usize::MAX);
        let records = self.newest_records(query, tags, limit);
        for record in &records {
            self.warn_of_future(record);
        }
        Ok(History { records, total, pending })
    }

    /// The newest records within the dates of a query. Only these are read, as far as names tell
    /// which they are: a component that has a name in the future is read in whole, since only its
    /// numbers tell where that record belongs.
    fn newest_records(
        &self,
        query: &HistoryQuery,
        tags: Vec<(RecordId, ObjectId)>,
        limit: usize,
    ) -> Vec<LedgerRecord> {
        let skewed: BTreeSet<_> = tags
            .iter()
            .filter(|(id, _)| self.is_future(id.timestamp))
            .map(|(id, _)| id.component.clone())
            .collect();
        let (whole, mut dated): (Vec<_>, Vec<_>) =
            tags.into_iter().partition(|(id, _)| skewed.contains(&id.component));
        dated.retain(|(id, _)| query.dates(id));
        dated.sort_by(|(left, _), (right, _)| right.cmp_age(left));
        let read = |(id, object): (RecordId, ObjectId)| self.read_named(id, &object);
        let dated: Vec<_> = dated.into_iter().filter_map(read).take(limit).collect();
        let whole: Vec<_> = whole.into_iter().filter_map(read).collect();
        let mut components: BTreeMap<ComponentName, Vec<LedgerRecord>> = BTreeMap::new();
        for record in dated.into_iter().chain(whole) {
            match components.get_mut(&record.id.component) {
                Some(records) => records.push(record),
                None => {
                    components.insert(record.id.component.clone(), vec![record]);
                }
            }
        }
        for records in components.values() {
            self.warn_of_numbers(records);
        }
        let mut records = merged_newest_first(components.into_values());
        records.retain(|record| query.dates(&record.id));
        records.truncate(limit);
        records
    }

    /// The record tags among refs. Other tags that somebody keeps there are passed over with a warning.
    fn record_tags(&self, refs: Vec<Ref>) -> Vec<(RecordId, ObjectId)> {
        let mut tags = Vec::with_capacity(refs.len());
        for Ref { name, object } in refs {
            match RecordId::parse(name.strip_prefix(TAGS_PREFIX).unwrap_or(&name)) {
                Ok(id) => tags.push((id, object)),
                Err(error) => self.warn(format!("{name} is skipped: {error}")),
            }
        }
        tags
    }

    /// Warns of the tags of a history that the remote, as it has just said, does not have so.
    fn warn_of_own_tags(&self, tags: &[(RecordId, ObjectId)]) {
        let (Some(told), Some(remote)) = (self.tags_told.take(), self.remote()) else { return };
        if let Some(error) = other_history(remote, &told) {
            self.warn(error.to_string());
        }
        let here = tags.iter().map(|(id, _)| id.tag_name());
        let own: Vec<_> =
            here.filter(|name| !told.agreed.contains(name) && !told.differing.contains(name)).collect();
        if let Some(first) = own.first() {
            let (records, more) = (count_are(own.len(), "record"), and_more(own.len() - 1));
            self.warn(format!(
                "{records} only in this checkout, not on {remote}: not counted: {first}{more}"
            ));
        }
    }

    /// Fetches tags, and returns what the remote says of them; `None` where it does not have to be
    /// asked.
    ///
    /// # Errors
    ///
    /// Where something is decided on them, and the remote does not tell, or tells of others than
    /// are here.
    fn told_tags(&self, prefixes: &[String]) -> Result<Option<FetchReport>, LedgerError> {
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

    /// The whole histories of some components, newest first and with late records.
    pub(super) fn component_histories(
        &self,
        components: &BTreeSet<ComponentAddress>,
    ) -> Result<BTreeMap<ComponentAddress, Vec<LedgerRecord>>, LedgerError> {
        let prefixes: Vec<_> = components
            .iter()
            .map(|address| record_tag_prefix(&address.deployment, &address.target, &address.component))
            .collect();
        let below: Vec<_> =
            prefixes.iter().map(|prefix| prefix[RECORD_TAG_PREFIX.len()..].to_owned()).collect();
        let told = self.told_tags(&below)?;
        let counts = |id: &RecordId| told.as_ref().is_none_or(|told| told.agreed.contains(&id.tag_name()));
        let full: Vec<_> = prefixes.iter().map(|prefix| format!("{TAGS_PREFIX}{prefix}")).collect();
        let mut histories: BTreeMap<ComponentAddress, Vec<LedgerRecord>> = BTreeMap::new();
        for (id, object) in self.record_tags(self.repository.refs(&full)?) {
            if counts(&id)
                && let Some(record) = self.read_named(id, &object)
            {
                histories.entry(ComponentAddress::of(&record.id)).or_default().push(record);
            }
        }
        Ok(histories.into_iter().map(|(address, records)| (address, self.ordered(records))).collect())
    }

    /// The whole histories of components on a target, newest first and with late records.
    ///
    /// # Errors
    ///
    /// Where the history that is here cannot be read; where something is decided on it, also where
    /// the remote does not tell its own.
    pub fn histories(
        &self,
        deployment: &DeploymentName,
        target: &TargetName,
        components: &[ComponentName],
    ) -> Result<BTreeMap<ComponentName, Vec<LedgerRecord>>, LedgerError> {
        let addresses = components
            .iter()
            .map(|component| ComponentAddress {
                deployment: deployment.clone(),
                target: target.clone(),
                component: component.clone(),
            })
            .collect();
        let histories = self.component_histories(&addresses)?;
        Ok(histories.into_iter().map(|(address, records)| (address.component, records)).collect())
    }
}

/// The error for tags that are other objects here than on the remote.
fn other_history(remote: &str, told: &FetchReport) -> Option<LedgerError> {
    let (remote, tag) = (remote.to_owned(), told.differing.first()?.clone());
    Some(LedgerError::OtherHistory { remote, tag, more: told.differing.len() - 1 })
}
