//! The state of a schedule: the pending dependencies and the ready queue. No clock, no tasks.

use std::collections::{HashMap, VecDeque};

use crate::deployment::ComponentName;
use crate::deployment::graph::{Cycle, Graph};

/// The progress of a component.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    /// Depends on this many components that have not succeeded yet.
    Waiting(usize),
    /// Started, or blocked for good.
    Settled,
}

/// Components by index, in dependency order. The cost of every operation is proportional to its
/// changes.
#[derive(Debug)]
pub(super) struct Plan {
    names: Vec<ComponentName>,
    dependents: Vec<Vec<usize>>,
    progress: Vec<Progress>,
    ready: VecDeque<usize>,
}

impl Plan {
    pub(super) fn new(graph: &Graph<ComponentName>) -> Result<Self, Cycle<ComponentName>> {
        let names = graph.order()?;
        let indices: HashMap<&ComponentName, usize> =
            names.iter().enumerate().map(|(index, name)| (name, index)).collect();
        let mut dependents = vec![Vec::new(); names.len()];
        let mut progress = Vec::with_capacity(names.len());
        let mut ready = VecDeque::new();
        for (index, name) in names.iter().enumerate() {
            let mut waits_for = 0;
            for need in graph.needs(name).filter_map(|need| indices.get(need)) {
                dependents[*need].push(index);
                waits_for += 1;
            }
            if waits_for == 0 {
                ready.push_back(index);
            }
            progress.push(Progress::Waiting(waits_for));
        }
        Ok(Self { names, dependents, progress, ready })
    }

    pub(super) fn len(&self) -> usize {
        self.names.len()
    }

    pub(super) fn name(&self, component: usize) -> &ComponentName {
        &self.names[component]
    }

    pub(super) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// The next component to start.
    pub(super) fn take_ready(&mut self) -> Option<usize> {
        let component = self.ready.pop_front()?;
        self.progress[component] = Progress::Settled;
        Some(component)
    }

    /// Records a success: components that waited only for it become ready.
    pub(super) fn succeeded(&mut self, component: usize) {
        for &dependent in &self.dependents[component] {
            if let Progress::Waiting(open) = &mut self.progress[dependent] {
                *open -= 1;
                if *open == 0 {
                    self.ready.push_back(dependent);
                }
            }
        }
    }

    /// Marks all components that depend on this one, directly or transitively, as blocked, and
    /// returns them in dependency order.
    pub(super) fn block_dependents(&mut self, component: usize) -> Vec<usize> {
        let mut blocked = Vec::new();
        let mut open = vec![component];
        while let Some(component) = open.pop() {
            for &dependent in &self.dependents[component] {
                if self.progress[dependent] != Progress::Settled {
                    self.progress[dependent] = Progress::Settled;
                    blocked.push(dependent);
                    open.push(dependent);
                }
            }
        }
        // Indices are in dependency order.
        blocked.sort_unstable();
        blocked
    }

    /// Marks all components that have not started as blocked, and returns them in dependency order.
    pub(super) fn take_unstarted(&mut self) -> Vec<usize> {
        self.ready.clear();
        let unstarted: Vec<usize> =
            (0..self.names.len()).filter(|index| self.progress[*index] != Progress::Settled).collect();
        self.progress.fill(Progress::Settled);
        unstarted
    }
}
