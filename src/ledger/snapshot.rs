//! Snapshots: reads the current state in O(components), however long the history is.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::deployment::count::count_are;
use crate::deployment::lock::HeldLock;
use crate::deployment::record::LedgerRecord;
use crate::deployment::ref_names::{
    ComponentAddress, LATEST_PREFIX, LOCK_PREFIX, STATE_PREFIX, parse_latest_ref, parse_lock_ref,
    parse_state_ref, state_ref,
};
use crate::deployment::state::{ComponentState, DeploymentState, TargetState};
use crate::deployment::{CommitId, DeploymentName, ObjectId, RecordStatus, TargetName};
use crate::git::refs::{Expected, RefUpdate};

use super::codec::decode_lock;
use super::pending::{PENDING_PREFIX, PendingRun};
use super::refs::{KnownRefs, mirror_of};
use super::warnings::Cause;
use super::{Ledger, LedgerError, Scope, and_more};

/// The ends of chains, by component.
type Heads = BTreeMap<ComponentAddress, Arc<LedgerRecord>>;

/// The most records to follow back over failed attempts and late records, before the
/// whole history is read instead.
const ATTEMPTS_FOLLOWED: usize = 32;

/// A snapshot of the ledger, on which a decision is based.
#[derive(Debug)]
pub struct Snapshot {
    pub deployments: BTreeMap<DeploymentName, DeploymentState>,
    /// Runs of this checkout whose records have not reached the remote.
    pub pending: Vec<PendingRun>,
    /// The refs whose values are the leases of pushes.
    pub(super) known: KnownRefs,
    /// The ends of chains that end in a late record. The other chains end in the newest record.
    pub(super) late_heads: Heads,
}

impl Snapshot {
    /// The state of one deployment; empty where it never ran.
    #[must_use]
    pub fn deployment(&self, name: &DeploymentName) -> Cow<'_, DeploymentState> {
        let known = self.deployments.get(name).map(Cow::Borrowed);
        known.unwrap_or_else(|| Cow::Owned(DeploymentState::empty(name.clone())))
    }

    /// A component's newest record that is not late.
    pub(super) fn newest(&self, address: &ComponentAddress) -> Option<&Arc<LedgerRecord>> {
        let state = self.deployments.get(&address.deployment)?;
        state.component(&address.target, &address.component)?.newest.as_ref()
    }

    /// The readable ends of the chains: newest records, or late ones after them.
    pub(super) fn heads(&self) -> impl Iterator<Item = (ComponentAddress, &Arc<LedgerRecord>)> {
        let targets = self.deployments.iter().flat_map(|(deployment, state)| {
            state.targets.iter().map(move |(target, state)| (deployment, target, state))
        });
        let newest = targets.flat_map(|(deployment, target, state)| {
            state.components.iter().filter_map(move |(component, state)| {
                let address = ComponentAddress {
                    deployment: deployment.clone(),
                    target: target.clone(),
                    component: component.clone(),
                };
                Some((address, state.newest.as_ref()?))
            })
        });
        let is_last = |(address, _): &(ComponentAddress, _)| !self.late_heads.contains_key(address);
        newest.filter(is_last).chain(self.late_heads.iter().map(|(address, head)| (address.clone(), head)))
    }

    /// The refs whose values are the leases of pushes: the mirror, or
    /// without a remote the local refs.
    pub(super) fn authoritative(&self, ledger: &Ledger<'_>) -> &BTreeMap<String, ObjectId> {
        ledger.authoritative(&self.known)
    }

    /// The locks of one [session](crate::deployment::lock::Lock::session) on a target.
    pub(super) fn locks_of(
        &self,
        deployment: &DeploymentName,
        target: &TargetName,
        session: &str,
    ) -> Vec<HeldLock> {
        let target = self.deployments.get(deployment).and_then(|state| state.targets.get(target));
        let locks = target.into_iter().flat_map(|target| &target.locks);
        locks.filter(|held| held.lock.session.as_deref() == Some(session)).cloned().collect()
    }

    /// The state of one deployment alone.
    #[must_use]
    pub fn into_deployment(mut self, name: &DeploymentName) -> DeploymentState {
        self.deployments.remove(name).unwrap_or_else(|| DeploymentState::empty(name.clone()))
    }
}

impl Ledger<'_> {
    /// Reads a snapshot from the mirror. Stale unless [`Ledger::refresh`] was called before.
    ///
    /// # Errors
    ///
    /// Fails where refs or the histories behind them cannot be read. Unreadable records and foreign
    /// refs are skipped with a warning.
    pub fn read(&self, scope: &Scope) -> Result<Snapshot, LedgerError> {
        let mut known = self.read_refs(scope)?;
        self.adopt_mirror(&mut known);
        self.recover_index(scope, &mut known)?;
        let pending = self.pending_runs(&known);
        let (deployments, late_heads) = self.states(&known, &pending)?;
        Ok(Snapshot { deployments, pending, known, late_heads })
    }

    /// Lists all refs of a scope at once: states, newest records, locks, pending
    /// records, and the mirror of each.
    pub(super) fn read_refs(&self, scope: &Scope) -> Result<KnownRefs, LedgerError> {
        let mut prefixes = vec![PENDING_PREFIX.to_owned()];
        for namespace in [STATE_PREFIX, LATEST_PREFIX, LOCK_PREFIX] {
            for prefix in scope.prefixes() {
                let name = format!("{namespace}{prefix}");
                prefixes.extend(self.remote().map(|remote| mirror_of(remote, &name)));
                prefixes.push(name);
            }
        }
        Ok(KnownRefs::sort(self.repository.refs(&prefixes)?, self.remote()))
    }

    /// Copies the mirror to the local refs. Refs that exist only here stay in the checkout and are
    /// ignored: they may be of another remote, or made by hand.
    fn adopt_mirror(&self, known: &mut KnownRefs) {
        let mut updates = Vec::new();
        for (name, object) in &known.remote {
            if !name.starts_with(LOCK_PREFIX) && known.local.get(name) != Some(object) {
                updates.push(RefUpdate {
                    name: name.clone(),
                    new: Some(object.clone()),
                    expected: Expected::Anything,
                });
            }
        }
        for RefUpdate { name, new, .. } in &updates {
            known.local.extend(new.clone().map(|object| (name.clone(), object)));
        }
        if let Err(error) = self.repository.git().update_refs(&updates, "atmos: refresh") {
            // Only a warning: a read-only checkout can still be read.
            self.warn(format!("cannot keep what {} has: {error}", self.remote().unwrap_or("the remote")));
        }
        self.leave_out_own(known);
    }

    /// Removes states and newest records from `known` that the remote does not have, unless nothing
    /// was ever fetched from it: then they are all there is to show.
    fn leave_out_own(&self, known: &mut KnownRefs) {
        let is_state = |name: &str| name.starts_with(STATE_PREFIX) || name.starts_with(LATEST_PREFIX);
        let Some(remote) = self.remote() else { return };
        if !self.answered.get() && !known.remote.keys().any(|name| is_state(name)) {
            return;
        }
        let mut own = Vec::new();
        known.local.retain(|name, _| {
            let is_own = is_state(name) && !known.remote.contains_key(name);
            if is_own {
                own.push(name.clone());
            }
            !is_own
        });
        if let Some(first) = own.first() {
            let (refs, more) = (count_are(own.len(), "ref"), and_more(own.len() - 1));
            self.warn(format!("{refs} only in this checkout, not on {remote}: not counted: {first}{more}"));
        }
    }

    fn states(
        &self,
        known: &KnownRefs,
        pending: &[PendingRun],
    ) -> Result<(BTreeMap<DeploymentName, DeploymentState>, Heads), LedgerError> {
        let mut late_heads = Heads::new();
        let mut components: BTreeMap<ComponentAddress, ComponentState> = BTreeMap::new();
        for (name, object) in &known.local {
            if name.starts_with(STATE_PREFIX) {
                match parse_state_ref(name) {
                    Ok(address) => {
                        components.entry(address).or_default().commit = Some(CommitId(object.clone()));
                    }
                    Err(error) => self.warn_of(Cause::Ref, format!("{name} is skipped: {error}")),
                }
            } else if name.starts_with(LATEST_PREFIX) {
                match parse_latest_ref(name) {
                    Ok(address) => {
                        let mut newest = self.read_record(&address, object).map(Arc::new);
                        if let Some(late) = newest.take_if(|record| record.is_late()) {
                            newest = self.follow(&address, &late, |record| !record.is_late()).map(Arc::new);
                            late_heads.insert(address.clone(), late);
                        }
                        components.entry(address).or_default().newest = newest;
                    }
                    Err(error) => self.warn_of(Cause::Ref, format!("{name} is skipped: {error}")),
                }
            }
        }
        self.complete_from_history(&mut components, &late_heads, known)?;
        for (address, state) in &mut components {
            self.doubt_unrecorded(address, state);
        }
        for state in components.values() {
            for record in state.newest.iter().chain(&state.running) {
                self.warn_of_future(record);
            }
        }
        for run in pending {
            for record in &run.records {
                components.entry(ComponentAddress::of(&record.id)).or_default().unpublished += 1;
            }
        }
        let mut deployments: BTreeMap<DeploymentName, DeploymentState> = BTreeMap::new();
        for (address, state) in components {
            target_of(&mut deployments, &address.deployment, &address.target)
                .components
                .insert(address.component, state);
        }
        for (deployment, target, lock) in self.locks_in(known) {
            target_of(&mut deployments, &deployment, &target).locks.push(lock);
        }
        Ok((deployments, late_heads))
    }

    /// Warns of a state without a record, which is not proven by any. One that is no commit is
    /// dropped.
    fn doubt_unrecorded(&self, address: &ComponentAddress, state: &mut ComponentState) {
        let (None, Some(commit)) = (&state.running, &state.commit) else { return };
        let ComponentAddress { deployment, target, component } = address;
        if self.objects.is_commit(&commit.0) == Some(false) {
            let name = state_ref(deployment, target, component);
            let warning = format!("{name} is at {commit}, which is no commit, and is skipped");
            self.warn_of(Cause::Ref, warning);
            state.commit = None;
        } else {
            let commit = commit.short();
            let warning =
                format!("{deployment}/{target}: {component} is at {commit} without a record that says so");
            self.warn_of(Cause::Unrecorded, warning);
        }
    }

    /// Finds the record of the running commit where the newest record is another one: in a ledger
    /// that plain git wrote, behind failed attempts, or behind late records.
    fn complete_from_history(
        &self,
        components: &mut BTreeMap<ComponentAddress, ComponentState>,
        late_heads: &Heads,
        known: &KnownRefs,
    ) -> Result<(), LedgerError> {
        let mut unknown = BTreeSet::new();
        for (address, state) in components.iter_mut() {
            match (&state.newest, &state.commit) {
                (Some(newest), Some(commit)) if runs(newest, commit) => state.running = state.newest.clone(),
                // Another tool moved the state ref without updating the newest record.
                (Some(newest), Some(_)) if newest.record.status == RecordStatus::Success => {
                    unknown.insert(address.clone());
                }
                (Some(newest), Some(commit)) => {
                    state.running = self.follow(address, newest, |record| runs(record, commit)).map(Arc::new);
                    if state.running.is_none() {
                        unknown.insert(address.clone());
                    }
                }
                (None, Some(_)) => {
                    unknown.insert(address.clone());
                }
                (None, None) if late_heads.contains_key(address) => {
                    unknown.insert(address.clone());
                }
                (_, None) => {}
            }
        }
        if unknown.is_empty() {
            return Ok(());
        }
        for (address, records) in self.component_histories(&unknown)? {
            let mut records = self.without_strays(&address, records, &known.local);
            let Some(state) = components.get_mut(&address) else { continue };
            if let Some(latest) = state.newest.as_deref()
                && records.iter().all(|record| record.object != latest.object)
            {
                records.push(latest.clone());
                records = self.ordered(records);
            }
            let records: Vec<_> =
                records.into_iter().filter(|record| !record.is_late()).map(Arc::new).collect();
            state.running = records
                .iter()
                .find(|record| state.commit.as_ref().is_some_and(|commit| runs(record, commit)))
                .cloned();
            state.newest = records.into_iter().next();
        }
        Ok(())
    }

    /// Follows the chain back from `from` to the first wanted record; `None` also where it is too
    /// far back, or where an object is missing.
    fn follow(
        &self,
        address: &ComponentAddress,
        from: &LedgerRecord,
        is_wanted: impl Fn(&LedgerRecord) -> bool,
    ) -> Option<LedgerRecord> {
        let mut previous = from.record.previous.clone();
        for _ in 0..ATTEMPTS_FOLLOWED {
            let object = previous?;
            if !self.objects.contains(&object) {
                return None;
            }
            let record = self.read_record(address, &object)?;
            if is_wanted(&record) {
                return Some(record);
            }
            previous = record.record.previous;
        }
        None
    }

    /// The locks, by target.
    fn locks_in(&self, known: &KnownRefs) -> Vec<(DeploymentName, TargetName, HeldLock)> {
        self.authoritative(known)
            .range(LOCK_PREFIX.to_owned()..)
            .take_while(|(name, _)| name.starts_with(LOCK_PREFIX))
            .filter_map(|(name, object)| {
                let (deployment, target, scope) = parse_lock_ref(name)
                    .inspect_err(|error| self.warn_of(Cause::Ref, format!("{name} is skipped: {error}")))
                    .ok()?;
                let lock = self.read_lock(name, object);
                Some((deployment, target, HeldLock { scope, object: object.clone(), lock }))
            })
            .collect()
    }

    /// Reads a lock. An unreadable lock still locks: its holder is unknown.
    pub(super) fn read_lock(&self, name: &str, object: &ObjectId) -> crate::deployment::lock::Lock {
        let decoded = self
            .objects
            .read_tag(object)
            .map_err(|error| error.to_string())
            .and_then(|tag| decode_lock(&tag.message).map_err(|error| error.to_string()));
        decoded.unwrap_or_else(|error| {
            self.warn(format!("the lock {name} cannot be read: {error}"));
            crate::deployment::lock::Lock::unreadable()
        })
    }
}

/// Whether this is the record of the commit that runs.
fn runs(record: &LedgerRecord, commit: &CommitId) -> bool {
    record.record.status == RecordStatus::Success && record.record.commit == *commit && !record.is_late()
}

fn target_of<'a>(
    deployments: &'a mut BTreeMap<DeploymentName, DeploymentState>,
    deployment: &DeploymentName,
    target: &TargetName,
) -> &'a mut TargetState {
    deployments
        .entry(deployment.clone())
        .or_insert_with(|| DeploymentState::empty(deployment.clone()))
        .targets
        .entry(target.clone())
        .or_default()
}
