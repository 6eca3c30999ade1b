//! The shared state of one rollout's components.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Mutex, mpsc};

use tempfile::TempDir;

use crate::deployment::definition::Values;
use crate::deployment::rollout_plan::ComponentPlan;
use crate::deployment::{CommitId, ComponentName};

use super::gate::Passage;
use super::publisher::Message;
use super::{EventSink, Rollout, StartError};

/// The shared state of one rollout's components.
pub(super) struct Shared {
    pub(super) rollout: Rollout,
    /// The index of each component in the plan.
    pub(super) planned: BTreeMap<ComponentName, usize>,
    pub(super) checkouts: BTreeMap<CommitId, PathBuf>,
    /// The components with dependents in this rollout.
    pub(super) awaited: BTreeSet<ComponentName>,
    /// The channel to the publisher; `None` in a dry run.
    pub(super) records: Option<Mutex<mpsc::Sender<Message>>>,
    pub(super) passage: Passage,
    /// Outputs of components that have ended, for their dependents.
    pub(super) outputs: Mutex<BTreeMap<ComponentName, Values>>,
    /// A cache of outputs of components outside of this rollout, from their last apply.
    pub(super) recorded_outputs: Mutex<BTreeMap<ComponentName, Values>>,
    pub(super) events: EventSink,
    /// The folder of the components' temporary files, readable only by its owner.
    pub(super) scratch: TempDir,
}

impl Shared {
    /// # Errors
    ///
    /// [`StartError::Scratch`].
    pub(super) fn new(
        rollout: Rollout,
        checkouts: BTreeMap<CommitId, PathBuf>,
        records: Option<mpsc::Sender<Message>>,
        passage: Passage,
        events: EventSink,
    ) -> Result<Self, StartError> {
        let graph = &rollout.dependencies;
        let awaited = graph.nodes().flat_map(|node| graph.needs(node)).cloned().collect();
        let records = records.map(Mutex::new);
        let (outputs, recorded_outputs) = (Mutex::default(), Mutex::default());
        let components = rollout.plan.components.iter().enumerate();
        let planned = components.map(|(at, planned)| (planned.component.clone(), at)).collect();
        let scratch = tempfile::tempdir().map_err(StartError::Scratch)?;
        Ok(Self {
            rollout,
            planned,
            checkouts,
            awaited,
            records,
            passage,
            outputs,
            recorded_outputs,
            events,
            scratch,
        })
    }

    /// Whether a component is part of this rollout.
    pub(super) fn is_planned(&self, component: &ComponentName) -> bool {
        self.planned.contains_key(component)
    }

    pub(super) fn planned(&self, component: &ComponentName) -> Option<&ComponentPlan> {
        self.rollout.plan.components.get(*self.planned.get(component)?)
    }
}
