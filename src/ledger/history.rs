//! History: reads the record tags of a target or a component, newest first.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::deployment::record::LedgerRecord;
use crate::deployment::record_order::merged_newest_first;
use crate::deployment::ref_names::{
    ComponentAddress, RECORD_TAG_PREFIX, TAGS_PREFIX, component_segment, record_tag_prefix,
};
use crate::deployment::rollout_history::Grouping;
use crate::deployment::{ComponentName, DeploymentName, ObjectId, RecordId, TargetName};
use crate::git::refs::Ref;

use super::heard::Part;
use super::pending::{PENDING_PREFIX, PendingRun};
use super::record_tags::RecordTag;
use super::refs::KnownRefs;
use super::sync::Freshness;
use super::{Ledger, LedgerError, Scope};

/// The number of records of other rollouts in a row after which a rollout counts as complete.
const APART: usize = 100;

/// A query for records.
#[derive(Debug, Clone)]
pub struct HistoryQuery {
    /// Any deployment where absent.
    pub deployment: Option<DeploymentName>,
    /// Any target where absent.
    pub target: Option<TargetName>,
    /// All components where empty.
    pub components: Vec<ComponentName>,
    pub since: Option<Timestamp>,
    /// Exclusive.
    pub until: Option<Timestamp>,
    pub limit: Limit,
}

/// The limit of a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    All,
    /// This many records.
    Records(usize),
    /// The records of this many rollouts.
    Rollouts(usize),
}

/// The result of a query.
#[derive(Debug)]
pub struct History {
    /// Newest first by time, those of one component in its own order.
    pub records: Vec<LedgerRecord>,
    /// The number of records within the dates, also of those beyond the limit.
    pub total: usize,
    /// The records that are outside of their component's chain.
    pub outside_of_chain: BTreeSet<ObjectId>,
    /// Records that are only here and not on the remote. Invariant: no decision is based on them.
    pub only_here: BTreeSet<ObjectId>,
    /// Whether there is any record, of any date.
    pub is_known: bool,
    /// Runs of this checkout whose records have not reached the remote.
    pub pending: Vec<PendingRun>,
}

impl HistoryQuery {
    /// Whether a record's name lies within the dates.
    fn dates(&self, id: &RecordId) -> bool {
        self.since.is_none_or(|since| id.timestamp >= since)
            && self.until.is_none_or(|until| id.timestamp < until)
    }

    /// Whether a record matches the query by its name, of any date.
    fn is_about(&self, id: &RecordId) -> bool {
        self.deployment.as_ref().is_none_or(|deployment| *deployment == id.deployment)
            && self.target.as_ref().is_none_or(|target| *target == id.target)
            && (self.components.is_empty() || self.components.contains(&id.component))
    }

    /// Prefixes below the tags' namespace, each empty or ending in `/`. They match a superset:
    /// filter with [`Self::is_about`].
    fn prefixes(&self) -> Vec<String> {
        match (&self.deployment, &self.target) {
            (None, _) => vec![String::new()],
            (Some(deployment), None) => vec![format!("{deployment}/")],
            (Some(deployment), Some(target)) => {
                let target = format!("{deployment}/{target}/");
                if self.components.is_empty() {
                    return vec![target];
                }
                let of = |component| format!("{target}{}/", component_segment(component));
                self.components.iter().map(of).collect()
            }
        }
    }
}

impl Ledger<'_> {
    /// Fetches the tags of a query. An unreachable remote is not an error.
    pub fn refresh_history(&self, query: &HistoryQuery) -> Freshness {
        if self.reachable_remote().is_none() {
            return self.refresh_nothing(&Part::history(&query.prefixes()));
        }
        match self.fetch_tags(&query.prefixes()) {
            Ok(told) => {
                self.tags_told.replace(told);
                Freshness::Current
            }
            Err(error) => self.stale(&error, &Part::history(&query.prefixes())),
        }
    }

    /// Reads the records of a query from this repository. Only objects within the limit are read.
    ///
    /// # Errors
    ///
    /// Fails where this repository's refs cannot be read. Records that cannot be read are skipped
    /// with a warning.
    pub fn history(&self, query: &HistoryQuery) -> Result<History, LedgerError> {
        let prefixes: Vec<_> = query
            .prefixes()
            .into_iter()
            .map(|prefix| format!("{TAGS_PREFIX}{RECORD_TAG_PREFIX}{prefix}"))
            .chain([PENDING_PREFIX.to_owned()])
            .collect();
        let told = self.tags_told.take();
        let (pending, tags) = self
            .refs_as_told(&prefixes, told.as_ref())?
            .into_iter()
            .partition(|found: &Ref| found.name.starts_with(PENDING_PREFIX));
        let pending = self.pending_runs(&KnownRefs::sort(pending, self.remote()));
        let mut tags = self.record_tags(tags);
        let only_here = self.own_tags(&mut tags, told.as_ref())?;
        tags.retain(|tag| query.is_about(&tag.id));
        let is_known = !tags.is_empty();
        let total = tags.iter().filter(|tag| query.dates(&tag.id)).count();
        let mut records = self.newest_records(query, tags);
        let shown = records.len();
        let outside_of_chain = self.sort_out_strays(&mut records, told.is_some());
        let total = total - (shown - records.len());
        for record in &records {
            self.warn_of_future(record);
        }
        Ok(History { records, total, outside_of_chain, only_here, is_known, pending })
    }

    /// The newest records within the dates of a query, chosen by the times in their names.
    ///
    /// A component with a name in the future (a skewed clock) is read completely: only the
    /// records' numbers tell their order.
    fn newest_records(&self, query: &HistoryQuery, tags: Vec<RecordTag>) -> Vec<LedgerRecord> {
        let skewed: BTreeSet<_> = tags
            .iter()
            .filter(|tag| self.is_future(tag.id.timestamp))
            .map(|tag| ComponentAddress::of(&tag.id))
            .collect();
        let (whole, mut dated): (Vec<_>, Vec<_>) = tags
            .into_iter()
            .partition(|tag| !skewed.is_empty() && skewed.contains(&ComponentAddress::of(&tag.id)));
        dated.retain(|tag| query.dates(&tag.id));
        dated.sort_by(|left, right| right.id.cmp_age(&left.id));
        let read = |tag| self.read_tagged(tag);
        let dated = within(query.limit, dated.into_iter().filter_map(read));
        let whole: Vec<_> = whole.into_iter().filter_map(read).collect();
        let mut components: BTreeMap<ComponentAddress, Vec<LedgerRecord>> = BTreeMap::new();
        for record in dated.into_iter().chain(whole) {
            components.entry(ComponentAddress::of(&record.id)).or_default().push(record);
        }
        for records in components.values() {
            self.warn_of_numbers(records);
        }
        let mut records = merged_newest_first(components.into_values());
        records.retain(|record| query.dates(&record.id));
        match query.limit {
            Limit::All => records,
            Limit::Records(limit) => {
                records.truncate(limit);
                records
            }
            Limit::Rollouts(limit) => {
                let mut grouping = Grouping::default();
                records.retain(|record| grouping.add(record) < limit);
                records
            }
        }
    }

    /// The complete histories of some components, newest first, with late records
    /// and records outside of the chain.
    pub(super) fn component_histories(
        &self,
        components: &BTreeSet<ComponentAddress>,
    ) -> Result<BTreeMap<ComponentAddress, Vec<LedgerRecord>>, LedgerError> {
        let prefixes = components.iter().map(|address| {
            let prefix = record_tag_prefix(&address.deployment, &address.target, &address.component);
            prefix[RECORD_TAG_PREFIX.len()..].to_owned()
        });
        self.histories_below(&prefixes.collect::<Vec<_>>())
    }

    /// The complete histories of all components below these prefixes (`<deployment>/<target>/…/`).
    pub(super) fn histories_below(
        &self,
        below: &[String],
    ) -> Result<BTreeMap<ComponentAddress, Vec<LedgerRecord>>, LedgerError> {
        let told = self.told_tags(below)?;
        let counts = |tag: &RecordTag| told.as_ref().is_none_or(|told| told.has(&tag.name));
        let full: Vec<_> =
            below.iter().map(|prefix| format!("{TAGS_PREFIX}{RECORD_TAG_PREFIX}{prefix}")).collect();
        let mut histories: BTreeMap<ComponentAddress, Vec<LedgerRecord>> = BTreeMap::new();
        for tag in self.record_tags(self.refs_as_told(&full, told.as_ref())?) {
            if counts(&tag)
                && let Some(record) = self.read_tagged(tag)
            {
                histories.entry(ComponentAddress::of(&record.id)).or_default().push(record);
            }
        }
        Ok(histories.into_iter().map(|(address, records)| (address, self.ordered(records))).collect())
    }

    /// The complete histories of components on a target, newest first, with late records, without
    /// records outside of the chains.
    ///
    /// # Errors
    ///
    /// Fails where the history cannot be read; where a decision depends on it, also
    /// where the remote does not answer.
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
        let scope = Scope::Targets(deployment.clone(), vec![target.clone()]);
        let known = self.read_refs(&scope)?;
        let refs = self.authoritative(&known);
        let histories = self.component_histories(&addresses)?.into_iter();
        let of_chain = |(address, records)| {
            let records = self.without_strays(&address, records, refs);
            (address.component, records)
        };
        Ok(histories.map(of_chain).collect())
    }
}

/// The newest records up to a limit. For a limit of rollouts, reading goes on until so many records
/// of others follow that the wanted rollouts can be regarded as complete.
fn within(limit: Limit, records: impl Iterator<Item = LedgerRecord>) -> Vec<LedgerRecord> {
    match limit {
        Limit::All => records.collect(),
        Limit::Records(limit) => records.take(limit).collect(),
        Limit::Rollouts(limit) => {
            let (mut grouping, mut others) = (Grouping::default(), 0);
            let is_near = |record: &LedgerRecord| {
                others = if grouping.add(record) < limit { 0 } else { others + 1 };
                others < APART
            };
            records.take_while(is_near).collect()
        }
    }
}
