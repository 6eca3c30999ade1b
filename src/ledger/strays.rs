//! Strays: records outside of their component's chain. No decision depends on them; they are marked
//! in histories and published as late records.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::deployment::record::LedgerRecord;
use crate::deployment::ref_names::{ComponentAddress, latest_ref};
use crate::deployment::{ObjectId, RecordId};
use crate::git::transport::FetchOptions;

use super::Ledger;
use super::line::{Line, has_fork, identity, published_late};
use super::refs::mirror_of;

impl Ledger<'_> {
    /// The chain of a component, followed through given records or objects of this repository.
    pub(super) fn line(&self, address: &ComponentAddress, end: &ObjectId, records: &[LedgerRecord]) -> Line {
        let known: HashMap<_, _> = records.iter().map(|found| (&found.object, &found.record)).collect();
        Line::follow(end, |object| {
            if let Some(record) = known.get(object) {
                return Some(record.previous.clone());
            }
            let found = self.objects.contains(object).then(|| self.read_record(address, object))??;
            Some(found.record.previous)
        })
    }

    /// Removes strays from records. The known end of the chain may be older than the records.
    pub(super) fn without_strays(
        &self,
        address: &ComponentAddress,
        mut records: Vec<LedgerRecord>,
        refs: &BTreeMap<String, ObjectId>,
    ) -> Vec<LedgerRecord> {
        let end = refs.get(&latest_ref(&address.deployment, &address.target, &address.component));
        if let Some(end) = end
            && has_fork(&records)
        {
            let strays = self.line(address, end, &records).strays(&records);
            records.retain(|found| !strays.contains(&found.object));
        }
        records
    }

    /// Finds strays, and removes those that late records already publish. Where there may be strays
    /// after a fetch, the ends of the chains are fetched as well.
    pub(super) fn sort_out_strays(
        &self,
        records: &mut Vec<LedgerRecord>,
        is_current: bool,
    ) -> BTreeSet<ObjectId> {
        let mut forked: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for found in records.iter() {
            let RecordId { deployment, target, component, .. } = &found.id;
            forked.entry((deployment, target, component)).or_default().push(found);
        }
        forked.retain(|_, records| has_fork(records.iter().copied()));
        if forked.is_empty() {
            return BTreeSet::new();
        }
        let of_component = |records: Vec<&LedgerRecord>| {
            let address = records.first().map(|found| ComponentAddress::of(&found.id))?;
            Some((address, records.into_iter().cloned().collect::<Vec<_>>()))
        };
        let components: BTreeMap<_, _> = forked.into_values().filter_map(of_component).collect();
        let ends = self.ends(components.keys(), is_current);
        let (mut strays, mut told) = (BTreeSet::new(), BTreeSet::new());
        for (address, records) in &components {
            let Some(end) = ends.get(address) else { continue };
            let outside = self.line(address, end, records).strays(records);
            let is_outside = |found: &&LedgerRecord| outside.contains(&found.object);
            let late = published_late(records.iter().filter(|found| !is_outside(found)));
            let (again, alone): (Vec<_>, Vec<_>) =
                records.iter().filter(is_outside).partition(|found| late.contains(identity(found)));
            told.extend(again.into_iter().map(|found| found.object.clone()));
            strays.extend(alone.into_iter().map(|found| found.object.clone()));
        }
        records.retain(|found| !told.contains(&found.object));
        strays
    }

    /// The ends of chains, from the remote or from the mirror.
    fn ends<'a>(
        &self,
        components: impl Iterator<Item = &'a ComponentAddress>,
        ask: bool,
    ) -> BTreeMap<ComponentAddress, ObjectId> {
        let name = |address: &ComponentAddress| {
            let latest = latest_ref(&address.deployment, &address.target, &address.component);
            self.remote().map_or_else(|| latest.clone(), |remote| mirror_of(remote, &latest))
        };
        let names: BTreeMap<_, _> = components.map(|address| (name(address), address.clone())).collect();
        if let Some(remote) = self.reachable_remote().filter(|_| ask) {
            let refspec = |(mirror, ComponentAddress { deployment, target, component }): (&String, &_)| {
                // With a star, because a chain that has no end yet is not an error.
                format!("+{}*:{mirror}*", latest_ref(deployment, target, component))
            };
            let refspecs: Vec<_> = names.iter().map(refspec).collect();
            let options = FetchOptions { limit: Some(self.options.write_limit), ..self.fetch_options() };
            if let Err(error) = self.fetch(remote, &refspecs, &options) {
                self.warn(format!("where the records' chains end could not be asked: {error}"));
            }
        }
        let wanted: Vec<_> = names.keys().cloned().collect();
        let found = self.local_refs(&wanted).unwrap_or_default().into_iter();
        found.filter_map(|(name, end)| Some((names.get(&name)?.clone(), end))).collect()
    }
}

/// The records outside of a chain that none of its records publishes, oldest first, with free
/// sequences.
pub(super) fn untold(line: &Line, history: &[LedgerRecord]) -> Vec<(LedgerRecord, u32)> {
    let strays = line.strays(history);
    let is_stray = |found: &&LedgerRecord| strays.contains(&found.object);
    let of_chain = || history.iter().filter(|found| !is_stray(found));
    let mut told = published_late(of_chain());
    told.extend(of_chain().map(|found| found.object.as_str()));
    let mut names: BTreeSet<_> = history.iter().map(|found| found.id.clone()).collect();
    let mut untold = Vec::new();
    for found in history.iter().rev().filter(is_stray) {
        if told.insert(identity(found)) {
            untold.push((found.clone(), found.id.next_sequence(&mut names)));
        }
    }
    untold
}
